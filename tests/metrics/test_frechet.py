"""Frechet distance: closed forms, scipy's matrix root, and the metric against the function."""

import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from discrete_gan.metrics import FrechetDistance, frechet_distance, gaussian_statistics


def random_gaussian(seed: int, size: int = 6, rank: int | None = None) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(size, rank or size, generator=generator, dtype=torch.float64)
    return torch.randn(size, generator=generator, dtype=torch.float64), factor @ factor.T


def by_scipy(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    root = torch.as_tensor(sqrtm((cov_a @ cov_b).numpy())).real
    return ((mean_a - mean_b).square().sum() + (cov_a + cov_b - 2 * root).trace()).item()


@pytest.mark.parametrize("size", [1, 2, 6, 40])
def test_agrees_with_scipy_where_covariances_do_not_commute(size: int) -> None:
    a, b = random_gaussian(0, size), random_gaussian(1, size)
    assert size == 1 or not torch.allclose(a[1] @ b[1], b[1] @ a[1])
    assert frechet_distance(*a, *b).item() == pytest.approx(by_scipy(*a, *b), rel=1e-8, abs=1e-8)


def test_commuting_covariances_have_a_closed_form() -> None:
    basis = torch.linalg.qr(random_gaussian(2)[1]).Q
    values_a, values_b = torch.arange(1.0, 7).double(), torch.tensor([4.0, 1, 9, 0.25, 2, 7]).double()
    a = (torch.zeros(6).double(), basis * values_a @ basis.T)
    b = (torch.full((6,), 0.5).double(), basis * values_b @ basis.T)
    expected = 6 * 0.25 + (values_a.sqrt() - values_b.sqrt()).square().sum()
    assert frechet_distance(*a, *b).item() == pytest.approx(expected.item(), abs=1e-8)
    assert frechet_distance(*a, *b).item() == pytest.approx(by_scipy(*a, *b), abs=1e-8)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_zero_for_equal_and_symmetric(rank: int) -> None:
    a, b = random_gaussian(3, rank=rank), random_gaussian(4)
    assert 0 <= frechet_distance(*a, *a).item() < 1e-8
    assert frechet_distance(*a, *b).item() == pytest.approx(frechet_distance(*b, *a).item(), abs=1e-8)


def test_singular_covariances_are_exact() -> None:
    # Two line segments of length 2 and 3 at an angle of 60 degrees: the trace of the root is 2 * 3 * cos(60).
    zero, angle = torch.zeros(2).double(), torch.tensor(torch.pi / 3, dtype=torch.float64)
    u, v = 2 * torch.tensor([1.0, 0]).double(), 3 * torch.stack([angle.cos(), angle.sin()])
    distance = frechet_distance(zero, torch.outer(u, u), zero, torch.outer(v, v))
    assert distance.item() == pytest.approx(4 + 9 - 2 * 3, abs=1e-8)
    to_point = frechet_distance(zero, torch.zeros(2, 2).double(), zero + 1, torch.outer(u, u))
    assert to_point.item() == pytest.approx(2 + 4, abs=1e-12)


def test_rounding_in_null_directions_does_not_enter_as_its_root() -> None:
    u = 1e3 * torch.randn(40, generator=torch.Generator().manual_seed(7)).double()
    zero, length = torch.zeros(40).double(), u.norm()
    distance = frechet_distance(zero, torch.outer(u, u), zero, torch.eye(40).double())
    assert distance.item() == pytest.approx((length**2 + 40 - 2 * length).item(), rel=1e-12)


def test_statistics_are_unbiased_and_float64() -> None:
    features = torch.tensor([[0.0, 0], [2, 0], [4, 6]])
    mean, cov = gaussian_statistics(features)
    assert mean.dtype == cov.dtype == torch.float64
    assert mean.tolist() == [2, 2]
    assert cov.tolist() == [[4, 6], [6, 12]]


def test_not_finite_gives_nan() -> None:
    a = random_gaussian(5)
    assert frechet_distance(a[0], a[1] * torch.nan, *a).isnan()


def metric_in_pieces(real: Tensor, fake: Tensor) -> FrechetDistance:
    metric = FrechetDistance(real.shape[1])
    for features, is_real in ((real, True), (fake, False)):
        for part in features.split(17):
            metric.update(part, real=is_real)
    return metric


def test_metric_in_pieces_equals_function_on_whole() -> None:
    generator = torch.Generator().manual_seed(6)
    real, fake = torch.randn(100, 5, generator=generator) + 3, torch.rand(70, 5, generator=generator)
    whole = frechet_distance(*gaussian_statistics(real), *gaussian_statistics(fake))
    metric = metric_in_pieces(real, fake)
    assert metric.compute().item() == pytest.approx(whole.item(), rel=1e-10)

    # What a reduction over two processes does: sums of states.
    first, second = metric_in_pieces(real[:30], fake[:50]), metric_in_pieces(real[30:], fake[50:])
    first.merge_state(second)
    assert first.compute().item() == pytest.approx(whole.item(), rel=1e-10)


def test_too_few_samples_and_wrong_shapes_are_errors() -> None:
    metric = FrechetDistance(3)
    metric.update(torch.rand(5, 3), real=True)
    metric.update(torch.rand(1, 3), real=False)
    with pytest.raises(ValueError, match="at least 2 fake samples, got 1"):
        metric.compute()
    with pytest.raises(ValueError, match="expected 3 per row"):
        metric.update(torch.rand(5, 4), real=True)
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        gaussian_statistics(torch.rand(1, 3))
    with pytest.raises(ValueError, match="cov_b: expected shape"):
        frechet_distance(torch.zeros(2), torch.eye(2), torch.zeros(2), torch.eye(3))
