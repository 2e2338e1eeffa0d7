"""Log-likelihood of held-out data under a trained generator, p(x) = E_z g(x | z), by the best means there is."""

import copy
import math
from collections.abc import Callable
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor
from tqdm import tqdm

from discrete_gan._precision import widest_float
from discrete_gan.contracts import Encoder, Generator
from discrete_gan.distributions import FactorizedBernoulli, PointMass, as_factorized
from discrete_gan.errors import InputError
from discrete_gan.metrics.annealed import (
    HAMILTONIAN,
    Flips,
    LogLikelihood,
    Moves,
    annealed_log_weights,
    from_standard_normal,
    log_mean_weight,
    reverse_log_weights,
    tune_path,
)
from discrete_gan.metrics.bootstrap import Interval, mean_interval
from discrete_gan.metrics.likelihood import importance_weighted_bound
from discrete_gan.sampling import evaluating, num_classes_of
from discrete_gan.seeds import seeded

LikelihoodMethod = Literal["auto", "ais", "bound", "none"]
_PILOT = 50  # samples of the model that the annealing path is tuned on
_ROWS = 2000  # latents at a time
_CACHED = 2**18  # numbers of samples at a time on a CPU, where what leaves the cache takes twice as long


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
        method: ``auto`` for what is exact where there is that, else annealed importance sampling, for which the
            generator has to state its prior, else the importance-weighted bound; ``ais`` to refuse that bound, and
            ``bound`` to take it.
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
    generator: Generator,
    x: Tensor,
    labels: Tensor | None = None,
    *,
    options: LikelihoodOptions | None = None,
    encoder: Encoder | None = None,
) -> Likelihood | None:
    r"""Log p(x) of held-out data; None for a generator of points, which has no likelihood.

    Exact by one pass without latents (``latent_dim`` 0), and by enumeration where the generator has a method
    ``enumerate_latents()`` that returns all S latents, shape (S, latent_dim), and their log-probabilities, shape (S,):

    .. math:: \log p(x) = \log \sum_s p(z_s)\, g(x \mid z_s)

    Else annealed importance sampling, with the gap by bidirectional Monte Carlo: on x that the model drew from known z,
    the lower bound of the same chains and an upper bound from chains that run backwards. The gap on held-out data is
    about as large if the samples are about as hard; nothing guarantees it. The chains are in standard normal u, from
    which z follows by the generator's ``prior``, a torch Distribution: see
    :func:`~discrete_gan.metrics.annealed.from_standard_normal`. Where z are independent bits by that prior, they are of
    the bits themselves (:class:`~discrete_gan.metrics.annealed.Flips`), and begin with the encoder's draws if there is
    one. Where a generator states no prior, or has ``latents`` of its own below the class that states it, only the
    importance-weighted bound is left, which needs draws alone: those of the prior, or of the encoder, with
    :math:`w_s = p(z_s)\, g(x \mid z_s) / q(z_s \mid x)`.

    Args:
        generator: In evaluation mode for the time.
        x: Data as the generator's samples are, shape (N, *event).
        labels: Classes of x for a conditional generator, shape (N,): then log p(x | label).
        options: How much work; the defaults if not given.
        encoder: Has q(z | x), which the bound, or chains of bits, draw from, for a generator that states its prior.

    Raises:
        InputError: If the method is ``ais`` and the generator states no prior that can be used.
    """
    options = options or LikelihoodOptions()
    if widest_float(x.device.type) != torch.float64:  # which thousands of small steps, and their sums, need
        generator, x = copy.deepcopy(generator).to("cpu"), x.cpu()
        labels, encoder = None if labels is None else labels.cpu(), copy.deepcopy(encoder)
        encoder = None if encoder is None else encoder.to("cpu")
    frozen = [parameter for parameter in generator.parameters() if parameter.requires_grad]
    with evaluating(generator), seeded(options.seed, "likelihood"):
        generator.requires_grad_(False)  # the gradient wanted is that of z
        try:
            return _held_out_log_likelihood(generator, x, labels, options, encoder)
        finally:
            for parameter in frozen:
                parameter.requires_grad_()


