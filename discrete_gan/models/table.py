"""Networks for the rows of a table: columns of different numbers of categories, side by side."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from discrete_gan.distributions import RaggedCategorical
from discrete_gan.distributions.ragged import by_runs, ragged_one_hot
from discrete_gan.models.base import Generator, HubModel
from discrete_gan.models.mlp import mlp_layers


class TableGenerator(Generator):
    """g(x | z): linear layers with batch norm and leaky ReLU, then a logit for each category of each column.

    Args:
        latent_dim: Size of z.
        sizes: Categories of each column.
        hidden: Widths of the hidden layers.
    """

    def __init__(self, latent_dim: int = 64, sizes: Sequence[int] = (2,), hidden: Sequence[int] = (256, 256)) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.sizes = tuple(sizes)
        self.layers = mlp_layers([latent_dim, *hidden], sum(sizes))

    def forward(self, z: Tensor) -> RaggedCategorical:
        """Latents (B, latent_dim) to a distribution of batch (B,), event (D,)."""
        return RaggedCategorical(self.layers(z), self.sizes)

    @torch.no_grad()
    def begin_at(self, rows: Tensor) -> None:
        """Set the last layer's bias so that untrained columns are about distributed as those of data.

        Args:
            rows: Categories, integers, shape (N, D).
        """
        counts = torch.cat([rows[:, d].bincount(minlength=size) for d, size in enumerate(self.sizes)])
        logs = (counts + 0.5).log()
        centered = torch.cat([(part - part.mean(dim=-1, keepdim=True)).flatten() for part in by_runs(logs, self.sizes)])
        output = self.layers[-1]
        assert isinstance(output, nn.Linear)
        output.bias.copy_(centered)


class TableDiscriminator(HubModel):
    """Log-ratio log p_data / p_g of a row: linear layers with leaky ReLU and one raw output.

    The first layer adds up a vector for each category, so a row of indices costs D look-ups however many categories
    there are; a relaxed one is a matrix product.

    Args:
        sizes: Categories of each column.
        hidden: Widths of the hidden layers.
    """

    starts: Tensor

    def __init__(self, sizes: Sequence[int] = (2,), hidden: Sequence[int] = (256, 256)) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.first = nn.EmbeddingBag(sum(sizes), hidden[0], mode="sum")
        self.bias = nn.Parameter(torch.zeros(hidden[0]))
        # As many numbers are 1 as there are columns: torch's bound is for as many as there are categories.
        bound = len(self.sizes) ** -0.5
        nn.init.uniform_(self.first.weight, -bound, bound)
        layers: list[nn.Module] = [nn.LeakyReLU(0.2)]
        for width_in, width_out in itertools.pairwise(hidden):
            layers += [nn.Linear(width_in, width_out), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(hidden[-1], 1)
        starts = torch.tensor([0, *itertools.accumulate(self.sizes)][:-1])
        self.register_buffer("starts", starts, persistent=False)

    def features(self, x: Tensor) -> Tensor:
        """Activations of the last hidden layer, shape (..., width), of indices (..., D) or relaxed rows (..., K)."""
        if x.is_floating_point():
            return self.layers(x @ self.first.weight + self.bias)
        added = self.first((x + self.starts).reshape(-1, len(self.sizes)))
        return self.layers(added.view(*x.shape[:-1], -1) + self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Raw outputs in nats, shape (...), of indices (..., D) or relaxed rows (..., K)."""
        features = self.features(x)
        with torch.autocast(x.device.type, enabled=False):  # weights are exponentials of this output
            return self.output(features.to(self.output.weight.dtype)).squeeze(-1)

    def relaxed(self, x: Tensor) -> Tensor:
        """Indices (..., D) as rows of K numbers, by which a penalty can differentiate."""
        return ragged_one_hot(x, self.sizes, self.first.weight.dtype)
