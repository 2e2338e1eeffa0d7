"""Bias, variance and cost of a gradient estimator on an enumerable problem."""

import copy
import dataclasses
import functools
import inspect
import math
import statistics
import time
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.errors import InputError
from discrete_gan.estimators import Estimator, Exact, Target, multi_sample_bound, parse_estimator
from discrete_gan.estimators._common import StatefulEstimator
from discrete_gan.lab.discriminators import Oracle, Tabulated
from discrete_gan.lab.enumeration import (
    Kind,
    OutOfDrawsError,
    Replay,
    all_tuples,
    alphabet,
    alphabet_size,
    in_chunks,
    num_tuples,
)
from discrete_gan.lab.problems import Problem, named_problem

# Numbers in the largest temporary of one call; 32 stands for the hidden layer of a discriminator.
_CHUNK_NUMBERS, _HIDDEN = 2**23, 32
# An estimator that couples its latents is called once for each outcome.
_MOST_SINGLE_CALLS = 1000
# Draws to hand out; an estimator that wants more is not enumerated anyway.
_MOST_DRAWS = 4096
_TIMED_LATENTS, _TIMED_CALLS, _TIMED_SECONDS = 64, 7, 2.0


class Analysis(NamedTuple):
    """What :func:`analyze` found; lengths are relative to the exact gradient of the target.

    Gradients are of the mean loss over the problem's latents, with respect to all their logits.

    Attributes:
        estimator: The call that makes it.
        problem: Name of the problem.
        target: What the gradient is compared with; with a question mark where the estimator does not say and the
            nearest was taken.
        num_samples: M where the estimator has one.
        method: ``"enumerated"`` or ``"sampled"``.
        num_outcomes: Tuples (or multisets) enumerated a latent, or gradients drawn a latent.
        bias: Length of the expected error. Where sampled, with the square of its own noise taken off.
        bias_error: Standard error of the length where sampled, else 0.
        z_score: Largest bias of a component in standard errors where sampled, else NaN.
        variance: Trace of the covariance.
        mse: Mean squared error: squared bias plus variance.
        cosine: Of the expected gradient to the target's.
        cosine_kl: To the gradient of KL(p_data || p_g).
        cosine_reverse_kl: To the gradient of KL(p_g || p_data).
        evaluations: Discriminator evaluations a latent in one call, as counted.
        seconds: Of a call and its backward pass on 64 latents, median.
        gradient: The expected gradient, shape (L, *event).
    """

    estimator: str
    problem: str
    target: str
    num_samples: int | None
    method: str
    num_outcomes: int
    bias: float
    bias_error: float
    z_score: float
    variance: float
    mse: float
    cosine: float
    cosine_kl: float
    cosine_reverse_kl: float
    evaluations: float
    seconds: float
    gradient: Tensor


class _Moments(NamedTuple):
    """Mean gradient (L, *event), variance of each component of it for one draw, and the number of outcomes."""

    mean: Tensor
    variance: Tensor
    num_outcomes: int
    enumerated: bool


