"""Rows of given values: their law is that of all rows which happen to have these."""

import pytest
import torch

from discrete_gan.data.table_schema import Column, Schema
from discrete_gan.errors import InputError
from discrete_gan.models import TableGenerator
from discrete_gan.sampling import generate
from discrete_gan.tasks.table_where import conditions, sample_where

SCHEMA = Schema(
    (
        Column("same", "constant", values=("x",)),
        Column("n", "integer", points=(1, 2)),
        Column("color", "categorical", values=("red", "blue", "green")),
        Column("old", "boolean", values=(False, True)),
    )
)


def test_the_other_columns_are_as_in_rows_that_have_the_value() -> None:
    torch.manual_seed(0)
    generator = TableGenerator(2, (2, 3, 2), hidden=(16,))
    torch.nn.init.normal_(generator.layers[-1].weight, std=1.0)  # type: ignore[arg-type]
    every, num = generate(generator, 40_000, seed=1), 4000
    these = every[(every[:, 1] == 2) & (every[:, 2] == 1)]
    found = sample_where(generator, {1: 2, 2: 1}, num)
    assert (found.x[:, 1:] == torch.tensor([2, 1])).all() and found.x.shape == (num, 3)
    assert abs(found.share - len(these) / len(every)) < 5 * (found.share / len(every)) ** 0.5 + 0.01
    assert 100 < found.effective < 40_000
    shares = [(rows[:, 0] == 1).double().mean() for rows in (found.x, these, every)]
    spread = (0.25 / found.effective + 0.25 / len(these)) ** 0.5
    assert abs(shares[0] - shares[1]) < 5 * spread < abs(shares[2] - shares[1])
    assert torch.equal(found.x, sample_where(generator, {1: 2, 2: 1}, num).x)


def test_values_that_are_asked_for() -> None:
    assert conditions(["color=green", "old=True"], SCHEMA) == {1: 2, 2: 1}
    for text, told in {
        "color": "--where color: expected COLUMN=VALUE",
        "colour=red": "no column 'colour': expected one of n, color, old",
        "color=pink": "expected one of red, blue, green",
        "n=1": "expected a column of categories, 'n' is of kind integer",
        "same=x": "no column 'same'",
    }.items():
        with pytest.raises(InputError, match=told):
            conditions([text], SCHEMA)
