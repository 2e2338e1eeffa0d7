r"""Log-likelihood of models with continuous latents or bits by annealed importance sampling, and how far off it is.

References:
    Annealed Importance Sampling (Neal, 2001), https://arxiv.org/abs/physics/9803008
    Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo (Grosse et al., 2015),
        https://arxiv.org/abs/1511.02543
    On the Quantitative Analysis of Decoder-Based Generative Models (Wu et al., 2017),
        https://arxiv.org/abs/1611.04273
    A Generalized Guided Monte Carlo Algorithm (Horowitz, 1991), https://doi.org/10.1016/0370-2693(91)90812-5: momentum
        that is kept in part
    Hamiltonian Annealed Importance Sampling (Sohl-Dickstein and Culpepper, 2012), https://arxiv.org/abs/1205.1925
    A Langevin-like Sampler for Discrete Distributions (Zhang et al., 2022), https://arxiv.org/abs/2206.09914: flips of
        many bits at once
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import (
    ComposeTransform,
    Distribution,
    Independent,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
)

from discrete_gan._arguments import check_at_least

LogLikelihood = Callable[[Tensor], Tensor]
"""From latents, shape (C, N, latent_dim), to log p(x_n | z) in nats, shape (C, N). Differentiable in z."""

_LEAST_STEP, _FIRST_STEP, _LARGEST_STEP = 1e-4, 0.3, 2.0  # of a leapfrog; the prior is standard normal
_KEPT = 0.7  # of the momentum, from move to move
_ACCEPTED = 0.9  # part of the moves, what the step size is steered to: a refused move turns the momentum round
_FLIPS_ACCEPTED = 0.574  # of moves of bits, which have no momentum to lose: the optimum of Langevin's
_ADAPTATION = 0.1  # of the step size's logarithm, times the difference from that
_SHORT = 200  # moves: a shorter pilot adapts faster, to get to where it should be
_CAUTION = 0.9  # of the step sizes found, since the path that uses them is another one
_TAIL = 2.0**-53  # of a probability: the nearest to 1 that float64 has below it


class AnnealingPath(NamedTuple):
    r"""The way from the prior N(0, I) to the posterior, :math:`\pi_t(z) \propto p(z)\, p(x \mid z)^{\beta_t}`.

    Attributes:
        betas: Inverse temperatures from 0 to 1, shape (T + 1,), float64.
        step_sizes: Of the leapfrog steps of each of the T moves, shape (T,).
        num_leapfrog: Leapfrog steps of a move, or rounds of flips.
    """

    betas: Tensor
    step_sizes: Tensor
    num_leapfrog: int


class Moves(Protocol):
    r"""What leaves :math:`\pi_\beta` invariant, reversibly but for the sign of a momentum.

    Of standard normal z :data:`HAMILTONIAN`, of bits :class:`Flips`.

    Attributes:
        accepted: Part of the moves that the step size is steered to.
    """

    accepted: float

    def start(self, log_likelihood: LogLikelihood, z: Tensor) -> Any:
        """State of a chain at z: a tuple with ``log_likelihood``, of shape (C, N)."""
        ...

    def move(
        self, log_likelihood: LogLikelihood, state: Any, beta: float, step_size: Tensor, num_leapfrog: int
    ) -> tuple[Any, Tensor]:
        """The state after a move at beta, and the probability that it was accepted with, shape (C, N)."""
        ...


class _State(NamedTuple):
    """Latents and their momentum, log p(x | z) and its gradient: a move needs all four, and leaves all four."""

    z: Tensor
    momentum: Tensor
    log_likelihood: Tensor
    gradient: Tensor


def from_standard_normal(prior: Distribution) -> Callable[[Tensor], Tensor]:
    r"""The map T from standard normal u to draws z = T(u) of a prior: annealing goes on in u, whatever z is.

    .. math:: u \sim N(0, I) \;\Rightarrow\; T(u) \sim p(z), \qquad p(x) = E_u\, p(x \mid T(u))

    So a log-likelihood of z becomes one of u, ``lambda u: log_likelihood(T(u))``, with the same p(x). An affine map of
    normal priors, else the quantile function at :math:`\Phi(u)`, in float64: a uniform prior on [a, b] is
    :math:`a + (b - a)\, \Phi(u)`. What lies beyond eight standard deviations of u, a probability of 1e-16, is drawn in
    to there.

    Args:
        prior: Over vectors, event shape (latent_dim,), or over their numbers side by side, batch shape (latent_dim,):
            normal (diagonal or not), with a quantile function ``icdf`` for each number (uniform, Laplace and others),
            or made of these by transforms that keep the shape.

    Returns:
        T, from shape (..., latent_dim) to the same shape and type. Gradients reach u.

    Raises:
        ValueError: If the prior is none of these, or not over vectors.
    """
    carry = _carrier(prior)
    if len(shape := prior.batch_shape + prior.event_shape) != 1:
        raise ValueError(f"prior: expected event shape (latent_dim,), got {type(prior).__name__} over {tuple(shape)}")
    return lambda u: carry(u).to(u.dtype)


def _carrier(prior: Distribution) -> Callable[[Tensor], Tensor]:
    """T, of a prior or of what it is made of."""
    match prior:
        case Independent():
            return _carrier(prior.base_dist)
        case TransformedDistribution() if _shape(prior) == _shape(prior.base_dist):
            base, transform = _carrier(prior.base_dist), ComposeTransform(prior.transforms)
            return lambda u: cast(Tensor, transform(base(u)))
        case TransformedDistribution():
            pass  # u would have another shape than z
        case Normal():
            return lambda u: prior.loc + prior.scale * u
        case MultivariateNormal():
            return lambda u: prior.loc + (prior.scale_tril @ u[..., None].to(prior.loc.dtype))[..., 0]
        case Distribution() if not prior.event_shape and type(prior).icdf is not Distribution.icdf:
            return lambda u: prior.icdf(_probability(u))
    raise ValueError(
        "prior: expected a torch Distribution that is normal, has a quantile function icdf for each number of z (as "
        f"Uniform), or is made of such by Independent or by transforms that keep its shape, got {type(prior).__name__}"
    )


def _shape(distribution: Distribution) -> torch.Size:
    return distribution.batch_shape + distribution.event_shape


def _probability(u: Tensor) -> Tensor:
    """Phi(u), float64, never 0 or 1. By erfc, since torch.special.ndtr has no digits left where it is small."""
    return (0.5 * torch.special.erfc(u.double() * -math.sqrt(0.5))).clamp(_TAIL, 1 - _TAIL)


def tune_path(
    log_likelihood: LogLikelihood,
    z: Tensor,
    *,
    num_steps: int = 5000,
    num_leapfrog: int = 2,
    pilot_part: float = 0.25,
    moves: Moves | None = None,
) -> AnnealingPath:
    r"""Inverse temperatures and step sizes, found by a pilot of a quarter of the length.

    The pilot goes along :math:`\beta_t = (t / T)^3` and steers its step size to nine accepted moves in ten. The path
    then has its temperatures where the log-likelihood varies most, at equal steps of :math:`\int \mathrm{sd}_\beta[\log
    p(x \mid z)]\, d\beta`, which for moves that mix leaves the weights the least variance.

    One path serves all x, so it must come from other latents and samples than it is used on: a step size that depends
    on the chain itself would break the invariance that both bounds rest on.

    Args:
        log_likelihood: Of N samples x, best drawn from the model itself.
        z: Standard normal draws, shape (C, N, latent_dim): where the pilot's chains begin. The prior of z is standard
            normal here; of another one see :func:`from_standard_normal`.
        num_steps: T.
        num_leapfrog: Leapfrog steps of a move.
        pilot_part: Moves of the pilot, as a part of T.
        moves: :data:`HAMILTONIAN` if not given; of bits :class:`Flips`, and then z are bits of their base.

    Raises:
        ValueError: If ``num_steps`` is below 10 or ``num_leapfrog`` below 1.
    """
    check_at_least("num_steps", num_steps, 10)
    check_at_least("num_leapfrog", num_leapfrog, 1)
    num_pilot = max(10, round(pilot_part * num_steps))
    betas = torch.linspace(0, 1, num_pilot + 1, dtype=torch.float64, device=z.device) ** 3
    moves = moves or HAMILTONIAN
    state = moves.start(log_likelihood, z)
    log_step = torch.full(z.shape[:-1], math.log(_FIRST_STEP), device=z.device)
    rate = _ADAPTATION * max(1.0, _SHORT / num_pilot)
    step_sizes, values = [], []
    for beta in betas[1:].tolist():
        state, accepted = moves.move(log_likelihood, state, beta, log_step.exp()[..., None], num_leapfrog)
        log_step = log_step + rate * (accepted - moves.accepted)
        log_step = log_step.clamp(math.log(_LEAST_STEP), math.log(_LARGEST_STEP))
        step_sizes.append(log_step.mean().exp())
        values.append(state.log_likelihood)
    # Within a chain, over a window: between chains are differences of x, which no temperature takes away.
    window = max(5, num_pilot // 20)
    padded = torch.stack([*values[window - 1 :: -1], *values, *values[: -window - 1 : -1]])
    deviation = padded.unfold(0, 2 * window + 1, 1).std(dim=-1).flatten(1).median(dim=1).values.double()
    length = torch.cat([betas[:1], (deviation.clamp(min=1e-9) * betas.diff()).cumsum(0)])
    # Linear interpolation of beta over that length.
    wanted = torch.linspace(0, 1, num_steps + 1, dtype=torch.float64, device=z.device)[1:-1] * length[-1]
    right = torch.searchsorted(length, wanted).clamp(1, num_pilot)
    part = (wanted - length[right - 1]) / (length[right] - length[right - 1])
    inner = betas[right - 1] + part * (betas[right] - betas[right - 1])
    at = torch.cat([right - 1, right.new_tensor([num_pilot - 1])])
    return AnnealingPath(
        torch.cat([betas[:1], inner, betas[-1:]]), _CAUTION * torch.stack(step_sizes)[at], num_leapfrog
    )


def annealed_log_weights(
    log_likelihood: LogLikelihood,
    z: Tensor,
    path: AnnealingPath,
    *,
    tick: Callable[[], object] = lambda: None,
    moves: Moves | None = None,
) -> Tensor:
    r"""Log-weights of chains from the prior to the posterior; the mean weight of a chain is p(x) in expectation.

    .. math:: \log w = \sum_{t=1}^{T} (\beta_t - \beta_{t-1}) \log p(x \mid z_{t-1}), \qquad E[w] = p(x)

    where z_0 is a draw from the prior and z_t one move of Hamiltonian Monte Carlo from z_{t-1} that leaves
    :math:`\pi_t` invariant. By Jensen's inequality E[log w] is a lower bound of log p(x).

    Costs T * num_leapfrog evaluations of the likelihood with its gradient, of C * N latents each.

    Args:
        log_likelihood: Of N samples x, of standard normal z; of another prior see :func:`from_standard_normal`.
        z: Draws from that prior, standard normal, shape (C, N, latent_dim).
        path: From :func:`tune_path`.
        tick: Called after every move.
        moves: As of :func:`tune_path`.

    Returns:
        log w in nats, float64, shape (C, N). No gradient.
    """
    moves = moves or HAMILTONIAN
    state = moves.start(log_likelihood, z)
    log_w = torch.zeros(z.shape[:-1], dtype=torch.float64, device=z.device)
    for beta, step, rise in zip(path.betas[1:].tolist(), path.step_sizes, path.betas.diff(), strict=True):
        log_w += rise * state.log_likelihood
        state, _ = moves.move(log_likelihood, state, beta, step, path.num_leapfrog)
        tick()
    return log_w


def reverse_log_weights(
    log_likelihood: LogLikelihood,
    z: Tensor,
    path: AnnealingPath,
    *,
    tick: Callable[[], object] = lambda: None,
    moves: Moves | None = None,
) -> Tensor:
    r"""Log-weights of the same chains run backwards from the posterior: E[1 / w] = 1 / p(x), so E[log w] is above.

    Needs an exact draw from the posterior, which a sample of the model comes with: the z that it was drawn from.

    Args:
        log_likelihood: Of N samples that the model drew, of standard normal z.
        z: The latents that they were drawn from, shape (C, N, latent_dim). Where the prior is another one, the standard
            normal u that :func:`from_standard_normal` carried to them.
        path: From :func:`tune_path`.
        tick: Called after every move.
        moves: As of :func:`tune_path`.

    Returns:
        log w in nats, float64, shape (C, N). No gradient.
    """
    moves = moves or HAMILTONIAN
    state = moves.start(log_likelihood, z)
    log_w = torch.zeros(z.shape[:-1], dtype=torch.float64, device=z.device)
    backwards = zip(path.betas[1:].flip(0).tolist(), path.step_sizes.flip(0), path.betas.diff().flip(0), strict=True)
    for beta, step, rise in backwards:
        state, _ = moves.move(log_likelihood, state, beta, step, path.num_leapfrog)
        log_w += rise * state.log_likelihood
        tick()
    return log_w


def log_mean_weight(log_w: Tensor) -> Tensor:
    """Lower bound of log p(x) from C chains, the logarithm of their mean weight, shape (N,), of shape (C, N)."""
    return log_w.logsumexp(dim=0) - math.log(len(log_w))


def _start(log_likelihood: LogLikelihood, z: Tensor) -> _State:
    return _State(z.detach(), torch.randn_like(z), *_evaluate(log_likelihood, z))


def _evaluate(log_likelihood: LogLikelihood, z: Tensor) -> tuple[Tensor, Tensor]:
    """The log-likelihood and its gradient."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = log_likelihood(z)
        if value.shape != z.shape[:-1]:
            raise ValueError(f"log_likelihood: expected shape {tuple(z.shape[:-1])}, got {tuple(value.shape)}")
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


