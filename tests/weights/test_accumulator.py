"""Weighted samples in chunks, against all of them at once."""

import math

import pytest
import torch
from torch import Tensor

from discrete_gan.weights import (
    StreamingMean,
    log_partition,
    normalized_weights,
    union_weights,
)
from tests.problems import assert_exact, seeded_normal

CHUNKS = [(7,), (3, 4), (1, 5, 1), (1,) * 7]


def streamed(log_w: Tensor, x: Tensor, sizes: tuple[int, ...]) -> StreamingMean:
    mean = StreamingMean()
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
    mean = StreamingMean()
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
    mean, log_w, x = StreamingMean(), torch.zeros(2, 3), torch.zeros(2, 3, 4)
    for read in (lambda: mean.weighted, lambda: mean.plain, lambda: mean.log_total, lambda: mean.share_beside(x)):
        with pytest.raises(ValueError, match=r"^StreamingMean: expected at least one chunk of samples .* got none$"):
            read()
    with pytest.raises(ValueError, match=r"^log_w: expected shape \(M, B\), samples first, got \(2,\)$"):
        mean.update(log_w[:, 0], x)
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
