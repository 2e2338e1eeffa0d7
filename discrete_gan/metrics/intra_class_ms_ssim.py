r"""How alike the generated images of one class are: mode collapse that class scores do not see.

References:
    Multiscale Structural Similarity for Image Quality Assessment (Wang et al., 2003),
        https://doi.org/10.1109/ACSSC.2003.1292216
    Conditional Image Synthesis with Auxiliary Classifier GANs (Odena et al., 2017), https://arxiv.org/abs/1610.09585
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), https://arxiv.org/abs/1703.02000
"""

from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan._precision import widest_float
from discrete_gan.metrics._extra import train_extra
from discrete_gan.seeds import generator_of

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first: Wang et al., section 3.2
_LARGEST_KERNEL, SMALLEST_SIDE = 11, 7
_BATCH_SIZE = 64


class IntraClassSimilarity(NamedTuple):
    """Mean MS-SSIM of pairs from 0 to 1 (all equal), float64; lower is more diverse.

    Attributes:
        mean_by_class: Shape (K,); NaN for a class of fewer than 2 images.
        maximum: Largest of them, a scalar: the class that has collapsed furthest. NaN if no class has 2 images.
    """

    mean_by_class: Tensor
    maximum: Tensor


def intra_class_ms_ssim(
    images: Tensor,
    labels: Tensor,
    *,
    num_classes: int | None = None,
    num_pairs: int = 100,
    seed: int = 0,
    data_range: float = 1.0,
) -> IntraClassSimilarity:
    """Mean multiscale structural similarity of random pairs within each class, and the largest over the classes.

    With 100 pairs, the number of Odena et al., the mean of a class of MNIST has a standard error of 0.02, and a maximum
    of such means is biased upwards. Compare at equal ``num_pairs`` and image size only, and with real images beside
    them: the digits 1 of MNIST get 0.56.

    The standard measure, 5 scales under an 11x11 window of sigma 1.5, needs sides of 176. Smaller images get the most
    scales whose coarsest has room for a window of 7, the largest odd window up to 11 that fits there, sigma
    1.5 / 11 of it, and the standard weights of those scales, scaled to the sum of all five::

        shorter side      7   9   11   14   18   22   28   36   44   63   81   99   112   144   176
        scales            1   1    1    2    2    2    3    3    3    4    4    4     5     5     5
        window            7   9   11    7    9   11    7    9   11    7    9   11     7     9    11

    Correlation that is negative at a scale counts as 0, so that no power of it is NaN.

    Args:
        images: Shape (N, C, H, W), in [0, ``data_range``].
        labels: Class of each, int64 of shape (N,): the generator's own, or a classifier's most probable.
        num_classes: K; None for the largest label and one.
        num_pairs: Pairs drawn in each class, with replacement; all pairs where there are no more than that.
        seed: Of the draw, which leaves the caller's random state alone.
        data_range: Largest pixel minus smallest possible one.

    Returns:
        Means of the classes and their maximum.

    Raises:
        ValueError: If a shape is wrong, a side is below 7, a label is not below K, ``num_pairs`` is below 1, or N is 0.
    """
    check_at_least("num_pairs", num_pairs, 1)
    check_images(images, labels)
    check_at_least("number of images", len(images), 1)
    images, labels = images.detach(), labels.cpu()
    if widest_float(images.device.type) != torch.float64:
        images = images.cpu()
    least_classes = int(labels.max()) + 1
    num_classes = least_classes if num_classes is None else num_classes
    check_at_least("num_classes", num_classes, least_classes, "the largest label and one")
    generator = generator_of(seed)
    means = torch.full((num_classes,), torch.nan, dtype=torch.float64, device=images.device)
    enough = (torch.bincount(labels, minlength=num_classes) >= 2).nonzero()[:, 0]
    for label in enough.tolist():
        pairs = _pairs((labels == label).nonzero()[:, 0], num_pairs, generator).to(images.device)
        means[label] = torch.cat([_ms_ssim(images[part], data_range) for part in pairs.split(_BATCH_SIZE)]).mean()
    # Chosen by their counts, so that images that are not finite make the maximum NaN too.
    return IntraClassSimilarity(means, means[enough].max() if len(enough) else means.new_tensor(torch.nan))


def _pairs(members: Tensor, num_pairs: int, generator: torch.Generator) -> Tensor:
    """Pairs of different members, shape (P, 2): all of them, or num_pairs at random where there are more."""
    count = len(members)
    if count * (count - 1) // 2 <= num_pairs:
        return torch.combinations(members)
    first = torch.randint(count, (num_pairs,), generator=generator)
    second = (first + torch.randint(1, count, (num_pairs,), generator=generator)) % count
    return members[torch.stack([first, second], 1)]


def _ms_ssim(pairs: Tensor, data_range: float) -> Tensor:
    """MS-SSIM of each pair, float64 of shape (B,), from shape (B, 2, C, H, W)."""
    with train_extra("intra_class_ms_ssim"):
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
    scales, kernel = _scales_and_kernel(min(pairs.shape[-2:]))
    weights = _WEIGHTS[:scales]
    first, second = pairs.double().unbind(1)
    return multiscale_structural_similarity_index_measure(
        first,
        second,
        sigma=1.5 * kernel / _LARGEST_KERNEL,  # of which torchmetrics makes a window of this very size
        kernel_size=kernel,
        reduction="none",
        data_range=data_range,
        betas=tuple(weight * sum(_WEIGHTS) / sum(weights) for weight in weights),
        normalize="relu",
    )


def _scales_and_kernel(side: int) -> tuple[int, int]:
    for scales in range(len(_WEIGHTS), 0, -1):
        # Of the side at the coarsest scale, and of torchmetrics' own limit, which is lower with four scales.
        room = side // max(2 ** (scales - 1), (scales - 1) ** 2)
        if room >= SMALLEST_SIDE:
            return scales, min(_LARGEST_KERNEL, room - (room % 2 == 0))
    raise ValueError(f"images: expected sides of at least {SMALLEST_SIDE}, got {side}")


def check_images(images: Tensor, labels: Tensor) -> None:
    """Raise unless the shapes are (N, C, H, W) and (N,), and the labels integers."""
    if images.ndim != 4:
        raise ValueError(f"images: expected shape (N, C, H, W), got {tuple(images.shape)}")
    if labels.shape != images.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"labels: expected integers of shape ({len(images)},), got {labels.dtype} of shape {tuple(labels.shape)}"
        )
