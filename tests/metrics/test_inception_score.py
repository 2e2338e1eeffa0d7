"""Inception Score: exact answers, and the metric against the function."""

import math

import pytest
import torch

from discrete_gan.metrics import AMScore, InceptionScore, am_score, inception_score, mode_score


def test_even_one_hot_scores_the_number_of_classes() -> None:
    result = inception_score(torch.eye(7).repeat(3, 1))
    assert result.score.item() == pytest.approx(7, abs=1e-12)
    assert result.marginal_entropy.item() == pytest.approx(math.log(7))
    assert result.conditional_entropy.item() == 0


@pytest.mark.parametrize("row", [[0.0, 1, 0], [0.2, 0.5, 0.3]])
def test_constant_scores_one(row: list[float]) -> None:
    assert inception_score(torch.tensor([row] * 9)).score.item() == pytest.approx(1, abs=1e-12)


def test_by_hand() -> None:
    # Marginal (3/4, 1/4); conditional entropies 0 and log 2.
    marginal = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    result = inception_score(torch.tensor([[1.0, 0], [0.5, 0.5]]))
    assert result.score.item() == pytest.approx(math.exp(marginal - math.log(2) / 2), abs=1e-12)


def test_metric_in_pieces_equals_function_on_whole() -> None:
    probabilities = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).mul(3).softmax(1)
    first, second = InceptionScore(4), InceptionScore(4)
    for part in probabilities[:33].split(10):
        first.update(part)
    second.update(probabilities[33:])
    first.merge_state(second)
    for got, expected in zip(first.compute(), inception_score(probabilities), strict=True):
        assert got.item() == pytest.approx(expected.item(), rel=1e-12)


def test_empty_and_wrong_shapes_are_errors() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        inception_score(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="expected shape"):
        inception_score(torch.zeros(3))
    with pytest.raises(ValueError, match="expected 3 classes"):
        InceptionScore(3).update(torch.full((2, 4), 0.25))


SCORES = {
    "inception": inception_score,
    "inception metric": lambda rows: InceptionScore(3).update(rows),
    "mode": lambda rows: mode_score(rows, torch.full((3,), 1 / 3)),
    "am": lambda rows: am_score(rows, torch.full((3,), 1 / 3)),
    "am metric": lambda rows: AMScore(torch.full((3,), 1 / 3)).update(rows),
}


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "row",
    [[2.0, -1.0, 0.0], [0.5, 0.5, 0.5], [math.nan, 0.5, 0.5], [math.inf, 0, 0], [0.2, 0.2, 0.58]],
    ids=["logits", "too much", "NaN", "infinity", "too little"],
)
def test_rows_that_are_no_distribution_are_refused(score: str, row: list[float]) -> None:
    fair = torch.full((4, 3), 1 / 3)
    fair[2] = torch.tensor(row)
    with pytest.raises(ValueError, match=r"got row 2 with sum .*softmax"):
        SCORES[score](fair)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_rows_of_any_precision_are_distributions(dtype: torch.dtype) -> None:
    logits = torch.randn(100, 1000, generator=torch.Generator().manual_seed(0))
    assert inception_score(logits.softmax(1).to(dtype)).score.isfinite()
