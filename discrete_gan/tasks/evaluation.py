"""A whole evaluation of a run: what its task measures, and what any task has: likelihood, discriminator, weights."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from discrete_gan.contracts import Discriminator, Encoder, Generator
from discrete_gan.distributions import PointMass
from discrete_gan.errors import InputError
from discrete_gan.metrics.bootstrap import Interval, bootstrap_interval
from discrete_gan.metrics.calibration import (
    Reliability,
    discriminator_accuracy,
    expected_calibration_error,
    fit_calibration,
    mean_weight,
    reliability,
)
from discrete_gan.reweighted import Reweighted
from discrete_gan.sampling import evaluating, generate, num_classes_of
from discrete_gan.seeds import seeded
from discrete_gan.tasks.base import Batch, OwnScore, Task, measure
from discrete_gan.tasks.likelihood import LikelihoodOptions, encoder_of, held_out_log_likelihood
from discrete_gan.tasks.log_ratios import gain_scores, in_turn, outputs_of
from discrete_gan.tasks.score import Score, as_json
from discrete_gan.weights import diagnose, log_partition

SAMPLE_COUNTS = (2, 5, 10, 20, 50, 100)  # M of the weight diagnostics
_LATENTS = 256  # B of the weight diagnostics
_RESAMPLES = 100  # of the calibration
_COMPARED = 2000  # samples, and held-out data, that the discriminator is asked about


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

    scores: list[Score] = field(default_factory=list)
    """The task's, then likelihood, then the discriminator's."""
    log_likelihood: list[float] = field(default_factory=list)
    """Of each held-out datum, in nats, for comparisons in pairs."""
    reliability: Reliability | None = None
    """Reliability diagram of the discriminator."""
    weights: list[WeightRow] = field(default_factory=list)
    """Diagnostics over M."""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        bins = self.reliability
        return {
            "scores": as_json(self.scores),
            "weights": [row._asdict() for row in self.weights],
            "reliability": {name: value.tolist() for name, value in bins._asdict().items()} if bins else None,
            "log_likelihood": self.log_likelihood,
        }


Stage = Callable[[str, Any, Callable[[], Any]], Any]


def _at_once(name: str, kind: Any, compute: Callable[[], Any]) -> Any:
    return compute()


def evaluate(
    task: Task,
    generator: Generator,
    discriminator: Discriminator | None,
    *,
    num: int | None = None,
    num_likelihood: int = 200,
    likelihood: LikelihoodOptions | None = None,
    test: Batch | None = None,
    test_fingerprint: str = "",
    reweighted: Reweighted | None = None,
    num_partition: int = 20_000,
    own: Sequence[OwnScore] = (),
    seed: int = 0,
    stage: Stage = _at_once,
) -> Evaluation:
    """Every score there is: those of the task, the likelihood of held-out data, the discriminator's calibration.

    Args:
        task: On the device.
        generator: On the same device.
        discriminator: As the run left it; None for none.
        num: Samples that are scored; the task's own choice if not given.
        num_likelihood: Held-out data whose likelihood is computed, where that takes latents; else all.
        likelihood: How.
        test: Data to take the likelihood of, where these are not the task's own.
        test_fingerprint: Of these, for the protocol.
        reweighted: The generator with a discriminator, on the same device, to be scored beside it.
        num_partition: Samples of the generator that log Z is of.
        own: Scores of the user's own.
        seed: Of latents and samples.
        stage: Called with the name of a stage, the type of what it finds, and a function that finds it: what it
            returns is taken, so that stages may be kept and taken up again.
    """
    found = Evaluation()
    found.scores += stage(
        "scores",
        list[Score],
        lambda: measure(task, generator, discriminator, num=num, depth="full", seed=seed, own=own),
    )
    data = str(task.summary()["fingerprint"])
    held_out = task.held_out()
    options = (likelihood or LikelihoodOptions())._replace(seed=seed)
    fingerprint = data if test is None else test_fingerprint
    encoder = encoder_of(discriminator)
    likelihood_of = functools.partial(_likelihood, generator, encoder, test or held_out, num_likelihood)
    of_likelihood, found.log_likelihood = stage(
        "likelihood", tuple[list[Score], list[float]], lambda: likelihood_of(options, fingerprint)
    )
    found.scores += of_likelihood
    if reweighted is not None:
        beside, gain = stage(
            "reweighted",
            tuple[list[Score], list[Score]],
            lambda: _reweighted(
                task, reweighted, held_out, data, num=num, num_partition=num_partition, own=own, seed=seed
            ),
        )
        named = {score.name.removeprefix("reweighted_"): score for score in beside}
        pairs = [[score, named.pop(score.name, None)] for score in found.scores]
        found.scores = [score for pair in pairs for score in pair if score is not None]
        found.scores += [*named.values(), *gain]
    if discriminator is not None:
        _add_discriminator(found, task, generator, discriminator, held_out, data, seed)
    return found


def _likelihood(
    generator: Generator, encoder: Encoder | None, held_out: Batch, num: int, options: LikelihoodOptions, data: str
) -> tuple[list[Score], list[float]]:
    """Log-likelihood of held-out data, and its gap where it is a bound; and that of each datum."""
    label = "log-likelihood"
    end = len(held_out.x) if generator.latent_dim == 0 else num
    labels = held_out.labels if num_classes_of(generator) else None
    bounded = held_out_log_likelihood(
        generator, held_out.x[:end], None if labels is None else labels[:end], options=options, encoder=encoder
    )
    if bounded is None:
        reason = "not asked for" if options.method == "none" else "x(z) is a point"
        return [Score("log_likelihood", math.nan, label, note=reason)], []
    protocol = f"{bounded.signature}|data:{data}"
    exact = "exact" if bounded.gap is None else "a lower bound"
    value = Score(
        "log_likelihood", bounded.mean.value, label, "nats, held-out data", "more", protocol=protocol, note=exact
    )
    found = [value.within(bounded.mean)]
    if bounded.gap is not None:
        how = "on samples of the model" if bounded.signature.startswith("ais") else "by the jackknife"
        gap = Score("likelihood_gap", bounded.gap.value, "likelihood gap", "nats", "less", 0, protocol=protocol)
        found.append(gap._replace(note=f"what that bound lacks, {how}").within(bounded.gap))
    return found, bounded.log_likelihood.tolist()


def _reweighted(
    task: Task,
    model: Reweighted,
    held_out: Batch,
    data: str,
    *,
    num: int | None,
    num_partition: int,
    own: Sequence[OwnScore],
    seed: int,
) -> tuple[list[Score], list[Score]]:
    """The scores of its samples, and what its log-ratios add to the log-likelihood."""
    drawn = in_turn(model.generator, generate(model.generator, num_partition, seed=seed + 1))
    real, fake = (outputs_of(model.generator, model.discriminator, of) for of in (held_out, drawn))
    if real is None or fake is None:  # as its samples will tell
        raise InputError("discriminator: expected one raw output per sample, its log-ratio, got more")
    protocol = f"n:{num_partition}|held-out:{len(held_out.x)}|data:{data}|seed:{seed}"
    gain = gain_scores(model.scale * real + model.offset, model.scale * fake + model.offset, protocol)
    chosen = f"|reweighted:{model.method}|candidates:{model.candidates}"
    beside = [
        score._replace(
            name=f"reweighted_{score.name}",
            label=f"{score.title}, reweighted",
            protocol=score.protocol + chosen,
        )
        for score in measure(task, model, None, num=num, depth="full", seed=seed, own=own)
    ]
    return beside, gain


def _add_discriminator(
    found: Evaluation,
    task: Task,
    generator: Generator,
    discriminator: Discriminator,
    held_out: Batch,
    data: str,
    seed: int,
) -> None:
    """Calibration of raw outputs on held-out data and samples, and the weights that they give."""
    most = getattr(task, "num_compared", _COMPARED)
    real = Batch(held_out.x[:most], None if held_out.labels is None else held_out.labels[:most])
    fake = in_turn(generator, generate(generator, most, seed=seed))
    log_w_real, log_w_fake = (outputs_of(generator, discriminator, of) for of in (real, fake))
    if log_w_real is None or log_w_fake is None:
        reason = "the discriminator has more than one output per sample"
        found.scores.append(Score("calibration_error", math.nan, "calibration error", note=reason))
        return
    protocol = f"n:{len(fake.x)}|held-out:{len(real.x)}|data:{data}|seed:{seed}"
    found.scores += calibration_scores(log_w_real.cpu(), log_w_fake.cpu(), protocol)
    found.reliability = reliability(log_w_real.cpu(), log_w_fake.cpu())
    found.weights = weight_rows(generator, discriminator, num_classes=num_classes_of(generator), seed=seed)


def calibration_scores(log_w_real: Tensor, log_w_fake: Tensor, protocol: str) -> list[Score]:
    """How far raw outputs are log-ratios, from those on held-out data, shape (N,), and on samples, shape (N',)."""
    fit = fit_calibration(log_w_real, log_w_fake)
    entropies = f"(cross entropy {fit.cross_entropy_fitted:.4f} nats, as they are {fit.cross_entropy:.4f})"
    if fit.scale < 0:
        verdict = f"its log-ratios tell nothing of these data, reversed ones fit better {entropies}"
    else:
        way = "too sharp" if fit.scale < 1 else "too flat"
        verdict = f"its log-ratios are {way}: {fit.scale:.3g} times them, plus {fit.offset:.3g}, fit best {entropies}"

    def resampled(statistic: Callable[[Tensor, Tensor], float]) -> Interval:
        return bootstrap_interval(statistic, log_w_real, log_w_fake, num_resamples=_RESAMPLES)

    accuracy, weight = discriminator_accuracy(log_w_real, log_w_fake), mean_weight(log_w_fake)
    error = resampled(lambda real, fake: expected_calibration_error(reliability(real, fake)))
    temperature = resampled(lambda real, fake: fit_calibration(real, fake).temperature)
    offset = resampled(lambda real, fake: fit_calibration(real, fake).offset)
    scores = {
        "accuracy": (accuracy, "discriminator accuracy", "", None, ""),
        "mean_weight": (weight, "mean weight", "E_g[w] of samples", 1, ""),
        "calibration_error": (error, "calibration error", "in probability", 0, verdict),
        "temperature": (temperature, "fitted temperature", "of the discriminator's outputs", 1, ""),
        "offset": (offset, "fitted offset", "nats", 0, ""),
    }
    return [
        Score(
            name,
            interval.value,
            label,
            unit,
            "less" if name == "calibration_error" else None,
            perfect,
            protocol=protocol,
            note=note,
        ).within(interval)
        for name, (interval, label, unit, perfect, note) in scores.items()
    ]


@torch.no_grad()
def weight_rows(
    generator: Generator, discriminator: Discriminator, *, num_classes: int = 0, seed: int = 0
) -> list[WeightRow]:
    """Diagnostics of the importance weights for M from 2 to 100, over 256 latents; none for a generator of points."""
    rows = []
    with evaluating(generator, discriminator), seeded(seed, "weights"):
        z = generator.latents(_LATENTS)
        labels = (torch.arange(len(z), device=z.device) % num_classes,) if num_classes else ()
        g = generator(z, *labels)
        if isinstance(g, PointMass):
            return []
        # A latent may come once for all of them, where there are none to vary.
        log_w = torch.cat(
            [discriminator(g.sample(torch.Size((1,))), *labels) for _ in range(max(SAMPLE_COUNTS))]
        ).float()
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
