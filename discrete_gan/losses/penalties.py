r"""Gradient penalties on the discriminator.

References:
    Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), https://arxiv.org/abs/1801.04406
    Stabilizing Training of Generative Adversarial Networks through Regularization (Roth et al., 2017),
    https://arxiv.org/abs/1705.09367
"""

import torch
from torch import Tensor


def gradient_penalty(raw: Tensor, x: Tensor) -> Tensor:
    r"""Half the squared norm of the raw output's gradient with respect to each sample.

    .. math:: \tfrac12 \|\nabla_x F(x)\|^2

    On data this is R1 (equation 9 of Mescheder et al., its factor :math:`\gamma` left to the caller), on
    generated samples R2. Keeps the log-ratio smooth, so that the weights of a latent's samples do not
    collapse onto one of them.

    Args:
        raw: Raw outputs of the samples, shape (B,), computed from ``x``: one forward pass serves loss and penalty.
        x: The samples, shape (B, *event), with ``requires_grad`` set before the forward pass.

    Returns:
        One penalty per sample, shape (B,). Gradients reach what ``raw`` was computed with.

    Raises:
        ValueError: If ``x`` does not require a gradient.
    """
    if not x.requires_grad:
        raise ValueError("x: expected samples with requires_grad set before the discriminator saw them")
    (gradient,) = torch.autograd.grad(raw.sum(), x, create_graph=True)
    return 0.5 * gradient.flatten(1).square().sum(dim=1)
