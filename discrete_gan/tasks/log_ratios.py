r"""What log-ratios are worth: the log-likelihood that they add to a generator's, and what their weights look like.

The reweighted model is

.. math:: \tilde p(x) = p_g(x)\, w(x) / Z, \qquad \log Z = \log E_{x \sim p_g}[w(x)],

so on held-out data it gains the mean of log w minus log Z over the generator alone.

Reference:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431, equation 6
"""

import inspect
import math

import torch
from torch import Tensor

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.metrics.bootstrap import Interval, mean_interval
from discrete_gan.sampling import evaluating, num_classes_of
from discrete_gan.tasks.base import Batch
from discrete_gan.tasks.score import Score
from discrete_gan.weights import diagnose, log_partition, log_partition_error, tail_index_threshold

_ROWS = 1000  # samples the discriminator sees at a time
_Z95 = 1.96
_RANGE95 = 3.63  # that four normal draws of standard deviation 1 keep within in 95 of 100 cases
_FLAT = 0.1  # nats of spread, below which choosing by weights changes next to nothing


@torch.no_grad()
def raw_outputs(discriminator: Discriminator, x: Tensor, labels: Tensor | None = None) -> Tensor | None:
    """Log-ratios of samples (N, *event), shape (N,); None of a discriminator that has more than one output each."""
    with evaluating(discriminator):
        outputs = [
            discriminator(part) if labels is None else discriminator(part, of_part)
            for part, of_part in zip(x.split(_ROWS), (x if labels is None else labels).split(_ROWS), strict=True)
        ]
    raw = torch.cat(outputs)
    return raw.float() if raw.shape == x.shape[:1] else None


def outputs_of(generator: Generator, discriminator: Discriminator, samples: Batch) -> Tensor | None:
    """The same of samples with their classes, which are shown where the generator is given classes and both know them.

    Args:
        generator: Whose samples they are, or would be.
        discriminator: As it was trained.
        samples: N of them.
    """
    knows = num_classes_of(generator) and "labels" in inspect.signature(discriminator.forward).parameters
    return raw_outputs(discriminator, samples.x, samples.labels if knows else None)


def in_turn(generator: Generator, x: Tensor) -> Batch:
    """Samples that ``generate`` drew, with the classes that it asked for."""
    num_classes = num_classes_of(generator)
    return Batch(x, torch.arange(len(x), device=x.device) % num_classes if num_classes else None)


def gain_scores(log_w_real: Tensor, log_w_fake: Tensor, protocol: str) -> list[Score]:
    """What calibrated log-ratios add to the log-likelihood, and whether their weights can be trusted.

    Args:
        log_w_real: On held-out data in nats, shape (N,).
        log_w_fake: On samples of the generator, shape (N',), at least 8.
        protocol: What they depend on.
    """
    log_w_real, log_w_fake = log_w_real.detach().double().cpu(), log_w_fake.detach().double().cpu()
    data, log_z = mean_interval(log_w_real), float(log_partition(log_w_fake))
    error = float(log_partition_error(log_w_fake))
    quarters = [float(log_partition(part)) for part in log_w_fake[: len(log_w_fake) // 4 * 4].chunk(4)]
    found = diagnose(log_w_fake)
    tail, threshold = float(found.pareto_tail_index), tail_index_threshold(len(log_w_fake))
    doubts = []
    if tail > threshold:
        doubts.append(f"its tail index {tail:.2f} is above {threshold:.2f}, so a few samples decide")
    if max(quarters) - min(quarters) > 2 * _RANGE95 * error:
        doubts.append("its quarters differ by more than their errors")
    doubt = f"; do not trust log Z: {', and '.join(doubts)}" if doubts else ""
    gain = data.value - log_z
    half = math.hypot((data.high - data.low) / 2, _Z95 * error)
    spread = float(log_w_fake.std())
    flat = (
        f"flat: choosing by weights that differ by {spread:.2g} nats changes next to nothing" if spread < _FLAT else ""
    )
    return [
        Score(
            "log_likelihood_gain",
            gain,
            "gain in log-likelihood",
            "nats, held-out data",
            "more",
            protocol=protocol,
            note=f"mean log w {data.value:.4g} ({data.low:.4g} to {data.high:.4g}), less log Z below{doubt}",
        ).within(Interval(gain, gain - half, gain + half)),
        Score(
            "log_partition",
            log_z,
            "log Z",
            "nats",
            protocol=protocol,
            note=f"of quarters of the samples {', '.join(f'{quarter:.3g}' for quarter in quarters)}",
            parts=tuple(quarters),
        ).within(Interval(log_z, log_z - _Z95 * error, log_z + _Z95 * error)),
        Score("log_ratio_spread", spread, "spread of log w", "nats, of samples", protocol=protocol, note=flat),
        Score(
            "effective_part",
            float(found.effective_sample_size) / len(log_w_fake),
            "effective sample size",
            "of all samples",
            None,
            1,
            protocol=protocol,
        ),
        Score(
            "tail_index",
            tail,
            "Pareto tail index",
            "",
            None,
            protocol=protocol,
            note="" if tail <= threshold else f"above {threshold:.2f}: weighted means cannot be trusted",
        ),
    ]
