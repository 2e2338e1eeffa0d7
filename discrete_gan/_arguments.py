"""Checks of argument shapes and ranges. Values on a device are looked at only where the caller asks for it."""

from torch import Tensor
from torch.distributions.constraints import Constraint


def check_samples(name: str, value: Tensor) -> None:
    """Raise unless ``value`` is a floating-point tensor of shape (M, B)."""
    if value.dim() != 2 or value.shape[0] == 0:
        raise ValueError(f"{name}: expected shape (M, B), samples first, got {tuple(value.shape)}")
    if not value.is_floating_point():
        raise ValueError(f"{name}: expected a floating-point tensor, got {value.dtype}")


def check_same_shape(name: str, value: Tensor, reference_name: str, reference: Tensor) -> None:
    """Raise unless both have one shape: broadcasting (M, B) against (M, 1) would go wrong without a word."""
    if value.shape != reference.shape:
        raise ValueError(
            f"{name}: expected the shape of {reference_name}, {tuple(reference.shape)}, got {tuple(value.shape)}"
        )


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def check_at_least(name: str, value: float, least: float, reason: str = "") -> None:
    """Raise unless ``value >= least``."""
    if not value >= least:
        raise ValueError(f"{name}: expected at least {least}, got {value}{reason and ': ' + reason}")


def check_positive(name: str, value: float, reason: str = "") -> None:
    """Raise unless ``value > 0``."""
    if not value > 0:
        raise ValueError(f"{name}: expected a number above 0, got {value}{reason and ': ' + reason}")


def check_support(value: Tensor, support: Constraint | None, expected: str) -> None:
    """Raise unless all values lie in the support. Reads from the device: for ``validate_args=True`` alone."""
    if support is not None and not bool(support.check(value).all()):
        raise ValueError(f"value: expected {expected}, got others")
