"""Weights that sum to one: self-normalized, over samples, over everything, or beside real samples."""

from typing import Literal

import torch
from torch import Tensor

from discrete_gan._arguments import check_choice, check_floats
from discrete_gan.weights._samples import Samples, log_ratio, samples

Over = Literal["samples", "batch"]


def normalized_weights(
    log_w: Tensor | None = None,
    *,
    log_target: Tensor | None = None,
    log_proposal: Tensor | None = None,
    over: Over = "samples",
    zero_sum: bool = False,
    dim: int = 0,
    where: Tensor | None = None,
    check: bool = False,
) -> Tensor:
    r"""Self-normalized importance weights.

    .. math:: \tilde w_{m,b} = \frac{\exp(\log w_{m,b})}{\sum_{m'} \exp(\log w_{m',b})}

    Invariant to a constant added to ``log_w``. A log-ratio of minus infinity has weight zero; where every
    log-ratio of a latent is minus infinity, none is preferred and the weights are uniform.

    Args:
        log_w: Log-ratios in nats, shape (M, B), or any other with the samples along ``dim``.
        log_target: In place of ``log_w``: log-density of the target in nats, up to a constant. A sample that the target
            rules out, minus infinity, has weight zero.
        log_proposal: With ``log_target``: that of the distribution the samples come from, the same shape.
        over: ``"samples"`` normalizes over the M samples of each latent (equation 9 of the paper),
            ``"batch"`` over all axes, M * B (equation 7, higher variance).
        zero_sum: Subtract the mean weight, 1/M or 1/(M B). For samples of the model that is trained itself it changes
            no expected gradient and lowers the variance, because the mean score of its own samples is zero. With
            samples of a proposal q the mean score of p is not zero, and the expected gradient would be another one.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``. The others have weight zero.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        Weights of the shape of ``log_w`` that sum to one, or to zero with ``zero_sum``; all zero where no sample is
        there. Gradients reach ``log_w``, or ``log_target`` and ``log_proposal``.

    Raises:
        ValueError: If ``log_w`` is not a floating-point tensor, has no axis ``dim`` or no samples, ``where`` does not
            fit, neither or both of ``log_w`` and the two densities are given, or ``over`` is unknown.

    Example:
        >>> log_w = torch.tensor([[0.0], [1.0], [2.0]])  # three samples of one latent
        >>> normalized_weights(log_w)[:, 0]
        tensor([0.0900, 0.2447, 0.6652])
        >>> normalized_weights(log_w, zero_sum=True)[:, 0]
        tensor([-0.2433, -0.0886,  0.3319])
    """
    check_choice("over", over, ("samples", "batch"))
    log_w = _ratio(log_w, log_target, log_proposal)
    given = samples(log_w, dim, where, check=check)
    if over == "batch":
        given = _as_one(given)
    weights = given.only_there(torch.softmax(given.finite, dim=given.dim))
    if zero_sum:
        weights = given.only_there(weights - 1 / given.number)
    return weights if over == "samples" else weights.view(log_w.shape)


def log_normalized_weights(
    log_w: Tensor | None = None,
    *,
    log_target: Tensor | None = None,
    log_proposal: Tensor | None = None,
    over: Over = "samples",
    dim: int = 0,
    where: Tensor | None = None,
    check: bool = False,
) -> Tensor:
    r"""Logarithms of :func:`normalized_weights`, exact where those underflow to zero.

    Args:
        log_w: As there.
        log_target: As there.
        log_proposal: As there.
        over: As there.
        dim: As there.
        where: As there.
        check: As there.

    Returns:
        Nats, the shape of ``log_w``, whose exponentials sum to one; minus infinity where a weight is zero. Gradients
        reach ``log_w``, or ``log_target`` and ``log_proposal``.

    Raises:
        ValueError: As there.

    Example:
        >>> log_normalized_weights(torch.tensor([0.0, 1.0, -math.inf]))
        tensor([-1.3133, -0.3133,    -inf])
    """
    check_choice("over", over, ("samples", "batch"))
    log_w = _ratio(log_w, log_target, log_proposal)
    given = samples(log_w, dim, where, check=check)
    if over == "batch":
        given = _as_one(given)
    log_weights = torch.log_softmax(given.finite, dim=given.dim)
    # An infinity that stood at the bound of its type, beside a finite number.
    none = log_weights < torch.finfo(log_weights.dtype).min / 2
    log_weights = given.only_there(log_weights.masked_fill(none, -torch.inf), -torch.inf)
    return log_weights if over == "samples" else log_weights.view(log_w.shape)


