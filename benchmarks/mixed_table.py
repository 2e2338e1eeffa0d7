"""Numbers of a table as categories of bins, or path-wise: the same networks, loop and steps, over seeds.

A generator of linear layers draws listed columns, independent given z, and learns them by boundary-seeking weights. Its
numeric columns are of two kinds. ``bins``: categories as in the recipe ``table``, learnt by the same weights.
``path-wise``: one number u in (0, 1) for each column, a function of z, which learns from the discriminator's gradient;
real cells become u by the distribution function of their column, uniform within a bin or a single value, so that
marginals are uniform and both kinds are decoded alike::

    python benchmarks/mixed_table.py --data adult.csv --held-out adult_test.csv --target income --steps 3000
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from finished import spread
from torch import Tensor, nn
from tqdm import trange

from discrete_gan.data.table import TableData, load_table
from discrete_gan.data.table_schema import NUMERIC, Column
from discrete_gan.distributions import RaggedCategorical
from discrete_gan.distributions.ragged import ragged_one_hot
from discrete_gan.divergences import GAN
from discrete_gan.estimators import boundary_seeking_loss
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models.mlp import mlp_layers
from discrete_gan.tasks.table_scores import TableScorer
from discrete_gan.training import MovingAverage

LATENT, BATCH, SAMPLES, DRAWN = 64, 256, 8, 10_000
NAMES = ("shape_error", "trend_error", "tstr_auc", "tstr_r2")


class Coded:
    """Rows as what networks see: one-hot listed columns, and normal scores of the path-wise ones.

    Args:
        data: The table.
        pathwise: Whether numeric columns are; else they are listed too.
    """

    def __init__(self, data: TableData, pathwise: bool) -> None:
        self.columns = data.schema.learnt
        self.numeric = [d for d, column in enumerate(self.columns) if pathwise and column.kind in NUMERIC]
        self.listed = [d for d in range(len(self.columns)) if d not in self.numeric]
        self.sizes = [self.columns[d].size for d in self.listed]
        self.orders = [by_value(self.columns[d]) for d in self.numeric]
        counts = [data.train[:, d].bincount(minlength=self.columns[d].size)[order] for d, order in self._pairs()]
        self.ends = [count.cumsum(0) / count.sum() for count in counts]  # of the distribution function, (K_d,)

    def _pairs(self) -> list[tuple[int, Tensor]]:
        return list(zip(self.numeric, self.orders, strict=True))

    def uniform(self, rows: Tensor) -> Tensor:
        """Numeric columns of rows (B, D) as u in (0, 1), drawn within each category's part, (B, R)."""
        found = []
        for (d, order), ends in zip(self._pairs(), self.ends, strict=True):
            rank = order.argsort()[rows[:, d]]
            low = torch.cat([ends.new_zeros(1), ends])[rank]
            found.append(low + (ends[rank] - low) * torch.rand(len(rows)))
        return torch.stack(found, dim=1) if found else rows.new_zeros(len(rows), 0).float()

    def rows(self, listed: Tensor, u: Tensor) -> Tensor:
        """Categories (N, D) of all columns, from those of listed ones (N, L) and u (N, R)."""
        rows = torch.empty(len(listed), len(self.columns), dtype=torch.int64)
        rows[:, self.listed] = listed
        for r, ((d, order), ends) in enumerate(zip(self._pairs(), self.ends, strict=True)):
            rank = torch.searchsorted(ends, u[:, r].contiguous()).clamp(max=len(ends) - 1)
            rows[:, d] = order[rank]
        return rows

    def seen(self, listed: Tensor, u: Tensor) -> Tensor:
        """What the discriminator reads, (..., K + R), of categories (..., L) and u (..., R)."""
        return torch.cat([ragged_one_hot(listed, self.sizes), normal_scores(u)], dim=-1)


def by_value(column: Column) -> Tensor:
    """A numeric column's categories, single values and then bins, from the least to the largest; missing cells last."""
    least = [*column.points, *(bin_[0] for bin_ in column.bins)]
    least += [float("inf")] * (column.missing is not None)
    return torch.tensor(least, dtype=torch.float64).argsort(stable=True)


def normal_scores(u: Tensor) -> Tensor:
    """Standard normal numbers of uniform ones, within four deviations."""
    return torch.special.ndtri(u.clamp(3e-5, 1 - 3e-5))