def _move(
    log_likelihood: LogLikelihood, state: _State, beta: float, step_size: Tensor, num_leapfrog: int
) -> tuple[_State, Tensor]:
    """One move of Hamiltonian Monte Carlo at beta; the new state and the probability that each was accepted with.

    A part of the momentum is kept, so that the moves of a chain go on in one direction and do not wander; where a move
    is refused its direction turns round, without which the distribution would not be invariant.
    """

    def energy(state: _State) -> Tensor:
        kinetic = state.z.double().square().sum(-1) + state.momentum.double().square().sum(-1)
        return kinetic / 2 - beta * state.log_likelihood.double()

    momentum = _KEPT * state.momentum + math.sqrt(1 - _KEPT**2) * torch.randn_like(state.z)
    old = state._replace(momentum=momentum)
    z, value, gradient = state.z, state.log_likelihood, state.gradient
    momentum = momentum + step_size / 2 * (beta * gradient - z)
    for index in range(num_leapfrog):
        z = z + step_size * momentum
        value, gradient = _evaluate(log_likelihood, z)
        last = index == num_leapfrog - 1
        momentum = momentum + (step_size / 2 if last else step_size) * (beta * gradient - z)
    new = _State(z, momentum, value, gradient)
    # A step into where nothing is finite is one too many: it has probability 0.
    probability = (energy(old) - energy(new)).clamp(max=0).exp().nan_to_num(nan=0.0)
    accepted = torch.rand_like(probability) < probability
    of_latent = accepted[..., None]
    kept = _State(
        torch.where(of_latent, new.z, old.z),
        torch.where(of_latent, new.momentum, -old.momentum),
        torch.where(accepted, new.log_likelihood, old.log_likelihood),
        torch.where(of_latent, new.gradient, old.gradient),
    )
    return kept, probability.to(z.dtype)


