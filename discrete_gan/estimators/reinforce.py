r"""REINFORCE, the score-function estimator, with the log-ratio as its reward.

References:
    Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning (Williams, 1992),
    https://doi.org/10.1007/BF00992696
    Buy 4 REINFORCE Samples, Get a Baseline for Free! (Kool et al., 2019), https://openreview.net/forum?id=r1lgTGL5DE
"""

from typing import Literal

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_choice, check_same_shape, check_samples
from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators._common import (
    OBJECTIVES,
    Objective,
    log_ratios,
    moved,
    sample_loss,
)
from discrete_gan.estimators.claims import Claims
from discrete_gan.estimators.stateful import StatefulEstimator

Baseline = Literal["none", "moving-average", "leave-one-out"]


def reinforce_loss(reward: Tensor, log_prob: Tensor, *, baseline: Tensor | float = 0.0) -> Tensor:
    r"""Surrogate whose gradient is minus the score-function estimate of the reward's gradient.

    .. math:: \ell_b = -\frac{1}{M} \sum_m (R_{m,b} - c) \log g_\theta(x_{m,b} \mid z_b)

    Unbiased for any baseline that does not depend on the samples. With R = log w held fixed it descends the
    reverse KL, :math:`KL(p_g \| p_{data})`.

    Args:
        reward: R(x_m), to be made large, shape (M, B). Not differentiated.
        log_prob: log g(x_m | z) in nats of the same samples, shape (M, B).
        baseline: c, a number or a tensor that broadcasts to (M, B). Not differentiated.

    Returns:
        One loss per latent, shape (B,). Gradients reach ``log_prob`` only.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> log_prob = torch.tensor([[-1.0], [-1.0]], requires_grad=True)
        >>> reinforce_loss(torch.tensor([[1.0], [3.0]]), log_prob, baseline=2.0).sum().backward()
        >>> log_prob.grad[:, 0]
        tensor([ 0.5000, -0.5000])
    """
    check_samples("reward", reward)
    check_same_shape("log_prob", log_prob, "reward", reward)
    baseline = baseline.detach() if isinstance(baseline, Tensor) else baseline
    return -((at_least_float32(reward.detach()) - baseline) * at_least_float32(log_prob)).mean(dim=0)


def leave_one_out_loss(reward: Tensor, log_prob: Tensor) -> Tensor:
    r"""REINFORCE in which the other samples of a latent are the baseline of each.

    .. math:: \ell_b = -\frac{1}{M-1} \sum_m (R_{m,b} - \bar R_b) \log g_\theta(x_{m,b} \mid z_b)

    Unbiased: subtracting the mean of all M and dividing by M - 1 is subtracting the mean of the other M - 1.

    Args:
        reward: R(x_m), to be made large, shape (M, B). Not differentiated.
        log_prob: log g(x_m | z) in nats of the same samples, shape (M, B).

    Returns:
        One loss per latent, shape (B,). Gradients reach ``log_prob`` only.

    Raises:
        ValueError: If the shapes differ or M is 1.

    Example:
        >>> log_prob = torch.tensor([[-1.0], [-1.0]], requires_grad=True)
        >>> leave_one_out_loss(torch.tensor([[1.0], [3.0]]), log_prob).sum().backward()
        >>> log_prob.grad[:, 0]
        tensor([ 1., -1.])
    """
    check_samples("reward", reward)
    check_at_least("reward: number of samples M", reward.shape[0], 2, "leave-one-out needs another sample")
    num_samples, reward = reward.shape[0], at_least_float32(reward)
    return reinforce_loss(reward, log_prob, baseline=reward.mean(dim=0)) * (num_samples / (num_samples - 1))


class Reinforce(StatefulEstimator):
    """REINFORCE estimator of the reverse-KL gradient: the reward is log w, the discriminator's raw output.

    Unbiased (see ``Claims.unbiased``) for that reward. Costs ``num_samples`` discriminator evaluations per latent,
    without a backward pass. A module because the moving average is state, saved and resumed with a run.

    Args:
        num_samples: M, samples drawn for each latent.
        baseline: ``"none"``; ``"moving-average"``, an exponential moving average of the mean reward of the
            steps before; or ``"leave-one-out"``, the mean reward of the other samples of the same latent.
        decay: Of the moving average.
        objective: The reward is log w (``"log-ratio"``, the reverse KL) or log D (``"non-saturating"``).

    Attributes:
        average: Moving average of the reward in nats, shape (); a mean that is not finite is left out of it.

    Raises:
        ValueError: If M is below 1, or below 2 with leave-one-out, or the baseline, decay or objective is unknown.
    """

    objective: Objective
    average: Tensor

    def __init__(
        self,
        num_samples: int = 20,
        baseline: Baseline = "leave-one-out",
        decay: float = 0.95,
        objective: Objective = "log-ratio",
    ) -> None:
        super().__init__()
        check_choice("objective", objective, OBJECTIVES)
        check_choice("baseline", baseline, ("none", "moving-average", "leave-one-out"))
        if baseline == "leave-one-out":
            check_at_least("num_samples", num_samples, 2, "leave-one-out needs another sample")
        check_at_least("num_samples", num_samples, 1)
        if not 0 <= decay < 1:
            raise ValueError(f"decay: expected a number from 0 to below 1, got {decay}")
        self.num_samples, self.baseline, self.decay, self.objective = num_samples, baseline, decay, objective
        self.register_buffer("average", torch.zeros(()))

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        paper = "Kool et al. 2019, openreview r1lgTGL5DE" if self.baseline == "leave-one-out" else "Williams 1992"
        return Claims(self.objective, "none", self.num_samples, paper)

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only."""
        g = generator(z)
        x = g.sample(torch.Size((self.num_samples,)))
        with torch.no_grad():
            reward = -sample_loss(log_ratios(discriminator, x), self.objective)
        log_prob = g.log_prob(x)
        if self.baseline == "leave-one-out":
            return leave_one_out_loss(reward, log_prob)
        if self.baseline == "none":
            return reinforce_loss(reward, log_prob)
        # The baseline must not know this step's samples, so it is updated after use.
        loss = reinforce_loss(reward, log_prob, baseline=self.average)
        self.average = moved(self.average, reward.mean(), self.decay)
        return loss
