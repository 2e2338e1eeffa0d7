"""A first call of an estimator, before a run writes anything."""

import copy
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from discrete_gan.errors import InputError
from discrete_gan.training.run import Run
from discrete_gan.training.seeds import seeded


def try_estimator(
    run: Run, name: str, estimator: Callable[..., Tensor], generator: nn.Module, discriminator: nn.Module, z: Tensor
) -> nn.Module:
    """Call an estimator once before the steps, on copies of the networks: one that cannot work writes nothing.

    Args:
        run: Gives device, precision and seed.
        name: The estimator as the user wrote it, for the error message.
        estimator: Returns one loss a latent, shape (B,). Moved to the run's device if it is a module; a
            ``functools.partial`` of a module counts as the module.
        generator: On the run's device.
        discriminator: On the run's device.
        z: Latents, shape (B, latent_dim), at least 2 for batch norm.

    Returns:
        The estimator's state, an empty module if it has none: to be tracked, its parameters optimized with the
        generator's. Lazy parameters have become real ones, the same in every process; the rest is as before.

    Raises:
        InputError: If it refuses the networks, or its gradient does not reach the generator.
    """
    function = estimator.func if isinstance(estimator, functools.partial) else estimator
    state = function if isinstance(function, nn.Module) else nn.Module()
    state.to(run.device)
    before = copy.deepcopy({key: value for key, value in state.state_dict().items() if not is_lazy(value)})
    generator, discriminator = copy.deepcopy((generator, discriminator))
    try:
        with seeded(run.options.seed, "estimator"), run.autocast():
            loss = estimator(generator, discriminator, z).sum()
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"estimator {name}: {error}") from error
    parameters = list(generator.parameters())
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True) if loss.requires_grad else ()
    if all(gradient is None for gradient in gradients):
        raise InputError(f"estimator {name}: expected a loss whose gradient reaches the generator, it does not")
    state.load_state_dict(before, strict=False)
    return state
