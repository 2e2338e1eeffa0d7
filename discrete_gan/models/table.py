"""Networks for the rows of a table: columns of different numbers of categories, side by side."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from discrete_gan.distributions import RaggedAutoregressive, RaggedCategorical
from discrete_gan.distributions.ragged import by_runs
from discrete_gan.models.base import Generator, HubModel
from discrete_gan.models.mlp import mlp_layers


class _OfColumns(Generator):
    """What generators of tables share."""

    sizes: tuple[int, ...]

    def decode(self, x: Tensor) -> Tensor:
        """Categories, shape (N, D), as integers that take little memory: a million rows may be drawn."""
        return x.to(torch.int16 if max(self.sizes) < 2**15 else torch.int32)


class TableGenerator(_OfColumns):
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


class AutoregressiveTableGenerator(_OfColumns):
    r"""g(x | z) = \prod_d g(x_d | x_{<d}, z): each column given those before it, by one network for all of them.

    What is known before a column is a sum of vectors, one of z and one of each category so far; blocks of two linear
    layers with a residual connection, the same for every column but for a vector that says which, turn it into logits.
    So log-probabilities take one pass, and drawing a row costs no more products than scoring it.

    Args:
        latent_dim: Size of z; 0 for a generator without latents, whose likelihood is exact.
        sizes: Categories of each column.
        hidden: H, size of the vectors.
        num_blocks: Blocks.
        order: Columns in the order in which they are drawn; that of the table if not given.
        dropout: Of the blocks.

    Raises:
        ValueError: If the order is no permutation of the columns.

    References:
        The Neural Autoregressive Distribution Estimator (Larochelle and Murray, 2011),
            https://proceedings.mlr.press/v15/larochelle11a.html
        A Deep and Tractable Density Estimator (Uria et al., 2014), https://arxiv.org/abs/1310.1757
    """

    in_order: Tensor
    starts: Tensor

    def __init__(
        self,
        latent_dim: int = 0,
        sizes: Sequence[int] = (2,),
        hidden: int = 256,
        num_blocks: int = 2,
        order: Sequence[int] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.latent_dim, self.sizes = latent_dim, tuple(sizes)
        self.order = tuple(range(len(sizes)) if order is None else order)
        if sorted(self.order) != list(range(len(sizes))):
            raise ValueError(f"order: expected each of the columns 0 to {len(sizes) - 1} once, got {self.order}")
        self._ordered_sizes = [self.sizes[column] for column in self.order]
        ends = dict(zip(self.order, itertools.accumulate(self._ordered_sizes), strict=True))
        self._heads = [slice(ends[column] - size, ends[column]) for column, size in enumerate(self.sizes)]
        self._places = [self.order.index(column) for column in range(len(sizes))]
        starts = [0, *itertools.accumulate(self.sizes)]
        self._columns = [slice(*ends) for ends in itertools.pairwise(starts)]
        self.register_buffer("in_order", torch.tensor(self.order), persistent=False)
        self.register_buffer("starts", torch.tensor(starts[:-1])[self.in_order], persistent=False)
        self.embedding = nn.Embedding(sum(sizes), hidden)
        nn.init.normal_(self.embedding.weight, std=len(sizes) ** -0.5)
        self.column = nn.Parameter(torch.randn(len(sizes), hidden))  # by place in the order
        if latent_dim:
            self.latent = nn.Linear(latent_dim, hidden)
        self.blocks = nn.ModuleList(_block(hidden, dropout) for _ in range(num_blocks))
        self.norm = nn.LayerNorm(hidden)
        self.output = nn.Linear(hidden, sum(sizes))  # columns in their order
        nn.init.zeros_(self.output.weight)

    def forward(self, z: Tensor) -> RaggedAutoregressive:
        """Latents (B, latent_dim) to a distribution of batch (B,), event (D,)."""
        return RaggedAutoregressive(self, z)

    @torch.no_grad()
    def begin_at(self, rows: Tensor) -> None:
        """Set the biases so that an untrained generator draws the marginals of data, columns independent.

        Args:
            rows: Categories, integers, shape (N, D).
        """
        logs = [(rows[:, column].bincount(minlength=self.sizes[column]) + 0.5).log() for column in self.order]
        self.output.bias.copy_(torch.cat([each - each.mean() for each in logs]))

    def start(self, z: Tensor) -> Tensor:
        """Sums before the first column, (N, H), from latents (N, latent_dim)."""
        return self.latent(z) if self.latent_dim else self.column.new_zeros(len(z), self.column.shape[1])

    def vector(self, x: Tensor, column: int) -> Tensor:
        """Vectors (N, H) of a column's categories (N,), or of relaxed ones (N, K_d)."""
        weight = self.embedding.weight[self._columns[column]]
        return x @ weight if x.is_floating_point() else nn.functional.embedding(x, weight)

    def ordered(self, x: Tensor) -> Tensor:
        """Rows (N, D) with their columns in the order in which they are drawn."""
        return x.index_select(1, self.in_order)

    def vectors(self, x: Tensor) -> Tensor:
        """Vectors (N, D, H) of the categories of such rows, (N, D)."""
        return self.embedding(x + self.starts)

    def _hidden(self, sums: Tensor, column: Tensor) -> Tensor:
        h = sums + column
        for block in self.blocks:
            h = h + block(h)
        return self.norm(h)

    def logits(self, sums: Tensor, column: int) -> Tensor:
        """Unnormalized log-probabilities in nats of one column, (N, K_d), from sums (N, H)."""
        h, head = self._hidden(sums, self.column[self._places[column]]), self._heads[column]
        return nn.functional.linear(h, self.output.weight[head], self.output.bias[head])

    def all_logits(self, sums: Tensor) -> list[Tensor]:
        """Those of all columns, in runs of columns of one size, (N, columns, K_d) each, from sums (N, D, H)."""
        h, weight, bias, place = self._hidden(sums, self.column), self.output.weight, self.output.bias, 0
        found = []
        for size, equal in itertools.groupby(self._ordered_sizes):
            number = len(list(equal))
            head = slice(start := sum(self._ordered_sizes[:place]), start + size * number)
            of_run = weight[head].view(number, size, -1).transpose(1, 2)
            products = torch.bmm(h[:, place : place + number].transpose(0, 1), of_run).transpose(0, 1)
            found.append(products + bias[head].view(number, size))
            place += number
        return found