class Generator(nn.Module):
    """z to a distribution of listed columns and to u of the others."""

    def __init__(self, coded: Coded) -> None:
        super().__init__()
        self.sizes, self.latent_dim = coded.sizes, LATENT
        self.layers = mlp_layers([LATENT, 256, 256], sum(coded.sizes) + len(coded.numeric))

    def forward(self, z: Tensor) -> tuple[RaggedCategorical, Tensor]:
        """Latents (B, latent_dim) to batch (B,) and to (B, R)."""
        outputs, size = self.layers(z), sum(self.sizes)
        logits, scores = outputs[:, :size], outputs[:, size:]
        return RaggedCategorical(logits, self.sizes), torch.special.ndtr(scores)

    @torch.no_grad()
    def begin_at(self, listed: Tensor) -> None:
        """Set the bias of the listed columns to the marginals of data."""
        output: Any = self.layers[-1]
        counts = [listed[:, d].bincount(minlength=size) for d, size in enumerate(self.sizes)]
        output.bias[: sum(self.sizes)] = torch.cat([(each + 0.5).log() - (each + 0.5).log().mean() for each in counts])
        output.bias[sum(self.sizes) :] = 0


def fit(data: TableData, pathwise: bool, steps: int, seed: int) -> tuple[Tensor, float]:
    """Rows that a generator draws, (DRAWN, D), and the seconds of its training."""
    torch.manual_seed(seed)
    coded = Coded(data, pathwise)
    generator = Generator(coded)
    generator.begin_at(data.train[:, coded.listed])
    width = sum(coded.sizes) + len(coded.numeric)
    layers = [nn.Linear(width, 256), nn.LeakyReLU(0.2), nn.Linear(256, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1)]
    discriminator = nn.Sequential(*layers, nn.Flatten(-2))
    average = MovingAverage(generator, 0.999)
    g_adam, d_adam = (torch.optim.Adam(each.parameters(), 1e-3, (0.5, 0.99)) for each in (generator, discriminator))
    start = time.perf_counter()
    for _ in trange(steps, desc=f"{'path-wise' if pathwise else 'bins'}, seed {seed}"):
        rows = data.train[torch.randint(len(data.train), (BATCH,))]
        real = coded.seen(rows[:, coded.listed], coded.uniform(rows)).requires_grad_()
        with torch.no_grad():
            g, u = generator(torch.randn(BATCH, LATENT))
            fake = coded.seen(g.sample(), u)
        raw_real = discriminator(real)
        loss = GAN.discriminator_loss(raw_real, discriminator(fake)) + gradient_penalty(raw_real, real).mean()
        d_adam.zero_grad()
        loss.backward()
        d_adam.step()
        g, u = generator(torch.randn(BATCH, LATENT))
        x = g.sample((SAMPLES,))  # (M, B, L)
        log_w = discriminator(coded.seen(x, u.expand(SAMPLES, -1, -1)))
        loss = boundary_seeking_loss(log_w.detach(), g.log_prob(x)).mean()
        if pathwise:
            loss = loss + nn.functional.softplus(-log_w).mean()  # not saturating
        g_adam.zero_grad()
        loss.backward()
        g_adam.step()
        average.update_parameters(generator)
    seconds = time.perf_counter() - start
    best = average.module.eval()
    with torch.no_grad():
        g, u = best(torch.randn(DRAWN, LATENT))
        return coded.rows(g.sample(), u), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="wine")
    parser.add_argument("--held-out")
    parser.add_argument("--target")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/mixed_table"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    data = load_table(args.data, seed=0, held_out=args.held_out)
    scorer = TableScorer(data, args.target)
    print(f"| numbers are | seeds | seconds | {' | '.join(NAMES)} |\n|{'---|' * (3 + len(NAMES))}")
    for kind in ("bins", "path-wise"):
        found = []
        for seed in args.seeds:
            file = args.out / f"{Path(args.data).stem}-{kind}-{args.steps}-{seed}.json"
            if not file.exists():
                rows, seconds = fit(data, kind == "path-wise", args.steps, seed)
                scores = {score.name: score.value for score in scorer.scores(rows, depth="run")}
                file.write_text(json.dumps({"seconds": seconds, **scores}))
            found.append(json.loads(file.read_text()))
        cells = [spread([row[name] for row in found if name in row], 3) for name in NAMES]
        print(f"| {kind} | {len(found)} | {spread([row['seconds'] for row in found], 0)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
