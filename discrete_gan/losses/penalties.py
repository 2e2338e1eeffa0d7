r"""Gradient penalties on the discriminator.

References:
    Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), https://arxiv.org/abs/1801.04406
    Stabilizing Training of Generative Adversarial Networks through Regularization (Roth et al., 2017),
    https://arxiv.org/abs/1705.09367
    Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028
"""

from collections.abc import Callable

import torch
from torch import Tensor

from discrete_gan._arguments import check_same_shape
from discrete_gan._precision import at_least_float32


def gradient_penalty(raw: Tensor, x: Tensor) -> Tensor:
    r"""Half the squared norm of the raw output's gradient with respect to each sample.

    .. math:: \tfrac12 \|\nabla_x F(x)\|^2

    On data this is R1 (equation 9 of Mescheder et al., its factor :math:`\gamma` left to the caller), on
    generated samples R2. Keeps the log-ratio smooth, so that the weights of a latent's samples do not
    collapse onto one of them. Other penalties on the squared norm are this one times two: the contractive penalty in
    the PyTorch code of the boundary-seeking GAN's authors takes it on data and on generated samples; on
    :func:`interpolates` it draws the gradient to zero where :func:`wgan_gp_penalty` draws its norm to one.

    Args:
        raw: Raw outputs of the samples, shape (B,), computed from ``x``: one forward pass serves loss and penalty.
        x: The samples, shape (B, *event), with ``requires_grad`` set before the forward pass.

    Returns:
        One penalty per sample, shape (B,). Gradients reach what ``raw`` was computed with.

    Raises:
        ValueError: If ``x`` does not require a gradient.
    """
    return 0.5 * _gradient(raw, x).square().sum(dim=1)


def wgan_gp_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    r"""Squared distance from one of the gradient's norm, between real and generated samples.

    .. math:: (\|\nabla_x F(\hat x)\|_2 - 1)^2, \qquad \hat x = \epsilon\, x_{real} + (1 - \epsilon)\, x_{fake}

    Equation 3 of Gulrajani et al., its factor :math:`\lambda = 10` left to the caller. Holds a critic to Lipschitz
    constant one. Between discrete samples the interpolates are relaxed ones, which the discriminator must accept.

    Args:
        discriminator: Samples (B, *event) to raw outputs (B,).
        real: Data, shape (B, *event). Not differentiated.
        fake: Generated samples, as many. Not differentiated.

    Returns:
        One penalty per pair, shape (B,). Gradients reach the discriminator; of a norm of zero they are zero.

    Raises:
        ValueError: If the shapes of ``real`` and ``fake`` differ.
    """
    x = interpolates(real, fake).requires_grad_()
    norm = torch.linalg.vector_norm(_gradient(discriminator(x), x), dim=1)
    return (norm - 1).square()


def interpolates(real: Tensor, fake: Tensor) -> Tensor:
    r"""Points drawn uniformly on the segments from generated to real samples.

    .. math:: \hat x = \epsilon\, x_{real} + (1 - \epsilon)\, x_{fake}, \qquad \epsilon \sim U[0, 1]

    Args:
        real: Data, shape (B, *event).
        fake: Generated samples, as many.

    Returns:
        One point per pair, shape (B, *event), one :math:`\epsilon` each. No gradient.

    Raises:
        ValueError: If the shapes differ.
    """
    check_same_shape("fake", fake, "real", real)
    real, fake = real.detach(), fake.detach()
    epsilon = torch.rand(len(real), *[1] * (real.dim() - 1), dtype=real.dtype, device=real.device)
    return epsilon * real + (1 - epsilon) * fake


def _gradient(raw: Tensor, x: Tensor) -> Tensor:
    """Of each raw output in its own sample, shape (B, size of the event). Carries gradient."""
    if not x.requires_grad:
        raise ValueError("x: expected samples with requires_grad set before the discriminator saw them")
    (gradient,) = torch.autograd.grad(raw.sum(), x, create_graph=True)
    return at_least_float32(gradient).flatten(1)
