"""Weighted samples in chunks, against all of them at once."""

import math

import pytest
import torch
from torch import Tensor

from discrete_gan.weights import (
    Accumulator,
    effective_sample_size,
    expectation,
    log_partition,
    normalized_weights,
    union_weights,
)
from tests.problems import assert_exact, seeded_normal

CHUNKS = [(7,), (3, 4), (1, 5, 1), (1,) * 7]


def streamed(log_w: Tensor, x: Tensor, sizes: tuple[int, ...]) -> Accumulator:
    mean = Accumulator()
    for chunk in zip(log_w.split(sizes), x.split(sizes), strict=True):
        mean.update(*chunk)
    return mean


def uneven_log_ratios() -> Tensor:
    """Of seven samples, infinite ones in every place of a chunk, and levels that would overflow or underflow."""
    log_w = seeded_normal(7, 8, scale=3) + torch.tensor([0, 0, 0, 0, 0, 0, 1e4, -1e4]).double()
    log_w[:, 1] = -math.inf  # nothing to prefer
    log_w[:3, 2] = -math.inf  # the first chunks without any weight
    log_w[-2:, 3] = -math.inf  # the last
    log_w[3, 4] = math.inf
    log_w[[0, 6], 5] = math.inf  # two that share all weight
    log_w[:, 6] = torch.tensor([-1e4, 1e4, 0.0, -1e4, 1e4, 9998.0, 1e4 - 1]).double()
    return log_w


@pytest.mark.parametrize("sizes", CHUNKS)
@pytest.mark.parametrize("event", [(), (4,), (2, 3)])
def test_streaming_mean_is_that_of_all_samples_at_once(sizes: tuple[int, ...], event: tuple[int, ...]) -> None:
    log_w, x = uneven_log_ratios(), seeded_normal(7, 8, *event, seed=1)
    mean = streamed(log_w, x, sizes)
    assert_exact(mean.weighted, torch.einsum("mb,mb...->b...", normalized_weights(log_w), x))
    assert_exact(mean.plain, x.mean(dim=0))
    assert mean.count == 7
    bounds = torch.finfo(torch.float64)
    assert_exact(mean.log_total, log_w.clamp(bounds.min, bounds.max).logsumexp(dim=0))
    finite = log_w.isfinite().any(dim=0) & ~log_w.isposinf().any(dim=0)
    assert_exact((mean.log_total - math.log(7))[finite], log_partition(log_w)[finite])


@pytest.mark.parametrize("sizes", CHUNKS)
@pytest.mark.parametrize("level", [-math.inf, -1e4, 0.0, 1e4, math.inf])
def test_share_of_a_stream_is_the_sum_of_the_weights_of_the_union(sizes: tuple[int, ...], level: float) -> None:
    log_w, others = uneven_log_ratios(), seeded_normal(5, seed=2)
    others[0] = level
    share = streamed(log_w, seeded_normal(7, 8, seed=1), sizes).share_beside(others)
    assert_exact(share, union_weights(log_w, others).sum(dim=0))
    assert bool(((share >= 0) & (share <= 1)).all())
    assert_exact(streamed(log_w, log_w, sizes).share_beside(others[:0]), torch.ones(8).double())


def test_streaming_mean_is_of_means_as_often_as_asked() -> None:
    log_w, x = seeded_normal(7, 3), seeded_normal(7, 3, 2, seed=1)
    mean = Accumulator()
    for end in range(1, 8):
        mean.update(log_w[end - 1 : end], x[end - 1 : end])
        weights = normalized_weights(log_w[:end])
        for _ in range(2):
            assert_exact(mean.weighted, torch.einsum("mb,mbd->bd", weights, x[:end]))
            assert_exact(mean.plain, x[:end].mean(dim=0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_streaming_mean_of_half_precision_is_float32(dtype: torch.dtype) -> None:
    log_w, x = seeded_normal(50, 4, scale=4).to(dtype), (1 + seeded_normal(50, 4, 3, seed=1)).to(dtype)
    found, exact = streamed(log_w, x, (30, 20)), streamed(log_w.double(), x.double(), (50,))
    others = seeded_normal(6, seed=2).to(dtype)
    for value, expected in (
        (found.weighted, exact.weighted),
        (found.plain, exact.plain),
        (found.log_total, exact.log_total),
        (found.share_beside(others), exact.share_beside(others.double())),
    ):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), expected, rtol=2e-5, atol=1e-6)


def test_streaming_mean_of_whole_numbers() -> None:
    tokens = torch.arange(12).view(6, 2)
    mean = streamed(torch.zeros(6, 2), tokens, (4, 2))
    assert mean.plain.tolist() == mean.weighted.tolist() == [5, 6]


def test_streaming_mean_carries_no_gradient() -> None:
    log_w, x, others = (seeded_normal(*shape).requires_grad_() for shape in ((7, 3), (7, 3, 2), (4,)))
    mean = streamed(log_w, x, (3, 4))
    for value in (mean.weighted, mean.plain, mean.log_total, mean.share_beside(others)):
        assert not value.requires_grad


def test_nan_stays_in_its_latent_of_a_streaming_mean() -> None:
    log_w, x = seeded_normal(7, 2), seeded_normal(7, 2, seed=1)
    log_w[2, 1] = math.nan
    mean = streamed(log_w, x, (3, 4))
    for value in (mean.weighted, mean.log_total, mean.share_beside(x[0])):
        assert value.isnan().tolist() == [False, True]
    assert_exact(mean.plain, x.mean(dim=0))


