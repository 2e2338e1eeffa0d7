r"""Softmax GAN: cross-entropy over the samples of a batch instead of over two classes.

Scores s are raw outputs, larger for more real: the paper's energy is :math:`\mu = -s`. All losses take the softmax over
the union B of real and generated samples, on several processes over those of all of them, and depend on differences of
scores only. Batches may differ in size, real from generated, but not from one process to another.

References:
    Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191
"""

import torch
from torch import Tensor

from discrete_gan._precision import at_least_float32
from discrete_gan.distributed import whole_batch


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    r"""Puts all of the softmax's mass on the real samples, in equal parts (equations 1 and 2).

    .. math:: -\frac{1}{|B_+|} \sum_{x \in B_+} \log \frac{e^{s(x)}}{\sum_{y \in B} e^{s(y)}}

    The slope in each score is the softmax minus the target, and with large batches of equal size the optimum is
    :math:`e^s \propto p_{data} / \tfrac12 (p_{data} + p_g)`, so that :math:`e^s` is proportional to D of a GAN, not to
    the density ratio :math:`D / (1 - D)` that the estimators call the log-ratio's exponential.

    Args:
        real: Scores of data in nats, any shape.
        fake: Scores of generated samples in nats, any shape, not necessarily as many.

    Returns:
        Scalar in nats, at least the logarithm of the number of real samples; the loss of the whole batch on every
        process. Gradients reach both arguments; their mean over processes is that of the whole batch.
    """
    log_softmax, num_real = _log_softmax(real, fake)
    return -log_softmax[:num_real].mean()


def generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    r"""Spreads the softmax's mass evenly over all samples, real and generated (equations 3 and 4).

    .. math:: -\frac{1}{|B|} \sum_{x \in B} \log \frac{e^{s(x)}}{\sum_{y \in B} e^{s(y)}}

    Couples the batch, so it is one number; the slope in each score is the softmax minus 1/|B|. It vanishes only where
    all scores are equal. For samples that carry gradient; of discrete ones the estimators take care.

    Args:
        real: Scores of data in nats, any shape.
        fake: Scores of generated samples in nats, any shape, not necessarily as many.

    Returns:
        Scalar in nats, at least log |B|; the loss of the whole batch on every process. Gradients reach both arguments;
        their mean over processes is that of the whole batch.
    """
    return -_log_softmax(real, fake)[0].mean()


def _log_softmax(real: Tensor, fake: Tensor) -> tuple[Tensor, int]:
    """Over the union, real first, and the number of real samples; shifted by the maximum before anything is summed."""
    real, fake = (whole_batch(at_least_float32(scores).flatten()) for scores in (real, fake))
    return torch.log_softmax(torch.cat([real, fake]), dim=0), len(real)