def analyze(
    estimator: Estimator | str,
    problem: Problem | str,
    *,
    num_samples: int | None = None,
    discriminator: nn.Module | None = None,
    target: Target | None = None,
    most_tuples: int = 10**7,
    num_draws: int = 100_000,
    adapt: int = 200,
    seed: int = 0,
) -> Analysis:
    """Bias, variance, cost and direction of an estimator's gradient, exactly where that can be enumerated.

    The estimator is tried first, to find out what it draws. If all its randomness is samples (or antithetic pairs)
    of the generator's distribution, every tuple of them is handed to it in turn, or every multiset if it does not
    mind their order. Otherwise, or where there are too many, gradients are drawn.

    Args:
        estimator: Any estimator, or its text for :func:`parse_estimator`.
        problem: Whose generator is differentiated, at its start; a name stands for ``PROBLEMS[name](0)``.
        num_samples: M, in place of the estimator's own.
        discriminator: Of samples (..., *event), in float64; the oracle if not given.
        target: What the gradient should be, where the estimator does not state it (``claims.target``). Without
            either, the target whose gradient has the nearest direction is taken.
        most_tuples: Enumerate no more than this many tuples or multisets a latent.
        num_draws: Gradients drawn a latent otherwise; a twentieth of it, at least 100, where latents are coupled.
        adapt: Calls in which an estimator with parameters or averages adapts them first, by Adam.
        seed: Of everything drawn.

    Returns:
        :class:`Analysis`.

    Raises:
        InputError: If the estimator takes no ``num_samples``, or returns what is not one finite loss a latent with
            a gradient that reaches the generator.
        TypeError: If it does not accept the problem's distribution.
    """
    name = estimator if isinstance(estimator, str) else describe(estimator)
    if isinstance(estimator, str):
        estimator = parse_estimator(estimator)
    if num_samples is not None:
        estimator = with_num_samples(estimator, num_samples)
        name = describe(estimator)
    problem = named_problem(problem)
    generator = problem.generator()
    discriminator = Tabulated(discriminator or Oracle(problem, generator), problem)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        estimator = _adapted(estimator, name, problem, discriminator, adapt)
        subject = _Subject(estimator, name, problem, discriminator)
        traits = _traits(subject)
        moments = _moments(subject, traits, most_tuples, num_draws)
        seconds = _seconds(subject)
    claims = getattr(estimator, "claims", None)
    wanted: Target | None = target or (claims.target if claims is not None else None)
    guessed = wanted is None
    num_own_samples = _num_samples(estimator)
    exact = _target_gradients(subject)
    if wanted == "multi-sample":
        exact["multi-sample"] = _bound_gradient(subject, num_own_samples or 1, most_tuples)
    if guessed:  # by direction, so that a wrong scale shows as a bias and not as another target
        distance = {each: float((moments.mean - value).norm() / value.norm()) for each, value in exact.items()}
        wanted = max(exact, key=lambda each: (round(_cosine(moments.mean, exact[each]), 9), -distance[each]))
    reference = exact[cast(Target, wanted)]
    error = moments.mean - reference
    noise = torch.zeros_like(error) if moments.enumerated else (moments.variance / moments.num_outcomes)
    length = float(reference.norm())
    bias_square = float(error.square().sum() - noise.sum())
    bias = math.sqrt(max(bias_square, 0.0)) if not math.isnan(bias_square) else math.nan
    variance = float(moments.variance.sum())
    kl, reverse_kl = _kl_gradients(problem)
    return Analysis(
        estimator=name,
        problem=problem.name,
        target=f"{wanted}?" if guessed else str(wanted),
        num_samples=num_own_samples,
        method="enumerated" if moments.enumerated else "sampled",
        num_outcomes=moments.num_outcomes,
        bias=bias / length,
        bias_error=math.sqrt(float(noise.sum())) / length,
        z_score=math.nan if moments.enumerated else float((error.abs() / noise.sqrt()).nan_to_num(0).max()),
        variance=variance / length**2,
        mse=(bias**2 + variance) / length**2,
        cosine=_cosine(moments.mean, reference),
        cosine_kl=_cosine(moments.mean, kl),
        cosine_reverse_kl=_cosine(moments.mean, reverse_kl),
        evaluations=traits.evaluations,
        seconds=seconds,
        gradient=moments.mean,
    )


def describe(estimator: Estimator) -> str:
    """The call that makes an estimator, or a function's name."""
    if isinstance(estimator, functools.partial):
        options = ",".join(f"{key}={value}" for key, value in estimator.keywords.items())
        return f"{describe(estimator.func)}:{options}"
    return getattr(estimator, "__name__", None) or repr(estimator)


def with_num_samples(estimator: Estimator, num_samples: int) -> Estimator:
    """The same estimator with another M.

    Raises:
        InputError: If it has none, or refuses this one.
    """
    name = describe(estimator)
    kind: Any = type(estimator)
    try:
        if isinstance(estimator, StatefulEstimator) or dataclasses.is_dataclass(estimator):
            options = {option: getattr(estimator, option) for option in inspect.signature(kind).parameters}
            if "num_samples" in options:
                return kind(**{**options, "num_samples": num_samples})
        elif not isinstance(estimator, nn.Module) and "num_samples" in inspect.signature(estimator).parameters:
            return functools.partial(cast(Any, estimator), num_samples=num_samples)
    except ValueError as error:
        raise InputError(f"estimator {name}: {error}") from None
    raise InputError(f"estimator {name}: it takes no num_samples")


