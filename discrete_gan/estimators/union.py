r"""Boundary-seeking weights beside real samples: Softmax GAN for discrete data.

References:
    Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_same_shape, check_samples
from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributed import gather
from discrete_gan.distributions import as_factorized
from discrete_gan.estimators._common import FACTORIZED, log_ratios
from discrete_gan.estimators._mean_samples import drawn_at_once, drawn_mean, loss_of_means
from discrete_gan.estimators.claims import Claims
from discrete_gan.weights import union_weights


def softmax_boundary_seeking_loss(
    log_w: Tensor, log_prob: Tensor, real_log_w: Tensor, *, zero_sum: bool = True
) -> Tensor:
    r"""Boundary-seeking surrogate with the weights of a softmax over generated and real samples together.

    .. math::
        \ell_b = -\sum_{m=1}^{M} \Big(\tilde w_{m,b} - \tfrac{1}{M + R}\Big) \log g_\theta(x_{m,b} \mid z_b), \qquad
        \tilde w_{m,b} = \frac{e^{s_{m,b}}}{\sum_{m'} e^{s_{m',b}} + \sum_{r=1}^{R} e^{s_r}}

    What it descends: with many samples of both kinds, :math:`R = \rho M`, sums become means, and the expected gradient
    is that of :math:`\lambda_z KL(\tilde p_z \| g(\cdot \mid z))`, where
    :math:`\tilde p_z \propto g(x \mid z)\, e^{s(x)}` and

    .. math:: \lambda_z = \frac{Z_z}{Z_z + \rho\, E_{data}[e^s]}, \qquad Z_z = E_{g(\cdot \mid z)}[e^s]

    are held fixed: the target of ``boundary_seeking_loss``, but a latent counts by its share of the softmax. One
    whose samples all look unlikely beside the data moves little, instead of as much as any other. For finite M the bias
    is of rate 1/M. With M = 1 the gradient does not vanish: it is REINFORCE's, without bias, with the bounded reward
    :math:`\sigma(s - \log \sum_r e^{s_r})`.

    Scores of a GAN's discriminator are log-ratios. Those of ``losses.softmax_gan`` are :math:`\log D` up to a constant,
    so that the target is :math:`g(x \mid z)\, D(x)` normalized: weights are bounded, the fixed point is the same.

    Args:
        log_w: Scores of the generated samples in nats, larger for more real, shape (M, B). Not differentiated.
        log_prob: log g(x_m | z) in nats of the same samples, shape (M, B).
        real_log_w: Scores of real samples in nats, shape (R,). Those of every process of a distributed run are taken
            together, equally many on each. Not differentiated.
        zero_sum: Subtract 1/(M + R), the target that Softmax GAN sets the generator: no expectation changes, as the
            samples are its own.

    Returns:
        One loss per latent, shape (B,). Gradients reach ``log_prob`` only.

    Raises:
        ValueError: If the shapes of ``log_w`` and ``log_prob`` differ, or ``real_log_w`` is not (R,).

    Example:
        >>> log_prob = torch.tensor([[-1.0]], requires_grad=True)  # one sample is enough beside real ones
        >>> softmax_boundary_seeking_loss(torch.ones(1, 1), log_prob, torch.zeros(3)).sum().backward()
        >>> log_prob.grad
        tensor([[-0.2254]])
    """
    check_samples("log_w", log_w)
    check_same_shape("log_prob", log_prob, "log_w", log_w)
    weights = union_weights(log_w.detach(), gather(real_log_w), zero_sum=zero_sum)
    return -(weights * at_least_float32(log_prob)).sum(dim=0)


@dataclass(frozen=True)
class UnionBoundarySeeking:
    """Boundary-seeking estimator with weights beside real samples: see :func:`softmax_boundary_seeking_loss`.

    Works with any discriminator whose raw output is a log-ratio, or the log of D up to a constant. One call costs
    ``num_samples`` discriminator evaluations per latent and one per real sample, without a backward pass.

    Attributes:
        num_samples: M, samples drawn for each latent.
        zero_sum: Subtract 1/(M + R), the mean weight.
        chunk_size: Draw and score this many samples of each latent at a time, so that memory does not grow with M; by
            default as many as a cache holds. Of any other size for factorized distributions only, whose
            log-probability is affine in the sample.

    Raises:
        ValueError: If M or ``chunk_size`` is below 1.
    """

    num_samples: int = 20
    zero_sum: bool = True
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        check_at_least("num_samples", self.num_samples, 1)
        if self.chunk_size is not None:
            check_at_least("chunk_size", self.chunk_size, 1)

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        bias = "O(1/M), and latents weigh as their shares of the softmax"
        return Claims("reweighted", bias, self.num_samples, "Lin 2017, arXiv 1704.06191")

    def __call__(
        self, generator: Conditional, discriminator: Discriminator, z: Tensor, *, real: Tensor | None = None
    ) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Args:
            generator: Returns a distribution.
            discriminator: Returns scores in nats.
            z: Latents, shape (B, latent_dim).
            real: Real samples, shape (R, *event). Not differentiated.

        Raises:
            TypeError: If ``chunk_size`` is set and the generator's distribution is not factorized.
            ValueError: If ``real`` is not given, or is not a batch.
        """
        real_log_w = _scores_of_real(discriminator, real)
        g = as_factorized(generator(z))
        if isinstance(g, FACTORIZED):
            mean, everyone = drawn_mean(g, discriminator, self.num_samples, self.chunk_size), gather(real_log_w)
            subtracted = self.num_samples / (self.num_samples + len(everyone))
            scale = mean.share_beside(everyone)
            return loss_of_means(g, mean, scale=scale, plain_scale=subtracted, zero_sum=self.zero_sum)
        x, log_w = drawn_at_once(g, discriminator, self.num_samples, self.chunk_size)
        return softmax_boundary_seeking_loss(log_w, g.log_prob(x), real_log_w, zero_sum=self.zero_sum)


def _scores_of_real(discriminator: Discriminator, real: Tensor | None) -> Tensor:
    """The discriminator's raw output on real samples (R, *event), shape (R,). No gradient."""
    if real is None:
        raise ValueError("real: expected real samples (recipes give them, the lab has none), got None")
    if real.dim() < 2 or len(real) == 0:
        raise ValueError(f"real: expected shape (R, *event), got {tuple(real.shape)}")
    with torch.no_grad():
        return log_ratios(discriminator, real, batch_dims=1)
