"""GAN on text: your own file, a line a sample, or generated equations; by any estimator, or by likelihood alone.

A recurrent generator starts with some steps of maximum likelihood, or none, and the discriminator with some of its own;
then each step updates the discriminator, and the generator once by the gradient estimator. Samples come from a moving
average of the generator's weights. What the likelihood left is kept in ``pretrained``, to compare with.

References:
    SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient (Yu et al., 2017), https://arxiv.org/abs/1609.05473
    Maximum-Likelihood Augmented Discrete Generative Adversarial Networks (Che et al., 2017),
    https://arxiv.org/abs/1702.07983
    Training Language GANs from Scratch (de Masson d'Autume et al., 2019), https://arxiv.org/abs/1905.09922
"""

from dataclasses import dataclass

import torch
import tyro

from discrete_gan.data import Batches, TextData, load_text
from discrete_gan.data.text_report import report_text
from discrete_gan.divergences import GAN
from discrete_gan.errors import InputError
from discrete_gan.estimators import MaximumLikelihood, parse_estimator, with_real
from discrete_gan.lab.probe import probe
from discrete_gan.models import RecurrentGenerator, TokenDiscriminator, token_discriminator
from discrete_gan.report import TextReport
from discrete_gan.training import (
    MovingAverage,
    Run,
    SequenceOptions,
    TextOptions,
    check_sequence_options,
    diagnostics,
    seeded,
    try_estimator,
)
from discrete_gan.training.memory import check_text_fits


@dataclass(frozen=True, kw_only=True)
class Args(SequenceOptions, TextOptions):
    """Arguments of the recipe."""

    data: str = "equations"
    """A UTF-8 text file, a line a sample, plain, .gz or .xz; hub:NAME or hub:FOLDER; or equations, generated."""


def load_report(args: Args) -> TextReport:
    """The data, with what scores samples against them."""
    return TextReport(load_text(args.data, seed=args.seed, **args.reading()))


def build(args: Args, data: TextData) -> tuple[RecurrentGenerator, TokenDiscriminator]:
    """Generator and discriminator."""
    num_categories, num_positions, end = data.num_categories, data.max_length, data.vocabulary.end
    generator = RecurrentGenerator(
        num_categories,
        num_positions,
        end=end,
        latent_dim=args.latent_dim,
        embedding_dim=args.embedding,
        hidden=args.hidden,
        num_layers=args.num_layers,
        cell=args.cell,
    )
    width, dropout = args.discriminator_width, args.dropout
    return generator, token_discriminator(
        args.discriminator, num_categories, num_positions, end=end, width=width, dropout=dropout
    )


def main(args: Args) -> None:
    """Train, sample, score."""
    check_sequence_options(args)
    with seeded(args.seed, "weights", "estimator"):
        estimator = parse_estimator(args.estimator)
    report = load_report(args)
    data = report.data
    run = Run(args, steps=args.steps, data=data.summary())
    if run.rank == 0:
        print(report_text(data))
    report.to(run.device)
    check_text_fits(data, args, estimator, run.device)
    batches = Batches(len(data.train), args.batch_size, seed=args.seed, rank=run.rank, world_size=run.world_size)

    tokens = data.train.to(run.device)
    try:
        generator, discriminator = build(args, data)
    except ValueError as error:
        raise InputError(f"networks: {error}") from None
    generator.to(run.device)
    discriminator.to(run.device)
    average = MovingAverage(generator, args.average)
    with seeded(args.seed, "probe"):
        probe_z = generator.latents(args.batch_size)
    probed = with_real(estimator, tokens[batches.indices(0, device=run.device)])
    state = try_estimator(run, args.estimator, probed, generator, discriminator, probe_z)
    likelihood, zero = MaximumLikelihood(), torch.zeros((), device=run.device)
    only_likelihood = isinstance(estimator, MaximumLikelihood)
    pretrain_steps = args.steps if only_likelihood else args.pretrain_steps
    if run.rank == 0 and not only_likelihood and args.steps <= pretrain_steps + args.warmup_steps:
        print(f"note: {args.steps} steps end before the adversarial phase, see --pretrain-steps and --warmup-steps")
    mle_adam = torch.optim.Adam(generator.parameters(), args.pretrain_lr, fused=True)
    g_parameters = [*generator.parameters(), *state.parameters()]
    g_adam = torch.optim.Adam(g_parameters, args.generator_lr, betas=(0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(discriminator.parameters(), args.discriminator_lr, betas=(0.5, 0.999), fused=True)
    rates = {mle_adam: args.pretrain_lr, g_adam: args.generator_lr, d_adam: args.discriminator_lr}
    run.track(
        export={"generator": average.module, "discriminator": discriminator},
        generator=generator,
        discriminator=discriminator,
        average=average,
        likelihood_adam=mle_adam,
        generator_adam=g_adam,
        discriminator_adam=d_adam,
        estimator=state,
    )
    if run.rank == 0:
        data.vocabulary.save(run.directory.path / "tokenizer.json")

    for step in run.steps():
        phase = (0, pretrain_steps) if step < pretrain_steps else (pretrain_steps, args.steps)
        for adam, rate in rates.items():
            left = (phase[1] - step) / (phase[1] - phase[0])
            adam.param_groups[0]["lr"] = rate * min(1.0, left / (1 - args.decay_from))
        real = tokens[batches.indices(step, device=run.device)]
        z = generator.latents(args.batch_size)
        if step < pretrain_steps:
            g_loss = likelihood(generator, discriminator, z, real=real).mean()
            run.minimize("generator", g_loss, mle_adam)
            run.log(g_loss=g_loss)
        for _ in range(args.discriminator_steps if step >= pretrain_steps else 0):
            with torch.no_grad():
                fake = generator(generator.latents(args.batch_size)).sample()
            raw_real, penalty = discriminator.penalized(real) if args.r1 else (discriminator.outputs(real), zero)
            d_loss = GAN.discriminator_loss(raw_real, discriminator.outputs(fake))
            run.minimize("discriminator", d_loss + args.r1 * penalty.mean(), d_adam)
            run.log(d_loss=d_loss, penalty=penalty.mean())
        if step >= pretrain_steps + args.warmup_steps:
            g_loss = with_real(estimator, real)(generator, discriminator, z).mean()
            if args.likelihood_weight:
                g_loss = g_loss + args.likelihood_weight * likelihood(generator, discriminator, z, real=real).mean()
            run.minimize("generator", g_loss, g_adam)
            run.log(g_loss=g_loss)
        average.update_parameters(generator)

        if run.probing:
            options = {"seed": args.seed, "step": run.step, "num_redraws": args.probe_redraws, "num_reference": 64}
            run.log(**probe(probed, generator, discriminator, probe_z, **options))
        if run.logging and step >= pretrain_steps:
            run.log(**diagnostics(generator, discriminator, real, z))
        if run.due(args.sample_every):
            run.log(**report.quick(average.module))
        if run.rank == 0 and run.step == pretrain_steps < args.steps:
            average.module.save_pretrained(run.directory.path / "pretrained")  # type: ignore[operator]
        if run.rank == 0 and run.due(args.sample_every):
            report.samples(run.directory.sample_path(run.step, ".txt"), average.module)

    if run.rank == 0:
        results = report.final(run.directory.path, average.module, num_samples=args.num_scored or report.num_samples)
        run.finish(results)


if __name__ == "__main__":
    main(tyro.cli(Args))
