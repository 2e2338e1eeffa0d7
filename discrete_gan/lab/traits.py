"""How an estimator draws, found out by trying: so that a user's function needs no declaration."""

from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan.lab.enumeration import Kind, OutOfDrawsError, Replay
from discrete_gan.lab.subject import Rows, Subject

# Draws to hand out; an estimator that wants more is not enumerated anyway.
_MOST_DRAWS = 4096


class Traits(NamedTuple):
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


def find_traits(subject: Subject, num_rows: int = 4) -> Traits:
    """Call it on a few rows, with draws handed out, permuted and changed."""
    latents = torch.arange(num_rows) % len(subject.problem.logits)
    evaluations = _evaluations(subject, latents)
    found = _all_draws(subject, latents)
    if found is None:
        return Traits(None, 0, False, _coupled(subject, latents, "sample", None), evaluations)
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
    return Traits(kind, num_draws, exchangeable, _coupled(subject, latents, kind, draws), evaluations)


def _evaluations(subject: Subject, latents: Tensor) -> float:
    evaluated: list[int] = []
    hook = subject.discriminator.register_forward_hook(lambda module, args, raw: evaluated.append(raw.numel()))
    try:
        subject.gradients(latents)
    finally:
        hook.remove()
    return sum(evaluated) / len(latents)


def _all_draws(subject: Subject, latents: Tensor) -> tuple[Kind, tuple[Tensor, ...]] | None:
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


def _coupled(subject: Subject, latents: Tensor, kind: Kind, draws: tuple[Tensor, ...] | None) -> bool:
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
