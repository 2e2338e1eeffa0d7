r"""Losses from log-weights of samples of a proposal, for whatever model computes them.

References:
    Reweighted Wake-Sleep (Bornschein and Bengio, 2015), https://arxiv.org/abs/1406.2751
    Importance Weighted Autoencoders (Burda et al., 2016), https://arxiv.org/abs/1509.00519
    Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives (Tucker et al., 2019),
    https://arxiv.org/abs/1810.04152
"""

import torch
from torch import Tensor

from discrete_gan._arguments import check_floats, check_same_shape
from discrete_gan._precision import at_least_float32
from discrete_gan.weights._samples import log_ratio, samples
from discrete_gan.weights.estimates import log_partition
from discrete_gan.weights.normalized import normalized_weights


def importance_loss(
    log_w: Tensor, log_prob: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False
) -> Tensor:
    r"""Surrogate whose gradient is minus the importance-weighted score, for samples of any proposal q.

    .. math:: \ell_b = -\sum_{m=1}^{M} \tilde w_{m,b} \log p_\theta(x_{m,b})

    Descends :math:`KL(\tilde p \| p_\theta)` for :math:`\tilde p \propto q\, w` held fixed, as in reweighted wake-sleep
    and off-policy learning. Biased at rate 1/M; with M = 1 it is the plain likelihood of what q draws. For samples of
    the model itself, q = p, ``boundary_seeking_loss`` does the same with less variance; its zero-sum weights would be
    wrong here.

    Args:
        log_w: Log-weights of the samples in nats, log of target over proposal up to a constant, shape (M, B), or any
            other with the samples along ``dim``. Not differentiated.
        log_prob: log p(x_m) of the same samples under the model that is trained, in nats, the shape of ``log_w``.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``.
        check: Read the values of ``log_w``, and raise where they are NaN or no sample has a weight.

    Returns:
        One loss per column, shape (B,); zero where no sample is there. Gradients reach ``log_prob`` only.

    Raises:
        ValueError: If the shapes differ, or another argument does not fit, as in ``normalized_weights``.

    Example:
        >>> importance_loss(torch.tensor([0.0, 0.0]), torch.tensor([-1.0, -3.0]))  # even weights: the mean of -log p
        tensor(2.)
    """
    given = samples(log_w, dim, where, check=check)
    log_w, dim, where = given.log_w, given.dim, given.there
    weights = normalized_weights(log_w.detach(), dim=dim, where=where)
    check_floats("log_prob", log_prob)
    check_same_shape("log_prob", log_prob, "log_w", log_w)
    # A sample that the target rules out may be impossible under the model too: 0 * -inf.
    counted = torch.where(weights == 0, 0.0, at_least_float32(log_prob))
    return -(weights * counted).sum(dim=dim)


def wake_theta_loss(
    log_joint: Tensor, log_proposal: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False
) -> Tensor:
    r"""Reweighted wake-sleep's update of the model: the weighted log-likelihood of latents that q drew.

    .. math:: -\sum_m \tilde w_m \log p_\theta(x, h_m), \qquad w_m = \frac{p_\theta(x, h_m)}{q_\phi(h_m \mid x)}

    Its gradient in :math:`\theta` is that of :func:`iwae_loss`, an estimate of that of :math:`-\log p_\theta(x)`,
    biased at rate 1/M.

    Args:
        log_joint: log p(x, h_m) in nats, shape (M, B), or any other with the samples along ``dim``.
        log_proposal: log q(h_m | x) in nats, the same shape. Not differentiated.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_joint``.
        check: Read the values, and raise where the weights are NaN or no sample has one.

    Returns:
        One loss per x, shape (B,). Gradients reach ``log_joint`` only, with the weights held fixed.

    Raises:
        ValueError: If the shapes differ, or another argument does not fit, as in ``normalized_weights``.

    Example:
        >>> wake_theta_loss(torch.tensor([-2.0, -4.0]), torch.tensor([-1.0, -3.0]))  # even weights: minus the mean
        tensor(3.)
    """
    log_w = log_ratio(log_joint, log_proposal, "log_joint")
    return importance_loss(log_w, log_joint, dim=dim, where=where, check=check)


