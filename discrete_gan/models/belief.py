"""Sigmoid belief network of one layer of bits, and the recognition network that proposes these bits for an image.

References:
    Connectionist Learning of Belief Networks (Neal, 1992), https://doi.org/10.1016/0004-3702(92)90065-6
    Neural Variational Inference and Learning in Belief Networks (Mnih and Gregor, 2014),
    https://arxiv.org/abs/1402.0030
    Double Control Variates for Gradient Estimation in Discrete Latent Variable Models (Titsias and Shi, 2022),
    https://arxiv.org/abs/2111.05300: sizes and activations
"""

import itertools
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.models.base import Generator, HubModel

_SLOPE = 0.3  # of the leaky ReLU, on its negative side
_LEAST = 0.01  # of a mean pixel, whose log-odds the decoder starts at


class BeliefDecoder(Generator):
    """p(x | h), with a prior of independent bits h that is learnt too: ``latents`` draws these.

    Args:
        latent_dim: Bits of h.
        num_positions: D.
        hidden: Widths of the hidden layers, leaky ReLU; none for a linear network.

    Attributes:
        prior_logits: Log-odds of the bits, shape (latent_dim,); zero at first.
    """

    def __init__(self, latent_dim: int = 200, num_positions: int = 784, hidden: Sequence[int] = ()) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.prior_logits = nn.Parameter(torch.zeros(latent_dim))
        self.layers = _layers([latent_dim, *hidden, num_positions])

    @property
    def prior(self) -> FactorizedBernoulli:
        """Of the bits, event shape (latent_dim,). Carries gradient."""
        return FactorizedBernoulli(self.prior_logits)

    def forward(self, h: Tensor) -> FactorizedBernoulli:
        """Bits, or relaxed ones, (..., latent_dim), to a distribution of batch (...), event (D,)."""
        return FactorizedBernoulli(self.layers(h))

    def start_at(self, mean: Tensor) -> "BeliefDecoder":
        """Itself, with the log-odds of the mean pixels of the data, shape (D,), as the last layer's bias."""
        with torch.no_grad():
            cast(nn.Linear, self.layers[-1]).bias.copy_(mean.clamp(_LEAST, 1 - _LEAST).logit())
        return self


class BeliefEncoder(HubModel):
    """q(h | x): log-odds of the bits of h, independent given x.

    Args:
        latent_dim: Bits of h.
        num_positions: D.
        hidden: Widths of the hidden layers, leaky ReLU; none for a linear network.

    Attributes:
        center: Subtracted from x, shape (D,); zero at first.
    """

    center: Tensor

    def __init__(self, latent_dim: int = 200, num_positions: int = 784, hidden: Sequence[int] = ()) -> None:
        super().__init__()
        self.num_outputs = latent_dim
        self.register_buffer("center", torch.zeros(num_positions))
        self.layers = _layers([num_positions, *hidden, latent_dim])

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds, shape (..., latent_dim), of samples (..., D)."""
        return self.layers(x - self.center)

    def posterior(self, x: Tensor) -> FactorizedBernoulli:
        """q(h | x) of samples (..., D): batch (...), event (latent_dim,). Carries gradient."""
        return FactorizedBernoulli(self(x))

    def start_at(self, mean: Tensor) -> "BeliefEncoder":
        """Itself, centered by the mean pixels of the data, shape (D,)."""
        self.center.copy_(mean)
        return self


class Posterior(nn.Module):
    """The encoder as an estimator's generator: its latents z are images x, and its samples are bits.

    Args:
        encoder: Its ``posterior(x)`` is a distribution of independent bits, event (latent_dim,).
    """

    def __init__(self, encoder: BeliefEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> FactorizedBernoulli:
        """q(h | x) of images (B, D): batch (B,), event (latent_dim,). Carries gradient."""
        q = self.encoder.posterior(x)
        self.x, self.held = x.detach(), FactorizedBernoulli(q.logits.detach())
        return q


class LogWeight(nn.Module):
    r"""The discriminator beside it: :math:`\log p(x, h) - \log q(h \mid x)`, the log-weight of bits that q proposes.

    q is held fixed inside. What it would add to a gradient has mean zero for samples of q, as
    :math:`E_q \nabla \log q = 0`: score functions need none of it, and estimators through the sample get the slope of
    :math:`\log q` in h all the same. The parameters of this module are the decoder's alone.

    Args:
        decoder: p(h) and p(x | h).
        posterior: Whose last call says which x and which q.
    """

    def __init__(self, decoder: BeliefDecoder, posterior: Posterior) -> None:
        super().__init__()
        self.decoder = decoder
        self._posterior = (posterior,)  # in a tuple it is no part of this module

    def forward(self, h: Tensor) -> Tensor:
        """Nats, shape (M, B), of bits or relaxed ones (M, B, latent_dim). Gradients reach h and the decoder."""
        (given,), p = self._posterior, self.decoder(h)
        return self.decoder.prior.log_prob(h) + p.log_prob(given.x.expand(p.logits.shape)) - given.held.log_prob(h)


def _layers(widths: Sequence[int]) -> nn.Sequential:
    linear = [nn.Linear(*pair) for pair in itertools.pairwise(widths)]
    hidden = [(each, nn.LeakyReLU(_SLOPE)) for each in linear[:-1]]
    return nn.Sequential(*itertools.chain(*hidden), linear[-1])
