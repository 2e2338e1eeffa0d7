"""Generated equations and the judgement of samples."""

import numpy as np
import pytest

from discrete_gan.data.equations import all_equations, draw_equations, equation_scores, is_valid


def test_every_equation_is_valid_and_there_once() -> None:
    every = all_equations()
    assert len(every) == len(set(every)) == 6_480
    assert all(is_valid(text) for text in every)
    assert {"10+10=20", "89+10=99", "99-89=10", "99-10=89", "12+30=42"} <= set(every)
    assert not {"10-10=0", "99+10=109", "7+30=37"} & set(every)


def test_judged_as_python_does() -> None:
    # All short strings over the letters, read by Python: where it agrees there are no other valid ones.
    rng = np.random.default_rng(0)
    signs = rng.choice(list("+-="), (20_000, 2))
    numbers = rng.integers(0, 40, (20_000, 3))
    texts = {f"{a}{left}{b}{right}{c}" for (a, b, c), (left, right) in zip(numbers, signs, strict=True)}
    every = set(all_equations())
    assert {text for text in texts if is_valid(text)} == texts & every
    assert texts & every


@pytest.mark.parametrize(
    "text",
    [
        *("", "11+11", "11+11=23", "11+11==22", "11+11=22=22", "11*11=121", "11+11=12+10", "+11=11", "11+11="),
        *("<unk>+11=22", "1+10=11", "11-10=1", "011+11=22", "11+11=022", "90+10=100", "-11+22=11", "11-22=-11"),
        *("11 +11=22", " 11+11=22", "11+11=22 ", "11+11=22\n", "١١+١١=٢٢", "11+19=3٠", "1٠+10=20", "1²+10=22"),
    ],
)
def test_what_is_not_valid(text: str) -> None:
    assert not is_valid(text)


def test_parts_are_apart_and_follow_the_seed() -> None:
    parts = draw_equations()
    assert (len(parts.train), len(parts.held_out)) == (3000, 500)
    assert len({*parts.train, *parts.held_out}) == 3500
    assert {*parts.train, *parts.held_out} < set(all_equations())
    # The draw is random: either sign is there in about its part of all.
    assert 0.47 < sum("-" in text for text in parts.train) / 3000 < 0.53
    assert draw_equations() == parts
    drawn = {tuple(draw_equations(seed=seed, num_train=5).train) for seed in (0, 1, -1, 2**32, 2**40)}
    assert len(drawn) == 5


def test_scores() -> None:
    lines = ["11+11=22", "11+11=22", "12+12=24", "12+12=25", "", "33-11=22"]
    scores = equation_scores(lines, ["11+11=22", "19+19=38"])
    assert scores == {"valid": 4 / 6, "distinct": 3 / 6, "new": 2 / 3}
    assert equation_scores(["nonsense"], []) == {"valid": 0, "distinct": 0, "new": 0}
    assert equation_scores([], ["11+11=22"]) == {"valid": 0, "distinct": 0, "new": 0}
