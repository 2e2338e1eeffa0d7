r"""Does a generator copy its training data? Distances to it, against those of held-out real data.

References:
    A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan, Chaudhuri, Dasgupta, 2020),
        https://arxiv.org/abs/2004.05675
    On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other (Mann and Whitney, 1947),
        https://doi.org/10.1214/aoms/1177730491
"""

from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.metrics.bootstrap import Interval, bootstrap_interval, mean_interval

FEWEST = 100  # distances of a side, below which there is no verdict: the nearest 1 % would be less than one of them
HELD_OUT_SHARE = 0.01
COPIES_ABOVE = 0.02
EXACT_ABOVE = 0.01


class Memorization(NamedTuple):
    """Distances of generated samples to the training data, against those of held-out real data.

    Attributes:
        nearer: Probability that a sample is nearer to the training data than a held-out one, ties half. 0.5 for a
            perfect generator, above it for one that copies, and also for one whose samples are simpler than data.
        copies: Fraction of the samples that are nearer than the nearest 1 % of held-out data; 0.01 or, with ties, less
            for a perfect generator.
        exact: Fraction of the samples at distance 0.
        sample_distance: Mean distance of the samples.
        held_out_distance: Mean distance of held-out data.
        verdict: One line that begins with "copies", "no sign of copying" or "cannot say" and gives the figures.
    """

    nearer: Interval
    copies: Interval
    exact: float
    sample_distance: Interval
    held_out_distance: Interval
    verdict: str


def memorization(sample_distances: Tensor, held_out_distances: Tensor) -> Memorization:
    r"""Judge by distances to the training data whether a generator copies it.

    .. math:: \text{nearer} = P(d < d') + \tfrac{1}{2} P(d = d'), \qquad
              \text{copies} = P(d < d'_{(\lfloor N'/100 \rfloor)})

    for a sample's distance d and a held-out one's d'; 95 % intervals from 500 resamples of both sides. If a share c
    of the samples were copies and the rest perfect, nearer would be (1 + c) / 2 and copies about c. If all samples were
    simpler than data (smoother, or of the modes that are easy), nearer would rise much faster than copies. So:

    - "copies": the interval of ``copies`` lies above 0.02, and it explains at least half of nearer's excess,
      copies - 0.01 >= (2 * nearer - 1) / 2; or the samples at distance 0 are by more than 0.01 of all, over the whole
      interval, a larger share than the held-out ones at distance 0 are (data that repeats itself has such ones);
    - "no sign of copying": otherwise, if the interval of ``nearer`` reaches 0.5 or lies below it;
    - "cannot say": otherwise, or with fewer than 100 distances on a side.

    This is evidence, not proof: one copy among thousands is not seen, and a generator that has collapsed to what is
    typical may look like one that copies. The control is symmetric: cut the training set to the size of the held-out
    one and give the two nearest distances of each sample to ``paired_difference``. Simpler samples are nearer
    to both sets alike; copies are nearer to the training set alone. 2 s for N = N' = 10,000, after the distances.

    Args:
        sample_distances: Distance of each of N generated samples to its nearest training example, shape (N,).
        held_out_distances: The same of N' real examples that are not in the training set, shape (N',).

    Returns:
        The figures and the verdict.

    Raises:
        ValueError: If a shape is wrong or a side is empty.
    """
    sides = {"sample_distances": sample_distances, "held_out_distances": held_out_distances}
    for name, distances in sides.items():
        if distances.ndim != 1:
            raise ValueError(f"{name}: expected shape (N,), got {tuple(distances.shape)}")
        check_at_least(f"number of {name}", len(distances), 1)
    samples, held_out = (distances.detach().double().cpu() for distances in sides.values())
    nearer, copies, excess = (
        bootstrap_interval(statistic, samples, held_out, num_resamples=500)
        for statistic in (_nearer, _copies, _exact_excess)
    )
    nearer, copies = _within_unit(nearer), _within_unit(copies)
    exact, held_out_exact = ((distances == 0).double().mean().item() for distances in (samples, held_out))
    figures = (
        f"{_percent(copies)} of samples are nearer to the training data than 99 % of held-out ones are, "
        f"{exact:.1%} equal it (held-out {held_out_exact:.1%}), and a sample is nearer than a held-out one with "
        f"probability {nearer.value:.3f} ({nearer.low:.3f} to {nearer.high:.3f})"
    )
    explained = copies.value - HELD_OUT_SHARE >= (2 * nearer.value - 1) / 2
    if min(len(samples), len(held_out)) < FEWEST:
        verdict = (
            f"cannot say: needs {FEWEST} samples and {FEWEST} held-out ones, got {len(samples)} and {len(held_out)}"
        )
    elif (copies.low > COPIES_ABOVE and explained) or excess.low > EXACT_ABOVE:
        verdict = f"copies: {figures}"
    elif nearer.low <= 0.5:
        verdict = f"no sign of copying: {figures}"
    else:
        verdict = f"cannot say: {figures}; copies would do that, and so would samples that are simpler than data"
    return Memorization(nearer, copies, exact, mean_interval(samples), mean_interval(held_out), verdict)


def _nearer(samples: Tensor, held_out: Tensor) -> Tensor:
    """Mann-Whitney: share of pairs in which the sample's distance is the smaller one, ties half."""
    ordered = samples.sort().values
    below, not_above = torch.searchsorted(ordered, held_out), torch.searchsorted(ordered, held_out, right=True)
    return (below + not_above).double().mean() / (2 * len(samples))


def _copies(samples: Tensor, held_out: Tensor) -> Tensor:
    # The k-th smallest of N': a perfect generator is below it with probability k / (N' + 1), so rounded down.
    threshold = held_out.kthvalue(max(1, int(HELD_OUT_SHARE * len(held_out) + 1e-9))).values
    return (samples < threshold).double().mean()


def _exact_excess(samples: Tensor, held_out: Tensor) -> Tensor:
    return (samples == 0).double().mean() - (held_out == 0).double().mean()


def _within_unit(interval: Interval) -> Interval:
    """Ends cut to [0, 1]; NaN stays."""
    # In this order max and min return their first argument when it is NaN.
    return Interval(interval.value, min(max(interval.low, 0.0), 1.0), min(max(interval.high, 0.0), 1.0))


def _percent(interval: Interval) -> str:
    return f"{interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"
