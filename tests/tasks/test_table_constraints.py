"""What decides what: found in tables where it is known, and how many rows break it."""

import torch

from discrete_gan.data.table_schema import Column, Rare
from discrete_gan.tasks.table_constraints import broken, dependencies

CITY = Column("city", "categorical", values=("Bern", "Rome", "Oslo", "Nice"))
COUNTRY = Column("country", "categorical", values=("CH", "IT", "NO", "FR"))
CODE = Column("code", "integer", points=(41, 39, 47, 33))
AGE = Column("age", "integer", bins=((0, 9), (10, 99)))
COLUMNS = (CITY, COUNTRY, CODE, AGE)


def rows(num: int = 120) -> torch.Tensor:
    """Rome stands for two countries, country and code for each other, the age decides nothing that counts."""
    country = torch.arange(num) % 3
    city = torch.where(torch.arange(num) % 2 == 0, 1, country)
    return torch.stack([city, country, country, country.clamp(max=1)], dim=-1)


def test_what_holds_in_every_row_is_found() -> None:
    held = [(each.of, each.on) for each in dependencies(rows(), COLUMNS)]
    assert held == [(1, 2), (2, 1)]  # a bin of ages is no value


def test_one_row_ends_a_dependency() -> None:
    data = rows()
    data[7, 2] = (data[7, 2] + 1) % 3
    assert dependencies(data, COLUMNS) == []


def test_values_of_few_rows_say_nothing() -> None:
    assert dependencies(rows(29), COLUMNS) == []  # three countries, fewer than ten rows each
    assert [(each.of, each.on) for each in dependencies(rows(30), COLUMNS)] == [(1, 2), (2, 1)]


def test_columns_of_one_value_and_joined_ones_are_left_out() -> None:
    same = torch.zeros(100, 1, dtype=torch.int64)
    assert dependencies(torch.cat([same, same], dim=1), (CITY, COUNTRY)) == []
    joined = Column("country", "categorical", values=("CH", "IT"), rare=(Rare("NO", 1), Rare("FR", 1)))
    assert dependencies(rows()[:, 1:3], (joined, CODE)) == []


def test_rows_that_break_one_are_counted_once() -> None:
    held = dependencies(rows(), COLUMNS)
    fresh = torch.tensor([[0, 0, 0, 0], [0, 0, 1, 0], [0, 3, 0, 0], [0, 3, 3, 0], [0, 2, 2, 1]])
    # France is in no row of the data, so nothing is known of it; code 41 is known to be Switzerland's.
    assert broken(fresh, held).tolist() == [False, True, True, False, False]
    assert not broken(rows(), held).any() and not broken(fresh, []).any()
