"""A few labeled items of each class, for semi-supervised learning."""

from collections.abc import Sequence

import torch
from torch import Tensor

from discrete_gan.data.classes import printable
from discrete_gan.errors import InputError
from discrete_gan.seeds import generator_of


def labeled_subset(labels: Tensor, per_class: int, num_classes: int, *, seed: int, names: Sequence[str] = ()) -> Tensor:
    """Equally many items of each class, drawn without replacement.

    Args:
        labels: Classes, int64, shape (N,).
        per_class: Items of each class.
        num_classes: K.
        seed: The same one chooses the same items, whatever was drawn before.
        names: Of the classes, for the message; their numbers if not given.

    Returns:
        Indices, int64, shape (K, per_class), one row per class, ascending; on the CPU.

    Raises:
        InputError: If a class has fewer.
    """
    order = torch.randperm(len(labels), generator=generator_of(seed))
    shuffled = labels.cpu()[order]
    rows = []
    for label in range(num_classes):
        of_class = order[shuffled == label]
        if len(of_class) < per_class:
            name = printable(names[label]) if names else label
            raise InputError(
                f"per_class {per_class}: expected at most as many as there are of each class, "
                f"class {name} has {len(of_class)}"
            )
        rows.append(of_class[:per_class].sort().values)
    return torch.stack(rows)
