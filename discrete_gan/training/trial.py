"""A gradient estimator, tried on the networks before anything is written."""

import copy
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.errors import InputError, is_out_of_memory
from discrete_gan.estimators import Estimate
from discrete_gan.tasks import Batch


def latents_of(generator: Any, num: int) -> Tensor:
    """Latents of a generator that may be a user's own.

    Raises:
        InputError: If it states no prior.
    """
    try:
        return generator.latents(num)
    except AttributeError as error:
        raise InputError(f"generator: expected latents and a latent_dim, got none: {error}") from error


def try_estimator(
    spec: str,
    estimate: Estimate,
    networks: tuple[Conditional, Discriminator],
    z: Tensor,
    batch: Batch,
    precision: AbstractContextManager[None],
) -> nn.Module:
    """Call an estimator once on copies of the networks, and leave its own state as it was.

    Layers of the estimator that take their size from what they first see have it from then on.

    Args:
        spec: As the user wrote it, for the message.
        estimate: The estimator.
        networks: Generator and discriminator.
        z: Latents, shape (B, latent_dim).
        batch: Real samples and their labels.
        precision: Of the forward passes.

    Returns:
        The estimator's state, on the networks' device: an empty module if it has none.

    Raises:
        InputError: If it refuses the networks, or its gradient does not reach the generator.
    """
    inner = estimate.__wrapped__
    state = inner if isinstance(inner, nn.Module) else nn.Module()
    state.to(z.device)
    before = copy.deepcopy({key: value for key, value in state.state_dict().items() if not is_lazy(value)})
    copies = copy.deepcopy(networks)
    try:
        with precision:
            loss = estimate(*copies, z, real=batch.x, labels=batch.labels).sum()
    except InputError:
        raise
    except (ArithmeticError, AttributeError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise InputError(f"estimator {spec}: it does not fit into memory, expected smaller numbers") from error
        if isinstance(error, TypeError | ValueError):
            raise InputError(f"estimator {spec}: {error}") from error
        # Of networks, mostly.
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        raise InputError(f"estimator {spec}, tried on the networks: {reason}") from error
    weights = list(copies[0].parameters())
    gradients = torch.autograd.grad(loss, weights, allow_unused=True) if loss.requires_grad else ()
    if all(gradient is None for gradient in gradients):
        raise InputError(f"estimator {spec}: expected a loss whose gradient reaches the generator, it does not")
    state.load_state_dict(before, strict=False)
    return state