class _Subject(NamedTuple):
    """What is studied."""

    estimator: Estimator
    name: str
    problem: Problem
    discriminator: nn.Module

    def gradients(
        self,
        latents: Tensor,
        kind: Kind = "sample",
        draws: tuple[Tensor, ...] | None = None,
        logits: Tensor | None = None,
    ) -> Tensor:
        """One gradient for each row, shape (R, *event), of latents with numbers (R,), on given draws or drawn ones.

        The estimator's state is as before afterwards.
        """
        logits = self.problem.logits[latents] if logits is None else logits
        return self.gradient_through(Rows(logits) if draws is None else Replay(logits, kind, draws), latents)

    def gradient_through(self, generator: "Rows | Replay", latents: Tensor) -> Tensor:
        """The same, of any generator of one row for each of the latents."""
        estimator = copy.deepcopy(self.estimator) if isinstance(self.estimator, nn.Module) else self.estimator
        z = torch.eye(len(self.problem.logits), dtype=torch.float64)[latents]
        return checked_gradient(estimator(generator, self.discriminator, z), generator.logits, self.name)


class Rows(nn.Module):
    """A generator with free logits for each row, whatever z is."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, z: Tensor) -> FactorizedBernoulli | FactorizedCategorical:
        """The rows' distributions."""
        return FactorizedBernoulli(self.logits) if self.logits.dim() == 2 else FactorizedCategorical(self.logits)


def checked_loss(loss: object, num_latents: int, name: str) -> Tensor:
    """What the estimator of that name returned, if it is one finite loss a latent.

    Raises:
        InputError: If it is not.
    """
    expected = f"expected one loss a latent, a tensor of shape ({num_latents},)"
    if not isinstance(loss, Tensor):
        raise InputError(f"estimator {name}: returned {type(loss).__name__}, {expected}")
    if loss.shape != (num_latents,):
        raise InputError(f"estimator {name}: returned shape {tuple(loss.shape)}, {expected}")
    if not bool(loss.isfinite().all()):
        raise InputError(f"estimator {name}: its loss is not finite, expected finite numbers")
    return loss


def checked_gradient(loss: object, logits: Tensor, name: str) -> Tensor:
    """Gradient of the summed losses, finite and of the shape of the logits (R, *event).

    Raises:
        InputError: If what the estimator returned is not one finite loss a latent with a finite gradient.
    """
    loss = checked_loss(loss, len(logits), name)
    gradient = torch.autograd.grad(loss.sum(), logits, allow_unused=True)[0] if loss.requires_grad else None
    if gradient is None:
        raise InputError(f"estimator {name}: its loss carries no gradient, expected one that reaches the generator")
    if not bool(gradient.isfinite().all()):
        raise InputError(f"estimator {name}: its gradient is not finite, expected finite numbers")
    return gradient


class _Traits(NamedTuple):
    """How an estimator draws.

    Attributes:
        kind: Method whose draws are all its randomness; None if it draws otherwise.
        num_draws: Draws a latent; 0 with a kind means that nothing is random.
        exchangeable: Whether the order of the draws changes nothing.
        coupled: Whether the gradient of one latent depends on the other latents.
        evaluations: Of the discriminator, a latent.
    """

    kind: Kind | None
    num_draws: int
    exchangeable: bool
    coupled: bool
    evaluations: float


def _traits(subject: _Subject, num_rows: int = 4) -> _Traits:
    latents = torch.arange(num_rows) % len(subject.problem.logits)
    evaluations = _evaluations(subject, latents)
    found = _all_draws(subject, latents)
    if found is None:
        return _Traits(None, 0, False, _coupled(subject, latents, "sample", None), evaluations)
    kind, draws = found
    num_draws = len(draws[0])
    gradients = subject.gradients(latents, kind, draws)
    # A rotation and a swap make every permutation.
    rotated, swapped = torch.arange(num_draws).roll(1), torch.arange(num_draws)
    swapped[:2] = swapped[:2].flip(0)
    permuted = (
        subject.gradients(latents, kind, tuple(values[order] for values in draws)) for order in (rotated, swapped)
    )
    exchangeable = all(torch.allclose(gradients, other, rtol=1e-9, atol=1e-12) for other in permuted)
    return _Traits(kind, num_draws, exchangeable, _coupled(subject, latents, kind, draws), evaluations)


