"""How far weights can be trusted."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_choice
from discrete_gan.weights._samples import samples
from discrete_gan.weights.estimates import log_partition
from discrete_gan.weights.normalized import normalized_weights
from discrete_gan.weights.pareto import pareto_tail_index

Measure = Literal["kish", "largest"]


class WeightDiagnostics(NamedTuple):
    """What :func:`diagnose` returns.

    Attributes:
        normalized_weights: Weights that sum to one over the samples of each latent, shape (M, B).
        log_partition: Log of the mean weight in nats, shape (B,). For an exact log-ratio E_g[w] is 1 over the whole
            batch; that of a single latent may be anything.
        effective_sample_size: Between 1 and M, shape (B,).
        pareto_tail_index: k of the largest weights, shape (B,). Above :func:`tail_index_threshold` of M, which is 0.5
            for 100 samples and 0.7 from 2,155 on, their mean is not to be trusted.
        largest_weight: Largest normalized weight, shape (B,). One means that a single sample has it all.
    """

    normalized_weights: Tensor
    log_partition: Tensor
    effective_sample_size: Tensor
    pareto_tail_index: Tensor
    largest_weight: Tensor


def effective_sample_size(
    log_w: Tensor, *, by: Measure = "kish", dim: int = 0, where: Tensor | None = None, check: bool = False
) -> Tensor:
    r"""Kish's effective sample size, :math:`(\sum_m w_m)^2 / \sum_m w_m^2`, of each latent, or that of the largest.

    Args:
        log_w: Log-ratios in nats, shape (M, B), or any other with the samples along ``dim``.
        by: ``"kish"``, or ``"largest"``: :math:`\sum_m w_m / \max_m w_m`, never above Kish's and the first to tell of
            a single sample that has it all.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        Between 1 and M, shape (B,); zero where no sample is there. Gradients reach ``log_w``.

    Raises:
        ValueError: If ``by`` is unknown, or another argument does not fit, as in ``normalized_weights``.

    Example:
        >>> effective_sample_size(torch.tensor([[0.0, 0.0], [0.0, 9.0]]))  # even, and all on one of two
        tensor([2.0000, 1.0002])
    """
    check_choice("by", by, ("kish", "largest"))
    given = samples(log_w, dim, where, check=check)
    weights = normalized_weights(given.log_w, dim=given.dim, where=given.there)
    share = weights.square().sum(dim=given.dim) if by == "kish" else weights.amax(dim=given.dim)
    if given.there is None:
        return share.reciprocal()
    return torch.where(share == 0, 0.0, torch.where(share == 0, 1.0, share).reciprocal())


def diagnose(log_w: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False) -> WeightDiagnostics:
    """Everything worth knowing of one set of weights, to log beside a run.

    Trust a weighted mean where ``pareto_tail_index`` is below ``tail_index_threshold(M)``: for M = 100 that is 0.5.

    Args:
        log_w: Log-ratios in nats, shape (M, B), or any other with the samples along ``dim``.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        :class:`WeightDiagnostics`.

    Raises:
        ValueError: If an argument does not fit, as in ``normalized_weights``.

    Example:
        >>> found = diagnose(torch.linspace(-1, 1, 100))
        >>> found.effective_sample_size, found.largest_weight
        (tensor(75.8171), tensor(0.0231))
    """
    given = samples(log_w, dim, where, check=check)
    log_w, dim, where = given.log_w, given.dim, given.there
    weights = normalized_weights(log_w, dim=dim, where=where)
    return WeightDiagnostics(
        normalized_weights=weights,
        log_partition=log_partition(log_w, dim=dim, where=where),
        effective_sample_size=effective_sample_size(log_w, dim=dim, where=where),
        pareto_tail_index=pareto_tail_index(log_w, dim=dim, where=where),
        largest_weight=weights.amax(dim=dim),
    )
