"""GAN on text: your own file, a sample per line, or generated equations; by any estimator, or by likelihood alone.

A recurrent generator starts with some steps of maximum likelihood, kept in ``pretrained``, and the discriminator with
some of its own; then each step updates the discriminator, and the generator once by the gradient estimator.

References:
    SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient (Yu et al., 2017), https://arxiv.org/abs/1609.05473
    Maximum-Likelihood Augmented Discrete Generative Adversarial Networks (Che et al., 2017),
    https://arxiv.org/abs/1702.07983
    Training Language GANs from Scratch (de Masson d'Autume et al., 2019), https://arxiv.org/abs/1905.09922
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from discrete_gan.cli import run_recipe
from discrete_gan.divergences import GAN
from discrete_gan.estimators import MaximumLikelihood, adapted, parse_estimator
from discrete_gan.models import RecurrentGenerator, TokenDiscriminator, token_discriminator
from discrete_gan.tasks import Text, TextOptions, make_task
from discrete_gan.training import Apart, Run, SequenceOptions, phased_decay, seeded
from discrete_gan.training.memory import check_text_fits


@dataclass(frozen=True, kw_only=True)
class Args(TextOptions, SequenceOptions):
    """Options of the recipe."""


def task(args: Args) -> Text:
    """Lines of text."""
    return make_task(args, lambda: Text(args))


def networks(args: SequenceOptions, data: Any) -> tuple[RecurrentGenerator, TokenDiscriminator]:
    """Generator and discriminator of sequences of at most D of K tokens."""
    sizes = {"embedding_dim": args.embedding, "hidden": args.hidden, "num_layers": args.num_layers, "cell": args.cell}
    shape: Any = {"num_categories": data.num_categories, "num_positions": data.max_length, "end": data.end}
    shape["num_classes"] = getattr(data, "num_classes", 0)
    generator = RecurrentGenerator(**shape, latent_dim=args.latent_dim, **sizes)
    shape |= {"width": args.discriminator_width, "dropout": args.dropout}
    discriminator = token_discriminator(args.discriminator, **shape)
    for weights in generator.parameters() if args.init_std else ():
        torch.nn.init.normal_(weights, std=args.init_std)
    return generator, discriminator


def train(args: Any, data: Any, networks: Callable[[Any, Any], tuple[Any, Any]] = networks) -> None:
    """Train on sequences of any task, or on other data by networks for these."""
    run = Run(args, data)
    with seeded(args.seed, "weights", "estimator"):
        estimator, likelihood = parse_estimator(args.estimator), adapted(MaximumLikelihood())
    if hasattr(data, "max_length"):
        check_text_fits(data, args, estimator, run.device)
    apart = data.set_apart(args.apart) if args.apart and args.keep_best is None else None
    generator, discriminator = run.networks(lambda: networks(args, data))
    estimate, state = run.estimator(args.estimator, generator, discriminator, num_reference=64)
    only_likelihood = isinstance(estimator, MaximumLikelihood)
    pretrained = args.steps if only_likelihood else args.pretrain_steps
    adversarial = pretrained + args.warmup_steps  # the first step in which the estimator trains the generator
    if run.rank == 0 and not only_likelihood and args.steps <= adversarial:
        print(f"note: {args.steps} steps end before the adversarial phase, see --pretrain-steps and --warmup-steps")
    zero = torch.zeros((), device=run.device)
    rates = phased_decay(args.steps, pretrained, args.decay_from)
    kept: Any = {"average": args.average, "keep": apart is not None, "schedule": rates}
    g = run.player("generator", generator, lr=args.generator_lr, also=state, **kept)
    d = run.player("discriminator", discriminator, lr=args.discriminator_lr, schedule=rates)
    by_likelihood = run.player("likelihood", generator, lr=args.pretrain_lr, betas=(0.9, 0.999), schedule=rates)
    by_apart = Apart(run, g, apart, every=args.check_every, pretrained=pretrained)
    for step in run.steps():
        (real, labels), z = data.batch(step), generator.latents(args.batch_size)
        if step < pretrained:
            g_loss = likelihood(generator, discriminator, z, real=real, labels=labels).mean()
            by_likelihood.descend(g_loss)
            run.log(g_loss=g_loss)
            by_apart.look()
            continue
        if 0 < step == pretrained:
            by_apart.take_up()
            run.save_model("pretrained", g.best)
        for _ in range(args.discriminator_steps):
            fake, given = run.draw(generator, labels), () if labels is None else (labels,)
            shown = (real, *given)
            raw_real, penalty = discriminator.penalized(*shown) if args.r1 else (discriminator.outputs(*shown), zero)
            d_loss = GAN.discriminator_loss(raw_real, discriminator.outputs(fake, *given))
            d.descend(d_loss + args.r1 * penalty.mean())
            run.log(d_loss=d_loss, penalty=penalty.mean())
        run.observe(generator, discriminator, real, z, labels)
        if step >= adversarial:
            g_loss = estimate(generator, discriminator, z, real=real, labels=labels).mean()
            if args.likelihood_weight:
                nll = likelihood(generator, discriminator, z, real=real, labels=labels).mean()
                g_loss = g_loss + args.likelihood_weight * nll
            g.descend(g_loss)
            run.log(g_loss=g_loss)
            by_apart.look()


def main(args: Args) -> None:
    """Train."""
    train(args, task(args))


if __name__ == "__main__":
    run_recipe(__file__)