def test_errors_of_a_streaming_mean() -> None:
    mean, log_w, x = Accumulator(), torch.zeros(2, 3), torch.zeros(2, 3, 4)
    for read in (lambda: mean.weighted, lambda: mean.plain, lambda: mean.log_total, lambda: mean.share_beside(x)):
        with pytest.raises(ValueError, match=r"^Accumulator: expected at least one chunk of samples .* got none$"):
            read()
    with pytest.raises(ValueError, match=r"^x: expected shape \(m, B, \*event\), of log_w \(2, 3\), got \(2, 1, 4\)$"):
        mean.update(log_w, x[:, :1])
    assert mean.count == 0
    mean.update(log_w, x)
    for log_w_next, x_next, got in ((log_w, x[..., :1], r"\(3, 1\)"), (log_w[:, :1], x[:, :1], r"\(1, 4\)")):
        with pytest.raises(ValueError, match=rf"^x: expected .* \(B, \*event\) of \(3, 4\) as before, got {got}$"):
            mean.update(log_w_next, x_next)
    assert mean.count == 2
    with pytest.raises(ValueError, match=r"^log_w: expected shape \(R,\), got \(2, 3\)$"):
        mean.share_beside(log_w)


def test_streaming_mean_compiles_without_a_graph_break() -> None:
    log_w, x = uneven_log_ratios(), seeded_normal(7, 8, 2, seed=1)

    def means(log_w: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        mean = streamed(log_w, x, (3, 4))
        return mean.weighted, mean.plain, mean.log_total, mean.share_beside(log_w[:, 0])

    compiled = torch.compile(means, fullgraph=True, backend="eager")
    assert_exact(compiled(log_w, x), means(log_w, x))


@pytest.mark.parametrize("sizes", CHUNKS)
@pytest.mark.parametrize("event", [(), (2, 3)])
def test_accumulated_estimates_are_those_of_all_samples_at_once(sizes: tuple[int, ...], event: tuple[int, ...]) -> None:
    log_w, x = uneven_log_ratios(), 1e3 + seeded_normal(7, 8, *event, seed=1)
    found = Accumulator(errors=True)
    for chunk in zip(log_w.split(sizes), x.split(sizes), strict=True):
        found.update(*chunk)
    expected = expectation(x, log_w)
    assert_exact(found.weighted, expected.mean)
    # The mean is 1e3 times the spread, whose digits are left.
    assert_exact(found.standard_error, expected.standard_error, rtol=1e-9, atol=1e-9)
    assert_exact(found.effective_sample_size, effective_sample_size(log_w))
    some = log_w.isfinite().any(dim=0) & ~log_w.isposinf().any(dim=0)
    assert_exact(found.log_partition[some], log_partition(log_w)[some])


def everything(found: Accumulator) -> list[Tensor]:
    values = [found.weighted, found.plain, found.standard_error, found.effective_sample_size, found.log_partition]
    return [*values, found.log_total, found.share_beside(torch.zeros(3).double())]


@pytest.mark.parametrize("sizes", [(3, 4), (0, 7), (7, 0), (1, 6)])
def test_merged_accumulators_are_as_one(sizes: tuple[int, int]) -> None:
    log_w, x = uneven_log_ratios(), seeded_normal(7, 8, 2, seed=1)
    there = torch.rand(7, 8, generator=torch.Generator().manual_seed(0)) < 0.8
    whole, parts = Accumulator(errors=True), [Accumulator(errors=True) for _ in sizes]
    whole.update(log_w, x, where=there)
    for part, *chunk, mask in zip(parts, log_w.split(sizes), x.split(sizes), there.split(sizes), strict=True):
        if len(mask):
            part.update(*chunk, where=mask)
    before = everything(parts[1]) if parts[1].count else []
    parts[0].merge(parts[1])
    assert parts[0].count == 7
    for got, expected in zip(everything(parts[0]), everything(whole), strict=True):
        assert_exact(got, expected, rtol=1e-10, atol=1e-12)
    # What was merged goes on by itself.
    parts[0].update(log_w, x)
    for got, expected in zip(everything(parts[1]) if before else [], before, strict=True):
        assert_exact(got, expected)


def test_chunks_where_no_sample_is_there_count_for_nothing() -> None:
    log_w, x = seeded_normal(6, 3), seeded_normal(6, 3, seed=1)
    found, alone = Accumulator(errors=True), Accumulator(errors=True)
    for chunk in (1e4 + log_w, log_w, 1e4 + log_w):
        found.update(chunk, x, where=chunk < 1e3)
    alone.update(log_w, x)
    for got, expected in zip(everything(found), everything(alone), strict=True):
        assert_exact(got, expected, rtol=1e-10)


def test_without_samples_there_are_weights_alone() -> None:
    log_w = seeded_normal(7, 3)
    found = Accumulator()
    found.update(log_w)
    assert_exact(found.log_partition, log_partition(log_w))
    assert_exact(found.effective_sample_size, effective_sample_size(log_w))
    for read in (lambda: found.weighted, lambda: found.plain, lambda: found.standard_error):
        with pytest.raises(ValueError, match=r"^Accumulator: expected chunks with x before this is read, got none$"):
            read()
    with pytest.raises(ValueError, match=r"of no x as before, got \(3,\)$"):
        found.update(log_w, log_w)
    with_means = Accumulator()
    with_means.update(log_w, log_w)
    with pytest.raises(ValueError, match=r"^Accumulator: expected errors=True before this is read, got none$"):
        with_means.standard_error  # noqa: B018
    with pytest.raises(ValueError, match=r"^other: expected errors=False as here, got True$"):
        with_means.merge(Accumulator(errors=True))
    with pytest.raises(ValueError, match=r"of \(3,\) as before, got no x$"):
        with_means.merge(found)
    with pytest.raises(ValueError, match=r"^Accumulator: expected at least one chunk"):
        Accumulator().all_reduce()
    with_means.all_reduce()  # of one process
    assert with_means.count == 7
