"""SeqGAN's synthetic benchmark: text from an oracle LSTM, so that samples can be scored by their likelihood there.

10,000 sequences of 20 (or 40) tokens out of 5,000 are drawn from the oracle. The generator starts with maximum
likelihood and goes on by a gradient estimator. Reported are the negative log-likelihood of samples under the oracle,
which is quality, and of other oracle sequences under the generator, which is diversity: either alone can be cheated.

References:
    SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient (Yu et al., 2017), https://arxiv.org/abs/1609.05473
    Language GANs Falling Short (Caccia et al., 2020), https://arxiv.org/abs/1811.02549
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro

from discrete_gan.data import Batches
from discrete_gan.data.oracle import load_oracle
from discrete_gan.divergences import GAN
from discrete_gan.errors import InputError
from discrete_gan.estimators import MaximumLikelihood, parse_estimator, with_real
from discrete_gan.lab.probe import probe
from discrete_gan.models import RecurrentGenerator, token_discriminator
from discrete_gan.models.oracle import oracle_generator, random_oracle
from discrete_gan.report import OracleReport
from discrete_gan.training import (
    MovingAverage,
    Run,
    SequenceOptions,
    check_options,
    check_sequence_options,
    diagnostics,
    seeded,
    try_estimator,
)
from discrete_gan.training.memory import check_text_fits


@dataclass(frozen=True, kw_only=True)
class Args(SequenceOptions):
    """Arguments of the recipe."""

    oracle: Path | None = None
    """SeqGAN's weights as .npz, or the folder of that file; drawn anew by --oracle-seed if not given."""
    oracle_seed: int = 0
    """Of an oracle without a file."""
    length: int = 20
    """Tokens of a sequence; 20 and 40 are published."""
    num_train: int = 10_000
    """Sequences drawn from the oracle for training, and as many others held out."""
    estimator: str = "boundary-seeking-steps:num_samples=4"
    """mle alone, or boundary-seeking-steps, reinforce-steps, seqgan or another one of docs/text.md, with options as
    NAME:KEY=VALUE,KEY=VALUE, or your own as FILE.py:FUNCTION."""
    likelihood_weight: float = 0.0
    """Weight of the negative log-likelihood of real sequences beside the estimator's loss."""
    discriminator: Literal["lstm", "cnn", "transformer"] = "lstm"
    """lstm has a raw output a step, which boundary-seeking-steps, reinforce-steps and scratchgan need; cnn is
    SeqGAN's kind; transformer a small encoder."""
    generator_lr: float = 1e-3
    """Adam's learning rate of the generator in the adversarial phase."""
    discriminator_lr: float = 1e-3
    """Adam's learning rate of the discriminator."""
    steps: int = 4500
    """Steps of the run, those of all phases together."""
    pretrain_steps: int = 4000
    """First steps, in which the generator learns by maximum likelihood; all of them with --estimator mle."""
    warmup_steps: int = 300
    """Steps behind them in which only the discriminator learns."""
    pretrain_lr: float = 1e-2
    """Adam's learning rate of the maximum likelihood."""
    hidden: int = 32
    """Width of the generator's recurrent layers."""
    init_std: float = 0.1
    """Standard deviation of the generator's first weights, all normal, as published; 0 for torch's own."""
    discriminator_width: int = 64
    """Hidden units (lstm), channels of each width (cnn), or size of the vectors (transformer)."""


def load_report(args: Args) -> OracleReport:
    """Sequences of the oracle, with what scores samples against it."""
    weights = random_oracle(args.oracle_seed) if args.oracle is None else load_oracle(args.oracle)
    try:
        oracle = oracle_generator(weights, args.length)
    except ValueError as error:
        raise InputError(f"--oracle {args.oracle}: {error}") from None
    with seeded("oracle", args.seed), torch.no_grad():  # other sequences with every seed, as published
        text = oracle(oracle.latents(1)).sample((2 * args.num_train,))[:, 0]
    return OracleReport(oracle, train=text[: args.num_train], held_out=text[args.num_train :])


def main(args: Args) -> None:
    """Train, sample, score."""
    check_sequence_options(args)
    check_options(args, length=(2, math.inf), num_train=(2, math.inf), init_std=(0, math.inf))
    with seeded(args.seed, "weights", "estimator"):
        estimator = parse_estimator(args.estimator)
    report = load_report(args)
    run = Run(args, steps=args.steps, data=report.summary())
    report.to(run.device)
    check_text_fits(report, args, estimator, run.device)
    batches = Batches(args.num_train, args.batch_size, seed=args.seed, rank=run.rank, world_size=run.world_size)

    tokens, shape = report.train, (report.num_categories, args.length)
    try:
        generator = RecurrentGenerator(
            *shape,
            end=None,
            latent_dim=args.latent_dim,
            embedding_dim=args.embedding,
            hidden=args.hidden,
            num_layers=args.num_layers,
            cell=args.cell,
        )
        width, dropout = args.discriminator_width, args.dropout
        discriminator = token_discriminator(args.discriminator, *shape, end=None, width=width, dropout=dropout)
    except ValueError as error:
        raise InputError(f"networks: {error}") from None
    for weights in generator.parameters() if args.init_std else ():
        torch.nn.init.normal_(weights, std=args.init_std)
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
