"""What every image loader returns, and the checks that all of them share."""

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from .classes import Classes, find_classes, printable, take_places
from .pixels import Array, to_bytes

_LOOKED_AT = 20_000


@dataclass(frozen=True, eq=False)  # Comparing tensors has no single truth value; compare fingerprints.
class ImageData:
    """An image data set, whole, as tensors. D = C * H * W, channel first, then row by row.

    Attributes:
        name: What to call it in titles and file names.
        image_shape: (C, H, W).
        train_images: Pixels, uint8, shape (N, D), from 0 to ``maximum``.
        train_labels: Classes 0..K-1, int64, shape (N,), or None where the data has none.
        test_images: As ``train_images``.
        test_labels: As ``train_labels``; both are there or neither.
        maximum: The pixel value of full intensity: 1 for 0/1 data, 16 for scikit-learn's digits, else 255.
        classes: What the labels stand for; None without labels, or where nobody has named them.
        are_rolls: Whether they are piano rolls: C tracks, H steps in time, W pitches from the lowest.
        is_mapped: Whether ``train_images`` is a file larger than memory, read where they are indexed.
    """

    name: str
    image_shape: tuple[int, int, int]
    train_images: Tensor
    train_labels: Tensor | None
    test_images: Tensor
    test_labels: Tensor | None
    maximum: int
    classes: Classes | None = None
    are_rolls: bool = False
    is_mapped: bool = False

    @property
    def num_classes(self) -> int | None:
        """One more than the highest label in either part; None without labels."""
        if self.train_labels is None or self.test_labels is None:
            return None
        return 1 + max(int(self.train_labels.max()), int(self.test_labels.max()))

    @property
    def looked_at(self) -> Tensor:
        """Training images that scores compare with: all, or of a file larger than memory 20,000 spread over it."""
        return self.train_images[:: math.ceil(len(self.train_images) / _LOOKED_AT) if self.is_mapped else 1]

    def classes_for(self, purpose: str) -> int:
        """Number of classes of data whose labels are needed.

        Args:
            purpose: The option or method that needs them, for the message.

        Raises:
            InputError: If there are no labels, or a class has no training image.
        """
        if self.num_classes is None or self.train_labels is None:
            raise InputError(f"{purpose}: expected labeled images, {self.name} has no labels")
        (lacking,) = (self.train_labels.bincount(minlength=self.num_classes) == 0).nonzero(as_tuple=True)
        if len(lacking):
            name = printable(self.named().names[int(lacking[0])])
            raise InputError(f"{purpose}: expected images of every class, {self.name} has none of class {name}")
        return self.num_classes

    def named(self) -> Classes:
        """The classes, by their numbers where they have no names; none without labels."""
        return self.classes or Classes.numbered(self.num_classes or 0)

    def labeled_as(self, classes: Classes, where: str) -> "ImageData":
        """The same with labels that stand for the classes of another data set.

        Args:
            classes: Of the other data set.
            where: Names this one, for the message.

        Raises:
            InputError: If a class here is none of them.
        """
        if self.train_labels is None or self.test_labels is None:
            return self
        places = classes.places_of(self.named(), where)
        train, test = (take_places(labels, places) for labels in (self.train_labels, self.test_labels))
        return dataclasses.replace(self, train_labels=train, test_labels=test, classes=classes)

    def summary(self) -> dict[str, object]:
        """What a run's config.json says of its data."""
        sizes = {"num_train": len(self.train_images), "num_test": len(self.test_images)}
        known = {} if self.classes is None else {"classes": self.classes.names}
        kind = {"are_rolls": True} if self.are_rolls else {}
        return {
            "name": self.name,
            "image_shape": self.image_shape,
            **sizes,
            **known,
            **kind,
            "fingerprint": self.fingerprint(),
        }

    def to(self, device: torch.device | str) -> "ImageData":
        """A copy whose tensors are on the device, those of a file that is larger than memory too."""
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **tensors)

    def fingerprint(self) -> str:
        """16 hex digits that change with any pixel, label or shape, and not with the name or the device."""
        digest = hashlib.blake2b(repr((self.image_shape, self.maximum)).encode(), digest_size=8)
        for part in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(b"none" if part is None else repr(tuple(part.shape)).encode())
            if part is not None:
                digest.update(part.cpu().contiguous().numpy().data)
        return digest.hexdigest()


