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
from discrete_gan.reweighted.density import partition_of_weights
from discrete_gan.reweighted.diagnosis import CHANGED, FLAT
from discrete_gan.sampling import evaluating, num_classes_of
from discrete_gan.tasks.base import Batch
from discrete_gan.tasks.score import Score
from discrete_gan.weights import effective_sample_size

_ROWS = 1000  # samples the discriminator sees at a time
_Z95 = 1.96


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
    data, partition = mean_interval(log_w_real), partition_of_weights(log_w_fake)
    gain, error = data.value - partition.value, _Z95 * partition.standard_error
    half = math.hypot((data.high - data.low) / 2, error)
    spread, effective = float(log_w_fake.std()), float(effective_sample_size(log_w_fake)) / len(log_w_fake)
    flat = f"flat: choosing changes about {100 * CHANGED * spread:.1g} % of the samples" if spread < FLAT else ""
    of_data = f"mean log w of the data {data.value:.4g} ({data.low:.4g} to {data.high:.4g}), less log Z"
    quarters = ", ".join(f"{quarter:.3g}" for quarter in partition.quarters)
    tail, threshold = partition.tail_index, partition.tail_threshold
    return [
        Score(
            "log_likelihood_gain", gain, "gain in log-likelihood", "nats, held-out data", "more",
            protocol=protocol, note=of_data if partition.trusted else f"{of_data}, which is not to be trusted",
        ).within(Interval(gain, gain - half, gain + half)),
        Score(
            "log_partition", partition.value, "log Z", "nats", protocol=protocol, parts=partition.quarters,
            note=f"of quarters of the samples {quarters}{'' if partition.agrees else ', more than their errors apart'}",
        ).within(Interval(partition.value, partition.value - error, partition.value + error)),
        Score("log_ratio_spread", spread, "spread of log w", "nats, of samples", protocol=protocol, note=flat),
        Score("effective_part", effective, "effective sample size", "of all", None, 1, protocol=protocol),
        Score(
            "tail_index", tail, "Pareto tail index", protocol=protocol,
            note=f"above {threshold:.2f}: weighted means cannot be trusted" if tail > threshold else "",
        ),
    ]  # fmt: skip
