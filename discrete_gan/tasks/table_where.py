r"""Rows that have given values in some columns, from a generator that was trained without conditions.

Given z the columns are independent, so rows with :math:`x_c = v` come from latents of the law
:math:`p(z)\, g(x_c = v \mid z)`, and their other columns from g given z: latents of the prior are resampled by weight.

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
from discrete_gan.errors import InputError
from discrete_gan.sampling import evaluating
from discrete_gan.seeds import seeded
from discrete_gan.weights import diagnose, log_partition, resample

_POOL = 10  # latents for each row
_FEWEST = 10_000  # latents
_ROWS = 1000  # at a time


class ConditionalRows(NamedTuple):
    """What :func:`sample_where` returns.

    Attributes:
        x: Categories, int64, shape (N, D).
        share: Of all rows of the generator, those that have the values.
        effective: Different latents that the rows are worth.
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
    found = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--where {text}: expected COLUMN=VALUE")
        if name not in names:
            raise InputError(f"--where {text}: no column {name!r}: expected one of {', '.join(names)}")
        column = schema.learnt[names.index(name)]
        if column.kind not in LISTED:
            raise InputError(f"--where {text}: expected a column of categories, {name!r} is of kind {column.kind}")
        values = list(map(str, column.values))
        if value not in values:
            raise InputError(f"--where {text}: expected one of {', '.join(values[:10])}{', ...' * (len(values) > 10)}")
        found[names.index(name)] = values.index(value)
    return found


def sample_where(generator: Generator, given: Mapping[int, int], num: int, *, seed: int = 0) -> ConditionalRows:
    """Rows whose columns at some positions have given categories.

    Args:
        generator: Returns :class:`~discrete_gan.distributions.RaggedCategorical`.
        given: The category of each of these positions.
        num: N, rows.
        seed: Of latents and samples.

    Raises:
        InputError: If no latent leads to such rows.
    """
    with torch.no_grad(), evaluating(generator), seeded(seed, "where"):
        z = generator.latents(max(_FEWEST, _POOL * num))
        value = torch.tensor(list(given.values()), device=z.device)
        starts = [sum(_of(generator, z[:2]).sizes[:position]) for position in given]
        index = torch.tensor(starts, device=z.device) + value
        log_w = torch.cat([_of(generator, part).logits[:, index].sum(dim=1) for part in z.split(_ROWS)])
        if not log_w.isfinite().any():
            raise InputError("--where: expected values that occur together, the generator has no such row")
        chosen = z[resample(log_w, num)[torch.randperm(num, device=z.device)]]
        x = torch.cat([_of(generator, part).sample() for part in chosen.split(_ROWS)])
        x[:, list(given)] = value
        effective = diagnose(log_w).effective_sample_size
        return ConditionalRows(x, float(log_partition(log_w).exp()), float(effective))


def _of(generator: Generator, z: Tensor) -> Any:
    return generator(z)
