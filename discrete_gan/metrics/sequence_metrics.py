"""Scores of text that arrives in batches, on one process or several: torchmetrics classes over the functions."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from discrete_gan.metrics.bleu import bleu, self_bleu
from discrete_gan.metrics.diversity import copied_fraction, distinct_n, distinct_samples
from discrete_gan.metrics.likelihood import TokenNLLResult
from discrete_gan.metrics.ngram_divergence import ngram_js
from discrete_gan.metrics.ngrams import Sequences, flatten


class SequenceMetric(Metric):
    """Base of the metrics that need all rows at once: collects them, on one process or several.

    Rows are kept without padding, so batches may differ in D if there is an ``end``.

    Args:
        end: The token that ends a row; None if all D positions are tokens.
        kwargs: Of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    full_state_update = False

    tokens: list[Tensor]
    lengths: list[Tensor]

    def __init__(self, end: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.end = end
        self.add_state("tokens", [], dist_reduce_fx="cat")
        self.add_state("lengths", [], dist_reduce_fx="cat")

    @property
    def dtype(self) -> torch.dtype:
        """Type of what a process without samples contributes; float32 would spoil the others' integers."""
        return torch.int64

    def update(self, tokens: Tensor) -> None:
        """Add samples.

        Args:
            tokens: int64, shape (N, D); none, as after a filter, add nothing.

        Raises:
            ValueError: If the shape is not (N, D), or D differs from an earlier batch and there is no ``end``.
        """
        if tokens.ndim == 2 and len(tokens) == 0:
            return
        added = flatten("tokens", tokens.to(self.device), self.end)
        if self.end is None and self.lengths and len(self.tokens[0]) != len(self.lengths[0]) * tokens.shape[1]:
            width = len(self.tokens[0]) // len(self.lengths[0])
            raise ValueError(f"tokens: expected D = {width} as before, since there is no end, got {tokens.shape[1]}")
        self.tokens.append(added.tokens)
        self.lengths.append(added.lengths)

    def sequences(self) -> Sequences:
        """All rows so far.

        Raises:
            ValueError: If there is none.
        """
        if len(self.lengths) == 0:
            raise ValueError(f"{type(self).__name__}: needs at least 1 sample, got 0")
        return Sequences(dim_zero_cat(self.tokens), dim_zero_cat(self.lengths))


class BLEU(SequenceMetric):
    """Mean sentence BLEU of samples that arrive in batches, on one process or several.

    Args:
        references: int64, shape (N', D').
        end: The token that ends a row; None if all positions are tokens.
        max_order: The largest n.
        kwargs: Of ``torchmetrics.Metric``.
    """

    higher_is_better = True
    references: Tensor

    def __init__(self, references: Tensor, end: int | None, *, max_order: int = 5, **kwargs: Any) -> None:
        super().__init__(end, **kwargs)
        self.register_buffer("references", references, persistent=False)
        self.max_order = max_order

    def compute(self) -> Tensor:
        """BLEU-2, ..., BLEU-max_order, float64, shape (max_order - 1,)."""
        return bleu(self.sequences(), self.references, max_order=self.max_order, end=self.end)


class SelfBLEU(SequenceMetric):
    """Self-BLEU of samples that arrive in batches, on one process or several.

    Args:
        end: The token that ends a row; None if all positions are tokens.
        max_order: The largest n.
        kwargs: Of ``torchmetrics.Metric``.
    """

    higher_is_better = False

    def __init__(self, end: int | None, *, max_order: int = 5, **kwargs: Any) -> None:
        super().__init__(end, **kwargs)
        self.max_order = max_order

    def compute(self) -> Tensor:
        """Self-BLEU-2, ..., self-BLEU-max_order, float64, shape (max_order - 1,)."""
        return self_bleu(self.sequences(), max_order=self.max_order, end=self.end)


class DistinctN(SequenceMetric):
    """Distinct n-grams of samples that arrive in batches, on one process or several.

    Args:
        end: The token that ends a row; None if all positions are tokens.
        max_order: The largest n.
        kwargs: Of ``torchmetrics.Metric``.
    """

    higher_is_better = True

    def __init__(self, end: int | None, *, max_order: int = 4, **kwargs: Any) -> None:
        super().__init__(end, **kwargs)
        self.max_order = max_order

    def compute(self) -> Tensor:
        """Distinct-1, ..., distinct-max_order, float64, shape (max_order,)."""
        return distinct_n(self.sequences(), max_order=self.max_order, end=self.end)


class DistinctSamples(SequenceMetric):
    """Distinct fraction of samples that arrive in batches, on one process or several."""

    higher_is_better = True

    def compute(self) -> Tensor:
        """Distinct samples divided by all samples, a float64 scalar."""
        return distinct_samples(self.sequences(), end=self.end)


class CopiedFraction(SequenceMetric):
    """Fraction copied from training, of samples that arrive in batches, on one process or several.

    Args:
        train: int64, shape (N', D').
        end: The token that ends a row; None if all positions are tokens.
        kwargs: Of ``torchmetrics.Metric``.
    """

    higher_is_better = False
    train_tokens: Tensor

    def __init__(self, train: Tensor, end: int | None, **kwargs: Any) -> None:
        super().__init__(end, **kwargs)
        self.register_buffer("train_tokens", train, persistent=False)

    def compute(self) -> Tensor:
        """Copied samples divided by all samples, a float64 scalar."""
        return copied_fraction(self.sequences(), self.train_tokens, end=self.end)


class NgramJS(SequenceMetric):
    """Jensen-Shannon divergence of n-grams for samples that arrive in batches, on one process or several.

    Args:
        reference: int64, shape (N', D').
        end: The token that ends a row; None if all positions are tokens.
        max_order: The largest n.
        kwargs: Of ``torchmetrics.Metric``.
    """

    higher_is_better = False
    reference: Tensor

    def __init__(self, reference: Tensor, end: int | None, *, max_order: int = 6, **kwargs: Any) -> None:
        super().__init__(end, **kwargs)
        self.register_buffer("reference", reference, persistent=False)
        self.max_order = max_order

    def compute(self) -> Tensor:
        """JS_1, ..., JS_max_order in bits, float64, shape (max_order,)."""
        return ngram_js(self.sequences(), self.reference, max_order=self.max_order, end=self.end)


class TokenNLL(Metric):
    """Negative log-likelihood of sequences that arrive in batches, on one process or several.

    Whether ``end`` counts as a token is the caller's protocol: the model does predict it once in every sequence
    that is shorter than D.

    Args:
        options: Of :class:`torchmetrics.Metric`; ``sync_on_compute=False`` for one process by itself, which would wait
            for the others.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    log_prob_sum: Tensor
    token_count: Tensor
    sequence_count: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("log_prob_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("token_count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("sequence_count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, log_prob: Tensor, num_tokens: Tensor) -> None:
        """Add sequences.

        Args:
            log_prob: Log-probability of each sequence in nats, shape (N,).
            num_tokens: Tokens that it is the sum of, int64, shape (N,).

        Raises:
            ValueError: If the shapes are not both (N,).
        """
        if log_prob.ndim != 1 or log_prob.shape != num_tokens.shape:
            shapes = f"{tuple(log_prob.shape)} and {tuple(num_tokens.shape)}"
            raise ValueError(f"log_prob, num_tokens: expected shape (N,) both, got {shapes}")
        self.log_prob_sum += log_prob.detach().double().sum()
        self.token_count += num_tokens.sum()
        self.sequence_count += len(log_prob)

    def compute(self) -> TokenNLLResult:
        """Nats per token and per sequence, and perplexity.

        Raises:
            ValueError: If no token came.
        """
        if self.token_count == 0:
            raise ValueError("TokenNLL: needs at least 1 token, got 0")
        per_token = -self.log_prob_sum / self.token_count
        return TokenNLLResult(per_token, -self.log_prob_sum / self.sequence_count, per_token.exp())
