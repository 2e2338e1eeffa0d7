"""Class labels into generators and discriminators.

References:
    Conditional Generative Adversarial Nets (Mirza and Osindero, 2014), https://arxiv.org/abs/1411.1784
    cGANs with Projection Discriminator (Miyato and Koyama, 2018), https://arxiv.org/abs/1802.05637
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from discrete_gan.labels import labeled as labeled


def append_labels(z: Tensor, labels: Tensor | None, num_classes: int) -> Tensor:
    """Latents with their class after them, for a generator's first layer.

    Args:
        z: Shape (B, latent_dim).
        labels: Classes, int64, shape (B,); None without classes.
        num_classes: K; 0 for a generator without.

    Returns:
        Shape (B, latent_dim + K). Gradients reach z.

    Raises:
        ValueError: If there are labels without classes, or classes without labels.
    """
    _check_labels(labels, num_classes)
    return z if labels is None else torch.cat([z, one_hot(labels, num_classes).to(z.dtype)], dim=-1)


class ClassProjection(nn.Module):
    r"""What a class adds to a discriminator's raw output: :math:`v_y \cdot f(x)`, an inner product with its features.

    The log-ratio of the classes, :math:`\log p_{data}(y \mid x) / p_g(y \mid x)`, in the projection discriminator.
    It begins at zero.

    Args:
        num_classes: K; 0 for a discriminator without.
        num_features: Size of f(x).
    """

    def __init__(self, num_classes: int, num_features: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.directions = nn.Parameter(torch.zeros(num_classes, num_features)) if num_classes else None

    def forward(self, features: Tensor, labels: Tensor | None) -> Tensor | float:
        """The term of features (..., B, F) and labels (B,), shape (..., B), in nats; 0 without classes.

        Raises:
            ValueError: If there are labels without classes, or classes without labels.
        """
        _check_labels(labels, self.num_classes)
        return 0.0 if self.directions is None else (self.directions[labels] * features).sum(dim=-1)


def _check_labels(labels: Tensor | None, num_classes: int) -> None:
    if (labels is None) != (num_classes == 0):
        expected = f"classes of 0 to {num_classes - 1}, shape (B,)" if num_classes else "none, the model has no classes"
        raise ValueError(f"labels: expected {expected}, got {None if labels is None else tuple(labels.shape)}")
