r"""The density of a reweighted model, :math:`\log p_g(x) + \log w(x) - \log Z`, and its Z."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan._precision import widest_float
from discrete_gan.distributions import PointMass
from discrete_gan.errors import InputError
from discrete_gan.sampling import evaluating, labels_in_turn
from discrete_gan.seeds import seeded
from discrete_gan.weights import log_partition, log_partition_error, pareto_tail_index, tail_index_threshold

if TYPE_CHECKING:
    from discrete_gan.reweighted.model import Reweighted

_AT_ONCE = 1000  # draws
_ROWS = 2**14  # pairs of a latent and a datum at a time
_LEAST = 8  # draws, two of each quarter
_APART = 4.0  # standard errors between the quarters, one in four thousand where the errors are right


class LogPartition(NamedTuple):
    """Log Z and how far it can be trusted; numbers on the host, in nats.

    Attributes:
        value: Log of the mean weight of all draws, biased low at rate 1/number.
        standard_error: Of the value, by the delta method.
        quarters: The same from each quarter of the draws.
        quarter_errors: Their standard errors.
        tail_index: Pareto tail index of the weights.
        tail_threshold: What it should be below for the standard error to mean anything.
        number: Of draws.
    """

    value: float
    standard_error: float
    quarters: tuple[float, ...]
    quarter_errors: tuple[float, ...]
    tail_index: float
    tail_threshold: float
    number: int

    @property
    def agrees(self) -> bool:
        """Whether every quarter is within four standard errors of the value."""
        pairs = zip(self.quarters, self.quarter_errors, strict=True)
        return all(abs(quarter - self.value) <= _APART * error for quarter, error in pairs)

    @property
    def trusted(self) -> bool:
        """Whether the quarters agree and the tail index is below its threshold."""
        return self.agrees and not self.tail_index > self.tail_threshold

    @property
    def verdict(self) -> str:
        """One line."""
        quarters = ", ".join(f"{quarter:.3f}" for quarter in self.quarters)
        line = f"log Z {self.value:.3f}, standard error {self.standard_error:.2g} nats, of {self.number:,} draws; "
        line += f"by quarters {quarters}"
        if not self.agrees:
            line += ", which differ by more than their errors: not to be trusted"
        if self.tail_index > self.tail_threshold:
            line += f"; tail index {self.tail_index:.2f} above {self.tail_threshold:.2f}: not to be trusted"
        return line


class Density(NamedTuple):
    """What ``log_prob`` returns.

    Attributes:
        log_prob: Nats, shape (N,), on the device of the data.
        standard_error: That of log Z in nats, which all values have in common; 0 of one that is known.
    """

    log_prob: Tensor
    standard_error: float


def log_partition_of(
    model: "Reweighted", num: int, *, seed: int = 0, label: int | Sequence[int] | None = None
) -> LogPartition:
    r"""Log of the mean weight of draws of the generator, :math:`\log Z = \log E_{p_g}[w(x)]`.

    Args:
        model: Whose weights they are.
        num: Number of draws.
        seed: Of latents and samples.
        label: As of ``sampling.generate``.

    Raises:
        ValueError: If there are fewer than 8 draws.
        InputError: If log-weights are NaN, or no draw has any weight.
    """
    check_at_least("num", num, _LEAST)
    parts = []
    with torch.no_grad(), evaluating(model.generator, model.discriminator), seeded(seed, "log partition"):
        for start in range(0, num, _AT_ONCE):
            z = model.latents(min(_AT_ONCE, num - start))
            numbers = torch.arange(start, start + len(z), device=z.device)
            labels = labels_in_turn(model.num_classes, numbers, label) if model.num_classes else None
            parts.append(model.log_ratio(model.given(z, labels).sample(), labels))
        log_w = torch.cat(parts)
    return partition_of_weights(log_w)


def partition_of_weights(log_w: Tensor) -> LogPartition:
    """The same from log-weights of independent draws of the generator.

    Args:
        log_w: Nats, shape (N,), at least 8.

    Raises:
        ValueError: If there are fewer than 8.
        InputError: If log-weights are NaN, or no draw has any weight.
    """
    num = len(log_w)
    check_at_least("number of log_w", num, _LEAST)
    log_w = log_w.to(widest_float(log_w.device.type))
    if log_w.isnan().any():
        raise InputError("discriminator: expected log-ratios that are numbers, got NaN")
    if log_w.isneginf().all():
        raise InputError("discriminator: expected a draw with a weight, got minus infinity for all of them")
    quarters = log_w[: num // 4 * 4].view(4, -1)
    return LogPartition(
        float(log_partition(log_w)),
        float(log_partition_error(log_w)),
        tuple(log_partition(quarters, dim=1).tolist()),
        tuple(log_partition_error(quarters, dim=1).tolist()),
        float(pareto_tail_index(log_w)),
        tail_index_threshold(num),
        num,
    )


def log_prob_of(
    model: "Reweighted",
    x: Tensor,
    labels: Tensor | None,
    partition: LogPartition | float,
    log_prob_of_generator: Tensor | None,
) -> Density:
    """Log-density of data (N, *event).

    Raises:
        InputError: If log p_g(x) is neither given nor exact.
        ValueError: If it is given and is not (N,).
    """
    value, error = (partition.value, partition.standard_error) if isinstance(partition, tuple) else (partition, 0.0)
    with torch.no_grad(), evaluating(model.generator, model.discriminator):
        log_g = _exact(model, x, labels) if log_prob_of_generator is None else log_prob_of_generator
        if log_g.shape != x.shape[:1]:
            raise ValueError(f"log_prob_of_generator: expected shape {tuple(x.shape[:1])}, got {tuple(log_g.shape)}")
        parts = torch.arange(len(x), device=x.device).split(_AT_ONCE)
        log_w = torch.cat([model.log_ratio(x[part], None if labels is None else labels[part]) for part in parts])
    dtype = widest_float(x.device.type)
    return Density(log_g.to(x.device, dtype) + log_w.to(dtype) - value, error)


def _exact(model: "Reweighted", x: Tensor, labels: Tensor | None) -> Tensor:
    """Log p_g(x), shape (N,), summed over all latents, or over none where there is none."""
    if model.latent_dim and not hasattr(model.generator, "enumerate_latents"):
        raise InputError(
            "log_prob: expected log_prob_of_generator for a generator with latents that are not enumerated, got none: "
            "annealed importance sampling estimates it"
        )
    if model.latent_dim:
        z, log_prior = model.generator.enumerate_latents()  # type: ignore[attr-defined]
    else:
        z = model.latents(1)
        log_prior = torch.zeros(1, device=z.device)
    conditional = labels if model.num_classes else None
    rows = []
    for part in torch.arange(len(x), device=x.device).split(max(1, _ROWS // len(z))):
        repeated = None if conditional is None else conditional[part].repeat(len(z))
        g = model.given(z.repeat_interleave(len(part), dim=0), repeated)
        if isinstance(g, PointMass):
            raise InputError("log_prob: expected a generator with a density, got a PointMass")
        log_prob = g.log_prob(x[part].repeat(len(z), *[1] * (x.dim() - 1)))
        rows.append(_log_sum(log_prob.view(len(z), -1), log_prior))
    return torch.cat(rows)


def _log_sum(log_prob: Tensor, log_prior: Tensor) -> Tensor:
    dtype = widest_float(log_prob.device.type)
    total = log_prob.to(dtype) + log_prior.to(dtype)[:, None]
    return total.logsumexp(dim=0) if len(total) > 1 else total[0]
