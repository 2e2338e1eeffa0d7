r"""BLEU and self-BLEU of generated text.

References:
    BLEU: a Method for Automatic Evaluation of Machine Translation (Papineni et al., 2002),
        https://aclanthology.org/P02-1040
    A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU (Chen and Cherry, 2014),
        https://aclanthology.org/W14-3346
    Texygen: A Benchmarking Platform for Text Generation Models (Zhu et al., 2018), https://arxiv.org/abs/1802.01886
"""

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.metrics.ngrams import Sequences, flatten, joined, ngrams, row_counts

# Chen and Cherry's method 1: the count that stands in for none.
EPSILON = 0.1


def bleu(samples: Tensor | Sequences, references: Tensor | Sequences, *, max_order: int = 5, end: int | None) -> Tensor:
    r"""Mean sentence BLEU of samples, each with all references as its references.

    .. math:: \mathrm{BLEU}_n = e^{\min(0,\, 1 - r / c)} \left(\prod_{i=1}^{n} \frac{m_i}{t_i}\right)^{1 / n}

    with c the sample's length, r the nearest reference length (the shorter of two), t_i = max(1, c - i + 1) its
    i-grams and m_i those found in the references, each at most as often as in the one reference that has it most
    often; m_i = 0 counts as 0.1, and a sample with m_1 = 0 scores 0. These are NLTK's ``sentence_bleu`` with
    ``SmoothingFunction().method1``, which the published tables of text GANs use. It rises with the number of
    references, so only values at equal references compare, and it never sees whether the samples differ.

    Args:
        samples: int64, shape (N, D).
        references: int64, shape (N', D').
        max_order: The largest n.
        end: The token that ends a row; None if all positions are tokens.

    Returns:
        BLEU-2, ..., BLEU-max_order, float64, shape (max_order - 1,), from 0 to 1.

    Raises:
        ValueError: If a shape is wrong, a side has no row, or ``max_order`` is below 2.

    Example:
        >>> samples, references = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[0, 1, 2, 4]])
        >>> bleu(samples, references, max_order=2, end=None)  # orders 1 and 2
        tensor([0.7071], dtype=torch.float64)
    """
    return sentence_bleu(samples, references, max_order=max_order, end=end).mean(1)


def sentence_bleu(
    samples: Tensor | Sequences, references: Tensor | Sequences, *, max_order: int = 5, end: int | None
) -> Tensor:
    """What :func:`bleu` is the mean of: BLEU-2, ..., BLEU-max_order of each sample, shape (max_order - 1, N)."""
    samples, references = flatten("samples", samples, end), flatten("references", references, end)
    check_at_least("max_order", max_order, 2)
    num_samples = len(samples.lengths)
    matches = []
    for grams in ngrams(joined(samples, references), max_order):
        rows, ids, counts = row_counts(grams)
        ours = rows < num_samples
        most = _most(ids[~ours], counts[~ours], grams.size)
        matches.append(_sums(rows[ours], torch.minimum(counts[ours], most[ids[ours]]), num_samples))
    distances = (samples.lengths.unique()[:, None] - references.lengths.unique()).abs()
    return _sentence_bleu(
        torch.stack(matches), samples.lengths, _nearest(samples.lengths, references.lengths, distances)
    )


def self_bleu(samples: Tensor | Sequences, *, max_order: int = 5, end: int | None) -> Tensor:
    """Mean sentence BLEU of each sample with all the other samples as references: low where they differ.

    Exact, in the time of a few sorts: the largest count of an n-gram among the others is the largest of all, or the
    second largest for the one sample that holds the largest.

    Args:
        samples: int64, shape (N, D), N at least 2.
        max_order: The largest n.
        end: The token that ends a row; None if all positions are tokens.

    Returns:
        Self-BLEU-2, ..., self-BLEU-max_order, float64, shape (max_order - 1,), from 0 to 1.

    Raises:
        ValueError: If the shape is wrong, N is below 2, or ``max_order`` is.

    Example:
        >>> self_bleu(torch.tensor([[0, 1, 2], [0, 1, 2]]), max_order=2, end=None)  # the same twice
        tensor([1.], dtype=torch.float64)
    """
    return self_sentence_bleu(samples, max_order=max_order, end=end).mean(1)


def self_sentence_bleu(samples: Tensor | Sequences, *, max_order: int = 5, end: int | None) -> Tensor:
    """What :func:`self_bleu` is the mean of, for each sample, shape (max_order - 1, N)."""
    samples = flatten("samples", samples, end)
    check_at_least("max_order", max_order, 2)
    num_samples = len(samples.lengths)
    check_at_least("samples", num_samples, 2, "each needs another one as its reference")
    matches = []
    for grams in ngrams(samples, max_order):
        rows, ids, counts = row_counts(grams)
        most = _most(ids, counts, grams.size)[ids]
        top = counts == most
        second = _most(ids[~top], counts[~top], grams.size)[ids]
        only_top = top & (torch.bincount(ids[top], minlength=grams.size)[ids] == 1)
        of_others = torch.where(only_top, second, most)
        matches.append(_sums(rows, torch.minimum(counts, of_others), num_samples))
    lengths, times = samples.lengths.unique(return_counts=True)
    distances = (lengths[:, None] - lengths).abs()
    # a sample is no reference of itself: its own length counts only where another one has it too
    distances.diagonal()[times == 1] = torch.iinfo(torch.int64).max
    return _sentence_bleu(torch.stack(matches), samples.lengths, _nearest(samples.lengths, samples.lengths, distances))


def _most(ids: Tensor, counts: Tensor, size: int) -> Tensor:
    """The largest count of each id, 0 for one that does not occur, shape (size,)."""
    return counts.new_zeros(size).scatter_reduce(0, ids, counts, "amax")


def _sums(rows: Tensor, values: Tensor, num_rows: int) -> Tensor:
    return values.new_zeros(num_rows).index_add(0, rows, values)


def _nearest(lengths: Tensor, candidates: Tensor, distances: Tensor) -> Tensor:
    """For each length the candidate at the smallest distance, the shorter of two; distances between distinct ones."""
    nearest = candidates.unique()[distances.argmin(1)]  # sorted, and argmin takes the first
    return nearest[lengths.unique(return_inverse=True)[1]]


def _sentence_bleu(matches: Tensor, lengths: Tensor, nearest: Tensor) -> Tensor:
    """From matches (max_order, N), lengths and nearest reference lengths (N,) to scores (max_order - 1, N)."""
    order = torch.arange(1, len(matches) + 1, device=matches.device)[:, None]
    total = (lengths - order + 1).clamp(min=1)
    precision = matches.double().where(matches > 0, EPSILON) / total
    log_brevity = (1 - nearest.double() / lengths).clamp(max=0)
    log_bleu = log_brevity + precision.log().cumsum(0) / order
    return log_bleu.exp().where(matches[0] > 0, 0)[1:]
