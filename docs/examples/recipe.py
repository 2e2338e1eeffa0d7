"""A recipe of your own: bits learnt by a hinge discriminator, with two updates of it per step.

discrete-gan train docs/examples/recipe.py --steps 500
"""

from dataclasses import dataclass

from discrete_gan.cli import run_recipe
from discrete_gan.losses import hinge
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.ranges import Count
from discrete_gan.tasks import Binarize, BinaryImageOptions, BinaryImages, make_task
from discrete_gan.training import EstimatorOptions, NetworkOptions, Run, RunOptions


@dataclass(frozen=True, kw_only=True)
class Args(BinaryImageOptions, NetworkOptions, EstimatorOptions, RunOptions):
    """Options of the recipe; those of data, networks, optimization and run are inherited."""

    hidden: Count = 128
    """Width of the hidden layers of both networks."""
    binarize: Binarize = "threshold"
    estimator: str = "reinforce"


def task(args: Args) -> BinaryImages:
    """What is learnt: ``evaluate``, ``sample`` and ``compare`` ask for it too."""
    return make_task(args, lambda: BinaryImages(args))


def main(args: Args) -> None:
    """Train."""
    data = task(args)
    run = Run(args, data)
    generator, discriminator = run.networks(
        lambda: (
            MLPGenerator(args.latent_dim, data.num_positions, hidden=(args.hidden,)),
            MLPDiscriminator(data.num_positions, hidden=(args.hidden,)),
        )
    )
    estimate, state = run.estimator(args.estimator, generator, discriminator)
    g = run.player("generator", generator, lr=args.generator_lr, also=state, average=args.average)
    d = run.player("discriminator", discriminator, lr=args.discriminator_lr)
    for step in run.steps():
        for number in range(2):
            real = data.batch(2 * step + number).x
            d.descend(hinge.discriminator_loss(discriminator(real), discriminator(run.draw(generator))))
        g_loss = estimate(generator, discriminator, generator.latents(args.batch_size), real=real).mean()
        g.descend(g_loss)
        run.log(g_loss=g_loss)


if __name__ == "__main__":
    run_recipe(__file__)
