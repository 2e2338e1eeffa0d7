r"""Choosing one of N candidates of each output by their weights: functions on log-weights, (N, R) to (R,).

Candidates are draws of a proposal g, and an output is to be a draw of :math:`\propto g(x) w(x)`. For finite N none of
these is that exactly: each function says what it is instead.

References:
    Sampling-importance-resampling: A noniterative sampling importance resampling alternative (Rubin, 1987),
        https://doi.org/10.2307/2289460
    Discriminator Rejection Sampling (Azadi et al., 2019), https://arxiv.org/abs/1810.06758
    Metropolis-Hastings Generative Adversarial Networks (Turner et al., 2019), https://arxiv.org/abs/1811.11357
"""

from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan.weights import resample


class Choice(NamedTuple):
    """Which candidate each output is.

    Attributes:
        candidate: int64, shape (R,).
        acceptance: Probability that each proposal was accepted with, any shape; None where none is accepted.
        none_accepted: Where no candidate was, bool, shape (R,); None for those without any weight.
        above_bound: Which candidates have a weight above the bound, bool, shape (N, R).
    """

    candidate: Tensor
    acceptance: Tensor | None = None
    none_accepted: Tensor | None = None
    above_bound: Tensor | None = None


def resampled(log_w: Tensor) -> Choice:
    r"""Sampling-importance-resampling: candidate n with probability :math:`w_n / \sum_{n'} w_{n'}`, in each group.

    The law of the output nears the reweighted one at rate 1/N.

    Args:
        log_w: Log-weights of the candidates in nats, shape (N, R). Where all of a group are minus infinity, each
            candidate is as likely.
    """
    return Choice(resample(log_w, 1, method="multinomial")[0])


def log_acceptance(old: Tensor, new: Tensor) -> Tensor:
    """Log-probability that a proposal from g is accepted, of log-weights before and after, which broadcast.

    From where the weight is zero every proposal is.
    """
    return torch.where(old.isneginf(), 0.0, new - old).clamp(max=0)


def independence_metropolis(log_w: Tensor) -> Choice:
    r"""The last state of a chain that starts at the first candidate and is offered the others one after another.

    Candidate n is accepted with :math:`\min(1, w_n / w_\text{state})`. The chain leaves the reweighted law invariant,
    and begins in that of the proposal.

    Args:
        log_w: Log-weights of the candidates in nats, shape (N, R): one chain for each output, all of them at once.
    """
    state, current = torch.zeros_like(log_w[0], dtype=torch.int64), log_w[0]
    probabilities = []
    for number, proposed in enumerate(log_w[1:], start=1):
        probability = log_acceptance(current, proposed).exp()
        accepted = torch.rand_like(probability) < probability
        state, current = torch.where(accepted, number, state), torch.where(accepted, proposed, current)
        probabilities.append(probability)
    return Choice(state, torch.stack(probabilities) if probabilities else None)


def rejected(log_w: Tensor, log_bound: float) -> Choice:
    r"""The first candidate that is accepted, each with :math:`a(x) = \min(1, w(x) / \text{bound})`.

    What is accepted is an exact draw of the reweighted law where no weight is above the bound. Where none of N is, the
    candidates are draws of :math:`\propto g(x) (1 - a(x))`, and one of them is taken by sampling-importance-resampling
    with the weights that this proposal asks for, :math:`w(x) / (1 - a(x))`. On small enumerated problems that is
    nearer to the reweighted law than the last candidate, or the same with w alone, and than :func:`resampled`.

    Args:
        log_w: Log-weights of the candidates in nats, shape (N, R).
        log_bound: Of the weights in nats.
    """
    log_accepted = (log_w - log_bound).clamp(max=0)
    accepted = torch.rand_like(log_w).log() < log_accepted
    none = ~accepted.any(dim=0)
    left_over = resampled(log_w - torch.log(-torch.expm1(log_accepted))).candidate
    first = accepted.to(torch.uint8).argmax(dim=0)
    return Choice(torch.where(none, left_over, first), log_accepted.exp(), none, log_w > log_bound)
