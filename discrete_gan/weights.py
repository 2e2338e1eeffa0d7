r"""Importance weights from log-ratios: the heart of the reweighted GAN, usable in any model.

A discriminator trained to optimality gives :math:`\log w(x) = \log p_{data}(x) / p_g(x)`, so samples of the
generator weighted by :math:`w` are samples of the data. Every function here takes ``log_w`` of shape (M, B),
M samples for each of B latents, in nats, of any floating-point type; half-precision input is computed and
returned in float32. All are differentiable, none reads a value back from the device, and all compile.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    Pareto Smoothed Importance Sampling (Vehtari et al., 2024), https://arxiv.org/abs/1507.02646
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_choice, check_samples

Over = Literal["samples", "batch"]

# Zhang and Stephens (2009) put their grid of 30 + sqrt(n) points against this many quartiles.
_GRID_POINTS, _GRID_QUARTILES = 30, 3
# Vehtari et al. (2024), appendix C: the estimate is shrunk to 1/2 with the weight of ten observations.
_PRIOR_COUNT, _PRIOR_INDEX = 10, 0.5
# Below five exceedances PSIS calls the tail unknown.
_LEAST_TAIL = 5


class WeightDiagnostics(NamedTuple):
    """What :func:`diagnose` returns.

    Attributes:
        normalized_weights: Weights that sum to one over the samples of each latent, shape (M, B).
        log_partition: Log of the mean weight in nats, shape (B,). Zero where the discriminator is calibrated.
        effective_sample_size: Between 1 and M, shape (B,).
        pareto_tail_index: k of the largest weights, shape (B,). Above 0.7 their mean is not to be trusted.
        largest_weight: Largest normalized weight, shape (B,). One means that a single sample has it all.
    """

    normalized_weights: Tensor
    log_partition: Tensor
    effective_sample_size: Tensor
    pareto_tail_index: Tensor
    largest_weight: Tensor


def _checked(log_w: Tensor) -> Tensor:
    check_samples("log_w", log_w)
    return log_w.float() if log_w.dtype in (torch.float16, torch.bfloat16) else log_w


def normalized_weights(log_w: Tensor, *, over: Over = "samples", zero_sum: bool = False) -> Tensor:
    r"""Self-normalized importance weights.

    .. math:: \tilde w_{m,b} = \frac{\exp(\log w_{m,b})}{\sum_{m'} \exp(\log w_{m',b})}

    Invariant to a constant added to ``log_w``. A log-ratio of minus infinity has weight zero; where every
    log-ratio of a latent is minus infinity, none is preferred and the weights are uniform.

    Args:
        log_w: Log-ratios in nats, shape (M, B).
        over: ``"samples"`` normalizes over the M samples of each latent (equation 9 of the paper),
            ``"batch"`` over all M * B (equation 7, higher variance).
        zero_sum: Subtract the mean weight, 1/M or 1/(M B). Leaves the expected gradient as it is and
            lowers the variance.

    Returns:
        Weights of shape (M, B) that sum to one, or to zero with ``zero_sum``. Gradients reach ``log_w``.

    Raises:
        ValueError: If ``log_w`` is not (M, B) or ``over`` is unknown.
    """
    check_choice("over", over, ("samples", "batch"))
    log_w = _checked(log_w)
    # Finite bounds stand in for infinities: inf - inf inside softmax would be NaN.
    bounds = torch.finfo(log_w.dtype)
    finite = log_w.clamp(bounds.min, bounds.max)
    if over == "samples":
        weights = torch.softmax(finite, dim=0)
        mean_weight = 1 / log_w.shape[0]
    else:
        weights = torch.softmax(finite.flatten(), dim=0).view_as(finite)
        mean_weight = 1 / log_w.numel()
    return weights - mean_weight if zero_sum else weights


def union_weights(log_w: Tensor, real_log_w: Tensor, *, zero_sum: bool = False) -> Tensor:
    r"""Importance weights of generated samples, normalized over them and real samples together.

    .. math:: \frac{e^{s_{m,b}}}{\sum_{m'} e^{s_{m',b}} + \sum_{r} e^{s_r}}

    What Softmax GAN's softmax gives the generated samples, each latent's beside the same real ones. Invariant to a
    constant added to both arguments; never above :func:`normalized_weights`, and as small as the generated samples
    are unlikely beside the real ones. Infinities count as there.

    Args:
        log_w: Scores of generated samples in nats, larger for more real, shape (M, B).
        real_log_w: Scores of real samples in nats, shape (R,).
        zero_sum: Subtract 1/(M + R), the generator's target in Softmax GAN: a constant, so the expected gradient stays
            as it is.

    Returns:
        Weights of shape (M, B). Those of a latent and of the real samples beside them sum to one, or to zero with
        ``zero_sum``. Gradients reach both arguments.

    Raises:
        ValueError: If ``log_w`` is not (M, B) or ``real_log_w`` not (R,).

    References:
        Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191
    """
    log_w = _checked(log_w)
    if real_log_w.dim() != 1:
        raise ValueError(f"real_log_w: expected shape (R,), got {tuple(real_log_w.shape)}")
    beside = real_log_w.to(log_w.dtype)[:, None].expand(-1, log_w.shape[1])
    return normalized_weights(torch.cat([log_w, beside]), zero_sum=zero_sum)[: len(log_w)]


def log_partition(log_w: Tensor, *, over: Over = "samples") -> Tensor:
    r"""Log of the mean weight, :math:`\log \frac{1}{M} \sum_m w_m`, an estimate of :math:`\log E_g[w]`.

    Zero in expectation of its exponential for an exact log-ratio; by Jensen's inequality biased low.

    Args:
        log_w: Log-ratios in nats, shape (M, B).
        over: Mean over the samples of each latent, or over the whole batch.

    Returns:
        Nats, shape (B,), or () with ``over="batch"``. Gradients reach ``log_w``.

    Raises:
        ValueError: If ``log_w`` is not (M, B) or ``over`` is unknown.
    """
    check_choice("over", over, ("samples", "batch"))
    log_w = _checked(log_w)
    if over == "samples":
        return torch.logsumexp(log_w, dim=0) - math.log(log_w.shape[0])
    return torch.logsumexp(log_w.flatten(), dim=0) - math.log(log_w.numel())


def effective_sample_size(log_w: Tensor) -> Tensor:
    r"""Kish's effective sample size, :math:`(\sum_m w_m)^2 / \sum_m w_m^2`, of each latent.

    Args:
        log_w: Log-ratios in nats, shape (M, B).

    Returns:
        Between 1 and M, shape (B,). Gradients reach ``log_w``.

    Raises:
        ValueError: If ``log_w`` is not (M, B).
    """
    return normalized_weights(log_w).square().sum(dim=0).reciprocal()


def pareto_tail_index(log_w: Tensor) -> Tensor:
    r"""Index k of a generalized Pareto distribution fitted to the largest weights of each latent, as in PSIS.

    The largest :math:`\min(M/5, 3\sqrt M)` weights are taken as the tail and fitted by the estimator of Zhang
    and Stephens with the shrinkage of Vehtari et al. Moments of the weights below 1/k exist: k < 1/2 means
    finite variance, k > 0.7 that means of practical size are unreliable, k > 1 that the mean does not exist.

    Args:
        log_w: Log-ratios in nats, shape (M, B).

    Returns:
        k, shape (B,). Infinite where the tail has fewer than five samples (M < 21) and so cannot be judged,
        minus infinite where its weights are all equal and there is no tail.

    Raises:
        ValueError: If ``log_w`` is not (M, B).

    References:
        A New and Efficient Estimation Method for the Generalized Pareto Distribution (Zhang and Stephens,
        2009), https://doi.org/10.1198/tech.2009.08017
    """
    weights = normalized_weights(log_w)
    num_samples = weights.shape[0]
    tail_size = math.ceil(min(num_samples / 5, 3 * math.sqrt(num_samples)))
    if tail_size < _LEAST_TAIL:
        return torch.full_like(weights[0], math.inf)
    largest = weights.topk(tail_size + 1, dim=0).values  # descending; the last is the threshold
    excess = (largest[:-1] - largest[-1]).flip(0)  # ascending, (n, B)
    k = _fit_generalized_pareto(excess)
    return torch.where(excess[-1] == 0, -math.inf, k)  # NaN is not equal and so stays NaN


def _fit_generalized_pareto(excess: Tensor) -> Tensor:
    """Zhang and Stephens' posterior mean of k from ascending exceedances of shape (n, B)."""
    num_tail = excess.shape[0]
    num_grid = _GRID_POINTS + int(math.sqrt(num_tail))
    tiny = torch.finfo(excess.dtype).tiny
    # Ties at the threshold make the lower quartile zero; a small part of the maximum keeps the grid finite.
    largest = excess[-1].clamp(min=tiny)
    quartile = torch.maximum(excess[int(num_tail / 4 + 0.5) - 1], 1e-6 * largest)
    steps = torch.arange(1, num_grid + 1, dtype=excess.dtype, device=excess.device)
    grid = (1 - (num_grid / (steps - 0.5)).sqrt())[:, None] / (_GRID_QUARTILES * quartile) + 1 / largest  # (G, B)
    index = torch.log1p(-grid[:, None] * excess).mean(dim=1)  # (G, B)
    profile = num_tail * (torch.log(-grid / index) - index - 1)
    theta = (torch.softmax(profile, dim=0) * grid).sum(dim=0)  # (B,)
    k = torch.log1p(-theta * excess).mean(dim=0)
    return (num_tail * k + _PRIOR_COUNT * _PRIOR_INDEX) / (num_tail + _PRIOR_COUNT)


def diagnose(log_w: Tensor) -> WeightDiagnostics:
    """Everything worth knowing of one set of weights, to log beside a run.

    Args:
        log_w: Log-ratios in nats, shape (M, B).

    Returns:
        :class:`WeightDiagnostics`.

    Raises:
        ValueError: If ``log_w`` is not (M, B).
    """
    weights = normalized_weights(log_w)
    return WeightDiagnostics(
        normalized_weights=weights,
        log_partition=log_partition(log_w),
        effective_sample_size=effective_sample_size(log_w),
        pareto_tail_index=pareto_tail_index(log_w),
        largest_weight=weights.amax(dim=0),
    )
