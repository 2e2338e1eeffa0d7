"""Log-likelihood of held-out data under a trained generator, p(x) = E_z g(x | z), by the best means there is."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from discrete_gan.distributions import PointMass
from discrete_gan.metrics.annealed import (
    LogLikelihood,
    annealed_log_weights,
    log_mean_weight,
    reverse_log_weights,
    tune_path,
)
from discrete_gan.metrics.bootstrap import Interval, mean_interval
from discrete_gan.metrics.likelihood import importance_weighted_bound
from discrete_gan.training import seeded
from discrete_gan.training.sampling import evaluating

LikelihoodMethod = Literal["auto", "ais", "bound", "none"]
_PILOT = 50  # samples of the model that the annealing path is tuned on
_ROWS = 2000  # latents at a time


class Likelihood(NamedTuple):
    """Log-likelihood of N data under a generator.

    Attributes:
        log_likelihood: log p(x) of each in nats, float64, shape (N,): exact, or a lower bound in expectation.
        mean: Their mean, with its bootstrap interval over the data.
        gap: What the bound lacks in nats, with an interval: of annealed importance sampling by bidirectional Monte
            Carlo on samples of the model itself, of the importance-weighted bound by the jackknife. None if exact.
        signature: How it was computed.
    """

    log_likelihood: Tensor
    mean: Interval
    gap: Interval | None
    signature: str


class LikelihoodOptions(NamedTuple):
    """How much work to put into a log-likelihood.

    Attributes:
        method: ``auto`` for what is exact where there is that, else annealed importance sampling; ``bound`` for the
            importance-weighted bound.
        num_steps: T, moves from the prior to the posterior.
        num_leapfrog: Leapfrog steps of a move.
        num_chains: C, chains for each x.
        num_simulated: Samples of the model that the gap is measured on.
        num_latents: S, latents of the importance-weighted bound.
        seed: Of all draws.
    """

    method: LikelihoodMethod = "auto"
    num_steps: int = 5000
    num_leapfrog: int = 2
    num_chains: int = 1
    num_simulated: int = 100
    num_latents: int = 1000
    seed: int = 0


def held_out_log_likelihood(
    generator: nn.Module, x: Tensor, labels: Tensor | None = None, *, options: LikelihoodOptions | None = None
) -> Likelihood | None:
    r"""Log p(x) of held-out data; None for a generator of points, which has no likelihood.

    Exact by one pass without latents (``latent_dim`` 0), and by enumeration where the generator has a method
    ``enumerate_latents()`` that returns all S latents, shape (S, latent_dim), and their log-probabilities, shape (S,):

    .. math:: \log p(x) = \log \sum_s p(z_s)\, g(x \mid z_s)

    Else annealed importance sampling over normal latents, with the gap by bidirectional Monte Carlo: on x that the
    model drew from known z, the lower bound of the same chains and an upper bound from chains that run backwards. The
    gap on held-out data is about as large if the samples are about as hard; nothing guarantees it.

    Args:
        generator: In evaluation mode for the time.
        x: Data as the generator's samples are, shape (N, *event).
        labels: Classes of x for a conditional generator, shape (N,): then log p(x | label).
        options: How much work; the defaults if not given.
    """
    options = options or LikelihoodOptions()
    frozen = [parameter for parameter in generator.parameters() if parameter.requires_grad]
    with evaluating(generator), seeded(options.seed, "likelihood"):
        generator.requires_grad_(False)  # the gradient wanted is that of z
        try:
            return _held_out_log_likelihood(generator, x, labels, options)
        finally:
            for parameter in frozen:
                parameter.requires_grad_()


def _held_out_log_likelihood(
    generator: nn.Module, x: Tensor, labels: Tensor | None, options: LikelihoodOptions
) -> Likelihood | None:
    latents = cast(Callable[[int], Tensor], generator.latents)
    with torch.no_grad():
        is_point = isinstance(_given(generator, latents(1), None if labels is None else labels[:1]), PointMass)
    if is_point or options.method == "none":
        return None
    if generator.latent_dim == 0:
        z, log_prior = latents(1), torch.zeros(1, device=x.device)
        return _enumerated(generator, x, labels, z, log_prior, "exact|no latents")
    if hasattr(generator, "enumerate_latents"):
        z, log_prior = cast(Callable[[], tuple[Tensor, Tensor]], generator.enumerate_latents)()
        return _enumerated(generator, x, labels, z, log_prior, f"exact|latents:{len(z)}")
    if options.method == "bound":
        return _bounded(generator, x, labels, options)
    return _annealed(generator, x, labels, options)


def _given(generator: nn.Module, z: Tensor, labels: Tensor | None) -> torch.distributions.Distribution:
    return generator(z) if labels is None else generator(z, labels)


def likelihood_of(generator: nn.Module, x: Tensor, labels: Tensor | None = None) -> LogLikelihood:
    """From latents (C, N, latent_dim) to log g(x_n | z), shape (C, N), in one pass over all C * N latents."""

    def log_likelihood(z: Tensor) -> Tensor:
        chains = len(z)
        repeated = None if labels is None else labels.repeat(chains)
        g = _given(generator, z.flatten(0, 1), repeated)
        # A sample for each latent: an axis of one in front, as M samples of C * N latents.
        return g.log_prob(x.repeat(chains, *[1] * (x.ndim - 1))[None]).view(chains, -1)

    return log_likelihood


def _enumerated(
    generator: nn.Module, x: Tensor, labels: Tensor | None, z: Tensor, log_prior: Tensor, signature: str
) -> Likelihood:
    rows = []
    with torch.no_grad():
        for part in torch.arange(len(x), device=x.device).split(max(1, _ROWS // len(z))):
            latents = z[:, None].expand(-1, len(part), -1)
            log_prob = likelihood_of(generator, x[part], None if labels is None else labels[part])(latents)
            rows.append((log_prob.double() + log_prior.double()[:, None]).logsumexp(dim=0))
    values = torch.cat(rows).cpu()
    return Likelihood(values, mean_interval(values), None, f"{signature}|n:{len(x)}")


def _bounded(generator: nn.Module, x: Tensor, labels: Tensor | None, options: LikelihoodOptions) -> Likelihood:
    latents = cast(Callable[[int], Tensor], generator.latents)
    bounds, gaps = [], []
    with torch.no_grad():
        for part in torch.arange(len(x), device=x.device).split(max(1, _ROWS // options.num_latents)):
            z = latents(options.num_latents)[:, None].expand(-1, len(part), -1)
            log_prob = likelihood_of(generator, x[part], None if labels is None else labels[part])(z)
            bound, gap = importance_weighted_bound(log_prob)
            bounds.append(bound)
            gaps.append(gap)
    values = torch.cat(bounds).cpu()
    signature = f"bound|n:{len(x)}|latents:{options.num_latents}|seed:{options.seed}"
    return Likelihood(values, mean_interval(values), mean_interval(torch.cat(gaps).cpu()), signature)


def _annealed(generator: nn.Module, x: Tensor, labels: Tensor | None, options: LikelihoodOptions) -> Likelihood:
    latents = cast(Callable[[int], Tensor], generator.latents)
    chains = options.num_chains

    def drawn(num: int) -> tuple[Tensor, LogLikelihood]:
        """Samples of the model, given labels as they come in the data, with the latents behind them."""
        classes = None if labels is None else labels[torch.randint(len(labels), (num,), device=labels.device)]
        z = latents(num)
        with torch.no_grad():
            samples = _given(generator, z, classes).sample()
        return z, likelihood_of(generator, samples, classes)

    def prior(num: int) -> Tensor:
        return latents(chains * num).unflatten(0, (chains, num))

    size = max(1, _ROWS // chains)
    parts = torch.arange(len(x), device=x.device).split(size)
    simulated = [min(size, options.num_simulated - start) for start in range(0, options.num_simulated, size)]
    steps = options.num_steps * (len(parts) + 2 * len(simulated))
    _, of_pilot = drawn(_PILOT)
    path = tune_path(of_pilot, latents(_PILOT)[None], num_steps=options.num_steps, num_leapfrog=options.num_leapfrog)
    with tqdm(total=steps, desc="annealed importance sampling", unit="step", dynamic_ncols=True) as bar:
        lower, gaps = [], []
        for part in parts:
            target = likelihood_of(generator, x[part], None if labels is None else labels[part])
            lower.append(log_mean_weight(annealed_log_weights(target, prior(len(part)), path, tick=bar.update)))
        for num in simulated:
            z, target = drawn(num)
            below = log_mean_weight(annealed_log_weights(target, prior(num), path, tick=bar.update))
            above = reverse_log_weights(target, z[None], path, tick=bar.update)[0]
            gaps.append(above - below)
    values = torch.cat(lower).cpu()
    signature = (
        f"ais|n:{len(x)}|steps:{options.num_steps}|leapfrog:{options.num_leapfrog}|chains:{chains}"
        f"|simulated:{options.num_simulated}|seed:{options.seed}"
    )
    gap = mean_interval(torch.cat(gaps).cpu()) if gaps else Interval(math.nan, math.nan, math.nan)
    return Likelihood(values, mean_interval(values), gap, signature)