def union_weights(
    log_w: Tensor,
    real_log_w: Tensor,
    *,
    zero_sum: bool = False,
    dim: int = 0,
    where: Tensor | None = None,
    check: bool = False,
) -> Tensor:
    r"""Importance weights of generated samples, normalized over them and real samples together.

    .. math:: \frac{e^{s_{m,b}}}{\sum_{m'} e^{s_{m',b}} + \sum_{r} e^{s_r}}

    What Softmax GAN's softmax gives the generated samples, each latent's beside the same real ones. Invariant to a
    constant added to both arguments; never above :func:`normalized_weights`, and as small as the generated samples
    are unlikely beside the real ones. Infinities count as there.

    Args:
        log_w: Scores of generated samples in nats, larger for more real, shape (M, B), or any other with the samples
            along ``dim``.
        real_log_w: Scores of real samples in nats, shape (R,).
        zero_sum: Subtract 1/(M + R), the generator's target in Softmax GAN. For samples of the generator that is
            trained it changes no expected gradient; see :func:`normalized_weights`.
        dim: The axis of the samples.
        where: Which generated samples are there, bool, broadcasts to ``log_w``.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        Weights of the shape of ``log_w``. Those of a latent and of the real samples beside them sum to one, or to zero
        with ``zero_sum``. Gradients reach both arguments.

    Raises:
        ValueError: If ``real_log_w`` is not (R,), or another argument does not fit, as in :func:`normalized_weights`.

    References:
        Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191

    Example:
        >>> union_weights(torch.tensor([0.0, 1.0]), torch.tensor([0.5]))  # two samples beside one real one
        tensor([0.1863, 0.5065])
    """
    given = samples(log_w, dim, where, check=check)
    log_w, dim, there = given.log_w, given.dim, given.there
    check_floats("real_log_w", real_log_w)
    if real_log_w.dim() != 1:
        raise ValueError(f"real_log_w: expected shape (R,), got {tuple(real_log_w.shape)}")
    along = [1] * log_w.dim()
    along[dim] = -1
    beside = real_log_w.to(log_w.dtype).view(along)
    beside = beside.expand(*log_w.shape[:dim], -1, *log_w.shape[dim + 1 :])
    if there is not None:
        there = torch.cat([there, torch.ones_like(beside, dtype=torch.bool)], dim=dim)
    union = normalized_weights(torch.cat([log_w, beside], dim=dim), zero_sum=zero_sum, dim=dim, where=there)
    return union.narrow(dim, 0, log_w.shape[dim])


def _ratio(log_w: Tensor | None, log_target: Tensor | None, log_proposal: Tensor | None) -> Tensor:
    """Log-ratios as they are given, or of the two densities."""
    if log_w is not None and log_target is None and log_proposal is None:
        return log_w
    if log_w is not None or log_target is None or log_proposal is None:
        names = {"log_w": log_w, "log_target": log_target, "log_proposal": log_proposal}
        got = " and ".join(name for name, value in names.items() if value is not None) or "none"
        raise ValueError(f"log_w: expected log_w, or log_target and log_proposal, got {got}")
    return log_ratio(log_target, log_proposal)


def _as_one(given: Samples) -> Samples:
    """All axes as one of samples."""
    return Samples(given.log_w.flatten(), 0, None if given.there is None else given.there.flatten())