def wake_phi_loss(
    log_joint: Tensor, log_proposal: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False
) -> Tensor:
    r"""Reweighted wake-sleep's wake update of the proposal: the weighted log-likelihood of what it drew itself.

    .. math:: -\sum_m \tilde w_m \log q_\phi(h_m \mid x)

    Descends :math:`KL(p_\theta(h \mid x) \| q_\phi)`, biased at rate 1/M. The samples are q's own, so that zero-sum
    weights, as of ``boundary_seeking_loss(log_joint - log_proposal, log_proposal)``, do the same with less variance.

    Args:
        log_joint: log p(x, h_m) in nats, shape (M, B), or any other with the samples along ``dim``. Not differentiated.
        log_proposal: log q(h_m | x) in nats, the same shape.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_joint``.
        check: Read the values, and raise where the weights are NaN or no sample has one.

    Returns:
        One loss per x, shape (B,). Gradients reach ``log_proposal`` only.

    Raises:
        ValueError: If the shapes differ, or another argument does not fit, as in ``normalized_weights``.

    Example:
        >>> wake_phi_loss(torch.tensor([-2.0, -4.0]), torch.tensor([-1.0, -3.0]))  # even weights: minus the mean
        tensor(2.)
    """
    log_w = log_ratio(log_joint, log_proposal, "log_joint")
    return importance_loss(log_w, log_proposal, dim=dim, where=where, check=check)


def iwae_loss(log_w: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False) -> Tensor:
    r"""Minus the importance-weighted bound, :math:`-\log \frac1M \sum_m w_m`: minus :func:`log_partition`.

    Its gradient is that of the bound where the samples are reparameterized; where they are discrete that holds for the
    model alone, and the proposal needs ``vimco_loss`` or :func:`wake_phi_loss`.

    Args:
        log_w: log p(x, h_m) - log q(h_m | x) in nats, shape (M, B), or any other with the samples along ``dim``.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``; M is their number.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        One loss per x, shape (B,). Gradients reach ``log_w``.

    Raises:
        ValueError: If an argument does not fit, as in ``normalized_weights``.

    Example:
        >>> iwae_loss(torch.tensor([-1.0, -1.0]))  # minus the log of the mean weight
        tensor(1.)
    """
    return -log_partition(log_w, dim=dim, where=where, check=check)


def dreg_loss(log_w: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False) -> Tensor:
    r"""Surrogate of the importance-weighted bound for a proposal with reparameterized samples, without its score.

    .. math:: -\sum_m \tilde w_m^2 \log w_m, \qquad
        \log w_m = \log p_\theta(x, h_m(\phi)) - \log q_{\bar\phi}(h_m(\phi) \mid x)

    Where :func:`iwae_loss` loses its signal as M grows, this one does not: the same expected gradient in :math:`\phi`,
    with less variance. The model's parameters want :func:`iwae_loss` still.

    Args:
        log_w: Log-weights in nats, shape (M, B), or any other with the samples along ``dim``, in which :math:`\phi` is
            held fixed but for the samples: the density of q is computed from detached parameters.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        One loss per x, shape (B,), whose value means nothing. Gradients reach ``log_w``.

    Raises:
        ValueError: If an argument does not fit, as in ``normalized_weights``.

    Example:
        >>> log_w = torch.tensor([-1.0, -2.0], requires_grad=True)
        >>> dreg_loss(log_w).backward()
        >>> log_w.grad  # minus the squared normalized weights
        tensor([-0.5344, -0.0723])
    """
    given = samples(log_w, dim, where, check=check)
    log_w, dim, where = given.log_w, given.dim, given.there
    squares = normalized_weights(log_w.detach(), dim=dim, where=where).square()
    return -(squares * torch.where(squares == 0, 0.0, log_w)).sum(dim=dim)
