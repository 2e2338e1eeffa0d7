r"""Feature matching: the generator matches mean features of the discriminator instead of its output.

References:
    Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498
"""

from torch import Tensor

from discrete_gan._precision import at_least_float32
from discrete_gan.distributed import mean_over_batch


def generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    r"""Squared distance of the mean features (section 3.1).

    .. math:: \| \operatorname{mean} f(x_{real}) - \operatorname{mean} f(x_{fake}) \|^2

    Couples the batch, so it is one number. A finite batch makes it larger by the variance of the two means, which the
    generator lowers too. Needs samples that carry gradient, hard ones with a straight-through gradient included.

    Args:
        real: Features of data, ``discriminator.features(x)``, shape (B, ...).
        fake: Features of generated samples, shape (B', ...). Means are over the samples of every process, each of
            which has equally many.

    Returns:
        Scalar; that of the whole batch on every process. Gradients reach both arguments; their mean over processes is
        that of the whole batch.

    Raises:
        ValueError: If the features differ in shape.
    """
    if real.shape[1:] != fake.shape[1:] or real.dim() < 2:
        raise ValueError(
            f"fake: expected features (B, ...) as of real, {tuple(real.shape)}, but for B, got {tuple(fake.shape)}"
        )
    real, fake = at_least_float32(real), at_least_float32(fake)
    return (mean_over_batch(real) - mean_over_batch(fake)).square().sum()