def encoder_of(discriminator: object) -> Encoder | None:
    """What a run trained beside the generator, where that is an encoder."""
    return cast(Encoder, discriminator) if hasattr(discriminator, "posterior") else None


def check_annealing(generator: Generator) -> None:
    """Find out before anything is computed that the method ``ais`` will be refused.

    Raises:
        InputError: If the generator needs it, and states no prior that can be used.
    """
    num_classes = num_classes_of(generator)
    with torch.no_grad(), evaluating(generator), seeded("likelihood"):
        z = generator.latents(1)
        labels = torch.zeros(1, dtype=torch.int64, device=z.device) if num_classes else None
        is_point = isinstance(_given(generator, z, labels), PointMass)
    is_exact = generator.latent_dim == 0 or hasattr(generator, "enumerate_latents")
    if not (is_point or is_exact or _prior_of_bits(generator) is not None):
        _map_to_latents(generator, z.shape[1:], required=True)


def _held_out_log_likelihood(
    generator: Generator, x: Tensor, labels: Tensor | None, options: LikelihoodOptions, encoder: Encoder | None
) -> Likelihood | None:
    with torch.no_grad():
        z = generator.latents(1)
        is_point = isinstance(_given(generator, z, None if labels is None else labels[:1]), PointMass)
    if is_point or options.method == "none":
        return None
    if generator.latent_dim == 0:
        z, log_prior = generator.latents(1), torch.zeros(1, device=x.device)
        return _enumerated(generator, x, labels, z, log_prior, "exact|no latents")
    if hasattr(generator, "enumerate_latents"):
        z, log_prior = generator.enumerate_latents()  # type: ignore[attr-defined]
        return _enumerated(generator, x, labels, z, log_prior, f"exact|latents:{len(z)}")
    if options.method == "bound":
        return _bounded(generator, x, labels, options, encoder)
    if (bits := _prior_of_bits(generator)) is not None:
        return _annealed(generator, x, labels, options, _Bits(generator, bits, encoder))
    to_latents = _map_to_latents(generator, z.shape[1:], required=options.method == "ais")
    if isinstance(to_latents, str):
        return _bounded(generator, x, labels, options, encoder, f"|no ais, {to_latents}")
    return _annealed(generator, x, labels, options, _Normal(generator, to_latents, z))


def _prior_of_bits(generator: Generator) -> FactorizedBernoulli | None:
    """The prior of a generator whose latents are independent bits; None of any other."""
    prior = getattr(generator, "prior", None)
    if prior is None or _depth(generator, "latents") < _depth(generator, "prior"):
        return None
    bits = as_factorized(prior)
    return bits if isinstance(bits, FactorizedBernoulli) else None


def _map_to_latents(generator: Generator, shape: torch.Size, *, required: bool) -> Callable[[Tensor], Tensor] | str:
    """From standard normal u to draws of the generator's prior, or why there is no such map.

    Raises:
        InputError: If it is required and there is none.
    """
    try:
        return _from_standard_normal(generator, shape)
    except ValueError as error:
        if required:
            raise InputError(f"--likelihood ais: {error}; --likelihood bound needs no prior") from None
        return str(error)


def _from_standard_normal(generator: Generator, shape: torch.Size) -> Callable[[Tensor], Tensor]:
    """The same map.

    Raises:
        ValueError: If the generator states no prior, or its latents need not be of that one, or there is no map to it.
    """
    name = type(generator).__name__
    prior = getattr(generator, "prior", None)
    if prior is None:
        raise ValueError(f"expected a generator that states its prior, a torch Distribution, {name} has none")
    if _depth(generator, "latents") < _depth(generator, "prior"):
        raise ValueError(f"expected a generator whose prior is that of its latents, {name} overrides latents alone")
    carry = from_standard_normal(prior)
    if (found := prior.batch_shape + prior.event_shape) != shape:
        raise ValueError(f"prior of {name}: expected event shape {tuple(shape)}, as latents have, got {tuple(found)}")
    return carry


