r"""NVIL: REINFORCE with a baseline learned from the latent.

References:
    Neural Variational Inference and Learning in Belief Networks (Mnih and Gregor, 2014),
    https://arxiv.org/abs/1402.0030
"""

import torch
from torch import Tensor, nn

from discrete_gan._arguments import check_at_least, check_choice
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators._common import (
    OBJECTIVES,
    Objective,
    log_ratios,
    moved,
    sample_loss,
)
from discrete_gan.estimators.claims import Claims
from discrete_gan.estimators.reinforce import reinforce_loss
from discrete_gan.estimators.stateful import SizedLinear, StatefulEstimator


class Nvil(StatefulEstimator):
    """NVIL estimator: the reward minus a moving average and minus a network's prediction from z.

    Unbiased (see ``Claims.unbiased``), as neither baseline knows the samples; with ``normalize`` up to a positive
    factor, that of the steps before. The network descends the squared error of its prediction. Costs ``num_samples``
    discriminator evaluations per latent, without a backward pass.

    Args:
        num_samples: M, samples drawn for each latent.
        hidden: Width of the network's one layer.
        decay: Of the moving averages.
        normalize: Divide by the moving standard deviation of the centered reward where that is above 1.
        objective: The reward is log w (``"log-ratio"``, the reverse KL) or log D (``"non-saturating"``).

    Attributes:
        average: Moving average of the reward that the network leaves, in nats, shape ().
        variance: Moving average of the centered reward's square, shape (). Both leave out what is not finite.

    Raises:
        ValueError: If M or the width is below 1, or the decay or the objective is unknown.
    """

    objective: Objective
    average: Tensor
    variance: Tensor

    def __init__(
        self,
        num_samples: int = 1,
        hidden: int = 64,
        decay: float = 0.8,
        normalize: bool = False,
        objective: Objective = "log-ratio",
    ) -> None:
        super().__init__()
        check_at_least("num_samples", num_samples, 1)
        check_at_least("hidden", hidden, 1)
        check_choice("objective", objective, OBJECTIVES)
        if not 0 <= decay < 1:
            raise ValueError(f"decay: expected a number from 0 to below 1, got {decay}")
        self.num_samples, self.hidden, self.decay = num_samples, hidden, decay
        self.normalize, self.objective = normalize, objective
        self.baseline = nn.Sequential(SizedLinear(hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.register_buffer("average", torch.zeros(()))
        self.register_buffer("variance", torch.zeros(()))

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        bias = "none but a positive factor" if self.normalize else "none"
        return Claims(self.objective, bias, self.num_samples, "Mnih and Gregor 2014, arXiv 1402.0030")

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator, and this module's parameters."""
        g = generator(z)
        x = g.sample(torch.Size((self.num_samples,)))
        with torch.no_grad():
            reward = -sample_loss(log_ratios(discriminator, x), self.objective)
        predicted = self.baseline(z.detach().flatten(1).to(self.average.dtype)).squeeze(-1)
        left = reward - predicted.detach()
        # Both averages are of the steps before: they must not know these samples.
        centered = left - self.average
        factor = self.variance.sqrt().clamp(min=1) if self.normalize else 1.0
        loss = reinforce_loss(centered / factor, g.log_prob(x))
        self.variance = moved(self.variance, centered.square().mean(), self.decay)
        self.average = moved(self.average, left.mean(), self.decay)
        target = reward.mean(dim=0) - self.average
        target = torch.where(target.isfinite(), target, predicted.detach())  # or the network would be lost for good
        error = (target - predicted).square()
        return loss + (error - error.detach())
