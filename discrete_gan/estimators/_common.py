"""What several estimators share."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.modules.batchnorm import _BatchNorm

from discrete_gan._arguments import check_at_least, check_choice
from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Discriminator, Network
from discrete_gan.distributed import mean_over_processes
from discrete_gan.distributions import (
    Autoregressive,
    BlockwiseBernoulli,
    FactorizedBernoulli,
    FactorizedCategorical,
    FrameSequence,
    RaggedAutoregressive,
    RaggedCategorical,
    as_factorized,
)
from discrete_gan.estimators.stateful import StatefulEstimator
from discrete_gan.estimators.temperature import Temperature

Objective = Literal["non-saturating", "log-ratio"]
OBJECTIVES = ("non-saturating", "log-ratio")
Factorized = FactorizedBernoulli | FactorizedCategorical
FACTORIZED = (FactorizedBernoulli, FactorizedCategorical)
COLUMNS = (*FACTORIZED, RaggedCategorical)
Relaxed = Factorized | Autoregressive | RaggedCategorical | RaggedAutoregressive | FrameSequence | BlockwiseBernoulli
RELAXED = (*FACTORIZED, Autoregressive, RaggedCategorical, RaggedAutoregressive, FrameSequence, BlockwiseBernoulli)
_CACHE, _MEMORY = 800 << 10, 64 << 20  # bytes of samples; a core of a server CPU has 1 or 2 MiB for itself
ONE_SAMPLE = "a single normalized weight is always 1 and its expected gradient zero"


class TemperedEstimator(StatefulEstimator):
    """An estimator with a temperature: what all of them take, checked and kept.

    Attributes:
        schedule: Gives the temperature of each call, and counts it.
    """

    objective: Objective

    def __init__(
        self,
        temperature: float,
        num_samples: int,
        objective: Objective,
        annealing_rate: float,
        min_temperature: float,
    ) -> None:
        super().__init__()
        check_at_least("num_samples", num_samples, 1)
        check_choice("objective", objective, OBJECTIVES)
        self.temperature, self.num_samples, self.objective = temperature, num_samples, objective
        self.annealing_rate, self.min_temperature = annealing_rate, min_temperature
        self.schedule = Temperature(temperature, annealing_rate, min_temperature)


@dataclass(frozen=True)
class LossEstimator:
    """An estimator of the gradient of E_g[f(x)] without state: what all of them take, checked.

    Attributes:
        num_samples: M.
        objective: f, the loss of a sample.
    """

    num_samples: int = 1
    objective: Objective = "log-ratio"

    def __post_init__(self) -> None:
        check_at_least("num_samples", self.num_samples, 1)
        check_choice("objective", self.objective, OBJECTIVES)


@contextmanager
def frozen(network: Network) -> Iterator[None]:
    """Hold parameters fixed: gradients pass through to the input, none are computed for the parameters."""
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


def at_a_time(discriminator: Callable[[Tensor], Tensor], sample: Tensor, num_samples: int) -> int:
    """How many samples of each latent to score together where no gradient is wanted, 1 to M.

    As many as a core's cache holds on a CPU, where they then cost less time than all at once; elsewhere, where each
    call costs a launch, as many as take 64 MiB. All, if batch norm in training mode looks at them together.

    Args:
        discriminator: That scores them.
        sample: One of each latent, or what has its size and device.
        num_samples: M.
    """
    layers = discriminator.modules() if isinstance(discriminator, nn.Module) else ()
    if any(isinstance(layer, _BatchNorm) and layer.training for layer in layers):
        return num_samples
    held = _CACHE if sample.device.type == "cpu" else _MEMORY
    most = max(1, held // max(1, sample.numel() * sample.element_size()))
    return math.ceil(num_samples / math.ceil(num_samples / most))  # parts of about the same size


def log_ratios(
    discriminator: Callable[[Tensor], Tensor], x: Tensor, batch_dims: int = 2, *, at_once: bool = False
) -> Tensor:
    """Raw outputs of the discriminator, one for each sample: anything else would broadcast against the samples.

    Where gradients are off, samples of latents are scored a few at a time, see :func:`at_a_time`.

    Args:
        discriminator: Returns log-ratios in nats.
        x: Samples, shape (M, B, *event), or with any other number of axes before the event.
        batch_dims: How many those are.
        at_once: Score all together even so.

    Returns:
        The shape of ``x`` without the event. Carries gradient as the discriminator does.

    Raises:
        ValueError: If the discriminator returns another shape, or no floating-point numbers.
    """
    if batch_dims > 1 and len(x) > 0 and not at_once and not torch.is_grad_enabled():
        size = at_a_time(discriminator, x[0], len(x))
        if size < len(x):
            return torch.cat([log_ratios(discriminator, part, batch_dims) for part in x.split(size)])
    raw, expected = discriminator(x), tuple(x.shape[:batch_dims])
    if not isinstance(raw, Tensor) or raw.shape != expected:
        got = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
        raise ValueError(f"discriminator: expected one raw output per sample, shape {expected}, got {got}")
    if not raw.is_floating_point():
        raise ValueError(f"discriminator: expected raw outputs of a floating-point type, got {raw.dtype}")
    return raw


def sample_loss(log_w: Tensor, objective: Objective) -> Tensor:
    """Loss of each sample, the shape of ``log_w``, at least float32: -log w, or -log D. Carries gradient."""
    log_w = at_least_float32(log_w)
    return -F.logsigmoid(log_w) if objective == "non-saturating" else -log_w


def losses_and_slopes(discriminator: Discriminator, x: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """Loss of each sample, shape (M, B), and its gradient in the sample, the shape of ``x``. Neither carries gradient.

    Computed with gradients on, whatever the caller's mode.
    """
    with torch.enable_grad(), frozen(discriminator):
        x = x.detach().requires_grad_()
        losses = sample_loss(log_ratios(discriminator, x), objective)
        (slopes,) = torch.autograd.grad(losses.sum(), x)
    return losses.detach(), slopes


def factorized(g: Distribution, estimator: Any) -> Factorized:
    """The distribution, if it is a factorized one, the package's own or torch's.

    Args:
        g: What the generator returned.
        estimator: Whose claims say what else it accepts.

    Raises:
        TypeError: If it is not.
    """
    g = as_factorized(g)
    if not isinstance(g, FACTORIZED):
        raise _not_accepted(g, estimator, " or ".join(kind.__name__ for kind in estimator.claims.accepts))
    return g


def binary(g: Distribution, estimator: object) -> FactorizedBernoulli:
    """The distribution, if it is a factorized Bernoulli, the package's own or torch's.

    Raises:
        TypeError: If it is not.
    """
    g = as_factorized(g)
    if not isinstance(g, FactorizedBernoulli):
        raise _not_accepted(g, estimator, "FactorizedBernoulli")
    return g


def columns(g: Distribution, estimator: object) -> Factorized | RaggedCategorical:
    """The distribution, if it is a factorized one or one of the rows of a table.

    Raises:
        TypeError: If it is not.
    """
    g = as_factorized(g)
    if not isinstance(g, COLUMNS):
        raise _not_accepted(g, estimator, "FactorizedBernoulli or FactorizedCategorical or RaggedCategorical")
    return g


def relaxed(g: Distribution, estimator: object) -> Relaxed:
    """The distribution, if its samples have a relaxation, ``rsample(shape, temperature=, hard=)``.

    Raises:
        TypeError: If it has none.
    """
    g = as_factorized(g)
    if not isinstance(g, RELAXED):
        raise _not_accepted(g, estimator, " or ".join(kind.__name__ for kind in RELAXED))
    return g


def autoregressive(g: Distribution, estimator: object) -> Autoregressive:
    """The distribution, if it is one of sequences, drawn token by token.

    Raises:
        TypeError: If it is not.
    """
    if not isinstance(g, Autoregressive):
        raise _not_accepted(g, estimator, "Autoregressive")
    return g


def step_log_ratios(discriminator: Discriminator, x: Tensor, estimator: object) -> Tensor:
    """Raw outputs of a discriminator that has one per step, the shape of the sequences (M, B, D).

    Raises:
        TypeError: If it has none.
        ValueError: If it returns another shape.
    """
    steps = getattr(discriminator, "steps", None)
    if steps is None:
        name = type(discriminator).__name__
        raise TypeError(
            f"{type(estimator).__name__}: expected a discriminator with a raw output per step, such as "
            f"RecurrentDiscriminator, got {name}"
        )
    return log_ratios(steps, x, batch_dims=x.dim())


def _not_accepted(g: Distribution, estimator: object, expected: str) -> TypeError:
    name = type(estimator).__name__
    return TypeError(f"{name}: expected a generator that returns {expected}, got {type(g).__name__}")


def loss_of_gradient(g: Factorized, gradient: Tensor) -> Tensor:
    """A loss, one per latent, whose gradient with respect to the logits is the one given.

    Args:
        g: Distribution of batch shape (B,).
        gradient: Shape (B, *event), or (M, B, *event) to take the mean over samples. Not differentiated.

    Returns:
        Shape (B,). Gradients reach the logits.
    """
    gradient = gradient.detach()
    if gradient.dim() > g.logits.dim():
        gradient = gradient.mean(dim=0)
    # A category ruled out, or a bit decided, has no gradient: 0 * inf would be NaN.
    product = torch.where(g.logits.isinf(), 0.0, gradient * g.logits)
    return product.flatten(1).sum(dim=1)


def jacobian_product(probs: Tensor, slope: Tensor, *, binary: bool) -> Tensor:
    r"""Gradient in the logits from one in the probabilities: :math:`(diag(p) - p p^\top)\, s`, or p (1 - p) s of bits.

    Args:
        probs: p, shape (..., D) of bits, (..., D, K) of categories.
        slope: s, the same shape or one that broadcasts.
        binary: Which of the two.

    Returns:
        The broadcast shape. Carries gradient as its arguments do.
    """
    if binary:
        return probs * (1 - probs) * slope
    return probs * (slope - (probs * slope).sum(dim=-1, keepdim=True))


def through_mean(g: Factorized, slope: Tensor) -> Tensor:
    """Gradient in the logits of a linear function of the mean, from its slope; shape (B, *event). No gradient."""
    return jacobian_product(g.mean.detach(), slope, binary=isinstance(g, FactorizedBernoulli))


def moved(average: Tensor, value: Tensor, decay: float) -> Tensor:
    """A moving average after one more value, the mean over processes, of which one that is not finite does not count.

    Args:
        average: Of the values before, shape ().
        value: Shape ().
        decay: What is kept of the average.
    """
    value = mean_over_processes(value).to(average)
    return torch.where(value.isfinite(), average.lerp(value, 1 - decay), average)


def per_sample(value: Tensor, x: Tensor) -> Tensor:
    """One value per sample, shape (M, B), with axes of size one for the event, to multiply ``x``."""
    return value.view(*value.shape, *[1] * (x.dim() - value.dim()))


def sum_over_event(value: Tensor, batch_dims: int = 2) -> Tensor:
    """Sum over everything after the first axes, by default (M, B)."""
    return value.flatten(batch_dims).sum(dim=-1)
