"""Training on an enumerable problem, with the exact distance to the data after every step."""

import copy
import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from discrete_gan.estimators import Estimator, parse_estimator
from discrete_gan.lab.discriminators import DISCRIMINATORS
from discrete_gan.lab.problems import Problem, named_problem
from discrete_gan.lab.subject import finite_loss


class Curve(NamedTuple):
    """What :func:`train` records, N times.

    Attributes:
        steps: Steps done, shape (N,).
        divergences: KL(p_data || p_g), reverse KL and Jensen-Shannon divergence in nats and total variation, shape
            (N, 4).
        mode_mass: Probability of each of the problem's modes under p_g, shape (N, number of modes).
        evaluations: Discriminator evaluations of the generator's updates so far, shape (N,).
        seconds: Spent in the estimator and its backward pass so far, shape (N,).
    """

    steps: Tensor
    divergences: Tensor
    mode_mass: Tensor
    evaluations: Tensor
    seconds: Tensor


def train(
    estimator: Estimator | str,
    problem: Problem | str,
    *,
    name: str = "",
    discriminator: str = "network",
    steps: int = 300,
    batch_size: int = 16,
    lr: float = 0.05,
    every: int = 1,
    seed: int = 0,
) -> Curve:
    """Train a problem's generator by Adam, its discriminator brought up to date before every step.

    Args:
        estimator: Any estimator, or its text for :func:`parse_estimator`; its state is copied and left alone.
        problem: What to learn; a name stands for ``PROBLEMS[name](0)``.
        name: Of the estimator, for error messages.
        discriminator: Name in :data:`DISCRIMINATORS`.
        steps: Updates of the generator.
        batch_size: B, latents a step.
        lr: Learning rate.
        every: Steps between records; the start and the end are always among them.
        seed: Of everything drawn.

    Returns:
        :class:`Curve`.

    Raises:
        InputError: If the estimator returns what is not one finite loss per latent.
        TypeError: If it does not accept the problem's distribution.
    """
    problem = named_problem(problem)
    if isinstance(estimator, str):
        name, estimator = name or estimator, parse_estimator(estimator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rows = list(_records(estimator, problem, name, discriminator, steps, batch_size, lr, every, seed))
    columns = zip(*rows, strict=True)
    return Curve(*(torch.stack([torch.as_tensor(value) for value in column]) for column in columns))


def _records(
    estimator: Estimator,
    problem: Problem,
    name: str,
    discriminator_name: str,
    steps: int,
    batch_size: int,
    lr: float,
    every: int,
    seed: int,
) -> Iterator[tuple[int, Tensor, Tensor, int, float]]:
    generator = problem.generator()
    discriminator = DISCRIMINATORS[discriminator_name](problem, generator, seed=seed)
    state = nn.Module()
    if isinstance(estimator, nn.Module):
        estimator = state = copy.deepcopy(estimator).double()
    adam = torch.optim.Adam([*generator.parameters(), *state.parameters()], lr)
    evaluations, seconds = 0, 0.0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], raw: Tensor) -> None:
        nonlocal evaluations
        evaluations += raw.numel()

    for step in range(steps + 1):
        if step % every == 0 or step == steps:
            with torch.no_grad():
                log_p_g = generator.log_p_g(problem.states)
            yield step, torch.stack(problem.divergences(log_p_g)), problem.mode_mass(log_p_g), evaluations, seconds
        if step == steps:
            return
        discriminator.update(generator)
        z = generator.latents(batch_size)
        hook = discriminator.register_forward_hook(count)
        start = time.perf_counter()
        loss = finite_loss(estimator(generator, discriminator, z), batch_size, name)
        adam.zero_grad()
        loss.mean().backward()
        seconds += max(0.0, time.perf_counter() - start)
        hook.remove()
        adam.step()
