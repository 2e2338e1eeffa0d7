r"""How much generated text repeats: itself, and the training text.

References:
    A Diversity-Promoting Objective Function for Neural Conversation Models (Li et al., 2016),
        https://arxiv.org/abs/1510.03055
"""

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.metrics.ngrams import Sequences, flatten, joined, ngrams, row_ids


def distinct_n(samples: Tensor | Sequences, *, max_order: int = 4, end: int | None) -> Tensor:
    """Distinct n-grams of all samples together, divided by all their n-grams.

    It falls as samples are added, so only values at equal N and similar lengths compare.

    Args:
        samples: int64, shape (N, D).
        max_order: The largest n.
        end: The token that ends a row; None if all positions are tokens.

    Returns:
        Distinct-1, ..., distinct-max_order, float64, shape (max_order,); 0 where every row is shorter than n.

    Raises:
        ValueError: If the shape is wrong, there is no row, or ``max_order`` is below 1.

    Example:
        >>> distinct_n(torch.tensor([[0, 0, 1, 1]]), max_order=2, end=None)  # 2 of 4 tokens, 3 of 3 pairs
        tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    samples = flatten("samples", samples, end)
    check_at_least("max_order", max_order, 1)
    ratios = [grams.size / max(1, len(grams.ids)) for grams in ngrams(samples, max_order)]
    return torch.tensor(ratios, dtype=torch.float64, device=samples.lengths.device)


def distinct_samples(samples: Tensor | Sequences, *, end: int | None) -> Tensor:
    """Distinct samples divided by all samples, a float64 scalar.

    Args:
        samples: int64, shape (N, D).
        end: The token that ends a row; None if all positions are tokens.

    Raises:
        ValueError: If the shape is wrong or there is no row.

    Example:
        >>> distinct_samples(torch.tensor([[0, 1], [0, 1], [1, 0]]), end=None)
        tensor(0.6667, dtype=torch.float64)
    """
    ids = row_ids(flatten("samples", samples, end))
    return torch.tensor(len(ids.unique()) / len(ids), dtype=torch.float64, device=ids.device)


def copied_fraction(samples: Tensor | Sequences, train: Tensor | Sequences, *, end: int | None) -> Tensor:
    """Fraction of the samples that are a training sequence token by token, a float64 scalar.

    Args:
        samples: int64, shape (N, D).
        train: int64, shape (N', D').
        end: The token that ends a row; None if all positions are tokens.

    Raises:
        ValueError: If a shape is wrong or a side has no row.

    Example:
        >>> copied_fraction(torch.tensor([[0, 1], [2, 3]]), torch.tensor([[0, 1]]), end=None)
        tensor(0.5000, dtype=torch.float64)
    """
    samples, train = flatten("samples", samples, end), flatten("train", train, end)
    ids, train_ids = row_ids(joined(samples, train)).tensor_split([len(samples.lengths)])
    return torch.isin(ids, train_ids).double().mean()
