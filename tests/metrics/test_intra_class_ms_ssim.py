"""Intra-class MS-SSIM: torchmetrics' value of every pair, the rule of scales, empty classes, the draw."""

from itertools import combinations

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

from discrete_gan.metrics import IntraClassMSSSIM, intra_class_ms_ssim
from discrete_gan.metrics.intra_class_ms_ssim import _pairs, _scales_and_kernel

STANDARD = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
LABELS = torch.tensor([0, 2, 0, 2, 2, 0, 4, 2, 0, 0])


def smooth_images(seed: int, count: int, side: int = 28, channels: int = 1) -> Tensor:
    """Blobs around a common one, so that pairs are alike at every scale."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(count + 1, channels, 4, 4, generator=generator)
    blobs = torch.nn.functional.interpolate(noise, size=(side, side), mode="bilinear")
    return 0.5 * blobs[:1] + 0.5 * blobs[1:]


def by_pairs(images: Tensor, labels: Tensor, label: int) -> float:
    """Mean over all pairs of a class at side 28: three scales under a window of 7."""
    weights = tuple(weight * 1.0001 / (0.0448 + 0.2856 + 0.3001) for weight in STANDARD[:3])
    pairs = combinations(images[labels == label].double(), 2)
    options = {"sigma": 1.5 * 7 / 11, "kernel_size": 7, "data_range": 1.0, "betas": weights}
    return torch.stack([ms_ssim(a[None], b[None], **options) for a, b in pairs]).mean().item()


def test_all_pairs_of_small_classes() -> None:
    images = smooth_images(0, 10, channels=3)
    means, maximum = intra_class_ms_ssim(images.clone().requires_grad_(), LABELS)
    assert means.dtype == maximum.dtype == torch.float64
    assert not (means.requires_grad or maximum.requires_grad)
    assert means.isnan().tolist() == [False, True, False, True, True]
    expected = [by_pairs(images, LABELS, label) for label in (0, 2)]
    assert means[[0, 2]].tolist() == pytest.approx(expected, abs=1e-7)
    assert 0.1 < min(expected) < max(expected) < 0.9
    assert maximum.item() == means[[0, 2]].max().item()
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    shuffled = intra_class_ms_ssim(images[order], LABELS[order], num_classes=6)
    assert shuffled.mean_by_class.tolist() == pytest.approx([*means.tolist(), torch.nan], nan_ok=True, abs=1e-12)


def test_standard_measure_where_it_fits() -> None:
    images = smooth_images(1, 2, side=176)
    expected = ms_ssim(images[:1].double(), images[1:].double(), data_range=1.0)
    assert intra_class_ms_ssim(images, torch.tensor([0, 0])).maximum.item() == pytest.approx(expected.item(), abs=1e-12)


# The table of the docstring: each entry is the smallest side with its scales and window.
SIDES = [7, 9, 11, 14, 18, 22, 28, 36, 44, 63, 81, 99, 112, 144, 176]
SCALES = [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3 + [5] * 3
RULE = list(zip(SIDES, SCALES, [7, 9, 11] * 5, strict=True))


def test_scales_and_windows() -> None:
    for (side, scales, window), (next_side, *_) in zip(RULE, [*RULE[1:], (300,)], strict=True):
        for each in range(side, next_side):
            assert _scales_and_kernel(each) == (scales, window)


@pytest.mark.parametrize("side", SIDES)
def test_equal_images_are_one_at_every_size(side: int) -> None:
    images = torch.rand(1, 1, side, side + 3, generator=torch.Generator().manual_seed(0)).expand(4, -1, -1, -1)
    for turned in (images, images.mT):
        means, maximum = intra_class_ms_ssim(turned, torch.tensor([0, 0, 1, 1]))
        assert [*means.tolist(), maximum.item()] == pytest.approx([1, 1, 1], abs=1e-9)


def test_negative_correlation_counts_as_zero() -> None:
    image = smooth_images(2, 1, side=32)
    means, maximum = intra_class_ms_ssim(torch.cat([image, 1 - image]), torch.tensor([0, 0]))
    assert [means.item(), maximum.item()] == [0, 0]


def test_no_pairs_at_all_and_images_that_are_not_finite() -> None:
    images = smooth_images(3, 3)
    means, maximum = intra_class_ms_ssim(images, torch.tensor([0, 1, 2]))
    assert means.isnan().all()
    assert maximum.isnan()
    images[0, 0, 5, 5] = torch.nan
    broken = intra_class_ms_ssim(images[[0, 1, 1, 2]], torch.tensor([0, 0, 1, 1]))
    assert broken.maximum.isnan()


def test_range_of_the_pixels() -> None:
    images = smooth_images(4, 4)
    labels = torch.zeros(4, dtype=torch.long)
    plain, scaled = (intra_class_ms_ssim(images * r, labels, data_range=r).maximum.item() for r in (1.0, 255.0))
    assert scaled == pytest.approx(plain, abs=1e-6)
    assert intra_class_ms_ssim(images * 0.1, labels).maximum.item() > plain + 0.01


def test_drawn_pairs_are_even_over_all_pairs_of_different_images() -> None:
    members, num_pairs = torch.tensor([3, 5, 6, 10]), 60_000
    pairs = torch.cat([_pairs(members, 5, torch.Generator().manual_seed(seed)) for seed in range(num_pairs // 5)])
    assert pairs.shape == (num_pairs, 2)
    counts = torch.zeros(11, 11)
    counts.index_put_(tuple(pairs.T), torch.ones(num_pairs), accumulate=True)
    share = counts[members][:, members] / num_pairs
    even = (1 - torch.eye(4)) / 12
    assert (share - even).abs().max() < 5 * (1 / 12 * 11 / 12 / num_pairs) ** 0.5
    assert share.diagonal().sum() == 0
    assert _pairs(members, 6, torch.Generator()).tolist() == [[3, 5], [3, 6], [3, 10], [5, 6], [5, 10], [6, 10]]


def test_draw_is_of_the_seed_alone() -> None:
    images, labels = smooth_images(5, 40, side=8), torch.arange(40) % 2
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = intra_class_ms_ssim(images, labels, num_pairs=90)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again = intra_class_ms_ssim(images, labels, num_pairs=90)
    other = intra_class_ms_ssim(images, labels, num_pairs=90, seed=1)
    assert again.mean_by_class.tolist() == first.mean_by_class.tolist()
    assert (other.mean_by_class != first.mean_by_class).all()
    exact = intra_class_ms_ssim(images, labels, num_pairs=190)
    many = intra_class_ms_ssim(images, labels, num_pairs=189)
    single = intra_class_ms_ssim(images, labels, num_pairs=1)
    assert (many.mean_by_class - exact.mean_by_class).abs().max() < 0.03
    assert (single.mean_by_class != many.mean_by_class).all()


def metric(**options: int) -> IntraClassMSSSIM:
    return IntraClassMSSSIM((1, 28, 28), 6, **options)


def test_metric_in_pieces_equals_function_on_whole() -> None:
    images = smooth_images(0, 10)
    expected = intra_class_ms_ssim(images, LABELS, num_classes=6, num_pairs=4, seed=3)
    whole = metric(num_pairs=4, seed=3)
    for part, labels in zip(images.split(3), LABELS.split(3), strict=True):
        whole.update(part, labels)
    assert whole.compute().mean_by_class.tolist() == pytest.approx(expected.mean_by_class.tolist(), nan_ok=True)
    first, second = metric(), metric()
    first.update(images[:4], LABELS[:4])
    second.update(images[4:], LABELS[4:])
    first.merge_state(second)
    all_pairs = intra_class_ms_ssim(images, LABELS).maximum.item()
    assert first.compute().maximum.item() == pytest.approx(all_pairs, abs=1e-12)
    wide = IntraClassMSSSIM((1, 28, 28), 5, data_range=255.0)
    wide.update(images * 255, LABELS)
    assert wide.compute().maximum.item() == pytest.approx(first.compute().maximum.item(), abs=1e-6)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_wrong_arguments_are_errors() -> None:
    images, labels = smooth_images(0, 4), torch.tensor([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"images: expected shape \(N, C, H, W\), got \(4, 28, 28\)"):
        intra_class_ms_ssim(images[:, 0], labels)
    with pytest.raises(ValueError, match=r"labels: expected integers of shape \(4,\), got torch.int64 of shape \(3,\)"):
        intra_class_ms_ssim(images, labels[:3])
    with pytest.raises(ValueError, match=r"labels: expected integers .* got torch.float32"):
        intra_class_ms_ssim(images, labels.float())
    with pytest.raises(ValueError, match="num_classes: expected at least 2, got 1: the largest label and one"):
        intra_class_ms_ssim(images, labels, num_classes=1)
    with pytest.raises(ValueError, match="num_pairs: expected at least 1, got 0"):
        intra_class_ms_ssim(images, labels, num_pairs=0)
    with pytest.raises(ValueError, match="number of images: expected at least 1"):
        intra_class_ms_ssim(images[:0], labels[:0])
    with pytest.raises(ValueError, match="images: expected sides of at least 7, got 6"):
        intra_class_ms_ssim(images[..., :6], labels)
    with pytest.raises(ValueError, match="IntraClassMSSSIM: needs at least 1 sample"):
        metric().compute()
    with pytest.raises(ValueError, match=r"images: expected each of shape \(1, 28, 28\), got \(3, 28, 28\)"):
        metric().update(images.expand(-1, 3, -1, -1), labels)
    with pytest.raises(ValueError, match="labels: expected integers"):
        metric().update(images, labels[:3])
