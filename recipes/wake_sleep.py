r"""Sigmoid belief network on binary images, the encoder trained by any estimator of this package: its "generator".

An estimator takes (generator, discriminator, z). Here the generator is q(h | x), its latents are the images, and the
discriminator is log p(x, h) - log q(h | x) with q held fixed inside. So boundary-seeking is the wake-phi update of
reweighted wake-sleep, vimco ascends the multi-sample bound, and those of the log-ratio ascend the evidence bound. The
decoder ascends the same bound on bits of its own: its gradient is wake-theta's where the bound is of several samples.

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
from discrete_gan.estimators import parse_estimator
from discrete_gan.models import BeliefDecoder, BeliefEncoder, LogWeight, Posterior
from discrete_gan.ranges import AtLeastTwo, Count
from discrete_gan.tasks import BinaryImageOptions, BinaryImages, bound_score, make_task
from discrete_gan.training import LossOptions, Run, RunOptions
from discrete_gan.weights import iwae_loss

BETAS = (0.9, 0.999)  # of Adam: nothing plays against another here


@dataclass(frozen=True, kw_only=True)
class Args(BinaryImageOptions, LossOptions, RunOptions):
    """Options of the recipe."""

    estimator: str = "boundary-seeking:num_samples=2"
    """Of the encoder's gradient: boundary-seeking (wake-phi), vimco, or one of the evidence bound, such as reinforce,
    disarm, rebar, relax, or with objective=log-ratio gumbel-softmax, straight-through, reinmax; or your own."""
    network: Literal["linear", "nonlinear"] = "linear"
    """Of both: one layer, or three with leaky ReLU."""
    latent_dim: Count = 200
    """Bits of h."""
    hidden: Count = 200
    """Width of the hidden layers."""
    samples: Count = 2
    """Bits that the encoder draws for each image for the decoder's update, beside those of the estimator."""
    batch_size: AtLeastTwo = 100
    lr: float = 1e-3
    bound_latents: AtLeastTwo = 5000
    """Samples of the encoder for each held-out image, of the bound at the end of a run and in evaluations."""
    bound_num: Count | None = None
    """Held-out images that it is the mean of; all if not given."""


class Images(BinaryImages):
    """Images as bits, whose first score is the importance-weighted bound of the held-out ones."""

    def __init__(self, args: Args) -> None:
        super().__init__(args)
        self._latents, self._num = args.bound_latents, args.bound_num

    def scores(self, generator, discriminator, *, num=None, depth="run", seed=0):
        """The bound, in a line of the log of fewer images and samples, and what all images have."""
        latents, most = (100, 500) if depth == "line" else (self._latents, self._num)
        held_out, data = self.held_out().x[:most], self.data.fingerprint()
        bound = bound_score(generator, discriminator, held_out, num_latents=latents, data=data, seed=seed)
        return [bound, *super().scores(generator, discriminator, num=num, depth=depth, seed=seed)]


def task(args: Args) -> Images:
    """Images as bits."""
    return make_task(args, lambda: Images(args))


def networks(args: Args, data: Images) -> tuple[BeliefDecoder, BeliefEncoder]:
    """Decoder and encoder, which start from the mean image."""
    hidden = (args.hidden, args.hidden) if args.network == "nonlinear" else ()
    made = (
        BeliefDecoder(args.latent_dim, data.num_positions, hidden),
        BeliefEncoder(args.latent_dim, data.num_positions, hidden),
    )
    for network in made:
        network.start_at(data.train.mean(dim=0).cpu())
    return made


def bound_of(spec: str) -> Callable[[Tensor], Tensor]:
    """What the decoder descends, from log-weights (M, B) to (B,): minus the bound that the estimator ascends."""
    claims = getattr(parse_estimator(spec), "claims", None)
    if claims is not None and claims.target == "non-saturating":
        raise InputError(f"--estimator {spec}: expected one of log w, as with objective=log-ratio, got one of log D")
    several = claims is not None and claims.target in ("reweighted", "multi-sample")
    return iwae_loss if several else lambda log_w: -log_w.mean(dim=0)


def main(args: Args) -> None:
    """Train: in each step the decoder on bits that the encoder draws, and then the encoder by the estimator."""
    decoder_loss = bound_of(args.estimator)
    data = task(args)
    run = Run(args, data)
    decoder, encoder = run.networks(lambda: networks(args, data))
    posterior = Posterior(encoder)
    log_weight = LogWeight(decoder, posterior)
    estimate, state = run.estimator(args.estimator, posterior, log_weight, z=data.batch(0).x)
    p = run.player("generator", decoder, lr=args.lr, betas=BETAS)
    q = run.player("discriminator", encoder, lr=args.lr, betas=BETAS, also=state, counted=log_weight)
    for step in run.steps():
        x = data.batch(step).x
        with run.autocast():
            bound = decoder_loss(log_weight(posterior(x).sample((args.samples,)))).mean()
        p.descend(bound)
        loss = estimate(posterior, log_weight, x).mean()
        q.descend(loss)
        run.log(g_loss=bound, d_loss=loss)


if __name__ == "__main__":
    run_recipe(__file__)
