"""Advice: given where a figure is bad, and not where it is not."""

import math
from typing import Any

import pytest

from discrete_gan.report.advice import CASES, advice
from discrete_gan.tasks.score import Score

# For each case what is bad, what is just not, and the settings of the run.
EXAMPLES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ({"temperature": 0.06}, {"temperature": 0.5}, {"r1": 1.0}, "are flat for log-ratios"),
    ({"temperature": 4.0}, {"temperature": 2.0}, {"r1": 1.0}, "by heart"),
    ({"temperature": -3.0}, {"temperature": 1.0}, {}, "by heart"),
    ({"mean_weight": 0.3}, {"mean_weight": 0.9}, {}, "draws nothing of a part"),
    ({"nll_token": 2.0, "nll_counting": 1.9}, {"nll_token": 1.8, "nll_counting": 1.9}, {}, "Counting"),
    ({"class_agreement": (0.8, 0.95)}, {"class_agreement": (0.8, 0.85)}, {}, "class asked for"),
    ({"active_error": 0.7}, {"active_error": 0.1}, {"within": "factorized"}, "--within autoregressive"),
    ({"copies": 0.2}, {"copies": 0.02}, {}, "nearer to training data"),
    ({"likelihood_gap": 9.0}, {"likelihood_gap": 0.5}, {}, "--ais-steps"),
    ({"distinct_samples": (0.3, 1.0)}, {"distinct_samples": (0.3, 0.4)}, {}, "repeated"),
    ({"trend_error": 8.8}, {"trend_error": 1.8}, {"model": "mlp"}, "--model autoregressive"),
]


def scores(**values: Any) -> list[Score]:
    both = {name: value if isinstance(value, tuple) else (value, None) for name, value in values.items()}
    return [Score(name, value, real=real) for name, (value, real) in both.items()]


@pytest.mark.parametrize(("bad", "good", "settings", "told"), EXAMPLES)
def test_told_where_it_is_bad_and_only_there(
    bad: dict[str, Any], good: dict[str, Any], settings: dict[str, Any], told: str
) -> None:
    (found,) = advice(scores(**bad), settings)
    assert told in found
    assert advice(scores(**good), settings) == []
    assert advice(scores(**dict.fromkeys(bad, math.nan)), settings) == []


def test_where_the_settings_do_not_fit_nothing_is_told() -> None:
    assert advice(scores(temperature=0.06), {"r1": 0.0}) == []
    assert advice(scores(active_error=0.7), {"within": "autoregressive"}) == []
    assert advice(scores(trend_error=8.8), {"model": "autoregressive"}) == []


def test_weights_that_are_not_to_be_trusted() -> None:
    gain = Score("log_likelihood_gain", 9.0, note="mean log w of the data 9, less log Z, which is not to be trusted")
    (found,) = advice([gain, Score("tail_index", 1.1)], {})
    assert "few samples have most of the weight" in found
    assert advice([gain._replace(note="mean log w of the data 9, less log Z"), Score("tail_index", 0.2)], {}) == []


def test_every_case_has_an_example() -> None:
    told = [found for bad, _, settings, _ in EXAMPLES for found in advice(scores(**bad), settings)]
    assert {case.told for case in CASES} - set(told) == {case.told for case in CASES if case.figure == "tail_index"}


def test_nothing_is_told_that_the_interval_does_not_bear_out() -> None:
    def between(low: float, high: float) -> list[Score]:
        return [Score("temperature", -0.5, low=low, high=high)]

    assert advice(between(-1.0, -0.1), {})
    assert advice(between(-1.0, 0.1), {}) == []
    assert advice([Score("mean_weight", 0.3, low=0.1, high=0.6)], {}) == []


def test_outputs_that_say_nothing_are_not_too_sure() -> None:
    """A discriminator after a few steps: its outputs are all near 0, and run the wrong way by chance."""
    assert advice(scores(temperature=-3.0, calibration_error=0.01), {}) == []
    assert advice(scores(temperature=-3.0, calibration_error=0.2), {})


def test_nothing_is_told_of_a_discriminator_that_was_not_trained() -> None:
    bad = scores(temperature=-3.0, mean_weight=0.1)
    assert len(advice(bad, {"steps": 300, "pretrain_steps": 200})) == 2
    assert advice(bad, {"steps": 300, "pretrain_steps": 300}) == []
    assert advice(bad, {"steps": 300, "pretrain_steps": 0, "estimator": "mle"}) == []


def test_no_advice_on_copies_that_nobody_can_tell() -> None:
    assert advice([Score("copies", 0.4, note="copies: many")], {})
    assert advice([Score("copies", 0.4, note="cannot say: needs 100 samples")], {}) == []
