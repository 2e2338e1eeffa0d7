"""Checks of argument shapes and ranges. Values on a device are looked at only where the caller asks for it."""

from torch import Tensor
from torch.distributions.constraints import Constraint


def check_samples(name: str, value: Tensor) -> None:
    """Raise unless ``value`` is a floating-point tensor of shape (M, B)."""
    if value.dim() != 2 or value.shape[0] == 0:
        raise ValueError(f"{name}: expected shape (M, B), samples first, got {tuple(value.shape)}")
    if not value.is_floating_point():
        raise ValueError(f"{name}: expected a floating-point tensor, got {value.dtype}")


def check_floats(name: str, value: Tensor) -> None:
    """Raise unless ``value`` is a floating-point tensor."""
    check_tensor(name, value)
    if not value.is_floating_point():
        raise ValueError(f"{name}: expected a floating-point tensor, got {value.dtype}")


def check_tensor(name: str, value: Tensor) -> None:
    """Raise unless ``value`` is a tensor; of a NumPy array say how it becomes one."""
    if not isinstance(value, Tensor):
        if type(value).__module__ == "numpy":
            raise ValueError(f"{name}: expected a tensor, got a NumPy array: pass torch.from_numpy({name})")
        raise ValueError(f"{name}: expected a tensor, got {type(value).__name__}")


def check_axis(name: str, value: Tensor, dim: int) -> None:
    """Raise unless ``value`` has the axis, and something along it."""
    shape = tuple(value.shape)
    if not shape:
        raise ValueError(f"{name}: expected at least one axis, of samples, got shape ()")
    if not isinstance(dim, int) or not -len(shape) <= dim < len(shape):
        raise ValueError(f"dim: expected an axis of {name}, from {-len(shape)} to {len(shape) - 1}, got {dim}")
    if shape[dim] == 0:
        raise ValueError(f"{name}: expected at least one sample along axis {dim}, got shape {shape}")


def check_same_shape(name: str, value: Tensor, reference_name: str, reference: Tensor) -> None:
    """Raise unless both have one shape: broadcasting (M, B) against (M, 1) would go wrong without a word."""
    check_tensor(name, value)
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
