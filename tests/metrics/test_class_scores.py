"""Mode Score and AM Score: by hand, against the Inception Score, and the metrics against the functions."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import kl_div

from discrete_gan.metrics import AMScore, ModeScore, am_score, inception_score, mode_score


def random_rows(seed: int, count: int, num_classes: int = 4) -> Tensor:
    return torch.randn(count, num_classes, generator=torch.Generator().manual_seed(seed)).mul(3).softmax(1).double()


def kl(p: Tensor, q: Tensor) -> float:
    return kl_div(q.log(), p, reduction="sum").item()


@pytest.mark.parametrize("seed", range(5))
def test_mode_score_is_the_inception_score_for_every_reference(seed: int) -> None:
    rows, reference = random_rows(seed, 30), random_rows(100 + seed, 1)[0]
    score, sample, marginal = mode_score(rows, reference)
    assert sample.item() == pytest.approx(sum(kl(row, reference) for row in rows) / 30, abs=1e-12)
    assert marginal.item() == pytest.approx(kl(rows.mean(0), reference), abs=1e-12)
    assert score.log().item() == pytest.approx((sample - marginal).item(), abs=1e-12)
    # Equation 40: mean KL from the marginal, and as a difference of entropies; equation 41: the same again.
    assert score.log().item() == pytest.approx(sum(kl(row, rows.mean(0)) for row in rows) / 30, abs=1e-12)
    assert score.item() == pytest.approx(inception_score(rows).score.item(), abs=1e-12)


def test_by_hand() -> None:
    rows, reference = torch.tensor([[1.0, 0], [0.5, 0.5]]), torch.tensor([0.25, 0.75])
    # Marginal (3/4, 1/4).
    _, sample, marginal = mode_score(rows, reference)
    assert sample.item() == pytest.approx((math.log(4) + 0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2, abs=1e-12)
    assert marginal.item() == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1 / 3), abs=1e-12)
    score, divergence, conditional_entropy = am_score(rows, reference)
    assert divergence.item() == pytest.approx(0.25 * math.log(1 / 3) + 0.75 * math.log(3), abs=1e-12)
    assert conditional_entropy.item() == pytest.approx(math.log(2) / 2, abs=1e-12)
    assert score.item() == pytest.approx((divergence + conditional_entropy).item(), abs=1e-12)


def test_am_score_is_the_divergence_of_the_reference_from_the_samples() -> None:
    rows, reference = random_rows(0, 20), random_rows(1, 1)[0]
    assert kl(rows.mean(0), reference) != pytest.approx(kl(reference, rows.mean(0)), rel=0.01)
    assert am_score(rows, reference).divergence.item() == pytest.approx(kl(reference, rows.mean(0)), abs=1e-12)
    values = (*am_score(rows.float(), reference), *mode_score(rows.float(), reference))
    assert all(value.dtype == torch.float64 for value in values)


def test_am_score_is_least_where_sure_samples_have_the_classes_of_the_data() -> None:
    rows = torch.eye(3)[[0, 0, 1, 2]]
    assert am_score(rows, torch.tensor([0.5, 0.25, 0.25])).score.item() == 0
    assert am_score(rows, torch.tensor([0.25, 0.5, 0.25])).score.item() == pytest.approx(math.log(2) / 4, abs=1e-12)


def test_classes_without_mass() -> None:
    rows = torch.eye(3)[[0, 1, 1]]
    missing = am_score(rows, torch.full((3,), 1 / 3))
    assert [value.item() for value in missing] == [math.inf, math.inf, 0]
    # The other way round, a class that the data have not, costs what its mass is taken from.
    extra = am_score(rows, torch.tensor([1.0, 0, 0]))
    assert extra.divergence.item() == pytest.approx(math.log(3), abs=1e-12)
    both = am_score(rows, torch.tensor([1 / 3, 2 / 3, 0], dtype=torch.float64))
    assert both.score.item() == pytest.approx(0, abs=1e-12)
    assert mode_score(rows, torch.tensor([1.0, 0, 0])).score.isnan()
    assert mode_score(rows, torch.tensor([0.5, 0.5, 0])).score.item() == pytest.approx(
        inception_score(rows).score.item(), abs=1e-12
    )


@pytest.mark.parametrize(("metric_class", "function"), [(ModeScore, mode_score), (AMScore, am_score)])
def test_metric_in_pieces_equals_function_on_whole(metric_class: type[ModeScore | AMScore], function) -> None:
    rows, reference = random_rows(2, 50).float(), random_rows(3, 1)[0].float()
    first, second, idle = (metric_class(reference) for _ in range(3))
    for part in rows[:33].split(10):
        first.update(part)
    second.update(rows[33:])
    first.merge_state(second)
    first.merge_state(idle)
    for got, expected in zip(first.compute(), function(rows, reference), strict=True):
        assert got.item() == pytest.approx(expected.item(), rel=1e-12)
    first.reset()
    first.update(rows[:5])
    assert first.compute().score.item() == pytest.approx(function(rows[:5], reference).score.item(), rel=1e-12)


def test_which_direction_is_better() -> None:
    assert ModeScore.higher_is_better is True
    assert AMScore.higher_is_better is False


@pytest.mark.parametrize("function", [mode_score, am_score])
def test_wrong_arguments_are_errors(function) -> None:
    rows, reference = random_rows(0, 5), torch.full((4,), 0.25)
    with pytest.raises(ValueError, match="probabilities: expected at least 1 sample"):
        function(rows[:0], reference)
    with pytest.raises(ValueError, match="probabilities: expected shape"):
        function(rows[0], reference)
    with pytest.raises(ValueError, match="probabilities: expected 3 classes as in reference, got 4"):
        function(rows, torch.full((3,), 1 / 3))
    with pytest.raises(ValueError, match=r"reference: expected shape \(K,\), got \(1, 4\)"):
        function(rows, reference[None])
    for wrong in ([0.5, 0.5, 0.5, -0.5], [0.3, 0.3, 0.3, 0.3], [0.2, 0.2, 0.2, 0.2], [0.5, 0.5, 0, math.nan]):
        with pytest.raises(ValueError, match="reference: expected probabilities that sum to 1"):
            function(rows, torch.tensor(wrong))


@pytest.mark.parametrize("metric_class", [ModeScore, AMScore])
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_wrong_arguments_of_metrics_are_errors(metric_class: type[ModeScore | AMScore]) -> None:
    metric = metric_class(torch.full((4,), 0.25))
    with pytest.raises(ValueError, match=f"{metric_class.__name__}: needs at least 1 sample, got 0"):
        metric.compute()
    with pytest.raises(ValueError, match="expected 4 classes as in reference, got 3"):
        metric.update(random_rows(0, 5, 3))
    with pytest.raises(ValueError, match="probabilities: expected shape"):
        metric.update(random_rows(0, 5)[0])
    with pytest.raises(ValueError, match="sum to 1"):
        metric_class(torch.ones(4))
