"""What the draws of a reweighted model say of themselves: kept on the device, read when asked."""

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan._precision import widest_float
from discrete_gan.errors import InputError
from discrete_gan.reweighted.choice import Choice
from discrete_gan.seeds import generator_of
from discrete_gan.weights import Accumulator, effective_sample_size, pareto_tail_index, tail_index_threshold

# Nats. Total variation between generator and reweighted model is E|w / Z - 1| / 2, for a small spread 0.4 of it.
FLAT, CHANGED = 0.2, 0.4
_FEW, _FEW_OF = 2.0, 0.8  # effective candidates of an output: that many, or this part of a smaller number
_KEPT = 2**22  # numbers of each kind that are kept to be looked at: 32 MiB


class Diagnosis(NamedTuple):
    """How far the samples of a reweighted model can be trusted. Numbers on the host; NaN where there is none.

    Attributes:
        method: How they were chosen.
        group: N, candidates of each output.
        outputs: R, groups.
        effective: Kish's effective sample size of all candidates together, as a part of their number.
        effective_in_group: Mean over groups of that of a group, between 1 and N.
        spread: Standard deviation of the candidates' log w(x) in nats, where it is finite.
        tail_index: Pareto tail index of their weights: infinite where there are too few to tell, minus infinity where
            the largest are all equal.
        tail_threshold: What it should be below.
        log_partition: Log of the mean weight in nats, an estimate of log Z.
        log_partition_error: Its standard error, over groups.
        acceptance: Mean probability that a proposal was accepted with.
        log_bound: Log of the bound of rejection in nats, known or of the pilot.
        above_bound: Candidates whose weight is above the bound of rejection.
        none_accepted: Groups none of whose candidates was accepted, or has any weight.
        distinct_candidates: How many different ones there are.
        distinct_outputs: How many different outputs.
        looked_at: Candidates that tail index and distinct ones are of: all of them, or the first 4 million. Of
            ``"gibbs"`` they are the draws that chains start at, one for each output.
    """

    method: str
    group: int
    outputs: int
    effective: float
    effective_in_group: float
    spread: float
    tail_index: float
    tail_threshold: float
    log_partition: float
    log_partition_error: float
    acceptance: float
    log_bound: float
    above_bound: int
    none_accepted: int
    distinct_candidates: int
    distinct_outputs: int
    looked_at: int

    @property
    def warnings(self) -> list[str]:
        """What speaks against trusting the samples, a sentence each; empty where nothing does."""
        found = []
        if self.spread == 0:
            found.append("all log-weights are equal: the discriminator tells nothing, these are samples as drawn")
        elif self.spread < FLAT:
            found.append(
                f"the log-weights hardly differ (spread {self.spread:.2g} nats): choosing changes about "
                f"{100 * CHANGED * self.spread:.1g} % of the samples; fit a fresh discriminator (discrete-gan refine)"
            )
        elif self.tail_threshold < self.tail_index < math.inf:
            found.append(
                f"the weights have a heavy tail (tail index {self.tail_index:.2f}, above {self.tail_threshold:.2f}): "
                "neither log Z nor the number of candidates is to be trusted"
            )
        if self.method != "gibbs" and self._effective_of_output < min(_FEW, _FEW_OF * self.group):
            found.append(
                f"few effective candidates ({self._effective_of_output:.2g} of {self.group} for an output): with more "
                "candidates the samples would be others"
            )
        if self.above_bound:
            found.append(
                f"{self.above_bound} candidates lie above the bound: they are drawn too rarely; raise the bound"
            )
        if self.none_accepted:
            found.append(
                f"none of the {self.group} candidates was accepted for {self.none_accepted} of {self.outputs} outputs: "
                "these are less reweighted than the others"
            )
        return found

    @property
    def _effective_of_output(self) -> float:
        """As the group has them, or as the part of all that is effective lets expect, which large weights are in.

        Where each latent has a group, weights that differ between latents do not matter.
        """
        of_all = math.inf if self.method == "per-latent" else self.group * self.effective
        return min(self.effective_in_group, of_all)

    @property
    def verdict(self) -> str:
        """One line: the warnings, or that there are none."""
        return "; ".join(self.warnings) or "nothing speaks against these samples"

    def lines(self) -> list[str]:
        """All of it in plain words."""
        of = "moves" if self.method == "gibbs" else "candidates"
        lines = [
            f"{self.method}: {self.outputs:,} samples, each of {self.group} {of}; {self.distinct_outputs:,} distinct "
            f"samples among {self.distinct_candidates:,} distinct candidates",
            f"effective candidates {100 * self.effective:.3g} % of all, {self.effective_in_group:.2f} in a group; "
            f"spread of the log-weights {self.spread:.3g} nats; tail index {_tail(self.tail_index)}, threshold "
            f"{self.tail_threshold:.2f}",
            f"log Z {self.log_partition:.3f}, standard error {self.log_partition_error:.2g} nats (0 of exact "
            "log-ratios, or less where the generator misses a part of the data)",
        ]
        if not math.isnan(self.acceptance):
            bound = "" if math.isnan(self.log_bound) else f", log of the bound {self.log_bound:.2f} nats"
            lines.append(f"{100 * self.acceptance:.3g} % of the proposals accepted{bound}")
        return [*lines, *(f"warning: {warning}" for warning in self.warnings)]


