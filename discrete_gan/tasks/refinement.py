"""A generator that is trained, and the data it learnt from: what a discriminator learns its log-ratios of."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.errors import InputError
from discrete_gan.metrics.calibration import discriminator_accuracy, fit_calibration
from discrete_gan.sampling import generate
from discrete_gan.tasks.base import Batch, Depth, Task
from discrete_gan.tasks.log_ratios import gain_scores, in_turn, outputs_of
from discrete_gan.tasks.score import Score

_APART = 2000  # generated samples, at least, beside the real ones that are set apart
_SCORED = 20_000  # generated samples that log Z is of


class Refinement:
    """The data of another task, some of them set apart: to stop by and to calibrate on.

    The others train. Figures are of the task's own held-out data, which neither saw. A task of the user's own that has
    no ``set_apart`` has half of its held-out data set apart instead.

    Args:
        task: That the generator learnt.
        generator: A digest of its weights, so that log-ratios are never taken for another generator's.
        part: Of the training data that is set apart.
        seed: Of generated samples.
    """

    def __init__(self, task: Task, generator: str, *, part: float = 0.1, seed: int = 0) -> None:
        self.task, self._generator, self._part, self._seed = task, generator, part, seed
        self._fake: Tensor | None = None

    def __getattr__(self, name: str) -> Any:
        """What networks are built from is the task's."""
        if name.startswith("_") or name == "task":
            raise AttributeError(name)
        return getattr(self.task, name)

    def summary(self) -> dict[str, Any]:
        """The task's, with the generator: another one makes it another run."""
        summary = dict(self.task.summary())
        digest = hashlib.blake2b(f"{summary['fingerprint']} {self._generator}".encode(), digest_size=8).hexdigest()
        return summary | {"fingerprint": digest, "generator": self._generator}

    def to(self, device: torch.device) -> None:
        """Bring the data there, and set some apart."""
        self.task.to(device)
        held_out = self.task.held_out()
        if hasattr(self.task, "set_apart"):
            self._apart, self._test = self.task.set_apart(self._part), held_out  # type: ignore[attr-defined]
        elif (half := len(held_out.x) // 2) < 1:
            raise InputError("refine: expected at least 2 held-out samples, one to stop by and one to measure")
        else:
            self._apart, self._test = _rows(held_out, slice(half)), _rows(held_out, slice(half, None))

    def batch(self, step: int) -> Batch:
        """Training samples that are not set apart."""
        return self.task.batch(step)

    def held_out(self) -> Batch:
        """What figures are of."""
        return self._test

    def decode(self, x: Tensor) -> Tensor | list[str]:
        """As the task does."""
        return self.task.decode(x)

    def show(self, generator: Generator, path: Path, scores: Sequence[Score] = ()) -> None:
        """Nothing: ``discrete-gan sample RUN --reweight`` draws."""

    @torch.no_grad()
    def cross_entropy(self, generator: Generator, discriminator: Discriminator) -> float:
        """What training stops by: of what is set apart and of generated samples, each side half, in nats."""
        real, fake = self._outputs_apart(generator, discriminator)
        return float((F.softplus(-real).mean() + F.softplus(fake).mean()) / 2)

    def _outputs_apart(self, generator: Generator, discriminator: Discriminator) -> tuple[Tensor, Tensor]:
        if self._fake is None:  # always the same: what differs is the discriminator
            num = max(_APART, len(self._apart.x))
            self._fake = generate(generator, num, seed=self._seed + 1)
        return (
            _outputs(generator, discriminator, self._apart),
            _outputs(generator, discriminator, in_turn(generator, self._fake)),
        )

    def scores(
        self, generator: Generator, discriminator: Discriminator | None, *, num: int | None, depth: Depth, seed: int = 0
    ) -> list[Score]:
        """Cross entropy of what is set apart; at the end calibration, and the gain in log-likelihood on held-out data.

        Args:
            generator: As it was trained.
            discriminator: Its raw outputs are calibrated by what is set apart.
            num: Samples that log Z is of; 20,000 if not given.
            depth: How much to measure.
            seed: Of these samples.
        """
        assert discriminator is not None  # the verb has one
        real, fake = self._outputs_apart(generator, discriminator)
        apart = f"apart:{len(real)}|n:{len(fake)}|data:{self.summary()['fingerprint']}|seed:{self._seed}"
        fit = fit_calibration(real, fake)
        entropy = Score("cross_entropy", fit.cross_entropy, "cross entropy", "nats, apart", "less", protocol=apart)
        if depth == "line":
            return [entropy]
        scale, offset = fit.usable
        if scale:
            note = f"{fit.cross_entropy_fitted:.4f} when calibrated; ln 2 would tell nothing"
        else:
            note = "the outputs tell nothing of what is set apart: all weights are equal, choosing gains nothing"
        num = num or _SCORED
        drawn = in_turn(generator, generate(generator, num, seed=seed))
        log_w_real, log_w_fake = (scale * _outputs(generator, discriminator, of) + offset for of in (self._test, drawn))
        protocol = f"n:{num}|held-out:{len(log_w_real)}|{apart}|seed:{seed}"
        accuracy = discriminator_accuracy(log_w_real, log_w_fake)
        return [
            *gain_scores(log_w_real, log_w_fake, protocol),
            Score("accuracy", accuracy.value, "discriminator accuracy", "held-out data", protocol=protocol).within(
                accuracy
            ),
            entropy._replace(note=note),
            Score("scale", scale, "scale of the raw outputs", "log w = scale * output + offset", protocol=apart),
            Score("offset", offset, "offset", "nats", protocol=apart),
        ]


def _rows(batch: Batch, which: slice) -> Batch:
    return Batch(batch.x[which], None if batch.labels is None else batch.labels[which])


def _outputs(generator: Generator, discriminator: Discriminator, of: Batch) -> Tensor:
    if (raw := outputs_of(generator, discriminator, of)) is None:
        raise InputError("discriminator: expected one raw output per sample, its log-ratio, got more: see --network")
    return raw
