"""Bias, variance and cost of a gradient estimator on an enumerable problem."""

import dataclasses
import functools
import inspect
import math
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.errors import InputError
from discrete_gan.estimators import Estimator, Exact, StatefulEstimator, Target, parse_estimator
from discrete_gan.lab.discriminators import Oracle, Tabulated
from discrete_gan.lab.enumeration import num_tuples
from discrete_gan.lab.moments import find_moments
from discrete_gan.lab.problems import Problem, named_problem
from discrete_gan.lab.subject import Subject, adapted, seconds_a_call
from discrete_gan.lab.traits import Traits, find_traits
from discrete_gan.weights import log_partition


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
        num_outcomes: Tuples (or multisets) enumerated per latent, or gradients drawn per latent.
        bias: Length of the expected error. Where sampled, with the square of its own noise taken off.
        bias_error: Standard error of the length where sampled, else 0.
        z_score: Largest bias of a component in standard errors where sampled, else NaN.
        variance: Trace of the covariance.
        mse: Mean squared error: squared bias plus variance.
        cosine: Of the expected gradient to the target's.
        cosine_kl: To the gradient of KL(p_data || p_g).
        cosine_reverse_kl: To the gradient of KL(p_g || p_data).
        evaluations: Discriminator evaluations per latent in one call, as counted.
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


def analyze(
    estimator: Estimator | str,
    problem: Problem | str,
    *,
    num_samples: int | None = None,
    discriminator: Discriminator | None = None,
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
        num_draws: Gradients drawn per latent otherwise; a twentieth of it, at least 100, where latents are coupled.
        adapt: Calls in which an estimator with parameters or averages adapts them first, by Adam.
        seed: Of everything drawn.

    Returns:
        :class:`Analysis`.

    Raises:
        InputError: If the estimator takes no ``num_samples``, or returns what is not one finite loss per latent with
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
        estimator = adapted(estimator, problem, discriminator, adapt)
        subject = Subject(estimator, name, problem, discriminator)
        traits = find_traits(subject)
        moments = find_moments(subject, traits, most_tuples, num_draws)
        seconds = seconds_a_call(subject)
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


def _num_samples(estimator: Estimator) -> int | None:
    """M of an estimator: an attribute, or a keyword of a function."""
    if hasattr(estimator, "num_samples"):
        return int(cast(Any, estimator).num_samples)
    parameter = None if isinstance(estimator, nn.Module) else inspect.signature(estimator).parameters.get("num_samples")
    return None if parameter is None or parameter.default is parameter.empty else int(parameter.default)


def _target_gradients(subject: Subject) -> dict[Target, Tensor]:
    """Exact gradients of the mean loss over latents, shape (L, *event)."""
    latents = torch.arange(len(subject.problem.logits))
    gradients: dict[Target, Tensor] = {}
    for objective in ("reweighted", "log-ratio", "non-saturating"):
        exact = subject._replace(estimator=Exact(objective), name="exact")
        gradients[objective] = exact.gradients(latents) / len(latents)
    return gradients


def _bound_gradient(subject: Subject, num_samples: int, most_tuples: int) -> Tensor:
    """That of the multi-sample bound; NaN where it cannot be enumerated."""
    if num_tuples(len(subject.problem.log_p), num_samples, exchangeable=True) > most_tuples:
        return torch.full_like(subject.problem.logits, math.nan)
    bound = subject._replace(estimator=functools.partial(_bound, num_samples=num_samples), name="bound")
    return find_moments(bound, Traits("sample", num_samples, True, False, num_samples), most_tuples, 0).mean


def _bound(generator: Conditional, discriminator: Discriminator, z: Tensor, *, num_samples: int) -> Tensor:
    """The multi-sample bound by the plain score function: unbiased, and as noisy as can be."""
    g = generator(z)
    x = g.sample(torch.Size((num_samples,)))
    return -(log_partition(discriminator(x)).detach() * g.log_prob(x).sum(dim=0))


def _kl_gradients(problem: Problem) -> tuple[Tensor, Tensor]:
    generator = problem.generator()
    divergences = problem.divergences(generator.log_p_g(problem.states))
    (kl,) = torch.autograd.grad(divergences.kl, generator.logits, retain_graph=True)
    (reverse_kl,) = torch.autograd.grad(divergences.reverse_kl, generator.logits)
    return kl, reverse_kl


def _cosine(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()))
