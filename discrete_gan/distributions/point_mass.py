"""All mass at one point: what a generator of continuous data returns."""

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size as Shape


class PointMass(Distribution):
    """A distribution whose every sample is the same point, so that x is a function of z.

    It has no density: ``log_prob`` is not there, and estimators that need it do not accept it.

    Args:
        value: The points, shape (B, D). Carries gradient.

    Attributes:
        value: As given.
    """

    arg_constraints = {"value": constraints.real_vector}  # pyright: ignore
    support = constraints.real_vector  # pyright: ignore
    has_rsample = True

    def __init__(self, value: Tensor, validate_args: bool | None = None) -> None:
        if value.dim() < 1:
            raise ValueError(f"value: expected shape (B, D), got {tuple(value.shape)}")
        self.value = value
        super().__init__(value.shape[:-1], value.shape[-1:], validate_args=bool(validate_args))

    @property
    def mean(self) -> Tensor:
        """The points, shape (B, D). Carries gradient."""
        return self.value

    @property
    def mode(self) -> Tensor:
        """The points, shape (B, D). Carries gradient."""
        return self.value

    @property
    def variance(self) -> Tensor:
        """Zeros, shape (B, D)."""
        return torch.zeros_like(self.value)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """The points, shape ``sample_shape`` + (B, D). No gradient."""
        return self.value.detach().expand(self._extended_shape(torch.Size(sample_shape)))

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """The points, shape ``sample_shape`` + (B, D). Gradients reach them."""
        return self.value.expand(self._extended_shape(torch.Size(sample_shape)))
