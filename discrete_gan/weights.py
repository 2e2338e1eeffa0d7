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

from discrete_gan._arguments import check_at_least, check_choice, check_same_shape, check_samples
from discrete_gan._precision import at_least_float32, log_sum_exp, weighted_sum, widest_float

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
        log_partition: Log of the mean weight in nats, shape (B,). For an exact log-ratio E_g[w] is 1 over the whole
            batch; that of a single latent may be anything.
        effective_sample_size: Between 1 and M, shape (B,).
        pareto_tail_index: k of the largest weights, shape (B,). Above :func:`tail_index_threshold` of M, which is 0.5
            for 100 samples and 0.7 from 2,155 on, their mean is not to be trusted.
        largest_weight: Largest normalized weight, shape (B,). One means that a single sample has it all.
    """

    normalized_weights: Tensor
    log_partition: Tensor
    effective_sample_size: Tensor
    pareto_tail_index: Tensor
    largest_weight: Tensor


def _checked(log_w: Tensor) -> Tensor:
    check_samples("log_w", log_w)
    return at_least_float32(log_w)


def normalized_weights(log_w: Tensor, *, over: Over = "samples", zero_sum: bool = False) -> Tensor:
    r"""Self-normalized importance weights.

    .. math:: \tilde w_{m,b} = \frac{\exp(\log w_{m,b})}{\sum_{m'} \exp(\log w_{m',b})}

    Invariant to a constant added to ``log_w``. A log-ratio of minus infinity has weight zero; where every
    log-ratio of a latent is minus infinity, none is preferred and the weights are uniform.

    Args:
        log_w: Log-ratios in nats, shape (M, B).
        over: ``"samples"`` normalizes over the M samples of each latent (equation 9 of the paper),
            ``"batch"`` over all M * B (equation 7, higher variance).
        zero_sum: Subtract the mean weight, 1/M or 1/(M B). For samples of the model that is trained itself it changes
            no expected gradient and lowers the variance, because the mean score of its own samples is zero. With
            samples of a proposal q the mean score of p is not zero, and the expected gradient would be another one.

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
        zero_sum: Subtract 1/(M + R), the generator's target in Softmax GAN. For samples of the generator that is
            trained it changes no expected gradient; see :func:`normalized_weights`.

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

    For an exact log-ratio :math:`E_g[w] = 1` over latents and samples together, so that of the whole batch is near
    zero, by Jensen's inequality biased low. That of a single latent is the log of how much more likely its samples are
    under the data than on average, which may be anything, and so may the mean of those over latents.

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
        return log_sum_exp(log_w) - math.log(log_w.shape[0])
    return log_sum_exp(log_w.flatten()) - math.log(log_w.numel())


class StreamingMean:
    r"""Self-normalized importance-weighted mean of samples that come chunk by chunk.

    .. math:: \bar x_b = \sum_{m=1}^{M} \tilde w_{m,b}\, x_{m,b}, \qquad
        \tilde w_{m,b} = \frac{\exp(\log w_{m,b})}{\sum_{m'} \exp(\log w_{m',b})}

    Weights are those that :func:`normalized_weights` gives all M samples at once, in whatever chunks they come, and
    infinities count as there. No chunk is kept: memory does not grow with M. Every weight is kept relative to the
    largest so far, so that no sum overflows or underflows. Half precision is computed in float32, and nothing carries
    gradient.

    Attributes:
        count: M, samples so far of each latent.

    References:
        Online normalizer calculation for softmax (Milakov and Gimelshein, 2018), https://arxiv.org/abs/1805.02867
    """

    _highest: Tensor  # largest log-ratio so far, (B,)
    _total: Tensor  # sum of the weights over exp(highest), (B,)
    _weighted: Tensor  # sum of the weighted samples over exp(highest), (B, *event)
    _plain: Tensor  # sum of the samples, (B, *event)

    def __init__(self) -> None:
        self.count = 0

    def update(self, log_w: Tensor, x: Tensor) -> None:
        """Take one more chunk in.

        Args:
            log_w: Log-ratios in nats, shape (m, B).
            x: Their samples, shape (m, B, *event).

        Raises:
            ValueError: If ``log_w`` is not (m, B), ``x`` does not begin with that shape, or its rest (B, *event) is
                not that of the chunks before.
        """
        log_w, x = _checked(log_w.detach()), x.detach()
        if x.shape[:2] != log_w.shape:
            raise ValueError(f"x: expected shape (m, B, *event), of log_w {tuple(log_w.shape)}, got {tuple(x.shape)}")
        if self.count and x.shape[1:] != self._plain.shape:
            before, got = tuple(self._plain.shape), tuple(x.shape[1:])
            raise ValueError(f"x: expected shape (m, B, *event) with (B, *event) of {before} as before, got {got}")
        bounds = torch.finfo(log_w.dtype)
        log_w = log_w.clamp(bounds.min, bounds.max)  # as normalized_weights does
        highest = log_w.amax(dim=0)
        if self.count:
            highest = torch.maximum(self._highest, highest)
        weights = (log_w - highest).exp()
        total, weighted, plain = weights.sum(dim=0), weighted_sum(weights, x), at_least_float32(x).sum(dim=0)
        if self.count:
            shrink = (self._highest - highest).exp()
            total = shrink * self._total + total
            weighted = _over_event(shrink, weighted) * self._weighted + weighted
            plain = self._plain + plain
        self._highest, self._total, self._weighted, self._plain = highest, total, weighted, plain
        self.count += len(log_w)

    @property
    def weighted(self) -> Tensor:
        """Mean by the normalized weights, shape (B, *event)."""
        self._check_begun()
        return self._weighted / _over_event(self._total, self._weighted)

    @property
    def plain(self) -> Tensor:
        """Mean with equal weights, shape (B, *event)."""
        self._check_begun()
        return self._plain / self.count

    @property
    def log_total(self) -> Tensor:
        """Log of the sum of the weights in nats, shape (B,): M times what :func:`log_partition` takes the log of.

        Finite: where every log-ratio is minus infinity, it is the lowest number of its type.
        """
        self._check_begun()
        return self._highest + self._total.log()

    def share_beside(self, log_w: Tensor) -> Tensor:
        r"""What the samples weigh beside others, the sum over them of :func:`union_weights`.

        .. math:: \frac{\sum_m e^{s_{m,b}}}{\sum_m e^{s_{m,b}} + \sum_{r} e^{s_r}}

        Args:
            log_w: Log-ratios of the others in nats, the same ones beside each latent's, shape (R,).

        Returns:
            From 0 to 1, shape (B,).

        Raises:
            ValueError: If ``log_w`` is not (R,).
        """
        self._check_begun()
        if log_w.dim() != 1:
            raise ValueError(f"log_w: expected shape (R,), got {tuple(log_w.shape)}")
        bounds = torch.finfo(self._total.dtype)
        others = log_w.detach().to(self._total.dtype).clamp(bounds.min, bounds.max)
        # Others far above all samples overflow to infinity, and the share is zero, as it should be.
        return self._total / (self._total + (others[:, None] - self._highest).exp().sum(dim=0))

    def _check_begun(self) -> None:
        if not self.count:
            raise ValueError("StreamingMean: expected at least one chunk of samples before it is read, got none")


