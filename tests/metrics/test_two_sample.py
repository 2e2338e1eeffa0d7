"""The classifier two-sample test: its counting against all assignments of labels, and what it can and cannot tell."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.metrics.two_sample import classifier_two_sample_test


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Threshold:
    """Calls real whatever has a first feature above a threshold, and remembers what it was given."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def fit(self, features: np.ndarray, labels: np.ndarray, /) -> None:
        self.train, self.labels = features, labels

    def predict(self, features: np.ndarray, /) -> np.ndarray:
        self.held_out = features
        return (features[:, 0] > self.threshold).astype(int)


@pytest.mark.parametrize("threshold", [-9, -0.5, 0, 0.4, 9])
def test_p_value_is_that_of_all_assignments_of_labels(threshold: float) -> None:
    classifier = Threshold(threshold)
    found = classifier_two_sample_test(normal(0, 20, 2) + 0.4, normal(1, 20, 2), classifier=classifier)
    assert found.num_held_out == 20
    called = (classifier.held_out[:, 0] > threshold).astype(int)
    truth = np.repeat([1, 0], 10)
    successes = int((called == truth).sum())
    assert found.accuracy == mean_interval(torch.from_numpy(called == truth))
    # All 184,756 choices of the ten real ones among twenty, as bits of an integer.
    assignments = np.arange(2**20)[:, None] >> np.arange(20) & 1
    assignments = assignments[assignments.sum(1) == 10]
    as_good = ((assignments == called).sum(1) >= successes).mean()
    assert found.p_value == pytest.approx(as_good, rel=1e-9)  # to the rounding of factorials


def test_halves_are_disjoint_and_of_equal_size() -> None:
    real = torch.arange(0, 61.0)[:, None]
    fake = torch.arange(100, 145.0)[:, None]
    classifier = Threshold(80)
    found = classifier_two_sample_test(fake, real, classifier=classifier)
    assert (found.accuracy.value, found.num_held_out) == (1, 46)
    train, held_out = set(classifier.train[:, 0]), set(classifier.held_out[:, 0])
    assert len(train) == 44
    assert len(held_out) == 46
    assert not train & held_out
    assert train | held_out >= set(fake[:, 0].tolist())
    assert ((classifier.train[:, 0] > 80) == classifier.labels).all()
    assert max((train | held_out) - set(fake[:, 0].tolist())) > 45  # the larger side is cut at random, not at the end
    other = Threshold(80)
    classifier_two_sample_test(fake, real, classifier=other, seed=1)
    assert train != set(other.train[:, 0])


def test_the_default_classifier_tells_what_differs() -> None:
    real = normal(0, 1000, 2)
    # The same marginals, but the two features agree in sign: nothing linear tells.
    fake = normal(1, 1000, 2)
    fake[:, 1] = fake[:, 1].abs() * fake[:, 0].sign()
    found = classifier_two_sample_test(1e4 * real + 1e6, 1e4 * fake + 1e6)
    assert found.accuracy.value > 0.6  # the best possible is 0.75
    assert found.p_value < 1e-4
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high


def test_one_distribution_is_not_told_apart() -> None:
    p_values = [classifier_two_sample_test(normal(s, 60, 3), normal(100 + s, 60, 3)).p_value for s in range(5)]
    # Each is below 0.01 with probability 0.01 at most; two of five with 0.001.
    assert sum(p_value < 0.01 for p_value in p_values) < 2
    same = normal(0, 100, 3)
    assert classifier_two_sample_test(same, same).p_value > 0.01


def test_bits_integers_and_the_random_state() -> None:
    real, fake = (normal(0, 50, 8) > 0).to(torch.uint8), (normal(1, 40, 8) > 0.3).to(torch.uint8)
    torch_state, numpy_state = torch.get_rng_state(), tuple(np.random.get_state())[1]
    first = classifier_two_sample_test(real, fake)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(tuple(np.random.get_state())[1], numpy_state)
    assert classifier_two_sample_test(real.float(), fake.long()) == first
    assert first.num_held_out == 40


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64])
def test_seeds_beyond_32_bits(seed: int) -> None:
    found = classifier_two_sample_test(normal(0, 40, 3), normal(1, 40, 3), seed=seed)
    assert found == classifier_two_sample_test(normal(0, 40, 3), normal(1, 40, 3), seed=seed)


def test_a_classifier_without_length_is_taken() -> None:
    class Unfitted(Threshold):
        def __len__(self) -> int:  # as scikit-learn's ensembles before they are fitted
            raise AttributeError

    assert classifier_two_sample_test(normal(0, 20, 1), normal(1, 20, 1), classifier=Unfitted(0)).num_held_out == 20


def test_wrong_arguments_are_errors() -> None:
    real: Any = normal(0, 20, 3)
    with pytest.raises(ValueError, match=r"real: expected shape \(N, F\), got \(60,\)"):
        classifier_two_sample_test(real.flatten(), real)
    with pytest.raises(ValueError, match="number of fake: expected at least 20, got 19"):
        classifier_two_sample_test(real, real[1:])
    with pytest.raises(ValueError, match="fake: expected 3 per row as in real, got 2"):
        classifier_two_sample_test(real, real[:, :2])
    with pytest.raises(ValueError, match="fake: expected finite values, got NaN or infinity"):
        classifier_two_sample_test(real, real / 0)
