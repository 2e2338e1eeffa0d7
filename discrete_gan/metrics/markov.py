r"""How well counting predicts sequences: the ladder that a model of them has to climb.

Each rung predicts a token from the k before it, by counts that fall back on the rung below as Witten and Bell have it:

.. math:: P_k(x \mid h) = \frac{c(h, x) + T(h)\, P_{k-1}(x \mid h')}{c(h) + T(h)}

with c(h) how often the context was seen, T(h) how many different tokens followed it, and h' without its oldest token.
Below the unigrams, which know no context, lies the uniform distribution.

Reference:
    The Zero-Frequency Problem: Estimating the Probabilities of Novel Events in Adaptive Text Compression (Witten and
    Bell, 1991), https://doi.org/10.1109/18.87000
"""

import numpy as np
import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least

MOST_TOKENS = 2_000_000
"""Of the training part that are counted: the first ones of it."""


def markov_ladder(train: Tensor, held_out: Tensor, num_categories: int, *, end: int | None, order: int = 5) -> Tensor:
    """Negative log-likelihood of held-out sequences, from the uniform distribution to Markov chains.

    Args:
        train: Tokens that are counted, int64, shape (N, D).
        held_out: Tokens that are predicted, shape (N', D).
        num_categories: K.
        end: The category that ends a sequence, predicted too; None for sequences of exactly D tokens.
        order: Most tokens before one that it is predicted from.

    Returns:
        Nats per token, float64, shape (order + 2,): uniform, unigrams, Markov of order 1 to ``order``. No gradient.
    """
    check_at_least("order", order, 0)
    train = train[: max(1, MOST_TOKENS // train.shape[1])].cpu()
    rows = torch.cat([train, held_out.cpu()])
    is_end = (rows == (-1 if end is None else end)).numpy()
    inside = is_end.cumsum(axis=1) - is_end == 0  # up to the end and including it
    of_train = np.repeat(np.arange(len(rows)) < len(train), inside.sum(axis=1))
    tokens = rows.numpy()
    target = tokens[inside].astype(np.int64)
    context = np.zeros(len(target), dtype=np.int64)  # what is known of the past, numbered
    predicted = np.full((~of_train).sum(), 1 / num_categories)
    found = [-np.log(predicted).mean()]
    for k in range(order + 1):
        if k:
            past = np.full(tokens.shape, num_categories)  # stands before the first token
            past[:, k:] = tokens[:, :-k]
            context = np.unique(context * (num_categories + 1) + past[inside], return_inverse=True)[1]
        pair = np.unique(context * num_categories + target, return_inverse=True)[1]
        seen = np.bincount(pair[of_train], minlength=pair.max() + 1)
        total = np.bincount(context[of_train], minlength=context.max() + 1)
        first = np.unique(pair[of_train], return_index=True)[1]
        kinds = np.bincount(context[of_train][first], minlength=len(total))
        here, pairs = context[~of_train], pair[~of_train]
        known = total[here] + kinds[here]
        mixed = (seen[pairs] + kinds[here] * predicted) / np.maximum(known, 1)
        predicted = np.where(known > 0, mixed, predicted)
        found.append(-np.log(predicted).mean())
    return torch.tensor(np.array(found))
