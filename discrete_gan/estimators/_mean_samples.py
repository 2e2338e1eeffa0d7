"""Weighted log-likelihood of samples from two means of them: what the estimators with importance weights share.

log g(x | z) of a factorized distribution is affine in x, so the weighted sum of log-probabilities over samples is the
log-probability of the weighted mean sample: the graph never sees anything of the size of x.
"""

import torch
from torch import Tensor
from torch.distributions import Distribution

from discrete_gan.contracts import Discriminator
from discrete_gan.estimators._common import Factorized, at_a_time, log_ratios
from discrete_gan.weights import Accumulator


def drawn_mean(
    g: Factorized, discriminator: Discriminator, num_samples: int, chunk_size: int | None = None
) -> Accumulator:
    """Means of M samples per latent, drawn and scored so many at a time; by default :func:`at_a_time`. No gradient."""
    mean = Accumulator()
    size = chunk_size or at_a_time(discriminator, g.logits, num_samples)
    with torch.no_grad():
        while mean.count < num_samples:
            x = g.sample(torch.Size((min(size, num_samples - mean.count),)))
            mean.update(log_ratios(discriminator, x, at_once=True).to(x.dtype), x)
            del x  # or the next chunk would be drawn beside it
    return mean


def loss_of_means(
    g: Factorized, mean: Accumulator, *, scale: Tensor | float = 1.0, plain_scale: float = 1.0, zero_sum: bool
) -> Tensor:
    r"""Minus the weighted log-likelihood of samples of bits or one-hot categories, from their means.

    .. math:: -s_b \log g(\textstyle\sum_m \tilde w_{m,b} x_{m,b}) + c \log g(\tfrac{1}{M} \sum_m x_{m,b})

    Args:
        g: What they were drawn from, batch shape (B,).
        mean: Of the samples.
        scale: s, what the weights of a latent sum to, a number or shape (B,).
        plain_scale: c, what the weights subtracted from them sum to.
        zero_sum: Subtract these.

    Returns:
        One loss per latent, shape (B,). Gradients reach ``g`` only.
    """
    plain = mean.plain
    # Where all samples agree so do both means, to the last digit: what is ruled out has an infinite logit.
    agree = (plain == 0) | (plain == 1)
    loss = -scale * g.log_prob(torch.where(agree, plain, mean.weighted))
    return loss + plain_scale * g.log_prob(plain) if zero_sum else loss


def drawn_at_once(
    g: Distribution, discriminator: Discriminator, num_samples: int, chunk_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """M samples of each latent of any distribution, (M, B, *event), and their scores, (M, B). No gradient.

    Raises:
        TypeError: If a size of chunks is given, in which only means can be taken.
    """
    if chunk_size is not None:
        raise TypeError(
            f"chunk_size: expected a FactorizedBernoulli or FactorizedCategorical generator, got {type(g).__name__}"
        )
    x = g.sample(torch.Size((num_samples,)))
    with torch.no_grad():
        return x, log_ratios(discriminator, x)