def _block(width: int, dropout: float) -> nn.Sequential:
    first, second = nn.Linear(width, width), nn.Linear(width, width)
    return nn.Sequential(nn.LayerNorm(width), first, nn.GELU(), nn.Dropout(dropout), second)


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
        return self.layers(self._added(x) + self.bias)

    def _added(self, x: Tensor) -> Tensor:
        """The vectors of a row's categories, added up, (..., width)."""
        if x.is_floating_point():
            return x @ self.first.weight
        return self.first((x + self.starts).reshape(-1, len(self.sizes))).view(*x.shape[:-1], -1)

    def forward(self, x: Tensor) -> Tensor:
        """Raw outputs in nats, shape (...), of indices (..., D) or relaxed rows (..., K)."""
        return self._of(self._added(x))

    def _of(self, added: Tensor) -> Tensor:
        features = self.layers(added + self.bias)
        with torch.autocast(added.device.type, enabled=False):  # weights are exponentials of this output
            return self.output(features.to(self.output.weight.dtype)).squeeze(-1)

    def outputs(self, x: Tensor) -> Tensor:
        """What :meth:`forward` returns: there is one raw output for each row."""
        return self(x)

    def penalized(self, x: Tensor) -> tuple[Tensor, Tensor]:
        r"""Raw outputs of rows and the R1 penalty on them, :math:`\tfrac12 \lVert \partial F / \partial x \rVert^2`.

        With x one-hot; the sum over categories is a quadratic form in the Gram matrix of their vectors, as what a
        category adds is the product of its vector with the gradient in the sum of vectors.

        Args:
            x: Data, int64, shape (B, D).

        Returns:
            Raw outputs and penalties, (B,) each. Gradients reach the parameters.
        """
        added = self._added(x)
        raw = self._of(added)
        (slope,) = torch.autograd.grad(raw.sum(), added, create_graph=True)
        gram = self.first.weight.T @ self.first.weight
        return raw, 0.5 * ((slope @ gram) * slope).sum(dim=-1)
