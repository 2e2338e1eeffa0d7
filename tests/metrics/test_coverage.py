"""Class coverage by hand."""

import pytest
import torch

from discrete_gan.metrics import ClassCoverage, class_coverage, num_classes_covered


def test_indices_by_hand() -> None:
    fractions = class_coverage(torch.tensor([0, 2, 2, 2]), 4)
    assert fractions.dtype == torch.float64
    assert fractions.tolist() == [0.25, 0, 0.75, 0]


def test_probabilities_count_their_largest() -> None:
    probabilities = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [0.0, 0.0, 1.0]])
    assert class_coverage(probabilities, 3).tolist() == [0.25, 0.25, 0.5]


def test_threshold_must_be_exceeded() -> None:
    fractions = torch.tensor([0.03, 0.031, 0.939, 0.0], dtype=torch.float64)
    assert num_classes_covered(fractions) == 2
    assert num_classes_covered(fractions, threshold=0.02) == 3
    assert num_classes_covered(fractions, threshold=0.5) == 1


def test_metric_in_pieces_equals_function_on_whole() -> None:
    predictions = torch.randint(5, (40,), generator=torch.Generator().manual_seed(0))
    first, second = ClassCoverage(5), ClassCoverage(5)
    first.update(predictions[:7])
    first.update(torch.eye(5)[predictions[7:20]])
    second.update(predictions[20:])
    first.merge_state(second)
    assert first.compute().tolist() == class_coverage(predictions, 5).tolist()


def test_empty_and_out_of_range_are_errors() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        class_coverage(torch.zeros(0, dtype=torch.long), 3)
    with pytest.raises(ValueError, match="below 3, got 3"):
        class_coverage(torch.tensor([3]), 3)
    with pytest.raises(ValueError, match="expected integers"):
        class_coverage(torch.rand(4, 5), 3)
