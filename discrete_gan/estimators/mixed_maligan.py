r"""MaliGAN with its mixed start: the first tokens of real sequences by likelihood, what follows by weighted samples.

Reference:
    Maximum-Likelihood Augmented Discrete Generative Adversarial Networks (Che et al., 2017), section 3.3,
    https://arxiv.org/abs/1702.07983
"""

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributions import Autoregressive
from discrete_gan.estimators._common import ONE_SAMPLE, autoregressive, log_ratios
from discrete_gan.estimators.stateful import StatefulEstimator
from discrete_gan.weights import normalized_weights


class MixedMaliGAN(StatefulEstimator):
    r"""Of each real sequence the first N tokens are teacher-forced, and M completions of them are weighted.

    .. math:: \ell_b = -\sum_m (\tilde w_{m,b} - \tfrac{1}{M}) \sum_{t > N} \log g(x_{m,b,t} \mid x_{m,b,<t}, z_b)
              - \sum_{t \le N} \log g(x_{b,t} \mid x_{b,<t}, z_b)

    with weights :math:`w = D / (1 - D)` normalized over the completions of each prefix. N falls by one every
    ``decrement_every`` calls, from D, which is maximum likelihood, to 0, which is the boundary-seeking estimator.

    Costs ``num_samples`` discriminator evaluations per latent, without a backward pass.

    Args:
        num_samples: M, completions of each prefix.
        decrement_every: Calls until N falls by one.
        prefix: N at the first call, at most D; 0 for D.

    Raises:
        ValueError: If M is below 2, the calls are below 1 or the prefix is below 0.
    """

    def __init__(self, num_samples: int = 20, decrement_every: int = 50, prefix: int = 0) -> None:
        super().__init__()
        check_at_least("num_samples", num_samples, 2, ONE_SAMPLE)
        check_at_least("decrement_every", decrement_every, 1)
        check_at_least("prefix", prefix, 0)
        self.num_samples, self.decrement_every, self.prefix = num_samples, decrement_every, prefix
        self.calls = 0

    def forward(
        self, generator: Conditional, discriminator: Discriminator, z: Tensor, *, real: Tensor | None = None
    ) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Args:
            generator: Returns an autoregressive distribution.
            discriminator: Returns log-ratios in nats.
            z: Latents, shape (B, latent_dim).
            real: Real sequences, shape (B, D).

        Raises:
            TypeError: If the generator is not autoregressive.
            ValueError: If ``real`` is not given or not one sequence per latent, or the prefix is longer than D.
        """
        g = autoregressive(generator(z), self)
        num_positions = g.event_shape[0]
        if real is None or real.shape != (len(z), num_positions):
            got = "none" if real is None else tuple(real.shape)
            raise ValueError(f"real: expected real sequences of shape {(len(z), num_positions)}, got {got}")
        if self.prefix > num_positions:
            raise ValueError(f"prefix: expected at most {num_positions} tokens, got {self.prefix}")
        length = max(0, (self.prefix or num_positions) - self.calls // self.decrement_every)
        self.calls += 1
        return mixed_loss(g, discriminator, real, length, self.num_samples)

    def get_extra_state(self) -> dict[str, int]:
        """Calls so far."""
        return {"calls": self.calls}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on counting from there."""
        self.calls = state["calls"]


def mixed_loss(g: Autoregressive, discriminator: Discriminator, real: Tensor, length: int, num_samples: int) -> Tensor:
    """The loss of :class:`MixedMaliGAN` for one N.

    Args:
        g: Batch shape (B,).
        discriminator: Returns log-ratios in nats.
        real: Real sequences, shape (B, D).
        length: N, from 0 to D.
        num_samples: M.

    Returns:
        Shape (B,). Gradients reach the generator only.
    """
    forced = g.step_log_prob(real)[:, :length].sum(dim=-1)
    if length == g.event_shape[0]:
        return -forced
    x = g.sample(torch.Size((num_samples,)), prefix=real[:, :length])
    with torch.no_grad():
        weights = normalized_weights(log_ratios(discriminator, x), zero_sum=True)
    free = g.step_log_prob(x)[..., length:].sum(dim=-1)
    return -(weights * free).sum(dim=0) - forced
