"""An estimator under study: called on given latents, logits and draws, one gradient a row."""

import copy
import statistics
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn

from discrete_gan.contracts import Discriminator
from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.errors import InputError
from discrete_gan.estimators import Estimator
from discrete_gan.estimators.checks import checked_loss, no_gradient
from discrete_gan.lab.enumeration import Kind, Replay
from discrete_gan.lab.problems import Problem

_ADAPTED_LATENTS, _TIMED_LATENTS, _TIMED_CALLS, _TIMED_SECONDS = 64, 64, 7, 2.0


class Rows(nn.Module):
    """A generator with free logits for each row, whatever z is."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, z: Tensor) -> FactorizedBernoulli | FactorizedCategorical:
        """The rows' distributions."""
        return FactorizedBernoulli(self.logits) if self.logits.dim() == 2 else FactorizedCategorical(self.logits)


class Subject(NamedTuple):
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

    def gradient_through(self, generator: Rows | Replay, latents: Tensor) -> Tensor:
        """The same, of any generator of one row for each of the latents."""
        estimator = copy.deepcopy(self.estimator) if isinstance(self.estimator, nn.Module) else self.estimator
        z = torch.eye(len(self.problem.logits), dtype=torch.float64)[latents]
        return checked_gradient(estimator(generator, self.discriminator, z), generator.logits, self.name)


def finite_loss(loss: object, num_latents: int, name: str) -> Tensor:
    """What the estimator of that name returned, if it is one finite loss per latent.

    Raises:
        InputError: If it is not.
    """
    loss = checked_loss(loss, num_latents, name)
    if not bool(loss.isfinite().all()):
        raise InputError(f"estimator {name}: its loss is not finite, expected finite numbers")
    return loss


def checked_gradient(loss: object, logits: Tensor, name: str) -> Tensor:
    """Gradient of the summed losses, finite and of the shape of the logits (R, *event).

    Raises:
        InputError: If what the estimator returned is not one finite loss per latent with a finite gradient.
    """
    loss = finite_loss(loss, len(logits), name)
    (gradient,) = torch.autograd.grad(loss.sum(), logits, allow_unused=True)
    if gradient is None:
        raise no_gradient(name)
    if not bool(gradient.isfinite().all()):
        raise InputError(f"estimator {name}: its gradient is not finite, expected finite numbers")
    return gradient


def adapted(estimator: Estimator, problem: Problem, discriminator: Discriminator, calls: int) -> Estimator:
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
        loss = estimator(generator, discriminator, generator.latents(_ADAPTED_LATENTS))
        if optimizer is None or not isinstance(loss, Tensor):
            continue
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    return estimator


def seconds_a_call(subject: Subject) -> float:
    """Median time of a call and its backward pass on 64 latents."""
    latents = torch.arange(_TIMED_LATENTS) % len(subject.problem.logits)
    estimator = subject.estimator
    estimator = copy.deepcopy(estimator) if isinstance(estimator, nn.Module) else estimator
    z = torch.eye(len(subject.problem.logits), dtype=torch.float64)[latents]
    times = []
    while len(times) < _TIMED_CALLS and sum(times) < _TIMED_SECONDS:
        generator = Rows(subject.problem.logits[latents])
        start = time.perf_counter()
        estimator(generator, subject.discriminator, z).sum().backward()
        times.append(max(0.0, time.perf_counter() - start))
    return statistics.median(times)
