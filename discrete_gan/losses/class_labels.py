r"""What the losses with class labels share: K real classes, 0 to K - 1, and one of generated samples behind them.

A discriminator has K + 1 logits a sample, of which the last is the generated class's, or K logits with that one fixed
at 0. Both are the same model: the softmax sees differences only, and :func:`relative_logits` takes one to the other.

Equation numbers here and in the modules of the family are those of Zhou et al., where none other is said.

References:
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), https://arxiv.org/abs/1703.02000
    Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498
"""

import math

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan._precision import at_least_float32
from discrete_gan._precision import log_sum_exp as _log_sum_exp
from discrete_gan.distributed import whole_batch


def dynamic_labels(logits: Tensor, num_classes: int) -> Tensor:
    """The real class that each sample is nearest to now, as its target (section 5.1).

    Args:
        logits: Of the K real classes, shape (B, K), or with the generated one last, shape (B, K + 1).
        num_classes: K.

    Returns:
        Classes from 0 to K - 1, int64, shape (B,). No gradient.

    Raises:
        ValueError: If K is below 1, or the logits are not of one of the two shapes.
    """
    check_at_least("num_classes", num_classes, 1)
    if logits.dim() != 2 or logits.shape[1] not in (num_classes, num_classes + 1):
        raise ValueError(
            f"logits: expected shape (B, {num_classes}) or (B, {num_classes + 1}), got {tuple(logits.shape)}"
        )
    return logits.detach()[:, :num_classes].argmax(dim=1)


def relative_logits(logits: Tensor) -> Tensor:
    """K logits of the same model: those of the real classes less that of the generated one.

    Args:
        logits: Shape (B, K + 1), generated class last.

    Returns:
        log D_k / D_{K+1} in nats, shape (B, K). Gradients reach all K + 1 logits.

    Raises:
        ValueError: If the shape is another one.
    """
    check_logits("logits", logits, generated_class=True)
    logits = at_least_float32(logits)
    return logits[:, :-1] - logits[:, -1:]


def log_sum_exp(logits: Tensor) -> Tensor:
    """Logarithm of the sum of exponentials: with a generated class's logit fixed at 0 the raw output, log Z.

    Args:
        logits: Shape (B, K).

    Returns:
        Raw outputs of real against generated in nats, shape (B,). Gradients reach the logits.

    Raises:
        ValueError: If the shape is another one.
    """
    check_logits("logits", logits)
    return _log_sum_exp(logits, dim=1)


def real_logit(logits: Tensor) -> Tensor:
    r"""Raw output of real against generated, for ``losses.gan``, estimators and ``weights``.

    .. math:: \log \frac{D_r}{D_{K+1}} = \log \sum_{k=1}^{K} e^{l_k} - l_{K+1}

    Args:
        logits: Shape (B, K + 1), generated class last. Of K logits take :func:`log_sum_exp`.

    Returns:
        Raw outputs in nats, shape (B,). Gradients reach the logits.

    Raises:
        ValueError: If the shape is another one.
    """
    # The difference first: a sum of large logits would have rounded away what tells them from the last.
    return log_sum_exp(relative_logits(logits))


def class_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log of the softmax at the label: H(u(y), C(x)) of K logits, H(v(y), D(x)) of K + 1.

    Args:
        logits: Shape (B, K).
        labels: Classes from 0 to K - 1, int64, shape (B,).

    Returns:
        One loss per sample in nats, shape (B,). Gradients reach the logits.

    Raises:
        ValueError: If a shape, or a label on the CPU, is wrong.
    """
    check_logits("logits", logits)
    check_labels("labels", labels, *logits.shape)
    # Not torch's cross_entropy: a label of -100 would count as none, without a word.
    return -at_least_float32(logits).log_softmax(dim=1).gather(1, labels[:, None]).squeeze(1)


def uniform_cross_entropy(logits: Tensor) -> Tensor:
    """Cross-entropy of the softmax to the uniform distribution over its classes, log K where it is uniform itself.

    Args:
        logits: Shape (B, K).

    Returns:
        One loss per sample in nats, shape (B,). Gradients reach the logits.

    Raises:
        ValueError: If the shape is another one.
    """
    check_logits("logits", logits)
    return -at_least_float32(logits).log_softmax(dim=1).mean(dim=1)


def log_mean_probabilities(logits: Tensor) -> Tensor:
    """Logarithm of E[softmax] over the samples of every process, finite where each probability underflows.

    Args:
        logits: Shape (B, K), equally many samples on every process.

    Returns:
        Log-probabilities in nats, shape (K,), the same on every process. Gradients reach the logits; their mean over
        processes is that of the whole batch.

    Raises:
        ValueError: If the shape is another one.
    """
    check_logits("logits", logits)
    log_probabilities = at_least_float32(logits).log_softmax(dim=1)
    log_probabilities = whole_batch(log_probabilities.flatten()).view(-1, logits.shape[1])
    return _log_sum_exp(log_probabilities) - math.log(len(log_probabilities))


def check_logits(name: str, logits: Tensor, *, generated_class: bool = False, num_logits: int | None = None) -> None:
    """Raise unless there are logits of one real class or more, or ``num_logits`` of them where that is given."""
    if logits.dim() != 2 or logits.shape[1] < 1 + generated_class or num_logits not in (None, logits.shape[1]):
        form = num_logits or ("K + 1" if generated_class else "K")
        at_least = "" if num_logits else " with K at least 1"
        raise ValueError(f"{name}: expected logits of shape (B, {form}){at_least}, got {tuple(logits.shape)}")
    if not logits.is_floating_point():
        raise ValueError(f"{name}: expected a floating-point tensor, got {logits.dtype}")


def check_labels(name: str, labels: Tensor, num_samples: int, num_classes: int) -> None:
    """Raise unless there is a class from 0 to K - 1 for each sample; values are read on the CPU alone."""
    if labels.shape != (num_samples,) or labels.dtype != torch.int64:
        raise ValueError(
            f"{name}: expected int64 of shape ({num_samples},), got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    if labels.device.type != "cpu":  # reading would wait for the device
        return
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if len(outside) > 0:
        raise ValueError(f"{name}: expected classes from 0 to {num_classes - 1}, got {outside[0].item()}")