def _evaluations(subject: _Subject, latents: Tensor) -> float:
    evaluated: list[int] = []
    hook = subject.discriminator.register_forward_hook(lambda module, args, raw: evaluated.append(raw.numel()))
    try:
        subject.gradients(latents)
    finally:
        hook.remove()
    return sum(evaluated) / len(latents)


def _all_draws(subject: _Subject, latents: Tensor) -> tuple[Kind, tuple[Tensor, ...]] | None:
    """Method and draws that are all the randomness of one call; None if there is more, or another kind."""
    kinds: tuple[Kind, ...] = ("sample", "antithetic_sample")
    for kind in kinds:
        logits = subject.problem.logits[latents]
        draw = getattr(Rows(logits)(latents), kind, None)
        if draw is None:
            continue
        drawn = draw((_MOST_DRAWS,))
        draws = drawn if isinstance(drawn, tuple) else (drawn,)
        before = torch.get_rng_state()
        replay = Replay(logits, kind, draws)
        try:
            subject.gradient_through(replay, latents)
        except OutOfDrawsError:
            continue
        if torch.equal(before, torch.get_rng_state()):
            return kind, tuple(values[: replay.num_drawn] for values in draws)
    return None


def _coupled(subject: _Subject, latents: Tensor, kind: Kind, draws: tuple[Tensor, ...] | None) -> bool:
    """Whether the gradient of the first row changes with the logits and the draws of the others."""
    gradients = []
    for change in (False, True):
        logits = subject.problem.logits[latents].clone()
        if change:
            logits[1:] += 1
            if draws is not None:
                draws = tuple(torch.cat([values[:, :1], values[:, 1:].flip(0, -1)], dim=1) for values in draws)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            gradients.append(subject.gradients(latents, kind, draws, logits)[0])
    return not torch.allclose(*gradients, rtol=1e-9, atol=1e-12)


def _moments(subject: _Subject, traits: _Traits, most_tuples: int, num_draws: int) -> _Moments:
    num_latents = len(subject.problem.logits)
    rows = max(1, int(_CHUNK_NUMBERS / max(traits.evaluations, 1) / max(subject.problem.event_shape.numel(), _HIDDEN)))
    if traits.kind is not None and (num_latents == 1 or not traits.coupled):
        if traits.num_draws == 0:
            mean = subject.gradients(torch.arange(num_latents)) / num_latents
            return _Moments(mean, torch.zeros_like(mean), 1, True)
        parts = []
        for latent in range(num_latents):
            part = _enumerated(subject, traits, latent, most_tuples, rows)
            if part is None:
                break
            parts.append(part)
        else:
            mean = torch.stack([part.mean for part in parts]) / num_latents
            variance = torch.stack([part.variance for part in parts]) / num_latents**2
            return _Moments(mean, variance, parts[0].num_outcomes, True)
    return _sampled(subject, traits, num_draws, rows)


def _enumerated(subject: _Subject, traits: _Traits, latent: int, most_tuples: int, rows: int) -> _Moments | None:
    """Moments of one latent's gradient over every outcome of the draws, None if there are too many."""
    assert traits.kind is not None
    size = alphabet_size(subject.problem.logits[latent], traits.kind)
    limit = min(most_tuples, _MOST_SINGLE_CALLS) if traits.coupled else most_tuples
    count = num_tuples(size, traits.num_draws, exchangeable=traits.exchangeable)
    if count > limit:
        return None
    letters = alphabet(subject.problem.logits[latent], traits.kind)
    mean = square = torch.zeros(subject.problem.event_shape, dtype=torch.float64)
    tuples = all_tuples(size, traits.num_draws, exchangeable=traits.exchangeable)
    for part in in_chunks(tuples, 1 if traits.coupled else rows):
        probability = (letters.log_prob[part.draws].sum(dim=0) + part.log_count).exp()
        draws = tuple(values[part.draws] for values in letters.values)
        gradients = subject.gradients(torch.full((part.draws.shape[1],), latent), traits.kind, draws)
        mean = mean + torch.einsum("t,t...->...", probability, gradients)
        square = square + torch.einsum("t,t...->...", probability, gradients.square())
    return _Moments(mean, (square - mean.square()).clamp(min=0), count, True)


