"""Scores that images and text share: is the training data copied, and can samples be told from real data?"""

from discrete_gan.metrics.memorization import Memorization
from discrete_gan.metrics.two_sample import TwoSampleTest
from discrete_gan.tasks.score import Score


def memorization_scores(found: Memorization, protocol: str, distance: str, picture: bytes | None = None) -> list[Score]:
    """Distances to the nearest training sample, of which the picture shows the shortest, and the verdict."""
    shown = "the report pictures the samples nearest to training data, each above what it is nearest to"
    note = "" if picture is None else shown
    return [
        Score(
            "nearest_training",
            found.sample_distance.value,
            "distance to training",
            f"{distance} to the nearest, mean",
            real=found.held_out_distance.value,
            protocol=protocol,
            note=note,
            picture=picture,
        ).within(found.sample_distance),
        Score(
            "nearer",
            found.nearer.value,
            "nearer than held-out",
            "probability that a sample is, to training data",
            perfect=0.5,
            protocol=protocol,
        ).within(found.nearer),
        Score(
            "copies",
            found.copies.value,
            "copies",
            "of samples nearer than the nearest 1 % of held-out data",
            better="less",
            perfect=0.01,
            protocol=protocol,
            note=found.verdict,
        ).within(found.copies),
    ]


def two_sample_score(test: TwoSampleTest, protocol: str) -> Score:
    """Accuracy of a classifier trained to tell samples from held-out data, on others."""
    least = "below 1e-15" if test.p_value < 1e-15 else f"{test.p_value:.2g}"
    return Score(
        "two_sample_accuracy",
        test.accuracy.value,
        "two-sample accuracy",
        "of a classifier that tells samples from held-out data",
        better="less",
        perfect=0.5,
        protocol=f"held-out:{test.num_held_out}|{protocol}",
        note=f"p {least}",
    ).within(test.accuracy)
