"""What to change where a figure is bad: cases that were measured, each told in a sentence; see docs/figures.md."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from discrete_gan.tasks.score import Score

Scores = Mapping[str, Score]
Settings = Mapping[str, Any]


_SURE = 0.05  # in probability: outputs of a network that knows nothing yet are hardly wrong either


class Case(NamedTuple):
    """A figure that is bad.

    Attributes:
        figure: Its name, which the run has to have.
        holds: Whether it is, of all scores and the settings of the run.
        told: What to try, and what that gave where it was measured.
    """

    figure: str
    holds: Callable[[Scores, Settings], bool]
    told: str


def _value(scores: Scores, name: str) -> float:
    return scores[name].value if name in scores else math.nan


def _r1(settings: Settings) -> float:
    found = settings.get("r1")
    return float(found) if isinstance(found, int | float) else 0.0


def _within(scores: Scores, name: str, least: float, most: float) -> bool:
    """Whether a score, with all of its interval where it has one, lies between the two."""
    score = scores[name]
    ends = [end for end in (score.low, score.high) if end is not None and not math.isnan(end)]
    return all(least < each < most for each in (score.value, *ends))


def _is_trained(settings: Settings) -> bool:
    """Whether the discriminator was: in a phase of likelihood it is not."""
    steps, before = settings.get("steps"), settings.get("pretrain_steps")
    by_likelihood = settings.get("estimator") == "mle"
    return not by_likelihood and not (isinstance(steps, int) and isinstance(before, int) and steps <= before)


CASES = (
    Case(
        "temperature",
        lambda scores, settings: (
            _is_trained(settings) and _within(scores, "temperature", 0, 1 / 3) and _r1(settings) >= 0.5
        ),
        "The discriminator's outputs are flat for log-ratios, which a gradient penalty (--r1) keeps them: for training "
        "that does no harm. To choose samples by them, discrete-gan refine RUN fits a network without a penalty: it "
        "gained 2.7 nats of log-likelihood on MNIST.",
    ),
    Case(
        "temperature",
        lambda scores, settings: (
            _is_trained(settings)
            and (_within(scores, "temperature", 3, math.inf) or _within(scores, "temperature", -math.inf, 0))
            and ("calibration_error" not in scores or scores["calibration_error"].value > _SURE)
        ),
        "The discriminator is surer of held-out data than it has reason to be: it knows its training data by heart. A "
        "larger --r1, --dropout of a sequence's discriminator (0.2), or fewer --steps.",
    ),
    Case(
        "mean_weight",
        lambda scores, settings: _is_trained(settings) and _within(scores, "mean_weight", -math.inf, 0.5),
        "The mean weight of samples is far below 1: the generator draws nothing of a part of the data, or the "
        "discriminator is far ahead of it. More --steps, or a smaller --discriminator-lr.",
    ),
    Case(
        "nll_counting",
        lambda scores, _: _value(scores, "nll_token") > _value(scores, "nll_counting"),
        "Counting what follows what predicts held-out tokens better than the generator: it has learnt too little. More "
        "--pretrain-steps, a larger --hidden or --embedding, a higher --pretrain-lr.",
    ),
    Case(
        "class_agreement",
        lambda scores, _: _value(scores, "class_agreement") < 0.9 * (scores["class_agreement"].real or 1),
        "Fewer samples are of the class asked for than of real data: more --pretrain-steps; 300 were enough for 99 % "
        "of equations to have the sign asked for.",
    ),
    Case(
        "active_error",
        lambda scores, settings: _value(scores, "active_error") > 0.3 and settings.get("within") == "factorized",
        "What sounds at once is not what does in the data, as columns are independent given the frames before: "
        "--within autoregressive took the error from 0.74 to 0.01 on chords.",
    ),
    Case(
        "copies",
        lambda scores, _: _value(scores, "copies") > 0.1 and not scores["copies"].note.startswith("cannot say"),
        "Many samples are nearer to training data than held-out data are: fewer --steps, --keep-best with a held-out "
        "figure, more data, or a smaller network.",
    ),
    Case(
        "likelihood_gap",
        lambda scores, _: _value(scores, "likelihood_gap") > 5,
        "The log-likelihood is a bound that lacks more than 5 nats: twice the --ais-steps halve that.",
    ),
    Case(
        "tail_index",
        lambda scores, _: (
            "to be trusted" in scores["log_likelihood_gain"].note if "log_likelihood_gain" in scores else False
        ),
        "A few samples have most of the weight: fewer --steps of discrete-gan refine, or a larger --partition-num; "
        "3,000 steps stayed at the threshold on MNIST, 8,500 did not.",
    ),
    Case(
        "distinct_samples",
        lambda scores, _: _value(scores, "distinct_samples") < 0.5 * (scores["distinct_samples"].real or 1),
        "Half of the samples or more are repeated: a larger --likelihood-weight, a smaller --generator-lr, or "
        "--estimator mle to see what likelihood alone does.",
    ),
    Case(
        "trend_error",
        lambda scores, settings: _value(scores, "trend_error") > 5 and settings.get("model") == "mlp",
        "Pairs of columns are off, as columns are independent given z: --model autoregressive took the error from "
        "8.8 % to 1.8 % on Adult.",
    ),
)


def advice(scores: Sequence[Score], settings: Settings) -> list[str]:
    """Sentences on the figures that are bad, in the order of :data:`CASES`; none where none is.

    Args:
        scores: Of the run, as evaluated.
        settings: Its arguments, as config.json has them.
    """
    found = {score.name: score for score in scores if math.isfinite(score.value)}
    return [case.told for case in CASES if case.figure in found and case.holds(found, settings)]
