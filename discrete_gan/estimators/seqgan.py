r"""SeqGAN's estimator: the reward of a token is what its prefix is worth on average, by Monte Carlo rollouts.

Reference:
    SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient (Yu et al., 2017),
    https://arxiv.org/abs/1609.05473
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_choice
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators._common import autoregressive, log_ratios
from discrete_gan.estimators.stepwise_reinforce import Reward, stepwise_reinforce_loss


@dataclass(frozen=True)
class SeqGAN:
    r"""REINFORCE whose reward of the t-th token is the mean reward of sequences completed from the first t tokens.

    .. math:: Q_t = \frac{1}{R} \sum_r f(x_{\le t}, y^r_{>t}), \quad y^r \sim g(\cdot \mid x_{\le t}, z), \qquad
              Q_D = f(x)

    Works with any discriminator of whole sequences. The expected gradient is REINFORCE's. The reward of each token has
    less variance, and with many rollouts so has each position's term of the gradient; their sum need not, where
    positions share parameters and their terms cancel: with two fair bits of one logit, rewarded if they differ, the
    gradient of REINFORCE is always zero, and this one's has a variance of 1/16. The price is (D - 1) R + 1 sequences
    and discriminator evaluations for each of the samples, without a backward pass.

    Attributes:
        num_samples: M, samples drawn for each latent.
        num_rollouts: R, completions of each prefix.
        reward: f, D(x) (``"probability"``, the paper's) or log w (``"log-ratio"``, which descends the reverse KL).
        baseline: ``"none"``, the paper's, or ``"leave-one-out"``, the mean of the other samples of the same latent.

    Raises:
        ValueError: If M is below 1, or below 2 with leave-one-out, R is below 1, or reward or baseline is unknown.
    """

    num_samples: int = 1
    num_rollouts: int = 16
    reward: Reward = "probability"
    baseline: Literal["none", "leave-one-out"] = "none"

    def __post_init__(self) -> None:
        check_choice("reward", self.reward, ("probability", "log-ratio"))
        check_choice("baseline", self.baseline, ("none", "leave-one-out"))
        check_at_least("num_samples", self.num_samples, 2 if self.baseline == "leave-one-out" else 1)
        check_at_least("num_rollouts", self.num_rollouts, 1)

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator is not autoregressive.
        """
        g = autoregressive(generator(z), self)
        x = g.sample(torch.Size((self.num_samples,)))
        with torch.no_grad():
            log_w = log_ratios(discriminator, x)[None]
            if (completed := g.rollouts(x, self.num_rollouts)).numel():  # a single token has no proper prefix
                of_prefixes = log_ratios(discriminator, completed, batch_dims=4)
                rewards = [self._of(of_prefixes).mean(dim=1), self._of(log_w)]
            else:
                rewards = [self._of(log_w)]
            returns = torch.cat(rewards).movedim(0, -1)  # (D, M, B) to (M, B, D)
        baseline = 0.0
        if self.baseline == "leave-one-out":
            baseline = (returns.sum(dim=0) - returns) / (self.num_samples - 1)
        return stepwise_reinforce_loss(returns, g.step_log_prob(x), baseline=baseline)

    def _of(self, log_w: Tensor) -> Tensor:
        """The reward, of raw outputs."""
        return torch.sigmoid(log_w) if self.reward == "probability" else log_w
