"""Reweighted GAN on tables: your own CSV in, rows of the same columns, types and formats out.

Every column is a position of as many categories as it has: values, single numbers and bins of the others, and one for
what is missing. The discriminator looks up a vector for each, and is trained with an R1 penalty on one-hot rows; the
generator begins at the marginals of the data and is trained by the gradient estimator.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    Modeling Tabular Data using Conditional GAN (Xu et al., 2019), https://arxiv.org/abs/1907.00503, for tables
"""

from dataclasses import dataclass

from discrete_gan.cli import run_recipe
from discrete_gan.divergences import GAN
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import TableDiscriminator, TableGenerator
from discrete_gan.ranges import Count, Weight
from discrete_gan.tasks import Table, TableOptions, make_task
from discrete_gan.training import EstimatorOptions, NetworkOptions, Run, RunOptions


@dataclass(frozen=True, kw_only=True)
class Args(TableOptions, NetworkOptions, EstimatorOptions, RunOptions):
    """Options of the recipe."""

    target: str | None = None
    """Column that a score has predicted from the others, learnt from samples; the last one if not given."""
    estimator: str = "boundary-seeking:num_samples=8"
    """boundary-seeking, reinforce, vimco, straight-through, gumbel-softmax or another one of docs/estimators.md that
    takes tables, with options as NAME:KEY=VALUE,KEY=VALUE, or your own as FILE.py:FUNCTION."""
    generator_lr: Weight = 1e-3
    discriminator_lr: Weight = 1e-3
    steps: int = 3000
    generator_width: Count = 256
    """Width of the generator's two hidden layers."""
    discriminator_width: Count = 256
    """Width of the discriminator's two hidden layers."""


def task(args: Args) -> Table:
    """Rows as categories."""
    return make_task(args, lambda: Table(args, args.target))


def networks(args: Args, data: Table) -> tuple[TableGenerator, TableDiscriminator]:
    """Generator, at the marginals of the training rows, and discriminator."""
    generator = TableGenerator(args.latent_dim, data.sizes, hidden=(args.generator_width,) * 2)
    generator.begin_at(data.data.train)
    return generator, TableDiscriminator(data.sizes, hidden=(args.discriminator_width,) * 2)


def main(args: Args) -> None:
    """Train: in each step the discriminator on one-hot real rows, for its penalty, and on drawn ones by look-up."""
    run = Run(args, data := task(args))
    generator, discriminator = run.networks(lambda: networks(args, data))
    estimate, state = run.estimator(args.estimator, generator, discriminator)
    g = run.player("generator", generator, lr=args.generator_lr, also=state, average=args.average)
    d = run.player("discriminator", discriminator, lr=args.discriminator_lr)
    for step in run.steps():
        real = data.batch(step).x
        rows = discriminator.relaxed(real).requires_grad_()
        raw_real = discriminator(rows)
        penalty = gradient_penalty(raw_real, rows).mean()
        d_loss = GAN.discriminator_loss(raw_real, discriminator(run.draw(generator)))
        d.descend(d_loss + args.r1 * penalty)

        z = generator.latents(args.batch_size)
        g_loss = estimate(generator, discriminator, z, real=real).mean()
        g.descend(g_loss)
        run.log(d_loss=d_loss, g_loss=g_loss, penalty=penalty)


if __name__ == "__main__":
    run_recipe(__file__)