class _Hamiltonian:
    """Hamiltonian Monte Carlo, of standard normal z."""

    accepted = _ACCEPTED
    start = staticmethod(_start)
    move = staticmethod(_move)


HAMILTONIAN: Moves = _Hamiltonian()


class _Bits(NamedTuple):
    """Bits, the log-weight of each chain and its slope in the bits."""

    z: Tensor
    log_likelihood: Tensor
    gradient: Tensor


class Flips:
    r"""Moves of bits along :math:`\pi_\beta(h) \propto q(h)\, w(h)^\beta`, from a base q of independent bits.

    In place of log p(x | z), the functions above are given log w: log p(x | h) if the base is the prior, or of any
    other base, such as an encoder's q(h | x), :math:`\log p(x, h) - \log q(h)`. All bits may flip at once, each with
    the odds :math:`s\, e^{d_i / 2}`, where :math:`d_i` is what the slope of :math:`\log \pi_\beta` says of that flip
    and s the step size; the exact :math:`\pi_\beta` then accepts the move or refuses it (Metropolis and Hastings), so
    that a slope that is wrong costs only time.

    Args:
        logits: Log-odds of the base's bits, shape (N, latent_dim), or one that broadcasts. Finite.
    """

    accepted = _FLIPS_ACCEPTED

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits.detach()

    def start(self, log_likelihood: LogLikelihood, z: Tensor) -> _Bits:
        """At bits of shape (C, N, latent_dim), as floats."""
        return _Bits(z.detach(), *_evaluate(log_likelihood, z))

    def move(
        self, log_likelihood: LogLikelihood, state: _Bits, beta: float, step_size: Tensor, num_leapfrog: int
    ) -> tuple[_Bits, Tensor]:
        """So many rounds of flips, each refused or not; the mean probability of being accepted."""
        total = torch.zeros_like(state.log_likelihood)
        for _ in range(num_leapfrog):
            z = self.proposed(state, beta, step_size)
            new = _Bits(z, *_evaluate(log_likelihood, z))
            probability = self.log_acceptance(state, new, beta, step_size).exp()
            accepted = torch.rand_like(probability) < probability
            of_bit = accepted[..., None]
            state = _Bits(
                torch.where(of_bit, new.z, state.z),
                torch.where(accepted, new.log_likelihood, state.log_likelihood),
                torch.where(of_bit, new.gradient, state.gradient),
            )
            total = total + probability.to(total.dtype)
        return state, total / num_leapfrog

    def proposed(self, state: _Bits, beta: float, step_size: Tensor) -> Tensor:
        """Bits with some of them flipped, shape (C, N, latent_dim)."""
        log_odds = self.log_odds(state, beta, step_size)
        return torch.where(torch.rand_like(log_odds) < torch.sigmoid(log_odds), 1 - state.z, state.z)

    def log_odds(self, state: _Bits, beta: float, step_size: Tensor) -> Tensor:
        """Of each bit, that it is proposed to flip, shape (C, N, latent_dim)."""
        return step_size.log() + (1 - 2 * state.z) * (self.logits + beta * state.gradient) / 2

    def log_proposal(self, state: _Bits, z: Tensor, beta: float, step_size: Tensor) -> Tensor:
        """Log-probability that these bits are proposed, float64, shape (C, N)."""
        log_odds = self.log_odds(state, beta, step_size).double()
        return ((state.z != z).double() * log_odds - F.softplus(log_odds)).sum(-1)

    def log_acceptance(self, old: _Bits, new: _Bits, beta: float, step_size: Tensor) -> Tensor:
        """Log-probability that the move from one state to the other is accepted, float64, shape (C, N)."""
        there = self.log_proposal(old, new.z, beta, step_size)
        back = self.log_proposal(new, old.z, beta, step_size)
        rise = ((new.z - old.z).double() * self.logits).sum(-1)
        rise = rise + beta * (new.log_likelihood.double() - old.log_likelihood.double())
        return (rise + back - there).clamp(max=0).nan_to_num(nan=-math.inf)
