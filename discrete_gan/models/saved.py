"""Saved weights, looked at before they are taken."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn


def check_fits(file: Path, make: Callable[[], nn.Module]) -> None:
    """Compare what a file of weights says that it holds with what a model has, before memory is taken for either.

    Args:
        file: ``model.safetensors``; of another kind, torch compares when it loads.
        make: Makes the model; called on the meta device, where tensors have shapes and no memory.

    Raises:
        ValueError: If the file is damaged, or a tensor is missing, foreign or of another shape.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as weights:
            found = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{file}: expected a safetensors file: {error}") from error
    try:
        with torch.device("meta"):
            model = make()
    except Exception:  # a model that reads its own numbers while it is made: the loading compares, later
        return
    expected = {name: tuple(value.shape) for name, value in model.state_dict(keep_vars=True).items()}
    for name in sorted(found.keys() - expected.keys()):
        raise ValueError(f"{file}: {name} is no part of the model, expected such as {next(iter(expected), 'nothing')}")
    shared = _shared(model)
    for name in expected.keys() - found.keys():
        if not shared.get(name, set()) & found.keys():  # of one tensor with two names, one is saved
            raise ValueError(f"{file}: {name} is missing")
    for name, shape in found.items():
        if shape != expected[name]:
            raise ValueError(f"{file}: expected {name} of shape {expected[name]}, found {shape}")


def _shared(model: nn.Module) -> dict[str, set[str]]:
    """Names of the same tensor, by each of them."""
    names: dict[int, set[str]] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        names.setdefault(id(value), set()).add(name)
    return {name: group for group in names.values() for name in group}


def check_finite(file: Path | str, model: nn.Module) -> None:
    """Refuse weights that a training which went wrong left.

    Raises:
        ValueError: If a parameter or buffer holds NaN or infinity.
    """
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not math.isfinite(float(value.detach().abs().sum(dtype=torch.float64))):
            raise ValueError(f"{file}: expected finite weights, {name} holds NaN or infinity")
