r"""Boundary-seeking weights with a control variate from the discriminator's gradient at the mean of the sample.

This package's own; the parts it is made of:

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    MuProp: Unbiased Backpropagation for Stochastic Neural Networks (Gu et al., 2016),
    https://arxiv.org/abs/1511.05176
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from discrete_gan._arguments import check_at_least, check_choice
from discrete_gan.estimators._common import (
    FACTORIZED,
    factorized,
    loss_of_gradient,
    losses_and_slopes,
    per_sample,
    sum_over_event,
)
from discrete_gan.estimators.claims import Claims
from discrete_gan.estimators.taylor import through_mean
from discrete_gan.weights import normalized_weights

Control = Literal["tilted", "linear"]


@dataclass(frozen=True)
class ControlledBoundarySeeking:
    r"""Boundary-seeking estimator in which the samples estimate only what the tangent of log w at the mean misses.

    Let :math:`h_m = \nabla \log w(\mu)^\top (x_m - \mu)`, the tangent at the mean :math:`\mu` of :math:`g(x \mid z)`.

    ``control="tilted"`` subtracts the weights that the tangent alone would give, and adds back their limit for many
    samples, which is known: a factorized g, reweighted by :math:`e^h`, is g with :math:`\nabla \log w(\mu)` added
    to its logits.

    .. math:: -\sum_m \big(\tilde w_m - \tilde u_m\big) \nabla \log g(x_m \mid z)
        - \big(\mu(l + \nabla \log w(\mu)) - \mu(l)\big), \quad \tilde u = \operatorname{softmax}(h)

    The two sums share their O(1/M) bias as well as their noise: where log w is affine in the sample, the estimate
    has neither.

    ``control="linear"`` subtracts the tangent itself from the weights, :math:`(h_m - \bar h) / M`, and adds back
    its expectation, :math:`\frac{M-1}{M}\, \nabla \log w(\mu)^\top \nabla \mu`: exactly the expectation of the
    zero-sum weights, bias included.

    Costs ``num_samples`` discriminator evaluations a latent, and one at the mean with a backward pass.

    Attributes:
        num_samples: M, samples drawn for each latent.
        control: ``"tilted"`` or ``"linear"``.

    Raises:
        ValueError: If M is below 1, or below 2 with the linear control, or the control is unknown.
    """

    num_samples: int = 20
    control: Control = "tilted"

    def __post_init__(self) -> None:
        check_choice("control", self.control, ("tilted", "linear"))
        check_at_least("num_samples", self.num_samples, 1 if self.control == "tilted" else 2)

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        bias = "O(1/M), none where log w is affine" if self.control == "tilted" else "O(1/M)"
        return Claims("reweighted", bias, self.num_samples + 1, "this package", accepts=FACTORIZED)

    def __call__(self, generator: nn.Module, discriminator: nn.Module, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution is not factorized.
        """
        g = factorized(generator(z), self)
        x, mean = g.sample((self.num_samples,)), g.mean.detach()
        with torch.no_grad():
            log_w = discriminator(x).to(x.dtype)
        _, slopes = losses_and_slopes(discriminator, mean[None], "log-ratio")
        tangent = -slopes[0].to(x.dtype)  # of log w, (B, *event)
        centered = x - mean
        height = sum_over_event(tangent * centered)  # h, (M, B)
        weights = normalized_weights(log_w)
        if self.control == "tilted":
            weights = weights - normalized_weights(height)
            known = type(g)(g.logits.detach() + tangent).mean - mean
        else:
            weights = weights - (1 + height - height.mean(dim=0)) / self.num_samples
            known = through_mean(g, tangent) * (1 - 1 / self.num_samples)
        return loss_of_gradient(g, -(per_sample(weights, x) * centered).sum(dim=0) - known)
