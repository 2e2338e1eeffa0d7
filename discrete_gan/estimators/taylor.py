r"""Score-function estimators with a first-order control variate from the discriminator's gradient.

References:
    MuProp: Unbiased Backpropagation for Stochastic Neural Networks (Gu et al., 2016),
    https://arxiv.org/abs/1511.05176
    Double Control Variates for Gradient Estimation in Discrete Latent Variable Models (Titsias and Shi, 2022),
    https://arxiv.org/abs/2111.05300
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators._common import (
    FACTORIZED,
    LossEstimator,
    factorized,
    log_ratios,
    loss_of_gradient,
    losses_and_slopes,
    per_sample,
    sample_loss,
    sum_over_event,
    through_mean,
)
from discrete_gan.estimators.claims import Claims


@dataclass(frozen=True)
class MuProp(LossEstimator):
    r"""MuProp: the score function takes what the discriminator's tangent at the mean of the sample leaves.

    .. math:: \frac1M \sum_m \big(f(x_m) - f(\mu) - f'(\mu)^\top (x_m - \mu)\big) \nabla \log g(x_m \mid z)
        + f'(\mu)^\top \nabla \mu

    Unbiased (see ``Claims.unbiased``). Costs ``num_samples`` discriminator evaluations per latent, and one at the mean
    with a backward pass.

    Attributes:
        num_samples: M, samples per latent.
        objective: f, the loss of a sample: ``"log-ratio"``, -log w, for the reverse KL, or ``"non-saturating"``.

    Raises:
        ValueError: If M is below 1 or the objective is unknown.
    """

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        return Claims(
            self.objective, "none", self.num_samples + 1, "Gu et al. 2016, arXiv 1511.05176", accepts=FACTORIZED
        )

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution is not factorized.
        """
        g = factorized(generator(z), self)
        x, mean = g.sample(torch.Size((self.num_samples,))), g.mean.detach()
        with torch.no_grad():
            losses = sample_loss(log_ratios(discriminator, x), self.objective)
        at_mean, slope = losses_and_slopes(discriminator, mean[None], self.objective)
        residual = losses - at_mean - sum_over_event(slope * (x - mean))
        score_part = (per_sample(residual, x) * (x - mean)).mean(dim=0)
        return loss_of_gradient(g, score_part + through_mean(g, slope[0]))


@dataclass(frozen=True)
class DoubleCV(LossEstimator):
    r"""Leave-one-out REINFORCE with two Taylor control variates, one on the loss and one on its baseline.

    With :math:`s_m = f'(x_m)` and :math:`\bar s_{-m}` its mean over the other samples, the loss of sample m becomes

    .. math:: f(x_m) - \bar s_{-m}^\top (x_m - \mu)
        - \frac{1}{M-1} \sum_{j \ne m} \big(f(x_j) - s_j^\top (x_j - \mu)\big)

    and :math:`\bar s_{-m}^\top \nabla\mu`, the expectation of what was subtracted, is added to the gradient.
    Unbiased, as :math:`\bar s_{-m}` does not know sample m. Costs ``num_samples`` discriminator evaluations per
    latent, each with a backward pass.

    Attributes:
        num_samples: M, samples per latent.
        objective: f, the loss of a sample: ``"log-ratio"``, -log w, for the reverse KL, or ``"non-saturating"``.

    Raises:
        ValueError: If M is below 2 or the objective is unknown.
    """

    num_samples: int = 20

    def __post_init__(self) -> None:
        check_at_least("num_samples", self.num_samples, 2, "leave-one-out needs another sample")
        super().__post_init__()

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        return Claims(
            self.objective, "none", self.num_samples, "Titsias and Shi 2022, arXiv 2111.05300", accepts=FACTORIZED
        )

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution is not factorized.
        """
        g = factorized(generator(z), self)
        x = g.sample(torch.Size((self.num_samples,)))
        losses, slopes = losses_and_slopes(discriminator, x, self.objective)
        centered = x - g.mean.detach()
        others = self.num_samples - 1
        tangents = sum_over_event(slopes * centered)  # of each sample at itself, (M, B)
        mean_slope = (slopes.sum(dim=0) - slopes) / others  # of the others, (M, B, *event)
        at_mean = losses - tangents  # each sample's guess of the loss at the mean
        residual = losses - sum_over_event(mean_slope * centered) - (at_mean.sum(dim=0) - at_mean) / others
        score_part = (per_sample(residual, x) * centered).mean(dim=0)
        return loss_of_gradient(g, score_part + through_mean(g, mean_slope.mean(dim=0)))
