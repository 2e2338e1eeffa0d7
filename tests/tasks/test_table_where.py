"""Rows of given values: their law is that of all rows which happen to have these."""

from typing import Any

import pytest
import torch

from discrete_gan.data.table_schema import Column, Schema
from discrete_gan.errors import InputError
from discrete_gan.models import AutoregressiveTableGenerator, TableGenerator
from discrete_gan.sampling import evaluating, generate
from discrete_gan.tasks.table_where import conditions, sample_where

SCHEMA = Schema(
    (
        Column("same", "constant", values=("x",)),
        Column("n", "integer", points=(1, 2)),
        Column("color", "categorical", values=("red", "blue", "green")),
        Column("old", "boolean", values=(False, True), missing="NA"),
    )
)


def independent_given_z() -> TableGenerator:
    generator = TableGenerator(2, (2, 3, 2), hidden=(16,))
    torch.nn.init.normal_(generator.layers[-1].weight, std=1.0)  # type: ignore[arg-type]
    return generator


def one_by_one(*order: int) -> AutoregressiveTableGenerator:
    torch.manual_seed(2)  # by which the columns depend on each other
    generator = AutoregressiveTableGenerator(0, (2, 3, 2), 16, order=order)
    torch.nn.init.normal_(generator.output.weight, std=0.3)
    torch.nn.init.normal_(generator.embedding.weight, std=2.0)
    return generator


GENERATORS = {
    "independent given z": independent_given_z,
    "given last": lambda: one_by_one(0, 1, 2),
    "given first": lambda: one_by_one(2, 1, 0),
}


@pytest.mark.parametrize("kind", GENERATORS)
def test_the_other_columns_are_as_in_rows_that_have_the_value(kind: str) -> None:
    torch.manual_seed(0)
    generator: Any = GENERATORS[kind]()
    every, num = generate(generator, 40_000, seed=1), 4000
    these = every[(every[:, 1] == 2) & (every[:, 2] == 1)]
    found = sample_where(generator, {1: 2, 2: 1}, num)
    assert (found.x[:, 1:] == torch.tensor([2, 1])).all() and found.x.shape == (num, 3)
    assert abs(found.share - len(these) / len(every)) < 5 * (found.share / len(every)) ** 0.5 + 0.01
    if kind == "given first":  # as many rows are drawn as are asked for, each with the same weight
        assert found.effective == pytest.approx(num)
        assert found.share == pytest.approx(_probability(generator), rel=1e-5)
    else:
        assert 100 < found.effective < 10 * num
    shares = [(rows[:, 0] == 1).double().mean() for rows in (found.x, these, every)]
    spread = (0.25 / found.effective + 0.25 / len(these)) ** 0.5
    assert abs(shares[0] - shares[1]) < 5 * spread < abs(shares[2] - shares[1])
    assert torch.equal(found.x, sample_where(generator, {1: 2, 2: 1}, num).x)


def _probability(generator: AutoregressiveTableGenerator) -> float:
    """That column 1 is 2 and column 2 is 1, by enumeration."""
    with evaluating(generator), torch.no_grad():
        return float(generator(torch.zeros(2, 0)).log_prob(torch.tensor([[0, 2, 1], [1, 2, 1]])).exp().sum())


def test_values_that_are_asked_for() -> None:
    assert conditions(["color=green", "old=True"], SCHEMA) == {1: 2, 2: 1}
    assert conditions(["old="], SCHEMA) == conditions(["old=NA"], SCHEMA) == {2: 2}
    with pytest.raises(InputError, match="--where color=red: expected one value of 'color', it has one already"):
        conditions(["color=green", "color=red"], SCHEMA)
    for text, told in {
        "color": "--where color: expected COLUMN=VALUE",
        "colour=red": "no column 'colour': expected one of n, color, old",
        "color=pink": "expected one of red, blue, green",
        "n=1": "expected a column of categories, 'n' is of kind integer",
        "same=y": "--where same=y: 'same' is 'x' in all rows",
        "color=": "expected one of red, blue, green$",
        "old=no": "expected one of False, True, or nothing, for a missing one",
    }.items():
        with pytest.raises(InputError, match=told):
            conditions([text], SCHEMA)
