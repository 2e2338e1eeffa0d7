"""A user's own network in place of a recipe's: ``--generator FILE.py:CLASS``."""

import inspect
from typing import Any

from torch import nn

from discrete_gan.errors import InputError
from discrete_gan.own import blaming, load_own, parse_options


def own_network(kind: str, spec: str, task: Any, options: Any) -> Any:
    """Make the network that ``FILE.py:CLASS:KEY=VALUE`` names.

    Args:
        kind: ``generator`` or ``discriminator``.
        spec: As the user wrote it.
        task: Its attributes go to the class' parameters of the same names.
        options: Of the recipe: ``latent_dim`` goes there too.

    Raises:
        InputError: If it cannot be made or is no module that can be saved.
    """
    found, text, path = load_own(kind, spec)
    with blaming(f"{kind} {spec}", path):
        parameters = inspect.signature(found).parameters
        given = {
            name: getattr(source, name)
            for source in (task, options)
            for name in parameters
            if name in ("latent_dim", "num_positions", "num_categories", "num_classes", "image_shape", "max_length")
            and hasattr(source, name)
        }
        made = found(**given | parse_options(f"{kind} {spec}", parameters.values(), text))
    if not isinstance(made, nn.Module) or not hasattr(made, "save_pretrained"):
        expected = "a class derived from discrete_gan.models.Generator or HubModel"
        raise InputError(f"{kind} {spec}: expected {expected}, got {type(made).__name__}")
    return made
