"""Rows of a table, drawn column by column, each given those before it."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.types import _size as Shape

from discrete_gan._arguments import check_positive, check_support
from discrete_gan._precision import at_least_float32
from discrete_gan.distributions._draw import draw
from discrete_gan.distributions.ragged import Clamped, RaggedColumns


class ColumnDecoder(Protocol):
    """The network of the distribution: what it computes of N rows under way.

    What a row has so far is a sum of vectors, one for z and one for each category that was drawn.
    """

    sizes: tuple[int, ...]
    order: tuple[int, ...]

    def start(self, z: Tensor) -> Tensor:
        """Sums before the first column, (N, H), from latents (N, latent_dim)."""
        ...

    def vector(self, x: Tensor, column: int) -> Tensor:
        """Vectors (N, H) of a column's categories (N,), or of relaxed ones (N, K_d)."""
        ...

    def ordered(self, x: Tensor) -> Tensor:
        """Rows (N, D) with their columns in the order in which they are drawn."""
        ...

    def vectors(self, x: Tensor) -> Tensor:
        """Vectors (N, D, H) of the categories of such rows, (N, D)."""
        ...

    def logits(self, sums: Tensor, column: int) -> Tensor:
        """Unnormalized log-probabilities in nats of one column, (N, K_d), from sums (N, H)."""
        ...

    def all_logits(self, sums: Tensor) -> list[Tensor]:
        """Those of all columns, in runs of columns of one size, (N, columns, K_d) each, from sums (N, D, H)."""
        ...


class RaggedAutoregressive(RaggedColumns):
    r"""D columns of :math:`K_d` categories, :math:`g(x \mid z) = \prod_d g(x_d \mid x_{<d}, z)`, as indices (D,).

    "Before" is by the decoder's order; rows have the order of the table.

    Args:
        decoder: The network.
        z: Latents, shape (B, latent_dim); latent_dim may be 0.
        validate_args: Whether :meth:`log_prob` looks at the values, which reads them back from a device.

    Attributes:
        sizes: :math:`K_d` of each column.
    """

    def __init__(self, decoder: ColumnDecoder, z: Tensor, validate_args: bool | None = None) -> None:
        if z.dim() != 2:
            raise ValueError(f"z: expected shape (B, latent_dim), got {tuple(z.shape)}")
        self.decoder, self.z = decoder, z
        super().__init__(decoder.sizes, z, validate_args)

    def sample(self, sample_shape: Shape = (), *, temperature: float = 1.0) -> Tensor:
        """Draws rows, one column of all of them at once.

        Args:
            sample_shape: Usually () or (M,).
            temperature: Divides the logits; 1 draws from the distribution itself, less is closer to its modes.

        Returns:
            int64 of shape ``sample_shape`` + (B, D). No gradient.

        Raises:
            ValueError: If the temperature is not above 0.
        """
        x, _ = self._drawn(torch.Size(sample_shape), {}, temperature)
        return x.view(*sample_shape, *self.batch_shape, *self.event_shape)

    def sample_given(self, given: Mapping[int, int]) -> Clamped:
        """Draws a row per latent whose columns at some positions have given categories.

        It is a draw of the proposal that clamps these columns and draws every other one given those before it. Where
        the given columns come first in the order, all weights of a latent are equal, and it is exact.

        Args:
            given: The category of each of these positions.
        """
        return Clamped(*self._drawn(torch.Size(), given, 1.0))

    def _drawn(self, sample_shape: torch.Size, given: Mapping[int, int], temperature: float) -> tuple[Tensor, Tensor]:
        check_positive("temperature", temperature)
        with torch.no_grad():
            z = self._rows(sample_shape.numel())
            sums, columns = self.decoder.start(z), [z.new_empty(0)] * len(self.sizes)
            log_w = at_least_float32(z.new_zeros(len(z)))
            for column in self.decoder.order:
                logits = at_least_float32(self.decoder.logits(sums, column)) / temperature
                if column in given:
                    x = torch.full((len(z),), given[column], device=z.device)
                    log_w = log_w + torch.log_softmax(logits, dim=-1)[:, given[column]]
                else:
                    x = draw(logits)
                columns[column] = x
                sums = sums + self.decoder.vector(x, column)
            return torch.stack(columns, dim=-1), log_w

    def rsample(self, sample_shape: Shape = (), *, temperature: float = 0.5, hard: bool = False) -> Tensor:
        """Relaxed draws, each column from the Gumbel-softmax (Concrete) distribution given the relaxed ones before it.

        Args:
            sample_shape: Usually (M,).
            temperature: Above 0.
            hard: One-hot forward, keep the relaxed gradient backward (straight-through).

        Returns:
            Points of the simplices, shape ``sample_shape`` + (B, K). Gradients reach the decoder and z.

        Raises:
            ValueError: If the temperature is not above 0.
        """
        check_positive("temperature", temperature)
        z = self._rows(torch.Size(sample_shape).numel())
        sums, columns = self.decoder.start(z), [z] * len(self.sizes)
        for column in self.decoder.order:
            logits = at_least_float32(self.decoder.logits(sums, column))
            columns[column] = x = torch.nn.functional.gumbel_softmax(logits, temperature, hard=hard)
            sums = sums + self.decoder.vector(x.to(sums.dtype), column)
        return torch.cat(columns, dim=-1).view(*sample_shape, *self.batch_shape, -1)

    def log_prob(self, value: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Log-probability in nats, in one pass over all columns.

        Args:
            value: Indices of any integer type, shape (M, B, D) or any shape that ends in (B, D).
            temperature: Divides the logits, as in :meth:`sample`.

        Returns:
            Shape of ``value`` without D. Gradients reach the decoder and z.

        Raises:
            ValueError: If ``value`` does not end in (B, D) or holds no integers, the temperature is not above 0, or,
                with ``validate_args``, a value lies outside the support.
        """
        expected = (*self.batch_shape, *self.event_shape)
        if value.shape[-2:] != expected or value.is_floating_point():
            kind = f"{value.dtype} of shape {tuple(value.shape)}"
            raise ValueError(f"value: expected integers of a shape ending in {expected}, got {kind}")
        check_positive("temperature", temperature)
        if self._validate_args:
            check_support(value, self.support, "indices of categories")
        rows = self.decoder.ordered(value.long().reshape(-1, len(self.sizes)))
        vectors = self.decoder.vectors(rows)
        start = self.decoder.start(self._rows(len(rows) // max(1, len(self.z))))
        # Exclusive sums: what each column knows of those before it.
        sums = torch.cat([start[:, None], start[:, None] + vectors[:, :-1].cumsum(dim=1)], dim=1)
        logits = self.decoder.all_logits(sums)
        of_runs = rows.split([run.shape[1] for run in logits], dim=1)
        terms = [
            torch.log_softmax(at_least_float32(run) / temperature, dim=-1).gather(-1, x[..., None]).sum(dim=(-2, -1))
            for run, x in zip(logits, of_runs, strict=True)
        ]
        return torch.stack(terms).sum(dim=0).view(value.shape[:-1])

    def _rows(self, repeats: int) -> Tensor:
        """Latents of rows, M B of them, M outermost."""
        return self.z.repeat(repeats, 1)