def _depth(generator: Generator, name: str) -> int:
    """Where a name is defined: 0 on the generator itself, 1 in its class, more further up."""
    places = [vars(generator), *map(vars, type(generator).__mro__)]
    return next((depth for depth, place in enumerate(places) if name in place), len(places))


def _given(generator: Generator, z: Tensor, labels: Tensor | None) -> torch.distributions.Distribution:
    return generator(z) if labels is None else generator(z, labels)


def likelihood_of(generator: Generator, x: Tensor, labels: Tensor | None = None) -> LogLikelihood:
    """From latents (C, N, latent_dim) to log g(x_n | z), shape (C, N), in one pass over all C * N latents."""

    def log_likelihood(z: Tensor) -> Tensor:
        chains = len(z)
        repeated = None if labels is None else labels.repeat(chains)
        g = _given(generator, z.flatten(0, 1), repeated)
        # A sample for each latent: an axis of one in front, as M samples of C * N latents.
        return g.log_prob(x.repeat(chains, *[1] * (x.ndim - 1))[None]).view(chains, -1)

    return log_likelihood


def _enumerated(
    generator: Generator, x: Tensor, labels: Tensor | None, z: Tensor, log_prior: Tensor, signature: str
) -> Likelihood:
    rows = []
    with torch.no_grad():
        for part in torch.arange(len(x), device=x.device).split(max(1, _ROWS // len(z))):
            latents = z[:, None].expand(-1, len(part), -1)
            log_prob = likelihood_of(generator, x[part], None if labels is None else labels[part])(latents)
            rows.append((log_prob.double() + log_prior.double()[:, None]).logsumexp(dim=0))
    values = torch.cat(rows).cpu()
    return Likelihood(values, mean_interval(values), None, f"{signature}|n:{len(x)}")


def _bounded(
    generator: Generator,
    x: Tensor,
    labels: Tensor | None,
    options: LikelihoodOptions,
    encoder: Encoder | None,
    reason: str = "",
) -> Likelihood:
    """The importance-weighted bound; its signature ends in the reason why it is not another, if there is one."""
    bounds, gaps, num = [], [], options.num_latents
    with torch.no_grad():
        for part in torch.arange(len(x), device=x.device).split(max(1, _ROWS // num)):
            of_all = likelihood_of(generator, x[part], None if labels is None else labels[part])
            size = max(1, _CACHED // x[part].numel()) if x.device.type == "cpu" else num

            def log_likelihood(z: Tensor, of_all: LogLikelihood = of_all, size: int = size) -> Tensor:
                return torch.cat([of_all(latents) for latents in z.split(size)])

            if encoder is None:
                log_w = log_likelihood(generator.latents(num)[:, None].expand(-1, len(part), -1))
            else:
                q = encoder.posterior(x[part])
                z = q.sample(torch.Size((num,)))
                log_w = log_likelihood(z) + generator.prior.log_prob(z) - q.log_prob(z)  # type: ignore[attr-defined]
            bound, gap = importance_weighted_bound(log_w)
            bounds.append(bound)
            gaps.append(gap)
    values = torch.cat(bounds).cpu()
    drawn = "" if encoder is None else "|encoder"
    signature = f"bound|n:{len(x)}|latents:{num}{drawn}|seed:{options.seed}{reason}"
    return Likelihood(values, mean_interval(values), mean_interval(torch.cat(gaps).cpu()), signature)


class _Chains(NamedTuple):
    """Of some data: where chains begin, C draws for each of N data, what is annealed along them, and by which moves."""

    begin: Callable[[int], Tensor]
    log_weight: LogLikelihood
    moves: Moves


class _Normal(NamedTuple):
    """Chains in standard normal u, of the type and width that ``like`` has, (1, latent_dim)."""

    generator: Generator
    to_latents: Callable[[Tensor], Tensor]
    like: Tensor
    signature: str = ""

    def draw(self, num: int) -> Tensor:
        """What chains of so many draws of the prior end in, shape (num, latent_dim)."""
        return self._normal(num)

    def latents(self, u: Tensor) -> Tensor:
        """The latents that they stand for."""
        return self.to_latents(u)

    def chains(self, x: Tensor, labels: Tensor | None) -> _Chains:
        """From u to log g(x | z)."""
        log_likelihood = likelihood_of(self.generator, x, labels)
        return _Chains(lambda num: self._normal(num, len(x)), lambda u: log_likelihood(self.to_latents(u)), HAMILTONIAN)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, self.like.shape[1], dtype=self.like.dtype, device=self.like.device)


class _Bits(NamedTuple):
    """Chains of bits, from the encoder's draws where there is one, else from the prior's."""

    generator: Generator
    prior: FactorizedBernoulli
    encoder: Encoder | None

    @property
    def signature(self) -> str:
        """What the chains begin with."""
        return "|flips" if self.encoder is None else "|flips|encoder"

    def draw(self, num: int) -> Tensor:
        """Bits of the prior."""
        return self.generator.latents(num)

    def latents(self, u: Tensor) -> Tensor:
        """The bits themselves."""
        return u

    def chains(self, x: Tensor, labels: Tensor | None) -> _Chains:
        """From bits to log p(x, h) - log q(h | x)."""
        log_likelihood, prior = likelihood_of(self.generator, x, labels), self.prior.expand(torch.Size((len(x),)))
        with torch.no_grad():
            base = prior if self.encoder is None else as_factorized(self.encoder.posterior(x))
        if not isinstance(base, FactorizedBernoulli):
            raise InputError(f"encoder: expected a posterior of independent bits, got {type(base).__name__}")

        def log_weight(h: Tensor) -> Tensor:
            return log_likelihood(h) + prior.log_prob(h) - base.log_prob(h)

        return _Chains(lambda num: base.sample((num,)), log_weight, Flips(base.logits))


def _annealed(
    generator: Generator, x: Tensor, labels: Tensor | None, options: LikelihoodOptions, space: _Normal | _Bits
) -> Likelihood:
    """Annealed importance sampling in that space."""
    chains = options.num_chains

    def drawn(num: int) -> tuple[Tensor, _Chains]:
        """Chains of samples of the model, given labels as they come in the data, with the u behind them."""
        classes = None if labels is None else labels[torch.randint(len(labels), (num,), device=labels.device)]
        u = space.draw(num)
        with torch.no_grad():
            samples = _given(generator, space.latents(u), classes).sample()
        return u, space.chains(samples, classes)

    size = max(1, _ROWS // chains)
    parts = torch.arange(len(x), device=x.device).split(size)
    simulated = [min(size, options.num_simulated - start) for start in range(0, options.num_simulated, size)]
    steps = options.num_steps * (len(parts) + 2 * len(simulated))
    _, (begin, log_weight, moves) = drawn(_PILOT)
    length = {"num_steps": options.num_steps, "num_leapfrog": options.num_leapfrog}
    path = tune_path(log_weight, begin(1), **length, moves=moves)
    with tqdm(total=steps, desc="annealed importance sampling", unit="step", dynamic_ncols=True) as bar:

        def forwards(of: _Chains) -> Tensor:
            log_w = annealed_log_weights(of.log_weight, of.begin(chains), path, tick=bar.update, moves=of.moves)
            return log_mean_weight(log_w)

        lower, gaps = [], []
        for part in parts:
            lower.append(forwards(space.chains(x[part], None if labels is None else labels[part])))
        for num in simulated:
            u, of_model = drawn(num)
            below = forwards(of_model)
            above = reverse_log_weights(of_model.log_weight, u[None], path, tick=bar.update, moves=of_model.moves)[0]
            gaps.append(above - below)
    values = torch.cat(lower).cpu()
    signature = (
        f"ais|n:{len(x)}|steps:{options.num_steps}|leapfrog:{options.num_leapfrog}|chains:{chains}"
        f"|simulated:{options.num_simulated}|seed:{options.seed}{space.signature}"
    )
    gap = mean_interval(torch.cat(gaps).cpu()) if gaps else Interval(math.nan, math.nan, math.nan)
    return Likelihood(values, mean_interval(values), gap, signature)
