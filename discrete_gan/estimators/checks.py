"""What an estimator must return: one check for recipes, lab and the user's own files."""

import torch
from torch import Tensor

from discrete_gan.errors import InputError


def checked_loss(loss: object, num_latents: int, name: str) -> Tensor:
    """What the estimator of that name returned, if it is one loss per latent that can be differentiated.

    Raises:
        InputError: If it is not a floating-point tensor of shape (B,), or carries no gradient while gradients are on.
    """
    if not isinstance(loss, Tensor):
        returned = "None" if loss is None else f"a {type(loss).__name__}"
        raise InputError(f"estimator {name}: returned {returned}, expected a tensor")
    if loss.shape != (num_latents,):
        expected = f"one loss per latent, {(num_latents,)}"
        raise InputError(f"estimator {name}: returned shape {tuple(loss.shape)}, expected {expected}")
    if not loss.is_floating_point():
        raise InputError(f"estimator {name}: returned {loss.dtype}, expected a floating-point type")
    if torch.is_grad_enabled() and not loss.requires_grad:
        raise no_gradient(name)
    return loss


def no_gradient(name: str) -> InputError:
    """The error for a loss that does not depend on the generator."""
    return InputError(f"estimator {name}: its loss carries no gradient, expected one that reaches the generator")
