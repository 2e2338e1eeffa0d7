"""A recipe's networks, or a user's own in their place: ``--generator FILE.py:CLASS``."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from discrete_gan.errors import InputError, is_out_of_memory
from discrete_gan.own import blaming, is_own, load_own, parse_options
from discrete_gan.training.options import NetworkOptions


def build_networks(build: Callable[[], tuple[Any, Any]], task: Any, options: Any, recipe: str) -> tuple[Any, Any]:
    """Generator and discriminator, on the CPU: those of the recipe but where an option names one of the user's own.

    Args:
        build: Makes the recipe's; what it refuses as a ``ValueError`` is the user's mistake.
        task: What they are made for.
        options: Of the recipe: ``generator`` and ``discriminator``, where it has these, may name files.
        recipe: Its name, for the message.

    Raises:
        InputError: If the data do not fit the networks or lack what these are made from, or a file, a class or an
            option is not usable.
    """
    try:
        networks = build()
    except InputError:
        raise
    except (MemoryError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise InputError("networks: they do not fit into memory, expected smaller sizes") from None
        if not isinstance(error, ValueError):
            raise
        hint = " (see --image-size)" if "image_shape" in str(error) and hasattr(options, "image_size") else ""
        raise InputError(f"networks: {error}{hint}") from None
    except AttributeError as error:  # a user's own task, in a recipe that builds its networks from more
        if error.obj is not task:
            raise
        expected = f"an attribute {error.name}, which the networks of {recipe} are made from"
        raise InputError(f"--data {options.data}: expected {expected}") from None
    made: list[Any] = []
    for name, network in zip(("generator", "discriminator"), networks, strict=True):
        spec = getattr(options, name, None)
        if isinstance(options, NetworkOptions) and spec is not None and not is_own(spec):
            raise InputError(f"--{name} {spec}: expected a network of your own as FILE.py:CLASS")
        made.append(own_network(name, str(spec), task, options) if is_own(spec) else network)
    return made[0], made[1]


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
