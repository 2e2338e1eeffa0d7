r"""Terms that let the discriminator of LabelGAN or AM-GAN learn from data without labels.

References:
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), appendix C, https://arxiv.org/abs/1703.02000
"""

from torch import Tensor

from discrete_gan.losses.class_labels import (
    check_logits,
    class_cross_entropy,
    dynamic_labels,
    log_mean_probabilities,
)


def unlabeled_loss(logits: Tensor) -> Tensor:
    r"""Cross-entropy of data to the real class that they are nearest to (equation 34 with dynamic labels).

    .. math:: \operatorname{mean} H(v(\hat y(x)), D(x)), \quad \hat y(x) = \operatorname{argmax}_{k \le K} D_k(x)

    Added to the discriminator's loss. It sharpens what is likely already, right or wrong: without labeled data all
    samples may end in one class, unless :func:`reference_loss` is added too.

    Args:
        logits: Of data, shape (B, K + 1), generated class last.

    Returns:
        Scalar in nats. Gradients reach the logits; the labels carry none.

    Raises:
        ValueError: If the shape is another one.
    """
    check_logits("logits", logits, generated_class=True)
    return class_cross_entropy(logits, dynamic_labels(logits, logits.shape[1] - 1)).mean()


def reference_loss(logits: Tensor, reference: Tensor) -> Tensor:
    r"""Cross-entropy of a reference distribution to the classes' shares in the batch (equation 35).

    .. math:: H(p_{ref}, R(\operatorname{mean} D(x)))

    R takes the K real classes and normalizes them, after the mean: a sample that looks generated counts less. Couples
    the batch, which should hold several samples of each class.

    Args:
        logits: Of data, shape (B, K + 1), generated class last. The mean is over the samples of every process, each of
            which has equally many.
        reference: Probabilities of the K real classes, shape (K,), for example uniform, or those of the labeled
            data. Not differentiated.

    Returns:
        Scalar in nats, at least the entropy of the reference; that of the whole batch on every process. Gradients reach
        the logits; their mean over processes is that of the whole batch.

    Raises:
        ValueError: If a shape is another one, or the reference, where it is on the CPU, is no distribution.
    """
    check_logits("logits", logits, generated_class=True)
    _check_reference(reference, logits.shape[1] - 1)
    log_shares = log_mean_probabilities(logits)[:-1].log_softmax(dim=0)
    return -(reference.detach().to(log_shares.dtype) * log_shares).sum()


def _check_reference(reference: Tensor, num_classes: int) -> None:
    """Values are read on the CPU alone; 1e-4 is room for frequencies that were counted in float32."""
    if reference.shape != (num_classes,):
        raise ValueError(f"reference: expected shape ({num_classes},), got {tuple(reference.shape)}")
    if reference.device.type != "cpu":
        return
    total = reference.sum().item()
    if not (bool((reference >= 0).all()) and abs(total - 1) < 1e-4):
        raise ValueError(
            f"reference: expected probabilities that sum to 1, got a sum of {total:g}, "
            f"the least being {reference.min().item():g}"
        )
