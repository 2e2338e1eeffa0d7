r"""Boundary-seeking loss for continuous data: the generator brings its samples to the decision boundary.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
"""

from torch import Tensor

from discrete_gan._precision import at_least_float32
from discrete_gan.divergences import GAN, Divergence


def generator_loss(fake: Tensor, *, divergence: Divergence = GAN) -> Tensor:
    r"""Half the squared log-ratio.

    .. math:: \tfrac12 (\log w(x))^2 = \tfrac12 (\log D - \log(1 - D))^2 = \tfrac12 F(x)^2

    Equation 11 of the draft. Zero where real and generated samples are equally likely; a sample that the
    discriminator takes for real is moved back to the boundary too. Needs samples that carry gradient: for discrete
    data see the estimators.

    Args:
        fake: Raw outputs on generated samples, any shape.
        divergence: What trained the discriminator; its ``log_weight`` makes a log-ratio of the raw output. That of
            Donsker and Varadhan is one up to a constant only, which this loss, unlike normalized weights, does see:
            subtract an estimate of it, say ``weights.log_partition``, beforehand.

    Returns:
        One loss per sample in squared nats, the shape of ``fake``. Gradients reach ``fake``.
    """
    return 0.5 * divergence.log_weight(at_least_float32(fake)).square()
