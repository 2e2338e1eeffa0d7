r"""VIMCO: the multi-sample bound, with what each sample adds to it as its signal.

References:
    Variational Inference for Monte Carlo Objectives (Mnih and Rezende, 2016), https://arxiv.org/abs/1602.06725
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_same_shape, check_samples
from discrete_gan._precision import at_least_float32, widest_float
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators._common import log_ratios
from discrete_gan.estimators.claims import Claims

_ONE_SAMPLE = "the signal of a sample is what it adds to the others"


def vimco_loss(log_w: Tensor, log_prob: Tensor) -> Tensor:
    r"""Surrogate whose gradient, not its value, ascends the multi-sample bound.

    .. math:: \ell_b = -\sum_m (L - L_{-m}) \log g_\theta(x_m \mid z), \quad L = \log \frac1M \sum_m w_m

    In :math:`L_{-m}` the weight of sample m is replaced by the geometric mean of the others. Unbiased for
    :math:`-E[L]` with the log-ratio held fixed: the reverse KL where M = 1, and, as M grows, minus
    :math:`\log E_g[w]`, whose gradient is the boundary-seeking one.

    Args:
        log_w: log p_data(x_m) / p_g(x_m) in nats, shape (M, B). Not differentiated.
        log_prob: log g(x_m | z) in nats of the same samples, shape (M, B).

    Returns:
        One loss per latent, shape (B,). Gradients reach ``log_prob`` only; where all weights of a latent are zero,
        there is none.

    Raises:
        ValueError: If the shapes differ or M is 1.

    Example:
        >>> log_prob = torch.tensor([[-1.0], [-1.0]], requires_grad=True)
        >>> vimco_loss(torch.tensor([[0.0], [2.0]]), log_prob).sum().backward()
        >>> log_prob.grad[:, 0]
        tensor([ 0.5662, -1.4338])
    """
    check_samples("log_w", log_w)
    check_same_shape("log_prob", log_prob, "log_w", log_w)
    num_samples = log_w.shape[0]
    check_at_least("log_w: number of samples M", num_samples, 2, _ONE_SAMPLE)
    log_prob = at_least_float32(log_prob)
    log_w = _relative(log_w.detach())
    itself = log_w.argmax(dim=0, keepdim=True)
    # Mean of the other log-weights, minus infinity where one of them is.
    lost = log_w.isneginf()
    finite = log_w.masked_fill(lost, 0)
    others = (finite.sum(dim=0) - finite) / (num_samples - 1)
    log_replacement = others.masked_fill(lost.sum(dim=0) > lost.long(), -math.inf)
    total = log_w.exp().sum(dim=0)
    ratio = (log_replacement.exp() - log_w.exp()) / total
    # Near -1 the logarithm of 1 + ratio cancels, as it may for the largest weight: leave that one out instead.
    without = torch.logaddexp(log_w.scatter(0, itself, -math.inf).logsumexp(dim=0), log_replacement)
    signal = torch.where(ratio < -0.5, total.log() - without, -ratio.clamp(min=-0.5).log1p())
    signal = torch.where(total == 0, 0.0, signal)  # no weight at all: none is preferred
    return -(signal.to(log_prob.dtype) * log_prob).sum(dim=0)


def _relative(log_w: Tensor) -> Tensor:
    """To the largest of each latent, in the widest type: what the weights differ in, whatever their level."""
    log_w = log_w.to(torch.promote_types(log_w.dtype, widest_float(log_w.device.type)))
    bounds = torch.finfo(log_w.dtype)
    log_w = log_w.clamp(max=bounds.max)
    return log_w - log_w.amax(dim=0).clamp(min=bounds.min)


@dataclass(frozen=True)
class Vimco:
    """VIMCO estimator: see :func:`vimco_loss`.

    Unbiased (see ``Claims.unbiased``) for its bound. Costs ``num_samples`` discriminator evaluations per latent,
    without a backward pass.

    Attributes:
        num_samples: M, samples drawn for each latent.

    Raises:
        ValueError: If M is below 2.
    """

    num_samples: int = 20

    def __post_init__(self) -> None:
        check_at_least("num_samples", self.num_samples, 2, _ONE_SAMPLE)

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        return Claims("multi-sample", "none", self.num_samples, "Mnih and Rezende 2016, arXiv 1602.06725")

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only."""
        g = generator(z)
        x = g.sample(torch.Size((self.num_samples,)))
        with torch.no_grad():
            log_w = log_ratios(discriminator, x)
        return vimco_loss(log_w, g.log_prob(x))
