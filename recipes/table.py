"""GAN on tables: your own CSV in, rows of the same columns, types and formats out.

Every column is a position of as many categories as it has: values, single numbers and bins of the others, and one for
what is missing. The generator draws each column given those before it, and begins with some steps of maximum
likelihood, whose best weights on rows that are set apart are kept; or, with ``--model mlp``, all columns independently
given z, and learns from the discriminator alone. The discriminator adds up a vector for each category of a row.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    A Deep and Tractable Density Estimator (Uria et al., 2014), https://arxiv.org/abs/1310.1757
    Modeling Tabular Data using Conditional GAN (Xu et al., 2019), https://arxiv.org/abs/1907.00503, for tables
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from discrete_gan.cli import recipe_module, run_recipe
from discrete_gan.errors import InputError
from discrete_gan.models import AutoregressiveTableGenerator, TableDiscriminator, TableGenerator
from discrete_gan.ranges import Count, CountOrZero, Fraction, Weight
from discrete_gan.tasks import Table, TableOptions, make_task
from discrete_gan.training import NetworkOptions, PhaseOptions, RunOptions


@dataclass(frozen=True, kw_only=True)
class Args(TableOptions, NetworkOptions, PhaseOptions, RunOptions):
    """Options of the recipe."""

    target: str | None = None
    """Column that a score has predicted from the others, learnt from samples; the last one if not given."""
    condition: tuple[str, ...] = ()
    """Columns that are drawn first, so that sample --where is exact for them (autoregressive)."""
    model: Literal["autoregressive", "mlp"] = "autoregressive"
    """autoregressive draws each column given those before it; mlp all of them independently given z, without
    likelihood phases."""
    estimator: str = "boundary-seeking:num_samples=4"
    """mle alone, or boundary-seeking, reinforce, vimco, gumbel-softmax, straight-through (mlp) or another one of
    docs/estimators.md that takes tables, with options as NAME:KEY=VALUE,KEY=VALUE, or your own as FILE.py:FUNCTION."""
    steps: Count = 1200
    pretrain_steps: CountOrZero = 600
    warmup_steps: CountOrZero = 100
    pretrain_lr: Weight = 2e-3
    generator_lr: Weight = 2e-4
    discriminator_lr: Weight = 1e-3
    average: Fraction = 0.995
    apart: float = 0.1
    generator_width: Count | None = None
    """Width of the generator's hidden layers; by default from 32 to 256, the less the more columns (autoregressive), or
    256."""
    num_blocks: Count = 2
    """Blocks of two layers (autoregressive)."""
    dropout: Fraction = 0.0
    """Of the generator (autoregressive)."""
    discriminator_width: Count = 256
    """Width of the discriminator's two hidden layers."""


def task(args: Args) -> Table:
    """Rows as categories."""
    return make_task(args, lambda: Table(args, args.target, args.condition))


def networks(args: Args, data: Table) -> tuple[Any, Any]:
    """Generator, at the marginals of the training rows, and discriminator."""
    discriminator = TableDiscriminator(data.sizes, hidden=(args.discriminator_width,) * 2)
    if args.model == "mlp":
        generator = TableGenerator(args.latent_dim, data.sizes, hidden=(args.generator_width or 256,) * 2)
    else:
        # As many numbers for each row of a batch, however many columns there are.
        width = args.generator_width or min(256, max(32, 8192 // len(data.sizes)))
        shape = {"hidden": width, "num_blocks": args.num_blocks, "order": data.order}
        generator = AutoregressiveTableGenerator(0, data.sizes, dropout=args.dropout, **shape)
    generator.begin_at(data.data.train)
    return generator, discriminator


def main(args: Args) -> None:
    """Train: columns that are independent given z learn nothing from the likelihood of rows and latents apart."""
    if args.model == "mlp":
        if args.condition:
            raise InputError("--condition: expected with --model autoregressive, mlp draws all columns at once")
        args = replace(args, pretrain_steps=0, warmup_steps=0, likelihood_weight=0.0, apart=0.0)
    recipe_module("text").train(args, task(args), networks)


if __name__ == "__main__":
    run_recipe(__file__)
