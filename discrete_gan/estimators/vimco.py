r"""VIMCO: the multi-sample bound, with what each sample adds to it as its signal.

References:
    Variational Inference for Monte Carlo Objectives (Mnih and Rezende, 2016), https://arxiv.org/abs/1602.06725
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from discrete_gan._arguments import check_at_least, check_same_shape, check_samples
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
        One loss per latent, shape (B,). Gradients reach ``log_prob`` only.

    Raises:
        ValueError: If the shapes differ or M is 1.
    """
    check_samples("log_w", log_w)
    check_same_shape("log_prob", log_prob, "log_w", log_w)
    num_samples = log_w.shape[0]
    check_at_least("log_w: number of samples M", num_samples, 2, _ONE_SAMPLE)
    log_w = log_w.detach()
    # (M, M, B): entry (m, j) is the log-weight of sample j where that of sample m is replaced.
    itself = torch.eye(num_samples, dtype=torch.bool, device=log_w.device)[:, :, None]
    others = torch.where(itself, 0, log_w).sum(dim=1, keepdim=True) / (num_samples - 1)
    replaced = torch.where(itself, others, log_w)
    signal = torch.logsumexp(log_w, dim=0) - torch.logsumexp(replaced, dim=1)
    return -(signal * log_prob).sum(dim=0)


@dataclass(frozen=True)
class Vimco:
    """VIMCO estimator: see :func:`vimco_loss`.

    Unbiased for its bound. Costs ``num_samples`` discriminator evaluations a latent, without a backward pass.

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

    def __call__(self, generator: nn.Module, discriminator: nn.Module, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only."""
        g = generator(z)
        x = g.sample((self.num_samples,))
        with torch.no_grad():
            log_w = discriminator(x)
        return vimco_loss(log_w, g.log_prob(x))
