"""What estimators that back-propagate through the discriminator share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Objective = Literal["non-saturating", "log-ratio"]


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Hold parameters fixed: gradients pass through to the input, none are computed for the parameters."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


def objective_loss(log_w: Tensor, objective: Objective) -> Tensor:
    """What is back-propagated, one value a latent: the mean over samples of shape (M, B)."""
    loss = F.softplus(-log_w) if objective == "non-saturating" else -log_w
    return loss.mean(dim=0)
