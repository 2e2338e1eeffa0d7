r"""Jensen-Shannon divergence between the n-grams of two texts.

References:
    Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028
"""

import math

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.metrics.ngrams import Sequences, flatten, joined, ngrams


def ngram_js(
    samples: Tensor | Sequences, reference: Tensor | Sequences, *, max_order: int = 6, end: int | None
) -> Tensor:
    r"""Jensen-Shannon divergence, in bits, of the distributions of n-grams.

    .. math:: \mathrm{JS}_n = \tfrac{1}{2} \sum_g p_g \log_2 \frac{p_g}{m_g} + q_g \log_2 \frac{q_g}{m_g}, \quad
              m = \tfrac{1}{2} (p + q)

    with p and q the relative frequencies of the n-grams g on either side. JS-4 on characters is what Gulrajani et
    al. report, who also count the padding. From finite text it is biased upwards, the more the larger n, so only
    values at equal numbers of rows compare, and the floor is what real text gets against the same reference.

    Args:
        samples: int64, shape (N, D).
        reference: int64, shape (N', D').
        max_order: The largest n.
        end: The token that ends a row; None if all positions are tokens.

    Returns:
        JS_1, ..., JS_max_order in bits, from 0 to 1, float64, shape (max_order,). Where one side has no n-gram,
        every row being shorter, it is 1, and 0 where neither has any.

    Raises:
        ValueError: If a shape is wrong, a side has no row, or ``max_order`` is below 1.

    Example:
        >>> ngram_js(torch.tensor([[0, 1]]), torch.tensor([[2, 3]]), max_order=2, end=None)  # nothing in common: a bit
        tensor([1., 1.], dtype=torch.float64)
    """
    samples, reference = flatten("samples", samples, end), flatten("reference", reference, end)
    check_at_least("max_order", max_order, 1)
    num_samples = len(samples.lengths)
    values = []
    for grams in ngrams(joined(samples, reference), max_order):
        ours = grams.rows < num_samples
        counts = [torch.bincount(grams.ids[side], minlength=grams.size).double() for side in (ours, ~ours)]
        p, q = (count / count.sum().clamp(min=1) for count in counts)
        entropies = torch.special.entr(torch.stack([(p + q) / 2, p, q])).sum(1)
        bits = (entropies[0] - entropies[1:].mean()).clamp(min=0) / math.log(2)
        values.append(bits.where((p.sum() > 0) == (q.sum() > 0), 1))
    return torch.stack(values)
