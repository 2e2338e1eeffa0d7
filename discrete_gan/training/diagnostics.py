"""Figures that tell how training goes, cheap enough to compute at every log line."""

import torch
from torch import Tensor

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributed import gather
from discrete_gan.labels import labeled
from discrete_gan.sampling import evaluating
from discrete_gan.weights import diagnose, log_partition


@torch.no_grad()
def diagnostics(
    generator: Conditional,
    discriminator: Discriminator,
    real: Tensor,
    z: Tensor,
    *,
    labels: Tensor | None = None,
    num_samples: int = 20,
) -> dict[str, Tensor]:
    """Discriminator accuracy and importance-weight figures on one batch, whichever estimator trains.

    In evaluation mode, so that the run goes on as if nothing had been measured.

    Args:
        generator: Its distribution is sampled at ``z``.
        discriminator: Its raw output is the log-ratio.
        real: Data, shape (B, *event).
        z: Latents, shape (B, latent_dim).
        labels: Classes of both, where the networks are given them, shape (B,).
        num_samples: M, samples drawn per latent.

    Returns:
        Scalars on the device, none of them read back: ``accuracy`` (mean of both classes, 0.5 when the
        discriminator cannot tell), ``ess`` (effective sample size of M, mean over latents), ``largest_weight``
        (mean over latents) and ``log_partition`` (nats, of all samples of all processes together: near 0 when
        calibrated). Every process of a run has to call this.
    """
    generator, discriminator = labeled(generator, labels), labeled(discriminator, labels)
    with evaluating(generator, discriminator):
        log_w = discriminator(generator(z).sample(torch.Size((num_samples,))))
        raw_real = discriminator(real)
    weights = diagnose(log_w)
    accuracy = ((raw_real > 0).float().mean() + (log_w <= 0).float().mean()) / 2
    return {
        "accuracy": accuracy,
        "ess": weights.effective_sample_size.mean(),
        "largest_weight": weights.largest_weight.mean(),
        "log_partition": log_partition(gather(log_w), over="batch"),
    }