class Tally:
    """Sums over groups of candidates, and the first few million of their weights and hashes. Nothing is read.

    Args:
        method: As of :class:`Diagnosis`.
        group: N.
    """

    def __init__(self, method: str, group: int) -> None:
        self.method, self.group = method, group
        self.candidates, self.groups = Accumulator(), Accumulator()
        self.outputs, self.kept = 0, 0
        self.log_w: list[Tensor] = []
        self.hashes: list[Tensor] = []
        self.chosen: list[Tensor] = []
        self.sums: dict[str, Tensor] = {}

    def add(self, log_w: Tensor, log_ratio: Tensor, hashes: Tensor, chosen: Tensor, choice: Choice) -> None:
        """Take in the groups of a batch.

        Args:
            log_w: Of the candidates in nats, shape (N, R).
            log_ratio: Log w(x) of the candidates, which differs where some were resampled on the way.
            hashes: Of the candidates, int64, shape (N, R).
            chosen: Of the outputs, shape (R,).
            choice: What the choice was.
        """
        wide = log_w.to(widest_float(log_w.device.type))
        unusable = wide.isneginf().all(dim=0)
        sums = {"wrong": wide.isnan().sum(), "weightless": unusable.sum(), "groups": torch.ones_like(unusable).sum()}
        sums["effective"] = effective_sample_size(wide).sum()
        sums["none"] = unusable.sum() if choice.none_accepted is None else choice.none_accepted.sum()
        if choice.above_bound is not None:
            sums["above"] = choice.above_bound.sum()
        if choice.acceptance is not None:
            sums["accepted"] = choice.acceptance.to(wide.dtype).sum()
            sums["proposals"] = torch.ones_like(choice.acceptance, dtype=wide.dtype).sum()
        finite = log_ratio.isfinite()
        value = torch.where(finite, log_ratio.to(wide.dtype), 0)
        sums |= {"usable": finite.sum(), "first": value.sum(), "second": value.square().sum()}
        self._sum(sums)
        if wide.device.type == "cpu":
            self._check()
        self.candidates.update(wide.reshape(-1))
        self.groups.update(wide.logsumexp(dim=0) - math.log(len(wide)))
        self.outputs += log_w.shape[1]
        if self.kept < _KEPT:
            self.log_w.append(wide.flatten())
            self.hashes.append(hashes.flatten())
            self.chosen.append(chosen)
            self.kept += log_w.numel()

    def merge(self, other: "Tally") -> None:
        """Take in all that another one has."""
        self.candidates.merge(other.candidates)
        self.groups.merge(other.groups)
        self._sum(other.sums)
        self.outputs += other.outputs
        if self.kept < _KEPT:
            for name in ("log_w", "hashes", "chosen"):
                getattr(self, name).extend(getattr(other, name))
            self.kept += other.kept

    def diagnosis(self, log_bound: float | None = None) -> Diagnosis:
        """What there is so far, read from the device.

        Args:
            log_bound: Of rejection.

        Raises:
            InputError: If nothing was drawn, log-weights were NaN, or no candidate has a weight.
        """
        if not self.outputs:
            raise InputError("diagnosis: expected samples that were drawn, got none: draw some first")
        self._check()
        log_w, sums = torch.cat(self.log_w), {name: float(value) for name, value in self.sums.items()}
        number = self.candidates.count
        return Diagnosis(
            method=self.method,
            group=self.group,
            outputs=self.outputs,
            effective=float(self.candidates.effective_sample_size) / number,
            effective_in_group=sums["effective"] / self.outputs,
            spread=_deviation(sums["usable"], sums["first"], sums["second"]),
            tail_index=float(pareto_tail_index(log_w)),
            tail_threshold=tail_index_threshold(len(log_w)),
            log_partition=float(self.groups.log_partition),
            log_partition_error=_log_mean_error(self.groups),
            acceptance=sums["accepted"] / sums["proposals"] if "proposals" in sums else math.nan,
            log_bound=math.nan if log_bound is None else log_bound,
            above_bound=round(sums.get("above", 0)),
            none_accepted=round(sums["none"]),
            distinct_candidates=len(torch.cat(self.hashes).unique()),
            distinct_outputs=len(torch.cat(self.chosen).unique()),
            looked_at=len(log_w),
        )

    def _sum(self, sums: dict[str, Tensor]) -> None:
        for name, value in sums.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def _check(self) -> None:
        if self.sums["wrong"] > 0:
            raise InputError("discriminator: expected log-ratios that are numbers, got NaN")
        if self.sums["weightless"] == self.sums["groups"]:
            raise InputError("discriminator: expected a candidate with a weight, got minus infinity for all of them")


