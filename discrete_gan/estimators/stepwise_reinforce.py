r"""REINFORCE with a reward per token, discounted: ScratchGAN's estimator and its relatives.

Reference:
    Training Language GANs from Scratch (de Masson d'Autume et al., 2019), https://arxiv.org/abs/1905.09922
"""

from typing import Literal

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_choice, check_same_shape
from discrete_gan._precision import at_least_float32, matmul
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributed import mean_over_processes
from discrete_gan.distributions import before_end
from discrete_gan.estimators._common import autoregressive, moved, step_log_ratios
from discrete_gan.estimators.reinforce import Baseline
from discrete_gan.estimators.stateful import StatefulEstimator

Reward = Literal["probability", "log-ratio"]


def discounted_returns(rewards: Tensor, discount: float) -> Tensor:
    r"""Sum of the rewards that follow, :math:`R_t = \sum_{s \ge t} \gamma^{s - t} r_s`, by one product with a matrix.

    Args:
        rewards: r, shape (..., D).
        discount: :math:`\gamma` from 0 to 1.

    Returns:
        The shape of ``rewards``, at least float32. Carries gradient as the rewards do.

    Example:
        >>> discounted_returns(torch.tensor([1.0, 1.0, 1.0]), 0.5)
        tensor([1.7500, 1.5000, 1.0000])
    """
    rewards = at_least_float32(rewards)
    step = torch.arange(rewards.shape[-1], device=rewards.device, dtype=rewards.dtype)
    ahead = step[:, None] - step  # s - t
    powers = torch.where(ahead >= 0, torch.pow(discount, ahead.clamp(min=0)), 0.0)
    return matmul(rewards, powers)


def stepwise_reinforce_loss(returns: Tensor, step_log_prob: Tensor, *, baseline: Tensor | float = 0.0) -> Tensor:
    r"""Surrogate of the score-function estimate with a return for every token.

    .. math:: \ell_b = -\frac{1}{M} \sum_m \sum_t (R_{m,b,t} - c)
              \log g_\theta(x_{m,b,t} \mid x_{m,b,<t}, z_b)

    Unbiased for any baseline that does not depend on the token and what follows it.

    Args:
        returns: R, to be made large, shape (M, B, D). Not differentiated.
        step_log_prob: log g of each token given those before it, in nats, 0 after the end, shape (M, B, D).
        baseline: c, a number or a tensor that broadcasts to (M, B, D). Not differentiated.

    Returns:
        One loss per latent, shape (B,). Gradients reach ``step_log_prob`` only.

    Raises:
        ValueError: If the shapes differ.
    """
    check_same_shape("step_log_prob", step_log_prob, "returns", returns)
    baseline = baseline.detach() if isinstance(baseline, Tensor) else baseline
    advantage = at_least_float32(returns.detach()) - baseline
    return -(advantage * at_least_float32(step_log_prob)).sum(dim=-1).mean(dim=0)


class StepwiseReinforce(StatefulEstimator):
    r"""REINFORCE with a reward per token from a discriminator with a raw output per step, F_t.

    Costs ``num_samples`` discriminator evaluations per latent, without a backward pass.

    Args:
        num_samples: M, samples drawn for each latent.
        reward: ``"probability"``, :math:`r_t = 2 \sigma(F_t) - 1`, ScratchGAN's; or ``"log-ratio"``, what the token
            adds to the log-ratio of its prefix, :math:`r_t = F_t - F_{t-1}`: undiscounted, it descends the reverse KL.
        discount: :math:`\gamma`; with the log-ratio, 1 is exact and less is biased towards what comes soon.
        baseline: ``"none"``; ``"moving-average"``, one number, an exponential moving average of the mean return; or
            ``"leave-one-out"``, the mean return of the other samples of the same latent at the same step.
        decay: Of the moving average.

    Attributes:
        average: Moving average of the return, shape (); a mean that is not finite is left out of it.

    Raises:
        ValueError: If M is below 1, or below 2 with leave-one-out, the discount or the decay is not from 0 to 1 (the
            decay below 1), or the reward or the baseline is unknown.
    """

    average: Tensor

    def __init__(
        self,
        num_samples: int = 20,
        reward: Reward = "log-ratio",
        discount: float = 1.0,
        baseline: Baseline = "leave-one-out",
        decay: float = 0.95,
    ) -> None:
        super().__init__()
        check_choice("reward", reward, ("probability", "log-ratio"))
        check_choice("baseline", baseline, ("none", "moving-average", "leave-one-out"))
        check_at_least("num_samples", num_samples, 2 if baseline == "leave-one-out" else 1)
        if not 0 <= discount <= 1:
            raise ValueError(f"discount: expected a number from 0 to 1, got {discount}")
        if not 0 <= decay < 1:
            raise ValueError(f"decay: expected a number from 0 to below 1, got {decay}")
        self.num_samples, self.reward, self.discount = num_samples, reward, discount
        self.baseline, self.decay = baseline, decay
        self.register_buffer("average", torch.zeros(()))

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator is not autoregressive or the discriminator has no ``steps``.
        """
        g = autoregressive(generator(z), self)
        x = g.sample(torch.Size((self.num_samples,)))
        inside = before_end(x, g.end)
        with torch.no_grad():
            log_w = at_least_float32(step_log_ratios(discriminator, x, self))
            if self.reward == "probability":
                rewards = 2 * torch.sigmoid(log_w) - 1
            else:
                rewards = torch.diff(log_w, dim=-1, prepend=torch.zeros_like(log_w[..., :1]))
            returns = discounted_returns(rewards * inside, self.discount)
        step_log_prob = g.step_log_prob(x)
        if self.baseline == "leave-one-out":
            others = (returns.sum(dim=0) - returns) / (self.num_samples - 1)
            return stepwise_reinforce_loss(returns, step_log_prob, baseline=others)
        if self.baseline == "none":
            return stepwise_reinforce_loss(returns, step_log_prob)
        # The baseline must not know this step's samples, so it is updated after use.
        loss = stepwise_reinforce_loss(returns, step_log_prob, baseline=self.average)
        # Of tokens, of which processes may have drawn different numbers: a mean of their means would not be the mean.
        total, count = mean_over_processes(torch.stack([(returns * inside).sum(), inside.sum().to(returns)]))
        self.average = moved(self.average, total / count, self.decay)
        return loss


def scratchgan(
    num_samples: int = 1,
    discount: float = 0.23,
    baseline: Baseline = "moving-average",
    decay: float = 0.9,
) -> StepwiseReinforce:
    """ScratchGAN's settings of :class:`StepwiseReinforce`: rewards 2 D - 1 per token, discounted by 0.23."""
    return StepwiseReinforce(num_samples, "probability", discount, baseline, decay)
