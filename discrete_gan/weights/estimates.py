"""Estimates from weighted samples, each with its standard error, and those of all samples but one."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_choice, check_tensor
from discrete_gan._precision import at_least_float32, log_sum_exp
from discrete_gan.weights._samples import Samples, samples
from discrete_gan.weights.normalized import Over, normalized_weights


class Expectation(NamedTuple):
    """What :func:`expectation` returns: a mean and its standard error, both of shape (B, *event)."""

    mean: Tensor
    standard_error: Tensor


class LeaveOneOut(NamedTuple):
    """What :func:`leave_one_out` returns: for each sample, what the others say.

    Attributes:
        log_partition: Log of their mean weight in nats, the shape of the log-weights.
        log_weights: Log-weights over that mean, in nats: weights whose normalizer does not know their own sample.
        mean: Their weighted mean of f, the shape of f; None without f.
    """

    log_partition: Tensor
    log_weights: Tensor
    mean: Tensor | None


def log_partition(
    log_w: Tensor, *, over: Over = "samples", dim: int = 0, where: Tensor | None = None, check: bool = False
) -> Tensor:
    r"""Log of the mean weight, :math:`\log \frac{1}{M} \sum_m w_m`, an estimate of :math:`\log E_g[w]`.

    For an exact log-ratio :math:`E_g[w] = 1` over latents and samples together, so that of the whole batch is near
    zero, by Jensen's inequality biased low. That of a single latent is the log of how much more likely its samples are
    under the data than on average, which may be anything, and so may the mean of those over latents.

    Args:
        log_w: Log-ratios in nats, shape (M, B), or any other with the samples along ``dim``.
        over: Mean over the samples of each latent, or over the whole batch.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``; M is their number.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        Nats, shape (B,), or () with ``over="batch"``; NaN where no sample is there. Gradients reach ``log_w``.

    Raises:
        ValueError: If ``over`` is unknown, or another argument does not fit, as in ``normalized_weights``.

    Example:
        >>> log_partition(torch.tensor([1.0, 1.0, 1.0]))  # log of the mean weight
        tensor(1.)
    """
    check_choice("over", over, ("samples", "batch"))
    given = samples(log_w, dim, where, check=check)
    if over == "batch":
        given = Samples(given.log_w.flatten(), 0, None if given.there is None else given.there.flatten())
    total = log_sum_exp(given.only_there(given.log_w, -torch.inf), given.dim)
    return total - _log(_squeezed(given))


def log_partition_error(log_w: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False) -> Tensor:
    r"""Standard error of :func:`log_partition`, by the delta method: that of the mean weight over the mean weight.

    .. math:: \sqrt{\frac{1}{M (M - 1)} \sum_m \Big(\frac{w_m}{\bar w} - 1\Big)^2}
        = \sqrt{\frac{M / \mathrm{ESS} - 1}{M - 1}}

    Args:
        log_w: Log-ratios in nats, shape (M, B), or any other with the samples along ``dim``; M is at least 2.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``; M is their number.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        Nats, shape (B,); NaN where fewer than two samples are there, or none of them has a weight: the logarithm is
        minus infinity then, and nothing is known of it. Gradients reach ``log_w``.

    Raises:
        ValueError: If M is below 2, or another argument does not fit, as in ``normalized_weights``.

    Example:
        >>> log_partition_error(torch.tensor([0.0, 0.5, 1.0, 1.5]))
        tensor(0.3089)
    """
    given = samples(log_w, dim, where, check=check)
    check_at_least(f"log_w: number of samples along axis {given.dim}", given.log_w.shape[given.dim], 2)
    number = given.number
    weights = normalized_weights(given.log_w, dim=given.dim, where=given.there)
    deviation = given.only_there(number * weights - 1)
    variance = deviation.square().sum(dim=given.dim) / _squeezed(given) / (_squeezed(given) - 1)
    none = given.only_there(given.log_w, -torch.inf).isneginf().all(dim=given.dim)
    return _root(variance).masked_fill(none, torch.nan)


def expectation(
    f: Tensor, log_w: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False
) -> Expectation:
    r"""Self-normalized importance-weighted mean of f, and its standard error by the delta method.

    .. math:: \bar f = \sum_m \tilde w_m f_m, \qquad \mathrm{SE}^2 = \sum_m \tilde w_m^2 (f_m - \bar f)^2

    Biased at rate 1/M. Neither is to be trusted where :func:`pareto_tail_index` is above its threshold: smooth the
    weights first, ``expectation(f, psis(log_w).log_w)``. Samples of weight zero do not count, whatever f is there.

    Args:
        f: Values of the samples, shape (M, B, *event): that of ``log_w``, and any axes after it.
        log_w: Log-weights of the samples in nats, shape (M, B), or any other with the samples along ``dim``.
        dim: The axis of the samples, of both.
        where: Which samples are there, bool, broadcasts to ``log_w``.
        check: Read the values of ``log_w``, and raise where they are NaN or no sample has a weight.

    Returns:
        :class:`Expectation`; the mean is NaN where no sample is there, the standard error where fewer than two are.
        Gradients reach both arguments.

    Raises:
        ValueError: If ``f`` does not begin with the shape of ``log_w``, or another argument does not fit, as in
            ``normalized_weights``.

    References:
        Monte Carlo Theory, Methods and Examples (Owen, 2013), section 9.2, https://artowen.su.domains/mc/

    Example:
        >>> mean, error = expectation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 0.0, 1.0]))
        >>> mean, error
        (tensor(2.3642), tensor(0.4730))
    """
    given = samples(log_w, dim, where, check=check)
    f = _of_samples(f, given.log_w)
    weights = _beside(normalized_weights(given.log_w, dim=given.dim, where=given.there), f)
    counted = torch.where(weights == 0, 0.0, f)
    mean = (weights * counted).sum(dim=given.dim, keepdim=True)
    deviation = torch.where(weights == 0, 0.0, counted - mean)
    error = _root((weights * deviation).square().sum(dim=given.dim))
    mean, number = mean.squeeze(given.dim), _squeezed(given)
    if isinstance(number, int):
        return Expectation(mean, error if number > 1 else error * torch.nan)
    number = _beside(number, mean)
    return Expectation(mean.masked_fill(number == 0, torch.nan), error.masked_fill(number < 2, torch.nan))


def leave_one_out(
    log_w: Tensor, f: Tensor | None = None, *, dim: int = 0, where: Tensor | None = None, check: bool = False
) -> LeaveOneOut:
    r"""For each sample what the others say, as baselines need it: none of it depends on the sample itself.

    .. math:: \log \frac{1}{M - 1} \sum_{j \ne m} w_j, \qquad \frac{\sum_{j \ne m} w_j f_j}{\sum_{j \ne m} w_j}

    With equal weights, ``torch.zeros_like(f)``, the second is the plain mean of the others. Costs two passes, and the
    largest weight leaves nothing to cancel.

    Args:
        log_w: Log-weights in nats, shape (M, B), or any other with the samples along ``dim``; M is at least 2.
        f: Values of the samples, shape (M, B, *event): that of ``log_w``, and any axes after it.
        dim: The axis of the samples, of both.
        where: Which samples are there, bool, broadcasts to ``log_w``; M is their number.
        check: Read the values of ``log_w``, and raise where they are NaN or no sample has a weight.

    Returns:
        :class:`LeaveOneOut`. What is given for a sample that is not there is that of all that are; NaN where there are
        no others. Gradients reach both arguments.

    Raises:
        ValueError: If M is below 2, ``f`` does not begin with the shape of ``log_w``, or another argument does not fit,
            as in ``normalized_weights``.

    Example:
        >>> others = leave_one_out(torch.zeros(3), torch.tensor([1.0, 2.0, 6.0]))
        >>> others.mean  # of each sample: the mean of the others
        tensor([4.0000, 3.5000, 1.5000])
    """
    given = samples(log_w, dim, where, check=check)
    log_w, dim, there = given.log_w, given.dim, given.there
    check_at_least(f"log_w: number of samples along axis {dim}", log_w.shape[dim], 2)
    present = given.only_there(log_w, -torch.inf)
    top = present.argmax(dim=dim, keepdim=True)
    is_top = torch.zeros_like(present, dtype=torch.bool).scatter(dim, top, True)
    without_top = ~is_top if there is None else there & ~is_top
    weights = normalized_weights(log_w, dim=dim, where=there)
    # Where the largest is left out, 1 minus its weight may cancel: the others are summed up by themselves.
    rest = (1 - weights).masked_fill(is_top, 1.0)
    total = log_sum_exp(present, dim).unsqueeze(dim)
    total_without = log_sum_exp(present.masked_fill(is_top, -torch.inf), dim).unsqueeze(dim)
    others = given.number - (1 if there is None else there.to(log_w.dtype))
    partition = torch.where(is_top, total_without, total + rest.log()) - _log(others)
    mean = None
    if f is not None:
        f = _of_samples(f, log_w)
        without = _beside(normalized_weights(log_w, dim=dim, where=without_top), f)
        weights, top_left_out = _beside(weights, f), _beside(is_top, f)
        weighted = torch.where(weights == 0, 0.0, weights * torch.where(weights == 0, 0.0, f))
        of_rest = (weighted.sum(dim=dim, keepdim=True) - weighted) / _beside(rest, f)
        of_others = (without * torch.where(without == 0, 0.0, f)).sum(dim=dim, keepdim=True)
        mean = torch.where(top_left_out, of_others, of_rest)
        if there is not None:
            no_others = there.sum(dim=dim, keepdim=True) == there.long()
            mean = mean.masked_fill(_beside(no_others, f), torch.nan)
    return LeaveOneOut(partition, log_w - partition, mean)


def _squeezed(given: Samples) -> Tensor | int:
    """How many samples there are, M or without the axis of samples."""
    return given.number if isinstance(given.number, int) else given.number.squeeze(given.dim)


def _log(number: Tensor | int) -> Tensor | float:
    return math.log(number) if isinstance(number, int) else number.log()


def _root(variance: Tensor) -> Tensor:
    """Square root, whose gradient at zero is zero."""
    return torch.where(variance == 0, 0.0, torch.where(variance == 0, 1.0, variance).sqrt())


def _of_samples(f: Tensor, log_w: Tensor) -> Tensor:
    check_tensor("f", f)
    if f.shape[: log_w.dim()] != log_w.shape:
        raise ValueError(
            f"f: expected a shape beginning with that of log_w, {tuple(log_w.shape)}, got {tuple(f.shape)}"
        )
    return at_least_float32(f)


def _beside(value: Tensor, f: Tensor) -> Tensor:
    """With axes of size one for those that f has more."""
    return value.view(*value.shape, *[1] * (f.dim() - value.dim()))
