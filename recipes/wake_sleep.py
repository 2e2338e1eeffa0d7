r"""Sigmoid belief network on binary images, whose encoder is trained by any gradient estimator.

An estimator takes (generator, discriminator, z): here the encoder q(h | x), log p(x, h) - log q(h | x), and images. So
boundary-seeking is wake-phi of reweighted wake-sleep, vimco ascends the bound of several samples, and an estimator of
the log-ratio ascends that of one. The decoder ascends the same bound on bits of its own draw: wake-theta.

References:
    Reweighted Wake-Sleep (Bornschein and Bengio, 2015), https://arxiv.org/abs/1406.2751
    Double Control Variates for Gradient Estimation in Discrete Latent Variable Models (Titsias and Shi, 2022),
    https://arxiv.org/abs/2111.05300
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from discrete_gan.cli import run_recipe
from discrete_gan.errors import InputError
from discrete_gan.estimators import Target, parse_estimator
from discrete_gan.models import BeliefDecoder, BeliefEncoder, LogWeight, Posterior
from discrete_gan.ranges import AtLeastTwo, Count
from discrete_gan.tasks import BinaryImageOptions, EncodedImages, make_task
from discrete_gan.training import LossOptions, Run, RunOptions
from discrete_gan.weights import importance_loss, iwae_loss


@dataclass(frozen=True, kw_only=True)
class Args(BinaryImageOptions, LossOptions, RunOptions):
    """Options of the recipe."""

    estimator: str = "boundary-seeking:num_samples=2"
    """Of the encoder: boundary-seeking (wake-phi), vimco, or, of one sample: reinforce, disarm, rebar, relax, or
    with objective=log-ratio others of docs/estimators.md; or your own as FILE.py:FUNCTION."""
    samples: Count = 2
    """Draws of the encoder per image that the decoder learns from; with vimco its own num_samples."""
    network: Literal["linear", "nonlinear"] = "linear"
    """Of encoder and decoder: one layer, or three with leaky ReLU."""
    latent_dim: Count = 200
    """Bits of h."""
    hidden: Count = 200
    """Width of the hidden layers."""
    batch_size: AtLeastTwo = 100
    lr: float = 1e-3
    bound_latents: AtLeastTwo = 5000
    """Draws of the encoder for each held-out image: of the bound that is scored at the end and in evaluations."""
    bound_num: Count | None = None
    """Held-out images that it is the mean of; all if not given."""


def task(args: Args) -> EncodedImages:
    """Images as bits."""
    return make_task(args, lambda: EncodedImages(args, num_latents=args.bound_latents, num=args.bound_num))


def networks(args: Args, data: EncodedImages) -> tuple[BeliefDecoder, BeliefEncoder]:
    """Decoder and encoder, which start from the mean image."""
    sizes = (args.latent_dim, data.num_positions, (args.hidden,) * (2 if args.network == "nonlinear" else 0))
    mean = data.train.mean(dim=0).cpu()
    return BeliefDecoder(*sizes).start_at(mean), BeliefEncoder(*sizes).start_at(mean)


def target_of(args: Args) -> Target:
    """What the encoder's estimator descends: of one sample of log w, of several, or with reweighted samples."""
    claims = getattr(parse_estimator(args.estimator), "claims", None)
    if claims is None:
        return "log-ratio"
    if claims.target == "non-saturating":
        raise InputError(f"--estimator {args.estimator}: expected one of log w, objective=log-ratio, got one of log D")
    if claims.target == "multi-sample" and claims.evaluations != args.samples:
        raise InputError(f"--samples: expected {claims.evaluations} or num_samples={args.samples} of the estimator")
    return claims.target


def losses(
    target: Target, estimate: Callable[..., Tensor], posterior: Posterior, log_weight: LogWeight, x: Tensor, num: int
) -> tuple[Tensor, Tensor]:
    """Of encoder and decoder, each of shape (B,); the decoder's is minus the bound."""
    q = posterior(x)
    h = q.sample((num,))
    log_w, loss = log_weight(h), estimate(posterior, log_weight, x)
    if target == "log-ratio":
        return loss, -log_w.mean(dim=0)
    if target == "multi-sample":  # in which q is a part of the weights too, that the estimator holds fixed
        loss = loss - importance_loss(log_w, q.log_prob(h))
    return loss, iwae_loss(log_w)


def main(args: Args) -> None:
    """Train: each step updates both."""
    target, data = target_of(args), task(args)
    run = Run(args, data)
    decoder, encoder = run.networks(lambda: networks(args, data))
    posterior = Posterior(encoder)
    log_weight = LogWeight(decoder, posterior)
    estimate, state = run.estimator(args.estimator, posterior, log_weight, z=data.batch(0).x)
    d = run.player("generator", decoder, lr=args.lr, betas=(0.9, 0.999))
    e = run.player("discriminator", encoder, lr=args.lr, betas=(0.9, 0.999), also=state, counted=log_weight)
    for step in run.steps():
        x = data.batch(step).x
        with run.autocast():
            encoder_loss, decoder_loss = losses(target, estimate, posterior, log_weight, x, args.samples)
        e.descend(encoder_loss.mean())
        d.descend(decoder_loss.mean())
        run.log(d_loss=encoder_loss.mean(), g_loss=decoder_loss.mean())


if __name__ == "__main__":
    run_recipe(__file__)
