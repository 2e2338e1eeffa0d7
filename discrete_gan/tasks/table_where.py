r"""Rows that have given values in some columns, from a generator that was trained without conditions.

Columns that are given are not drawn, and rows are resampled by the probability that they would have been: of a
generator whose columns are independent given z the latents are, :math:`p(z)\, g(x_c = v \mid z)`, and their other
columns drawn anew. Where the given columns are the first to be drawn, all weights are one and the rows exact.

Reference:
    Bayesian Statistics without Tears: a Sampling-Resampling Perspective (Smith and Gelfand, 1992),
    https://doi.org/10.1080/00031305.1992.10475856
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from discrete_gan.contracts import Generator
from discrete_gan.data.table_schema import LISTED, Schema
from discrete_gan.distributions import RaggedCategorical
from discrete_gan.errors import InputError
from discrete_gan.sampling import evaluating
from discrete_gan.seeds import seeded
from discrete_gan.weights import diagnose, log_partition, resample

_POOL = 10  # drawn for each row
_FEWEST = 10_000  # drawn
_ROWS = 1000  # at a time
_ROUNDING = 1e-4  # nats, between equal log-weights of rows at different places of a batch


class ConditionalRows(NamedTuple):
    """What :func:`sample_where` returns.

    Attributes:
        x: Categories, int64, shape (N, D).
        share: Of all rows of the generator, those that have the values.
        effective: Different rows, or latents, that they are worth.
    """

    x: Tensor
    share: float
    effective: float


def conditions(where: Sequence[str], schema: Schema) -> dict[int, int]:
    """Positions and categories of ``COLUMN=VALUE``.

    Raises:
        InputError: If one is none, or the schema has no such column or value.
    """
    names = [column.name for column in schema.learnt]
    constants = {column.name: column.values[0] for column in schema.columns if column.kind == "constant"}
    found: dict[int, int] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--where {text}: expected COLUMN=VALUE")
        if name in constants:
            raise InputError(f"--where {text}: {name!r} is {constants[name]!r} in all rows")
        if name not in names:
            raise InputError(f"--where {text}: no column {name!r}: expected one of {', '.join(names)}")
        place = names.index(name)
        column = schema.learnt[place]
        if column.kind not in LISTED:
            raise InputError(f"--where {text}: expected a column of categories, {name!r} is of kind {column.kind}")
        if place in found:
            raise InputError(f"--where {text}: expected one value of {name!r}, it has one already")
        values = list(map(str, column.values))
        if value in ("", column.missing) and column.missing is not None:
            found[place] = column.size - 1
        elif value in values:
            found[place] = values.index(value)
        else:
            listed = f"{', '.join(values[:10])}{', ...' * (len(values) > 10)}"
            missing = ", or nothing, for a missing one" if column.missing is not None else ""
            raise InputError(f"--where {text}: expected one of {listed}{missing}")
    return found


def sample_where(generator: Generator, given: Mapping[int, int], num: int, *, seed: int = 0) -> ConditionalRows:
    """Rows whose columns at some positions have given categories.

    Args:
        generator: Returns :class:`~discrete_gan.distributions.RaggedAutoregressive` or ``RaggedCategorical``.
        given: The category of each of these positions.
        num: N, rows.
        seed: Of latents and samples.

    Raises:
        InputError: If nothing that was drawn leads to such rows.
    """
    with torch.no_grad(), evaluating(generator), seeded(seed, "where"):
        z = generator.latents(max(_FEWEST, _POOL * num))
        drawn = [_of(generator, z[:_ROWS]).sample_given(given)]
        first = drawn[0].log_w
        if first.max() - first.min() < _ROUNDING:  # so are all others: the given columns are drawn first
            z = z[: max(num, _ROWS)]
        drawn += [_of(generator, part).sample_given(given) for part in z[_ROWS:].split(_ROWS) if len(part)]
        x, log_w = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        if not log_w.isfinite().any():
            raise InputError("--where: expected values that occur together, the generator has no such row")
        chosen = resample(log_w, num)[torch.randperm(num, device=z.device)]
        if isinstance(_of(generator, z[:1]), RaggedCategorical):  # rows of one latent differ in their other columns
            x = torch.cat([_of(generator, part).sample_given(given).x for part in z[chosen].split(_ROWS)])
        else:
            x = x[chosen]
        effective = diagnose(log_w).effective_sample_size
        return ConditionalRows(x, float(log_partition(log_w).exp()), float(effective))


def _of(generator: Generator, z: Tensor) -> Any:
    return generator(z)
