r"""CatGAN: the discriminator is a classifier alone, sure of real samples and unsure of generated ones.

No class is the generated one's, and no label is needed: what is real shows in the entropy of the K class
probabilities p(y | x), and that they are used evenly in the entropy of their mean over the batch.

References:
    Unsupervised and Semi-supervised Learning with Categorical Generative Adversarial Networks (Springenberg, 2016),
        https://arxiv.org/abs/1511.06390
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), appendix B, https://arxiv.org/abs/1703.02000
"""

from torch import Tensor

from discrete_gan._precision import at_least_float32
from discrete_gan.distributed import mean_over_batch
from discrete_gan.losses.class_labels import check_labels, check_logits, class_cross_entropy, log_mean_probabilities


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, *, labels: Tensor | None = None) -> Tensor:
    r"""Sure of each real sample, even over all of them, unsure of each generated one.

    .. math:: \operatorname{mean} H[p(y | x_{real})] - H[\operatorname{mean} p(y | x_{real})]
              - \operatorname{mean} H[p(y | x_{fake})]

    The last term is equation 31 of Zhou et al. The entropy of the mean is too small in a finite batch: it should hold
    several samples of each class. Where the data have labels, their cross-entropy is added; if only some have, leave
    ``labels`` out and add the mean ``class_labels.class_cross_entropy`` of those.

    Args:
        real_logits: Of data, shape (B, K). Means are over the samples of every process, each of which has equally many.
        fake_logits: Of generated samples, shape (B', K).
        labels: Classes of the data from 0 to K - 1, int64, shape (B,), if known.

    Returns:
        Scalar in nats, without labels at least -2 log K; that of the whole batch on every process. Gradients reach both
        logits; their mean over processes is that of the whole batch.

    Raises:
        ValueError: If a shape, or a label on the CPU, is wrong.
    """
    check_logits("real_logits", real_logits)
    check_logits("fake_logits", fake_logits, num_logits=real_logits.shape[1])
    loss = _conditional_entropy(real_logits) - _marginal_entropy(real_logits) - _conditional_entropy(fake_logits)
    if labels is None:
        return loss
    check_labels("labels", labels, *real_logits.shape)
    return loss + mean_over_batch(class_cross_entropy(real_logits, labels))


def generator_loss(fake_logits: Tensor) -> Tensor:
    r"""Samples that each have a clear class, and all classes evenly.

    .. math:: \operatorname{mean} H[p(y | x)] - H[\operatorname{mean} p(y | x)]

    Minus the mutual information of sample and class. Couples the batch, so it is one number.

    Args:
        fake_logits: Of generated samples, shape (B, K), equally many on every process.

    Returns:
        Scalar in nats, from -log K to 0; that of the whole batch on every process. Gradients reach ``fake_logits``;
        their mean over processes is that of the whole batch.

    Raises:
        ValueError: If the shape is another one.
    """
    check_logits("fake_logits", fake_logits)
    return _conditional_entropy(fake_logits) - _marginal_entropy(fake_logits)


def _conditional_entropy(logits: Tensor) -> Tensor:
    return mean_over_batch(_entropy(at_least_float32(logits).log_softmax(dim=1)))


def _marginal_entropy(logits: Tensor) -> Tensor:
    return _entropy(log_mean_probabilities(logits))


def _entropy(log_probabilities: Tensor) -> Tensor:
    return -(log_probabilities.exp() * log_probabilities).sum(dim=-1)
