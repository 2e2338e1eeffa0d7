"""Diagnoses of weights against explicit formulas."""

import torch

from discrete_gan.weights import (
    diagnose,
    effective_sample_size,
    log_partition,
    normalized_weights,
    pareto_tail_index,
)
from tests.problems import assert_exact, seeded_normal


def test_effective_sample_size_equals_the_formula() -> None:
    log_w = seeded_normal(5, 3, scale=2)
    w = log_w.exp()
    size = effective_sample_size(log_w)
    assert_exact(size, w.sum(dim=0).square() / w.square().sum(dim=0))
    assert bool(((size >= 1) & (size <= 5)).all())


def test_effective_sample_size_at_its_bounds() -> None:
    torch.testing.assert_close(effective_sample_size(torch.full((7, 2), 3.0)), torch.full((2,), 7.0))
    assert effective_sample_size(torch.tensor([[500.0], [0.0], [0.0]])).item() == 1


def test_diagnose_holds_what_the_functions_give() -> None:
    log_w = seeded_normal(40, 3)
    result = diagnose(log_w)
    assert_exact(result.normalized_weights, normalized_weights(log_w))
    assert_exact(result.log_partition, log_partition(log_w))
    assert_exact(result.effective_sample_size, effective_sample_size(log_w))
    assert_exact(result.pareto_tail_index, pareto_tail_index(log_w))
    assert_exact(result.largest_weight, normalized_weights(log_w).max(dim=0).values)


def test_compiles_without_a_graph_break() -> None:
    log_w = seeded_normal(40, 3)
    # fullgraph fails at the first value read back from the device
    compiled = torch.compile(lambda x: (diagnose(x), log_partition(x, over="batch")), fullgraph=True, backend="eager")
    result, batch = compiled(log_w)
    for got, expected in zip(result, diagnose(log_w), strict=True):
        assert_exact(got, expected)
    assert_exact(batch, log_partition(log_w, over="batch"))