def _over_event(value: Tensor, mean: Tensor) -> Tensor:
    """One value per latent, shape (B,), with axes of size one for the event, to multiply ``mean`` (B, *event)."""
    return value.view(-1, *[1] * (mean.dim() - 1))


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

    The largest :math:`\min(M/5, 3\sqrt M)` weights, those equal to the next one left out, are taken as the tail and
    fitted by the estimator of Zhang and Stephens with the shrinkage of Vehtari et al. Moments of the weights below 1/k
    exist: k < 1/2 means finite variance, k > 1 that the mean does not exist. Means of M samples are reliable up to
    :func:`tail_index_threshold` of M.

    Args:
        log_w: Log-ratios in nats, shape (M, B).

    Returns:
        k, shape (B,). Infinite where the tail has fewer than five samples and so cannot be judged (always if M < 21),
        minus infinity where its weights are all equal and there is no tail. Gradients reach ``log_w``.

    Raises:
        ValueError: If ``log_w`` is not (M, B).

    References:
        A New and Efficient Estimation Method for the Generalized Pareto Distribution (Zhang and Stephens,
        2009), https://doi.org/10.1198/tech.2009.08017
    """
    log_w = _checked(log_w)
    num_samples = log_w.shape[0]
    size = math.ceil(min(num_samples / 5, 3 * math.sqrt(num_samples)))
    if size < _LEAST_TAIL:
        return torch.full_like(log_w[0], math.inf)
    bounds = torch.finfo(log_w.dtype)
    largest = log_w.clamp(bounds.min, bounds.max).topk(size + 1, dim=0).values  # descending; the last is the threshold
    # A tail of 50 nats or more needs float64: squares of its smallest weights stand in the gradient.
    relative = (largest - largest[:1].detach()).to(widest_float(log_w.device.type)).exp()
    # Weights that underflow are no tail: they would all look alike.
    tiny = torch.finfo(relative.dtype).tiny
    excess = (relative[:-1] - relative[-1:].clamp(min=tiny)).flip(0)  # ascending, (n, B)
    count = (excess > tiny).sum(dim=0)
    k = _fit_generalized_pareto(excess, count).to(log_w.dtype)
    k = torch.where(count < _LEAST_TAIL, math.inf, k)
    k = torch.where(largest[0] == largest[-1], -math.inf, k)
    return torch.where(largest[0].isnan(), math.nan, k)


def _fit_generalized_pareto(excess: Tensor, count: Tensor) -> Tensor:
    """Zhang and Stephens' posterior mean of k from exceedances of shape (n, B), ascending, the last ``count`` above 0.

    Where fewer than five are, the result is finite and means nothing.
    """
    num_tail = len(excess)
    position = torch.arange(num_tail, device=excess.device)[:, None]
    unknown = count < _LEAST_TAIL
    count = torch.where(unknown, num_tail, count)
    inside = position >= num_tail - count
    # Numbers to count with where nothing is known, so that neither values nor gradients are NaN.
    excess = torch.where(unknown, (position + 1) / num_tail, torch.where(inside, excess, 0.0))
    quartile = excess.take_along_dim((num_tail - count + (count / 4 + 0.5).long() - 1)[None], dim=0)[0]
    # The fit is the same at any scale. At this one no power of a small quartile overflows.
    scale = quartile.detach()
    excess, quartile = excess / scale, quartile / scale
    largest = excess[-1]
    num_grid = _GRID_POINTS + count.sqrt().long()
    steps = torch.arange(1, _GRID_POINTS + math.isqrt(num_tail) + 1, device=excess.device)[:, None]  # (G, 1)
    # A shorter tail has fewer points: those after its last repeat it and count for nothing.
    ratio = (num_grid / (torch.minimum(steps, num_grid) - 0.5).to(excess.dtype)).sqrt()
    theta = 1 / largest + (1 - ratio) / (_GRID_QUARTILES * quartile)  # (G, B)
    # At zero the fit is an exponential, the limit of 0 / 0.
    theta = torch.where(theta == 0, torch.finfo(excess.dtype).eps / largest, theta)
    index = _mean_log(theta[:, None], excess, count)  # (G, B)
    profile = count * (torch.log(-theta / index) - index - 1)
    profile = profile.masked_fill(steps > num_grid, -math.inf)
    k = _mean_log((torch.softmax(profile, dim=0) * theta).sum(dim=0), excess, count)
    return (count * k + _PRIOR_COUNT * _PRIOR_INDEX) / (count + _PRIOR_COUNT)


def _mean_log(theta: Tensor, excess: Tensor, count: Tensor) -> Tensor:
    """Mean of log(1 - theta x) over the exceedances, those of zero adding nothing."""
    return torch.log1p(-theta * excess).sum(dim=-2) / count


def importance_loss(log_w: Tensor, log_prob: Tensor) -> Tensor:
    r"""Surrogate whose gradient is minus the importance-weighted score, for samples of any proposal q.

    .. math:: \ell_b = -\sum_{m=1}^{M} \tilde w_{m,b} \log p_\theta(x_{m,b})

    Descends :math:`KL(\tilde p \| p_\theta)` for :math:`\tilde p \propto q\, w` held fixed, as in reweighted wake-sleep
    and off-policy learning. Biased at rate 1/M; with M = 1 it is the plain likelihood of what q draws. For samples of
    the model itself, q = p, ``boundary_seeking_loss`` does the same with less variance; its zero-sum weights would be
    wrong here.

    Args:
        log_w: Log-weights of the samples in nats, log of target over proposal up to a constant, shape (M, B). Not
            differentiated.
        log_prob: log p(x_m) of the same samples under the model that is trained, in nats, shape (M, B).

    Returns:
        One loss per column, shape (B,). Gradients reach ``log_prob`` only.

    Raises:
        ValueError: If the shapes differ or are not (M, B).

    References:
        Reweighted Wake-Sleep (Bornschein and Bengio, 2015), https://arxiv.org/abs/1406.2751
    """
    weights = normalized_weights(log_w.detach())
    check_same_shape("log_prob", log_prob, "log_w", log_w)
    # A sample that the target rules out may be impossible under the model too: 0 * -inf.
    counted = torch.where(weights == 0, 0.0, at_least_float32(log_prob))
    return -(weights * counted).sum(dim=0)


def tail_index_threshold(num_samples: int) -> float:
    r"""Largest k of :func:`pareto_tail_index` at which a weighted mean of M samples is still reliable.

    .. math:: \min(1 - 1 / \log_{10} M,\ 0.7)

    0.5 at M = 100, 0.67 at 1,000, and 0.7 from 2,155 on (Vehtari et al., 2024, section 3.2.4).

    Args:
        num_samples: M, at least 2.

    Raises:
        ValueError: If M is below 2.
    """
    check_at_least("num_samples", num_samples, 2)
    return min(1 - 1 / math.log10(num_samples), 0.7)


def diagnose(log_w: Tensor) -> WeightDiagnostics:
    """Everything worth knowing of one set of weights, to log beside a run.

    Trust a weighted mean where ``pareto_tail_index`` is below ``tail_index_threshold(M)``: for M = 100 that is 0.5.

    Args:
        log_w: Log-ratios in nats, shape (M, B).

    Returns:
        :class:`WeightDiagnostics`.

    Raises:
        ValueError: If ``log_w`` is not (M, B).
    """
    log_w = _checked(log_w)
    weights = normalized_weights(log_w)
    return WeightDiagnostics(
        normalized_weights=weights,
        log_partition=log_partition(log_w),
        effective_sample_size=effective_sample_size(log_w),
        pareto_tail_index=pareto_tail_index(log_w),
        largest_weight=weights.amax(dim=0),
    )
