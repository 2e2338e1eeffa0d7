r"""A particle filter over the positions of sequences, steered by the log-ratio of every prefix.

References:
    Probabilistic Inference in Language Models via Twisted Sequential Monte Carlo (Zhao et al., 2024),
        https://arxiv.org/abs/2404.17546
    Sequential Monte Carlo Methods in Practice (Doucet, de Freitas and Gordon, 2001)
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan.distributions import Prefixes
from discrete_gan.weights import resample_if, take

_FRACTION = 0.5  # of the particles, the effective sample size below which a group is resampled


class Particles(NamedTuple):
    """What :func:`filtered` returns.

    Attributes:
        tokens: int64, shape (N, R, D).
        log_w: Log-weights in nats, shape (N, R), in at least float32: their mean weight is an unbiased estimate of Z.
        log_ratio: log w(x) of the sequences in nats, shape (N, R).
    """

    tokens: Tensor
    log_w: Tensor
    log_ratio: Tensor


def filtered(
    prefixes: Prefixes, num: int, prefix_ratios: Callable[[Tensor], Tensor], log_ratio: Callable[[Tensor], Tensor]
) -> Particles:
    r"""N particles of each of R groups, grown a token at a time and resampled where few of a group are left.

    After t tokens a particle has the weight of its prefix, :math:`w(x_{\le t})`, over what resampling gave it credit
    for. Any log-ratio of prefixes leaves the mean weight at the end unbiased; one that foresees the weight of the
    whole makes its variance small.

    Args:
        prefixes: Of N R sequences that have not begun, the particles before the groups.
        num: N.
        prefix_ratios: From tokens (N, R, t) to log-ratios of all prefixes in nats, (N, R, t), whatever t is.
        log_ratio: From tokens (N, R, D) to log w(x) in nats, (N, R): what the sequences are weighted by in the end.
    """
    tokens = prefixes.tokens.view(num, -1, prefixes.tokens.shape[-1])
    group = torch.arange(tokens.shape[1], device=tokens.device)
    log_w = before = torch.zeros((), device=tokens.device).expand(num, len(group))
    while not prefixes.complete:
        prefixes.extend()
        tokens = prefixes.tokens.view_as(tokens)
        if prefixes.length < prefixes.given or prefixes.length == tokens.shape[-1]:
            continue
        now = prefix_ratios(tokens[..., : prefixes.length])[..., -1]
        found = resample_if(_raised(log_w, before, now), _FRACTION)
        prefixes.keep((found.ancestors * len(group) + group).flatten())
        log_w, before = found.log_w, take(now, found.ancestors)
    tokens = prefixes.tokens.view_as(tokens)
    ratio = log_ratio(tokens)
    return Particles(tokens, _raised(log_w, before, ratio), ratio)


def _raised(log_w: Tensor, before: Tensor, now: Tensor) -> Tensor:
    """Log-weights that go from one log-ratio to the next; what has none keeps none."""
    return torch.where(log_w.isneginf() | before.isneginf(), -torch.inf, log_w + now - before)
