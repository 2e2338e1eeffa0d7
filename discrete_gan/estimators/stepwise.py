r"""Boundary-seeking weights token by token, from a discriminator with a raw output per step.

Reference:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators._common import ONE_SAMPLE, autoregressive, step_log_ratios
from discrete_gan.weights import normalized_weights


def stepwise_boundary_seeking_loss(log_w: Tensor, step_log_prob: Tensor, *, zero_sum: bool = True) -> Tensor:
    r"""Surrogate whose gradient is the boundary-seeking update with a weight for every prefix.

    .. math:: \ell_b = -\sum_{m=1}^{M} \sum_{t=1}^{D} (\tilde w_{m,t,b} - \tfrac{1}{M})
              \log g_\theta(x_{m,t,b} \mid x_{m,<t,b}, z_b)

    Weights are normalized over the M samples of each latent at each step. For a generator without latents the expected
    gradient with the weights of whole sequences is the same as with those of prefixes, because what comes after a token
    says nothing about it that the prefix does not:
    :math:`E_g[w(x)\, \nabla \log g(x_t \mid x_{<t})] = E_g[w(x_{\le t})\, \nabla \log g(x_t \mid x_{<t})]`.
    With latents the two differ, as the mean weight of what completes a prefix depends on z and the weight of the prefix
    does not (by 12 % of the gradient's length in one small example): then this is an approximation.
    The prefix's weight has less variance, the less the earlier the token. As with whole sequences, normalizing makes
    it biased at rate 1/M, and with M = 1 there is no signal.

    Args:
        log_w: :math:`\log p_{data}(x_{\le t}) / p_g(x_{\le t})` in nats, after the end that of the whole sequence,
            shape (M, B, D). Not differentiated.
        step_log_prob: log g of each token given those before it, in nats, 0 after the end, shape (M, B, D).
        zero_sum: Subtract the mean weight 1/M.

    Returns:
        One loss per latent, shape (B,). Gradients reach ``step_log_prob`` only.

    Raises:
        ValueError: If the shapes differ or are not (M, B, D), or M is 1.
    """
    if log_w.dim() != 3 or log_w.shape != step_log_prob.shape:
        shapes = f"{tuple(log_w.shape)} and {tuple(step_log_prob.shape)}"
        raise ValueError(f"log_w and step_log_prob: expected one shape (M, B, D), got {shapes}")
    check_at_least("log_w: number of samples M", len(log_w), 2, ONE_SAMPLE)
    weights = normalized_weights(log_w.detach().flatten(1), zero_sum=zero_sum).view(log_w.shape)
    return -(weights * at_least_float32(step_log_prob)).sum(dim=(0, 2))


@dataclass(frozen=True)
class StepwiseBoundarySeeking:
    """Boundary-seeking estimator with a weight for every prefix: see :func:`stepwise_boundary_seeking_loss`.

    Costs ``num_samples`` discriminator evaluations per latent, without a backward pass.

    Attributes:
        num_samples: M, samples drawn for each latent.
        zero_sum: Subtract the mean weight.

    Raises:
        ValueError: If M is below 2.
    """

    num_samples: int = 20
    zero_sum: bool = True

    def __post_init__(self) -> None:
        check_at_least("num_samples", self.num_samples, 2, ONE_SAMPLE)

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator is not autoregressive or the discriminator has no ``steps``.
        """
        g = autoregressive(generator(z), self)
        x = g.sample(torch.Size((self.num_samples,)))
        with torch.no_grad():
            log_w = step_log_ratios(discriminator, x, self)
        return stepwise_boundary_seeking_loss(log_w, g.step_log_prob(x), zero_sum=self.zero_sum)
