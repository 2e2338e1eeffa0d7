"""What an evaluation of a run consists of, and the part that images and text share: its discriminator."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from discrete_gan.distributions import PointMass
from discrete_gan.metrics.bootstrap import Interval, bootstrap_interval
from discrete_gan.metrics.calibration import (
    Reliability,
    discriminator_accuracy,
    expected_calibration_error,
    fit_calibration,
    mean_weight,
    reliability,
)
from discrete_gan.metrics.memorization import Memorization
from discrete_gan.metrics.two_sample import TwoSampleTest
from discrete_gan.report.likelihood import Likelihood
from discrete_gan.training import seeded
from discrete_gan.training.sampling import evaluating
from discrete_gan.weights import diagnose, log_partition

SAMPLE_COUNTS = (2, 5, 10, 20, 50, 100)  # M of the weight diagnostics
_LATENTS = 256  # B of the weight diagnostics
_RESAMPLES = 100  # of the calibration
_ROWS = 1000  # samples the discriminator sees at a time


class Figure(NamedTuple):
    """A measured number.

    Attributes:
        value: The number.
        low: Lower end of its 95 % bootstrap interval; NaN where there is none.
        high: Upper end.
        signature: Protocol: figures compare only if it is the same.
        meaning: What it says, with its unit and what would be perfect.
    """

    value: float
    low: float
    high: float
    signature: str
    meaning: str


class WeightRow(NamedTuple):
    """Importance weights of M samples per latent, means over latents.

    Attributes:
        num_samples: M.
        effective_part: Effective sample size as a part of M.
        largest_weight: Of the normalized weights.
        log_partition: Of all latents' samples together, nats; near 0 if the discriminator's outputs are log-ratios.
        pareto_tail_index: Median over latents, reliable up to ``weights.tail_index_threshold(M)``; None below 21
            samples, which cannot say.
    """

    num_samples: int
    effective_part: float
    largest_weight: float
    log_partition: float
    pareto_tail_index: float | None


@dataclass
class Evaluation:
    """Everything that ``discrete-gan evaluate`` found out about one run."""

    figures: dict[str, Figure] = field(default_factory=dict)
    """By name."""
    verdicts: list[str] = field(default_factory=list)
    """In words: what the figures amount to, and what could not be measured and why."""
    log_likelihood: list[float] = field(default_factory=list)
    """Of each held-out datum, in nats, for comparisons in pairs."""
    reliability: Reliability | None = None
    """Of the discriminator."""
    weights: list[WeightRow] = field(default_factory=list)
    """Diagnostics over M."""

    def add(self, name: str, interval: Interval, protocol: str, meaning: str) -> None:
        """One more figure."""
        self.figures[name] = Figure(*interval, f"{name}|{protocol}", meaning)

    def add_likelihood(self, likelihood: Likelihood, protocol: str) -> None:
        """Log-likelihood of held-out data, and its gap where it is a bound."""
        protocol = f"{likelihood.signature}|{protocol}"
        kind = "exact" if likelihood.gap is None else "a lower bound"
        self.add("log_likelihood", likelihood.mean, protocol, f"log p(x) of held-out data, nats, {kind}")
        if likelihood.gap is not None:
            how = "on samples of the model" if likelihood.signature.startswith("ais") else "by the jackknife"
            self.add("likelihood_gap", likelihood.gap, protocol, f"what that bound lacks, nats, {how}; 0 is exact")
        self.log_likelihood = likelihood.log_likelihood.tolist()

    def add_memorization(self, found: Memorization, protocol: str, distance: str) -> None:
        """Distances to the nearest training sample, and the verdict."""
        meaning = f"mean {distance} distance to the nearest training sample"
        self.add("nearest_training", found.sample_distance, protocol, f"{meaning}, of samples")
        self.add("nearest_training_held_out", found.held_out_distance, protocol, f"{meaning}, of held-out data")
        self.add("nearer", found.nearer, protocol, "P(a sample is nearer to training data than a held-out one); 0.5")
        self.add("copies", found.copies, protocol, "samples nearer than the nearest 1 % of held-out data; 0.01")
        self.verdicts.append(f"memorization: {found.verdict}")

    def add_two_sample(self, test: TwoSampleTest, protocol: str) -> None:
        """Classifier two-sample test."""
        protocol = f"held-out:{test.num_held_out}|{protocol}"
        meaning = "a classifier trained to tell samples from held-out data, on others; 0.5 if it cannot"
        self.add("two_sample_accuracy", test.accuracy, protocol, meaning)
        least = "below 1e-15" if test.p_value < 1e-15 else f"{test.p_value:.2g}"
        self.verdicts.append(f"two-sample test: accuracy {test.accuracy.value:.3f}, p {least}")

    def add_discriminator(self, log_w_real: Tensor, log_w_fake: Tensor, protocol: str) -> None:
        """Calibration of raw outputs on held-out data, shape (N,), and on samples, shape (N',)."""
        self.reliability = reliability(log_w_real, log_w_fake)
        fit = fit_calibration(log_w_real, log_w_fake)
        accuracy = discriminator_accuracy(log_w_real, log_w_fake)
        self.add("accuracy", accuracy, protocol, "of the run's discriminator on held-out data and samples")
        self.add("mean_weight", mean_weight(log_w_fake), protocol, "E_g[w] of the discriminator's weights; 1")
        statistics = {
            "calibration_error": (
                lambda real, fake: expected_calibration_error(reliability(real, fake)),
                "expected, in probability; 0",
            ),
            "temperature": (
                lambda real, fake: fit_calibration(real, fake).temperature,
                "what divides the outputs where they fit best; 1",
            ),
            "offset": (lambda real, fake: fit_calibration(real, fake).offset, "what is added to them then, nats; 0"),
        }
        for name, (statistic, meaning) in statistics.items():
            interval = bootstrap_interval(statistic, log_w_real, log_w_fake, num_resamples=_RESAMPLES)
            self.add(name, interval, protocol, meaning)
        way = "too sharp" if abs(fit.scale) < 1 else "too flat"
        self.verdicts.append(
            f"discriminator: its log-ratios are {way}: {fit.scale:.3g} times them, plus {fit.offset:.3g}, fit best "
            f"(cross entropy {fit.cross_entropy_fitted:.4f} nats, as they are {fit.cross_entropy:.4f})"
        )

    def protocols(self) -> dict[str, list[str]]:
        """Names of the figures that share a protocol, by what their signatures have in common."""
        found: dict[str, list[str]] = {}
        for name, figure in self.figures.items():
            found.setdefault(figure.signature.removeprefix(f"{name}|"), []).append(name)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; an interval that there is none of is null."""
        number = lambda value: value if math.isfinite(value) else None  # noqa: E731
        figures = {
            name: {**figure._asdict(), **{key: number(getattr(figure, key)) for key in ("value", "low", "high")}}
            for name, figure in self.figures.items()
        }
        bins = self.reliability
        return {
            "figures": figures,
            "verdicts": self.verdicts,
            "weights": [row._asdict() for row in self.weights],
            "reliability": {name: value.tolist() for name, value in bins._asdict().items()} if bins else None,
            "log_likelihood": self.log_likelihood,
        }


@torch.no_grad()
def raw_outputs(discriminator: nn.Module, x: Tensor, labels: Tensor | None = None) -> Tensor | None:
    """Log-ratios of samples (N, *event), shape (N,); None of a discriminator that has more than one output each."""
    with evaluating(discriminator):
        outputs = [
            discriminator(part) if labels is None else discriminator(part, of_part)
            for part, of_part in zip(x.split(_ROWS), (x if labels is None else labels).split(_ROWS), strict=True)
        ]
    raw = torch.cat(outputs)
    return raw.float() if raw.shape == x.shape[:1] else None


@torch.no_grad()
def weight_rows(
    generator: nn.Module, discriminator: nn.Module, *, num_classes: int = 0, seed: int = 0
) -> list[WeightRow]:
    """Diagnostics of the importance weights for M from 2 to 100, over 256 latents; none for a generator of points."""
    rows = []
    with evaluating(generator, discriminator), seeded(seed, "weights"):
        z = generator.latents(_LATENTS)  # type: ignore[operator]
        labels = (torch.arange(len(z), device=z.device) % num_classes,) if num_classes else ()
        g = generator(z, *labels)
        if isinstance(g, PointMass):
            return []
        # A latent may come once for all of them, where there are none to vary.
        log_w = torch.cat([discriminator(g.sample((1,)), *labels) for _ in range(max(SAMPLE_COUNTS))]).float()
        for count in SAMPLE_COUNTS:
            found = diagnose(log_w[:count])
            tail = float(found.pareto_tail_index.median())
            rows.append(
                WeightRow(
                    count,
                    float(found.effective_sample_size.mean()) / count,
                    float(found.largest_weight.mean()),
                    float(log_partition(log_w[:count], over="batch")),
                    tail if math.isfinite(tail) else None,
                )
            )
    return rows