def assemble(
    name: str,
    train: Array,
    train_labels: Array | None,
    test: Array | None,
    test_labels: Array | None,
    *,
    seed: int | None = 0,
    maximum: int | None = None,
    names: Sequence[str] | None = None,
) -> ImageData:
    """Checks the arrays a loader has read and makes tensors of them.

    Args:
        name: Of the data set; also the subject of error messages.
        train: Boolean, whole numbers up to 255 or floats in [0, 1] or [-1, 1], shape (N, C, H, W).
        train_labels: Whole numbers or strings, shape (N,).
        test: As ``train``; None holds out a tenth of ``train``, at least one image, and of every class that has two,
            unless ``seed`` is None.
        test_labels: As ``train_labels``.
        seed: Chooses the images held out; with None there are none, and ``train`` stays whole and in order.
        maximum: The value of full intensity, where it does not follow from the pixels as in ``to_bytes``.
        names: Of the classes, where labels are their indices; else labels are their own names.

    Raises:
        InputError: If the data set is empty, has fewer than 2 training images or only equal ones, if pixels
            or labels are out of range, or if shapes or counts do not match.
    """
    if train.size == 0:
        raise InputError(f"{name}: the data set is empty (training images of shape {train.shape})")
    if len(train) < 2:
        raise InputError(f"{name}: training needs at least 2 images, found {len(train)}")
    if test is not None and test.size == 0:
        raise InputError(f"{name}: the test part is empty (shape {test.shape})")
    if test is not None and test.shape[1:] != train.shape[1:]:
        sizes = f"{train.shape[1:]} in train, {test.shape[1:]} in test"
        raise InputError(f"{name}: images of different sizes: {sizes}")
    if test is not None and (train_labels is None) != (test_labels is None):
        raise InputError(f"{name}: labels for one of train and test only: expected both or neither")
    _check_labels(name, "training", train, train_labels)
    _check_labels(name, "test", test, test_labels)
    if (train == train[:1]).all():
        raise InputError(f"{name}: the data has no variation: all {len(train)} training images are equal")

    classes, (train_labels, test_labels) = find_classes(name, (train_labels, test_labels), names)
    if test is None:
        kept, held_out = (slice(None), slice(0)) if seed is None else _hold_out(len(train), train_labels, seed)
        train, test = train[kept], train[held_out]
        if train_labels is not None:
            train_labels, test_labels = train_labels[kept], train_labels[held_out]
    if maximum is None:
        (train, test), maximum = to_bytes(train, test, name)
    _, channels, height, width = train.shape
    return ImageData(
        name=name,
        image_shape=(channels, height, width),
        train_images=_flat_tensor(train),
        train_labels=_label_tensor(train_labels),
        test_images=_flat_tensor(test),
        test_labels=_label_tensor(test_labels),
        maximum=maximum,
        classes=classes,
    )


def _check_labels(name: str, part: str, images: Array | None, labels: Array | None) -> None:
    if labels is None:
        return
    if images is None:
        raise InputError(f"{name}: {part} labels without {part} images")
    if labels.ndim != 1 or labels.dtype.kind not in "iubUS":
        raise InputError(
            f"{name}: expected {part} labels as whole numbers or strings of shape (N,), "
            f"found {labels.dtype} of shape {labels.shape}"
        )
    if len(labels) != len(images):
        raise InputError(f"{name}: {len(images)} {part} images but {len(labels)} labels")


def _hold_out(num_images: int, labels: Array | None, seed: int) -> tuple[Array, Array]:
    """Indices of the images kept and held out: a tenth by chance, unless that costs a class one of its sides."""
    # RandomState: its stream is frozen across NumPy releases, so a test set stays the same one.
    words = np.frombuffer(hashlib.sha256(repr(("hold-out", seed)).encode()).digest(), dtype="<u4")
    order = np.random.RandomState(words).permutation(num_images)
    is_held_out = np.arange(num_images) < max(1, num_images // 10)  # along the order
    if labels is not None:
        of_class = labels[order]
        counts = np.bincount(of_class)
        held_out = np.bincount(of_class[is_held_out], minlength=len(counts))
        # A class of one image is trained on; where there is no other, chance decides which are held out.
        wrong = (held_out == counts) | (held_out == 0) & (counts > 1)
        if counts.max() > 1 and wrong.any():
            by_class = np.argsort(of_class, kind="stable")
            rank = np.empty(num_images, dtype=np.int64)
            rank[by_class] = np.arange(num_images) - np.repeat(np.cumsum(counts) - counts, counts)
            shares = np.where(counts > 1, np.maximum(1, (counts + 5) // 10), 0)
            is_held_out = rank < shares[of_class]
    return np.sort(order[~is_held_out]), np.sort(order[is_held_out])


def _flat_tensor(images: Array) -> Tensor:
    return torch.tensor(
        np.ascontiguousarray(images).reshape(len(images), math.prod(images.shape[1:])), dtype=torch.uint8
    )


def _label_tensor(labels: Array | None) -> Tensor | None:
    return None if labels is None else torch.tensor(labels)
