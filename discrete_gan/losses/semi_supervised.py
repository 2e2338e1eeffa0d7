r"""Semi-supervised classification with a GAN: labeled, unlabeled and generated samples, K logits each.

The discriminator is a classifier of K classes; the generated one's logit is fixed at 0, which makes

.. math:: D = \frac{Z}{Z + 1}, \quad Z = \sum_{k=1}^{K} e^{l_k},

so that log Z is the raw output of real against generated. Of K + 1 logits take ``class_labels.relative_logits`` first:
it is the same model.

References:
    Improved Techniques for Training GANs (Salimans et al., 2016), section 5, https://arxiv.org/abs/1606.03498
"""

from torch import Tensor

from discrete_gan.losses import gan
from discrete_gan.losses.class_labels import check_labels, check_logits, class_cross_entropy, log_sum_exp


def discriminator_loss(
    labeled_logits: Tensor,
    labels: Tensor,
    unlabeled_logits: Tensor,
    fake_logits: Tensor,
    *,
    smoothing_real: float = 0.0,
) -> Tensor:
    r"""The classifier's loss on labeled data, and the original GAN's on unlabeled data and generated samples.

    .. math:: \operatorname{mean} H(u(y), C(x_{lab}))
              + \operatorname{mean} H(1 - \lambda, D(x_{unl})) - \operatorname{mean} \log(1 - D(x_{fake}))

    C is the softmax of the K logits, :math:`H(t, D)` as in ``gan.discriminator_loss``. The first term sees
    differences of a sample's logits only, the others log Z.

    Args:
        labeled_logits: Shape (B, K).
        labels: Classes of the labeled data from 0 to K - 1, int64, shape (B,).
        unlabeled_logits: Shape (B', K).
        fake_logits: Of generated samples, shape (B'', K).
        smoothing_real: :math:`\lambda`, between 0 and 1, of the target of unlabeled data; labels are not smoothed.

    Returns:
        Scalar in nats. Gradients reach all three logits.

    Raises:
        ValueError: If a shape, the smoothing, or a label on the CPU is wrong.
    """
    check_logits("labeled_logits", labeled_logits)
    check_labels("labels", labels, *labeled_logits.shape)
    check_logits("unlabeled_logits", unlabeled_logits, num_logits=labeled_logits.shape[1])
    check_logits("fake_logits", fake_logits, num_logits=labeled_logits.shape[1])
    real_or_generated = gan.discriminator_loss(
        log_sum_exp(unlabeled_logits), log_sum_exp(fake_logits), smoothing_real=smoothing_real
    )
    return class_cross_entropy(labeled_logits, labels).mean() + real_or_generated


def generator_loss(fake_logits: Tensor) -> Tensor:
    r"""The non-saturating loss, -log D.

    For a good classifier Salimans et al. train the generator by ``feature_matching.generator_loss`` instead, on
    features of unlabeled and generated samples; for good samples they have minibatch
    discrimination and a loss such as this.

    Args:
        fake_logits: Of generated samples, shape (B, K).

    Returns:
        One loss per sample in nats, shape (B,). Gradients reach ``fake_logits``.

    Raises:
        ValueError: If the shape is another one.
    """
    check_logits("fake_logits", fake_logits)
    return gan.non_saturating_loss(log_sum_exp(fake_logits))