def _sampled(subject: _Subject, traits: _Traits, num_draws: int, rows: int) -> _Moments:
    num_latents = len(subject.problem.logits)
    if traits.coupled:  # one gradient of all latents a call
        num_draws, per_call = max(num_draws // 20, 100), 1
    else:
        per_call = max(1, min(num_draws, rows // num_latents))
    mean = square = torch.zeros_like(subject.problem.logits)
    done = 0
    while done < num_draws:
        num = min(per_call, num_draws - done)
        gradients = subject.gradients(torch.arange(num_latents).repeat(num)).unflatten(0, (num, num_latents))
        mean = mean + gradients.sum(dim=0) / num_latents / num_draws
        square = square + (gradients / num_latents).square().sum(dim=0) / num_draws
        done += num
    variance = (square - mean.square()).clamp(min=0) * (num_draws / (num_draws - 1))
    return _Moments(mean, variance, num_draws, False)


def _adapted(estimator: Estimator, name: str, problem: Problem, discriminator: nn.Module, calls: int) -> Estimator:
    """A copy in float64 whose parameters and averages fit the problem, if it has any."""
    if not isinstance(estimator, nn.Module):
        return estimator
    estimator = copy.deepcopy(estimator).double()
    if not any(True for _ in (*estimator.parameters(), *estimator.buffers())):
        return estimator
    generator = problem.generator()
    parameters = [parameter for parameter in estimator.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.02) if parameters else None
    for _ in range(max(calls, 1)):  # once at least, for parameters that take their shape from the first call
        loss = estimator(generator, discriminator, generator.latents(_TIMED_LATENTS))
        if optimizer is None or not isinstance(loss, Tensor):
            continue
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    return cast(Estimator, estimator)


def _seconds(subject: _Subject) -> float:
    latents = torch.arange(_TIMED_LATENTS) % len(subject.problem.logits)
    estimator = subject.estimator
    estimator = copy.deepcopy(estimator) if isinstance(estimator, nn.Module) else estimator
    z = torch.eye(len(subject.problem.logits), dtype=torch.float64)[latents]
    times = []
    while len(times) < _TIMED_CALLS and sum(times) < _TIMED_SECONDS:
        generator = Rows(subject.problem.logits[latents])
        start = time.perf_counter()
        estimator(generator, subject.discriminator, z).sum().backward()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _num_samples(estimator: Estimator) -> int | None:
    """M of an estimator: an attribute, or a keyword of a function."""
    if hasattr(estimator, "num_samples"):
        return int(cast(Any, estimator).num_samples)
    parameter = None if isinstance(estimator, nn.Module) else inspect.signature(estimator).parameters.get("num_samples")
    return None if parameter is None or parameter.default is parameter.empty else int(parameter.default)


def _target_gradients(subject: _Subject) -> dict[Target, Tensor]:
    """Exact gradients of the mean loss over latents, shape (L, *event)."""
    latents = torch.arange(len(subject.problem.logits))
    gradients: dict[Target, Tensor] = {}
    for objective in ("reweighted", "log-ratio", "non-saturating"):
        exact = subject._replace(estimator=Exact(objective), name="exact")
        gradients[objective] = exact.gradients(latents) / len(latents)
    return gradients


def _bound_gradient(subject: _Subject, num_samples: int, most_tuples: int) -> Tensor:
    """That of the multi-sample bound; NaN where it cannot be enumerated."""
    if num_tuples(len(subject.problem.log_p), num_samples, exchangeable=True) > most_tuples:
        return torch.full_like(subject.problem.logits, math.nan)
    bound = subject._replace(estimator=functools.partial(_bound, num_samples=num_samples), name="bound")
    return _moments(bound, _Traits("sample", num_samples, True, False, num_samples), most_tuples, 0).mean


def _bound(generator: nn.Module, discriminator: nn.Module, z: Tensor, *, num_samples: int) -> Tensor:
    """The multi-sample bound by the plain score function: unbiased, and as noisy as can be."""
    g = generator(z)
    x = g.sample((num_samples,))
    return -(multi_sample_bound(discriminator(x)).detach() * g.log_prob(x).sum(dim=0))


def _kl_gradients(problem: Problem) -> tuple[Tensor, Tensor]:
    generator = problem.generator()
    divergences = problem.divergences(generator.log_p_g(problem.states))
    (kl,) = torch.autograd.grad(divergences.kl, generator.logits, retain_graph=True)
    (reverse_kl,) = torch.autograd.grad(divergences.reverse_kl, generator.logits)
    return kl, reverse_kl


def _cosine(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()))
