"""Independent columns of different numbers of categories, as the rows of a table have them."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size as Shape

from discrete_gan._arguments import check_support
from discrete_gan.distributions.categorical import FactorizedCategorical


class Clamped(NamedTuple):
    """What ``sample_given`` returns.

    Attributes:
        x: Rows, int64, shape (B, D).
        log_w: Log-probability of the given categories, each given what was drawn before it, in nats, shape (B,).
    """

    x: Tensor
    log_w: Tensor


class RaggedColumns(Distribution):
    """What distributions over the rows of a table share.

    Args:
        sizes: :math:`K_d` of each column.
        like: A tensor of its device and type, of batch (B, ...).
        validate_args: Whether ``log_prob`` looks at the values, which reads them back from a device.
    """

    arg_constraints = {}  # pyright: ignore
    has_enumerate_support = True

    def __init__(self, sizes: Sequence[int], like: Tensor, validate_args: bool | None) -> None:
        self.sizes, self._like = tuple(sizes), like
        # Checking values would read them back from the device; torch's default is to check.
        super().__init__(like.shape[:-1], torch.Size([len(self.sizes)]), validate_args=bool(validate_args))

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Indices from 0 to below the size of each column, shape (D,)."""
        sizes = torch.tensor(self.sizes, device=self._like.device)
        return constraints.independent(constraints.integer_interval(torch.zeros_like(sizes), sizes - 1), 1)

    def to_one_hot(self, value: Tensor) -> Tensor:
        """Indices (..., D) as rows of K numbers, one 1 in each column, of the distribution's type."""
        return ragged_one_hot(value, self.sizes, self._like.dtype)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, the last column counting fastest.

        Args:
            expand: Over the batch shape.

        Returns:
            int64, shape (S, B, D) with S the product of the sizes, or (S, 1, D) without ``expand``.
        """
        columns = [torch.arange(size, device=self._like.device) for size in self.sizes]
        rows = torch.cartesian_prod(*columns).view(-1, *[1] * len(self.batch_shape), len(columns))
        return rows.expand(len(rows), *self.batch_shape, len(columns)) if expand else rows


class RaggedCategorical(RaggedColumns):
    r"""D independent categorical variables, the d-th of :math:`K_d` categories, as indices of shape (D,).

    The logits of all columns stand side by side, :math:`K = \sum_d K_d` of them, so that a column of many categories
    makes no other one wider, and hard samples take D numbers each. Relaxed ones are rows of K numbers, and those of a
    column sum to one. Columns of one size that are neighbors are computed together.

    Args:
        logits: Unnormalized log-probabilities in nats, shape (B, K). Carries gradient.
        sizes: :math:`K_d` of each column.

    Attributes:
        logits: Normalized log-probabilities of each column, shape (B, K), at least float32.
        parts: The columns as :class:`FactorizedCategorical`, those of each run of equal sizes together.
    """

    def __init__(self, logits: Tensor, sizes: Sequence[int], validate_args: bool | None = None) -> None:
        if logits.dim() < 1 or logits.shape[-1] != sum(sizes) or min(sizes, default=0) < 1:
            raise ValueError(f"logits: expected shape (B, {sum(sizes)}), as sizes say, got {tuple(logits.shape)}")
        self.parts = [FactorizedCategorical(part) for part in by_runs(logits, sizes)]
        self.logits = _joined([part.logits for part in self.parts])
        super().__init__(sizes, self.logits, validate_args)

    def expand(self, batch_shape: Shape, _instance: None = None) -> "RaggedCategorical":
        """The same distribution with a broadcast batch shape."""
        return RaggedCategorical(self.logits.expand(*batch_shape, -1), self.sizes)

    @property
    def probs(self) -> Tensor:
        """Probabilities, shape (B, K). Carries gradient."""
        return self.logits.exp()

    @property
    def mean(self) -> Tensor:
        """Same as :attr:`probs`: the mean of :meth:`to_one_hot` of samples."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The likeliest category of each column, int64, shape (B, D). No gradient."""
        return torch.cat([part.logits.argmax(dim=-1) for part in self.parts], dim=-1)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draws category indices, each column by the inverse of its distribution function.

        Args:
            sample_shape: Usually (M,).

        Returns:
            int64 of shape ``sample_shape`` + (B, D). No gradient.
        """
        return torch.cat([part.sample_indices(sample_shape) for part in self.parts], dim=-1)

    def sample_given(self, given: Mapping[int, int]) -> Clamped:
        """Draws a row per latent whose columns at some positions have given categories: the others are as ever.

        Args:
            given: The category of each of these positions.
        """
        x, starts = self.sample(), [0, *itertools.accumulate(self.sizes)]
        positions, values = list(given), torch.tensor(list(given.values()), device=x.device)
        x[:, positions] = values
        index = torch.tensor([starts[position] for position in positions], device=x.device) + values
        return Clamped(x, self.logits[:, index].sum(dim=1))

    def rsample(self, sample_shape: Shape = (), *, temperature: float = 0.5, hard: bool = False) -> Tensor:
        """Relaxed draws from the Gumbel-softmax (Concrete) distribution of each column.

        Args:
            sample_shape: Usually (M,).
            temperature: Above 0.
            hard: One-hot forward, keep the relaxed gradient backward (straight-through).

        Returns:
            Points of the simplices, shape ``sample_shape`` + (B, K). Gradients reach the logits.

        Raises:
            ValueError: If the temperature is not above 0.
        """
        return _joined([part.rsample(sample_shape, temperature=temperature, hard=hard) for part in self.parts])

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats, looked up: nothing of K numbers is made for a sample.

        Args:
            value: Indices of any integer type, shape (M, B, D) or any shape that ends in (B, D).

        Returns:
            Shape of ``value`` without D. Gradients reach the logits. Minus infinity where a value is ruled out.

        Raises:
            ValueError: If ``value`` does not end in (B, D) or holds no integers, or, with ``validate_args``, lies
                outside the support.
        """
        expected = (*self.batch_shape, len(self.sizes))
        if value.shape[value.dim() - len(expected) :] != expected or value.is_floating_point():
            raise ValueError(f"value: expected integers of a shape ending in {expected}, got {tuple(value.shape)}")
        if self._validate_args:
            check_support(value, self.support, "indices of categories")
        samples_last = value.long().reshape(-1, *expected).movedim(0, -1)  # (B, D, M)
        runs = samples_last.split([part.event_shape[0] for part in self.parts], dim=-2)
        terms = [part.logits.gather(-1, run).sum(dim=-2) for part, run in zip(self.parts, runs, strict=True)]
        return torch.stack(terms).sum(dim=0).movedim(-1, 0).reshape(value.shape[:-1])

    def entropy(self) -> Tensor:
        """Entropy in nats, shape (B,). Carries gradient."""
        return torch.stack([part.entropy() for part in self.parts]).sum(dim=0)


def by_runs(value: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Rows of K numbers (..., K) cut into runs of columns of one size, each of shape (..., columns, size)."""
    runs = _runs(sizes)
    parts = value.split([size * number for size, number in runs], dim=-1)
    return [part.unflatten(-1, (number, size)) for part, (size, number) in zip(parts, runs, strict=True)]


def ragged_one_hot(indices: Tensor, sizes: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Category indices of each column, shape (..., D), as rows of K numbers with one 1 in each column, (..., K)."""
    runs = _runs(sizes)
    parts = indices.split([number for _, number in runs], dim=-1)
    zeros = [
        torch.zeros(*part.shape, size, dtype=dtype, device=part.device)
        for part, (size, _) in zip(parts, runs, strict=True)
    ]
    return _joined([zero.scatter_(-1, part.unsqueeze(-1), 1) for zero, part in zip(zeros, parts, strict=True)])


def _runs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Sizes of neighbors that are equal, and how many these are."""
    return [(size, len(list(equal))) for size, equal in itertools.groupby(sizes)]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.flatten(-2) for part in parts], dim=-1)
