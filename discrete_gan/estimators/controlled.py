r"""Boundary-seeking weights with a control variate from the discriminator's gradient at the mean of the sample.

This package's own; the parts it is made of:

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    MuProp: Unbiased Backpropagation for Stochastic Neural Networks (Gu et al., 2016),
    https://arxiv.org/abs/1511.05176
"""

from typing import Literal

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_choice
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributed import mean_over_processes
from discrete_gan.distributions import BlockwiseBernoulli, FactorizedBernoulli
from discrete_gan.estimators._common import (
    FACTORIZED,
    factorized,
    log_ratios,
    loss_of_gradient,
    losses_and_slopes,
    per_sample,
    sum_over_event,
    through_mean,
)
from discrete_gan.estimators.claims import Claims
from discrete_gan.estimators.stateful import StatefulEstimator
from discrete_gan.weights import normalized_weights

Control = Literal["tilted", "linear"]
_ACCEPTED = (*FACTORIZED, BlockwiseBernoulli)


class ControlledBoundarySeeking(StatefulEstimator):
    r"""Boundary-seeking estimator in which the samples estimate only what a tangent of log w misses.

    Let :math:`a = \beta \nabla \log w(\mu)`, the gradient of the log-ratio at the mean :math:`\mu` of
    :math:`g(x \mid z)`, and :math:`h_m = a^\top (x_m - \mu)`.

    ``control="tilted"`` subtracts the weights that the tangent alone would give, and adds back their limit for many
    samples, which is known: a factorized g, reweighted by :math:`e^h`, is g with a added to its logits.

    .. math:: -\sum_m \big(\tilde w_m - \tilde u_m\big) \nabla \log g(x_m \mid z)
        - \big(\mu(l + a) - \mu(l)\big), \quad \tilde u = \operatorname{softmax}(h)

    The two sums share their O(1/M) bias as well as their noise: where log w is affine in the sample and
    :math:`\beta = 1`, the estimate has neither.

    ``control="linear"`` subtracts the tangent itself from the weights, :math:`(h_m - \bar h) / M`, and adds back
    its expectation, :math:`\frac{M-1}{M}\, a^\top \nabla \mu`: exactly the expectation of the zero-sum weights,
    bias included. So it does whatever ``control`` is where positions are drawn in blocks: with the mean of each given
    the blocks before it in its sample in place of :math:`\mu`, and a tangent near the mean,
    :math:`a^\top (x_m - \mu_m)` has parts that know nothing of each other, and only that of a position itself tells of
    it. What a position adds through those after it stays with the weights.

    :math:`\beta` is the slope of log w over the tangent among the samples of the calls before, a moving average, so
    that a tangent which says nothing is not used. Costs ``num_samples`` discriminator evaluations per latent, and one
    at the mean with a backward pass.

    Args:
        num_samples: M, samples drawn for each latent.
        control: ``"tilted"`` or ``"linear"``.
        decay: Of the moving average; 1 keeps :math:`\beta = 1`.

    Attributes:
        beta: Shape ().

    Raises:
        ValueError: If M is below 2, or the control or the decay is unknown.
    """

    beta: Tensor

    def __init__(self, num_samples: int = 20, control: Control = "tilted", decay: float = 0.9) -> None:
        super().__init__()
        check_choice("control", control, ("tilted", "linear"))
        check_at_least("num_samples", num_samples, 2)
        if not 0 <= decay <= 1:
            raise ValueError(f"decay: expected a number from 0 to 1, got {decay}")
        self.num_samples, self.control, self.decay = num_samples, control, decay
        self.register_buffer("beta", torch.ones(()))

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        bias = "O(1/M), none where log w is affine" if self.control == "tilted" else "O(1/M)"
        return Claims("reweighted", bias, self.num_samples + 1, "this package", accepts=_ACCEPTED)

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution is neither factorized nor drawn in blocks.
        """
        g = generator(z)
        in_blocks, shape = isinstance(g, BlockwiseBernoulli), torch.Size((self.num_samples,))
        if isinstance(g, BlockwiseBernoulli):
            x = g.sample(shape)
            given, point = g.conditionals(x), g.center
        else:
            given = factorized(g, self)
            x, point = given.sample(shape), given.mean.detach()
        mean = given.mean.detach()  # of every position, by what it was drawn from
        with torch.no_grad():
            log_w = log_ratios(discriminator, x).to(x.dtype)
        _, slopes = losses_and_slopes(discriminator, point[None], "log-ratio")
        slope = -slopes[0].to(x.dtype)  # of log w, (B, *event)
        if in_blocks:
            tangent = sum_over_event(slope * (x - mean))
        else:  # from two products, nothing else of the size of x
            tangent = torch.einsum("mbe,be->mb", x.flatten(2), slope.flatten(1)) - sum_over_event(slope * mean, 1)
        height, tilt = self.beta * tangent, self.beta * slope
        weights = normalized_weights(log_w)
        if self.control == "tilted" and not in_blocks:
            weights = weights - normalized_weights(height)
            known = type(given)(given.logits.detach() + tilt).mean - mean
        else:
            weights = weights - (1 + height - height.mean(dim=0)) / self.num_samples
            known = through_mean(given, tilt) * (1 - 1 / self.num_samples)
        self._update_beta(log_w, tangent)
        if in_blocks:  # each sample has logits of its own
            noise = per_sample(weights, x) * (x - mean)
            latents_first = FactorizedBernoulli(given.logits.movedim(0, 1))
            return loss_of_gradient(latents_first, (-noise - known / self.num_samples).movedim(0, 1))
        noise = torch.einsum("mb,mbe->be", weights, x.flatten(2)).view_as(mean)
        return loss_of_gradient(given, per_sample(weights.sum(dim=0), mean) * mean - noise - known)

    def _update_beta(self, log_w: Tensor, tangent: Tensor) -> None:
        """After use: the control must not know the samples it is applied to."""
        tangent = tangent - tangent.mean(dim=0)
        products = mean_over_processes(torch.stack([(tangent * log_w).mean(), tangent.square().mean()]))
        beta = products[0] / products[1]
        beta = torch.where((products[1] > 0) & beta.isfinite(), beta, self.beta)
        self.beta = self.beta.lerp(beta.to(self.beta), 1 - self.decay)
