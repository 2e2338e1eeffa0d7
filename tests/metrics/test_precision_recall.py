"""Precision, recall, density and coverage: by hand, against plain loops, and expectations over all splits."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import PrecisionRecall, precision_recall
from discrete_gan.metrics.precision_recall import memberships


def by_loops(real: Tensor, fake: Tensor, k: int) -> list[float]:
    """The definitions one pair at a time, squared distances, in NumPy."""
    x, y = real.double().numpy(), fake.double().numpy()

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sum((a - b) ** 2))

    def radii(points: np.ndarray) -> list[float]:
        others = [[distance(a, b) for j, b in enumerate(points) if j != i] for i, a in enumerate(points)]
        return [sorted(row)[k - 1] for row in others]

    real_radii, fake_radii = radii(x), radii(y)
    in_real = np.array([[distance(a, b) < radius for b in y] for a, radius in zip(x, real_radii, strict=True)])
    in_fake = np.array([[distance(a, b) < radius for b, radius in zip(y, fake_radii, strict=True)] for a in x])
    nearest = np.array([min(distance(a, b) for b in y) for a in x])
    return [
        float(np.mean([in_real[:, j].any() for j in range(len(y))])),
        float(np.mean([in_fake[i].any() for i in range(len(x))])),
        float(np.mean([in_real[:, j].sum() / k for j in range(len(y))])),
        float(np.mean(nearest < np.array(real_radii))),
    ]


def values(real: Tensor, fake: Tensor, **options: int) -> list[float]:
    return [value.item() for value in precision_recall(real, fake, **options)]


def column(*numbers: float) -> Tensor:
    return torch.tensor(numbers)[:, None]


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    # Radii of real: 1, 1, 2, 10. Radii of fake: 3, 3, 5.
    real, fake = column(0, 1, 3, 13), column(4, 7, 12)
    # 4 is inside the balls around 3 and 13, 7 around 13 alone, 12 around 13 alone. 0 and 1 hold no fake sample.
    # The fake balls are (1, 7), (4, 10) and (7, 17): they hold 3 and 13.
    assert values(real, fake, k=1) == [1, 0.5, 4 / 3, 0.5]
    # Radii of real: 3, 2, 3, 12; of fake: 8, 5, 8. Around 1: (-1, 3); around 3: (0, 6) holds 4; around 13: (1, 25).
    # The fake balls are (-4, 12), (2, 12) and (4, 20): they hold all real samples.
    assert values(real, fake, k=2) == [1, 1, 4 / 3 / 2, 0.5]


def test_memberships_by_hand() -> None:
    # The first example above.
    inside = memberships(column(0, 1, 3, 13), column(4, 7, 12), k=1)
    assert inside.balls.tolist() == [2, 1, 1]
    assert inside.recalled.tolist() == [False, False, True, True]
    assert inside.covered.tolist() == [False, False, True, True]


@pytest.mark.parametrize("chunk_size", [1, 7, 1024])
def test_memberships_sample_by_sample(chunk_size: int) -> None:
    real, fake = normal(0, 20, 3), 0.7 * normal(1, 25, 3) + 0.4
    found = memberships(real, fake, k=2, chunk_size=chunk_size)
    real_radii, fake_radii = (
        (points[:, None] - points).norm(dim=2).sort(1).values[:, 2].tolist() for points in (real, fake)
    )
    near = (real[:, None] - fake).norm(dim=2).tolist()
    assert found.balls.tolist() == [sum(near[i][j] < real_radii[i] for i in range(20)) for j in range(25)]
    assert found.recalled.tolist() == [any(near[i][j] < fake_radii[j] for j in range(25)) for i in range(20)]
    assert found.covered.tolist() == [any(near[i][j] < real_radii[i] for j in range(25)) for i in range(20)]
    assert found.recalled.tolist() != found.covered.tolist()
    assert (found.balls.dtype, found.recalled.dtype, found.covered.dtype) == (torch.long, torch.bool, torch.bool)


def test_the_boundary_is_outside() -> None:
    real, fake = column(0, 2), column(4, -2, 1)
    assert values(real, fake, k=1) == [1 / 3, 1, 2 / 3, 1]
    assert values(real, column(4, -2), k=1) == [0, 1, 0, 0]


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("sizes", [(20, 20), (12, 25), (31, 9)])
@pytest.mark.parametrize("integers", [False, True])
def test_agrees_with_loops(k: int, sizes: tuple[int, int], integers: bool) -> None:
    seen = []
    for seed in range(4):
        real, fake = normal(seed, sizes[0], 3), 0.7 * normal(50 + seed, sizes[1], 3) + 0.4
        if integers:  # many equal distances, and samples that are there twice
            real, fake = real.mul(1.5).round(), fake.mul(1.5).round()
        expected = by_loops(real, fake, k)
        seen.append(expected)
        for chunk_size in (1, 7, 1024):
            assert values(real, fake, k=k, chunk_size=chunk_size) == pytest.approx(expected, abs=1e-12)
    assert np.ptp(np.array(seen), axis=1).min() > 0  # the four differ from each other


@pytest.mark.parametrize("k", [1, 2])
def test_expectations_of_one_distribution_are_exact_over_all_splits(k: int) -> None:
    points = normal(0, 8, 2)
    found = []
    for chosen in combinations(range(8), 4):
        rest = [i for i in range(8) if i not in chosen]
        found.append(values(points[list(chosen)], points[rest], k=k))
    _, _, density, coverage = np.mean(found, axis=0)
    assert density == pytest.approx(1, abs=1e-12)
    # No fake sample among the k nearest of the other 2N - 1 (Naeem et al., lemma 2).
    assert coverage == pytest.approx(1 - math.comb(7 - k, 3 - k) / math.comb(7, 3), abs=1e-12)


def test_copies_of_the_data_have_density_one() -> None:
    real = normal(0, 40, 16) + 100  # far from the origin, where float32 loses small distances
    assert values(real, real.flip(0), k=3) == [1, 1, 1, 1]


def test_a_collapsed_generator_is_precise_and_recalls_nothing() -> None:
    real = normal(1, 30, 8) + 100
    fake = real[:1].expand(20, 8)
    precision, recall, density, coverage = values(real, fake, k=3)
    assert [precision, recall] == [1, 0]
    assert density == pytest.approx(coverage * 30 / 3)
    assert 0 < coverage < 0.5
    assert values(fake, fake, k=3) == [0, 0, 0, 0]


def test_not_finite_is_inside_of_nothing() -> None:
    real, fake = normal(2, 20, 3), normal(3, 20, 3)
    broken = torch.cat([fake, torch.full((20, 3), torch.nan)])
    half = [0.5, 1, 0.5, 1]
    expected = [a * b for a, b in zip(values(real, fake), half, strict=True)]
    assert values(real, broken) == pytest.approx(expected)
    assert values(real, broken[20:]) == [0, 0, 0, 0]


def metric_of(real: Tensor, fake: Tensor, k: int = 2) -> PrecisionRecall:
    metric = PrecisionRecall(real.shape[1], k=k)
    for features, is_real in ((real, True), (fake, False)):
        for part in features.split(4) if len(features) else ():
            metric.update(part, real=is_real)
    return metric


def test_metric_in_pieces_equals_function_on_whole() -> None:
    real, fake = normal(4, 25, 3), normal(5, 18, 3) + 0.5
    expected = values(real, fake, k=2)
    assert [value.item() for value in metric_of(real, fake).compute()] == pytest.approx(expected, abs=1e-12)
    first, second = metric_of(real[:11], fake[:13]), metric_of(real[11:], fake[13:])
    first.merge_state(second)
    assert [value.item() for value in first.compute()] == pytest.approx(expected, abs=1e-12)


def test_results_are_float64_without_gradient() -> None:
    real = normal(0, 9, 2).requires_grad_()
    for value in precision_recall(real, real + 0.1):
        assert (value.dtype, value.ndim, value.requires_grad) == (torch.float64, 0, False)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_wrong_arguments_are_errors() -> None:
    real = normal(0, 6, 2)
    with pytest.raises(ValueError, match="real_features: expected at least 7, got 6: the radius needs 6 others"):
        precision_recall(real, normal(0, 7, 2), k=6)
    with pytest.raises(ValueError, match="number of fake_features: expected at least 6, got 5"):
        precision_recall(real, real[:5])
    with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
        precision_recall(real, real, k=0)
    with pytest.raises(ValueError, match="chunk_size: expected at least 1"):
        precision_recall(real, real, chunk_size=0)
    with pytest.raises(ValueError, match=r"real_features: expected shape \(N, F\), got \(12,\)"):
        precision_recall(real.flatten(), real)
    with pytest.raises(ValueError, match=r"fake_features: expected shape \(N, F\), got \(1, 6, 2\)"):
        precision_recall(real, real[None])
    with pytest.raises(ValueError, match="fake_features: expected 2 per row as in real_features, got 3"):
        precision_recall(real, normal(0, 6, 3))
    metric = PrecisionRecall(2)
    with pytest.raises(ValueError, match=r"features: expected shape \(N, 2\), got \(6, 3\)"):
        metric.update(normal(0, 6, 3), real=True)
    metric.update(real, real=True)
    with pytest.raises(ValueError, match="number of fake_features: expected at least 6, got 0"):
        metric.compute()
