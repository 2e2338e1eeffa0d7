"""A generator of your own: residual layers, for any recipe that learns bits.

discrete-gan train digits --generator docs/examples/network.py:ResidualGenerator:depth=3
"""

from torch import Tensor, nn

from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.models import Generator


class ResidualGenerator(Generator):
    """g(x | z) of bits; the task gives ``num_positions``, the recipe ``latent_dim``, the command line the rest."""

    def __init__(self, latent_dim: int, num_positions: int, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.first = nn.Linear(latent_dim, width)
        self.blocks = nn.ModuleList(nn.Sequential(nn.ReLU(), nn.Linear(width, width)) for _ in range(depth))
        self.last = nn.Linear(width, num_positions)

    def forward(self, z: Tensor) -> FactorizedBernoulli:
        """Latents (B, latent_dim) to a distribution over bits, batch shape (B,)."""
        h = self.first(z)
        for block in self.blocks:
            h = h + block(h)
        return FactorizedBernoulli(logits=self.last(h.relu()))