def _deviation(number: float, first: float, second: float) -> float:
    """Standard deviation of so many numbers of these sums of first and second powers."""
    return math.sqrt(max(second - first**2 / number, 0.0) / (number - 1)) if number > 1 else math.nan


def _log_mean_error(groups: Accumulator) -> float:
    """Standard error of ``groups.log_partition``, as ``weights.log_partition_error`` of all at once; NaN of one."""
    if groups.count < 2:
        return math.nan
    return math.sqrt(max(groups.count / float(groups.effective_sample_size) - 1, 0.0) / (groups.count - 1))


def hashes_of(x: Tensor, event_dim: int) -> Tensor:
    """A number of 64 bits for each sample, equal where these are: int64, the shape of ``x`` without the event.

    The sum over the event of its bits times random numbers, in arithmetic modulo 2^64, which no order changes.
    """
    rows = x.flatten(-event_dim) if event_dim else x[..., None]
    if rows.is_floating_point():
        rows = (rows.double() if rows.dtype == torch.float64 else rows.float()).contiguous()
        rows = rows.view(torch.int64 if rows.dtype == torch.float64 else torch.int32)
        rows = rows.long() ^ (rows.long() >> (52 if x.dtype == torch.float64 else 23))  # of 1.0 all low bits are zero
    return (rows.long() * _multipliers(rows.shape[-1], str(rows.device))).sum(dim=-1)


@functools.lru_cache(maxsize=8)
def _multipliers(num: int, device: str) -> Tensor:
    return torch.randint(-(2**62), 2**62, (num,), generator=generator_of(0)).to(device)


def _tail(index: float) -> str:
    return "unknown (too few candidates)" if index == math.inf else "none" if index == -math.inf else f"{index:.2f}"
