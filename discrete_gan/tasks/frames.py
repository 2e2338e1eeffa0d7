"""Sequences of frames to learn: how likely held-out ones are, and whether samples sound and move like them."""

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.data.frame_files import write_midi
from discrete_gan.data.frames import FrameData, load_frames, restored, save_frames
from discrete_gan.errors import InputError
from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.metrics.likelihood import importance_weighted_bound
from discrete_gan.metrics.memorization import memorization
from discrete_gan.metrics.two_sample import FEWEST, classifier_two_sample_test
from discrete_gan.sampling import evaluating, generate
from discrete_gan.seeds import seeded
from discrete_gan.tasks.base import Batch, Depth, Rows
from discrete_gan.tasks.likeness import memorization_scores, two_sample_score
from discrete_gan.tasks.options import FrameOptions
from discrete_gan.tasks.output import write_samples
from discrete_gan.tasks.rolls import rolls_pictured
from discrete_gan.tasks.score import Score
from discrete_gan.writing import write_aside

_LATENTS = 20  # of the bound
_ROWS = 64  # sequences whose likelihood is computed at a time
_QUICK = 200  # samples, and held-out sequences, of a line of the log
_NUM = 1000  # samples
_SHOWN = 16
_SHIFT = (math.sqrt(2), (math.sqrt(5) - 1) / 2)  # per row and per epoch: fractions of multiples fill the unit evenly
_SUFFIXES = (".png", ".npz", ".npy")


class Frames(Rows):
    """Sequences of frames.

    Args:
        options: Names data and reading.
    """

    num_compared = _NUM
    held_out_score = "nll_frame"

    def __init__(self, options: FrameOptions) -> None:
        self.options = options
        self._known: dict[str, Any] | None = None

    @functools.cached_property
    def data(self) -> FrameData:
        """The data set."""
        options = self.options
        how = {"window": options.window, "rate": options.rate, "bits": options.bits}
        return load_frames(options.data, seed=options.seed, **how)

    def describe(self) -> str:
        """What there is to learn."""
        data = self.data
        lengths = self._lengths(torch.cat([data.train, data.held_out])).double()
        kind = (
            f"{len(data.sizes)} bits" if data.are_bits else f"columns of {', '.join(map(str, data.sizes))} categories"
        )
        left = f"; {data.left_out} frames of shorter sequences left out" if data.left_out else ""
        lines = [
            f"{data.name}: {len(data.train):,} sequences for training, {len(data.held_out):,} held out; {kind}",
            f"lengths    min {lengths.min():.0f}, mean {lengths.mean():.1f}, max {lengths.max():.0f} frames{left}",
        ]
        if data.are_bits:
            counts = _active(data.train)
            share = counts.bincount().double() / len(counts)
            told = ", ".join(
                f"{number}: {100 * part:.0f} %" for number, part in enumerate(share.tolist()) if part > 0.005
            )
            lines.append(f"at once    {told} of frames")
        return "\n".join(lines)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Categories of each column."""
        return tuple(self._about["sizes"])

    @property
    def num_frames(self) -> int:
        """T."""
        return self._about["num_frames"]

    @property
    def _about(self) -> dict[str, Any]:
        return self._known or self.data.summary()

    def summary(self) -> dict[str, Any]:
        """What config.json says of the data."""
        return self.data.summary()

    def recall(self, folder: Path, config: dict[str, Any]) -> None:
        """Know what columns there are, without the data."""
        known = config["data"]
        sizes = [known[name] for name in ("num_frames", "lowest", "num_columns")] + list(known["sizes"])
        if not all(type(size) is int and 0 <= size < 1 << 20 for size in sizes) or not known["sizes"]:
            raise InputError(f"{folder}: expected a run on frames, its config.json says other sizes")
        if known["num_columns"] < known["lowest"] + len(known["sizes"]):
            raise InputError(f"{folder}: its config.json says more columns than there are")
        self._known = known

    def parts(self) -> tuple[Tensor, Tensor]:
        """For training and held out, int64."""
        return self.data.train, self.data.held_out

    def to(self, device: torch.device) -> None:
        """Move all there."""
        super().to(device)
        self._long, self._room = self.data.long.to(device), self.data.room.to(device)
        self._shifted = bool(self.data.room.any())

    def batch(self, step: int) -> Batch:
        """Rows for training, each once per epoch and in each one shifted otherwise: a function of the step alone."""
        items = self._batches.indices(step, device=self._long.device)
        if not self._shifted:
            return Batch(self._long[items])
        room, epoch = self._room[items] + 1, step // self._batches.steps_per_epoch
        shift = ((items * _SHIFT[0] + epoch * _SHIFT[1] % 1) % 1 * room).long()
        places = shift[:, None] + torch.arange(self.num_frames, device=items.device)
        return Batch(self._long[items[:, None], places])

    def set_apart(self, part: float) -> Batch:
        """Rows of sequences that no later batch has any of."""
        return Batch(self.rows[self._batches.set_apart(part, self.data.sequence).to(self.rows.device)])

    def decode(self, x: Tensor) -> Tensor:
        """Rolls of all columns, bool, shape (N, tracks, T, P): one track of bits, or for each column of categories."""
        if set(self.sizes) == {2}:
            values, _ = self._restored(x)
            return torch.from_numpy(values[:, None] > 0)
        there = (x[..., :1].cumsum(dim=1) == 0).cpu()
        one_hot = torch.nn.functional.one_hot(x[..., 1:].cpu(), max(self.sizes)).bool() & there[..., None]
        return one_hot.transpose(1, 2)

    def for_scores(self, x: Tensor) -> list[np.ndarray]:
        """What a score of the user's own is given: each sequence as an array of its own frames, (T_n, all columns)."""
        values, lengths = self._restored(x)
        return [value[:length] for value, length in zip(values, lengths, strict=True)]

    def pictured(self, rolls: Tensor) -> Tensor:
        """Rolls as pictures, cut to the pitches that any of them has."""
        used = rolls.flatten(0, 2).any(dim=0).nonzero()
        low, high = (int(used.min()), int(used.max())) if len(used) else (0, 0)
        return rolls_pictured(rolls[..., low : high + 1])

    suffixes = (*_SUFFIXES, ".mid")
    """Files that samples can be written into."""
    writes_in_parts = True  # what is written are the categories, and not what people look at

    def write(self, path: Path, samples: Tensor) -> Path:
        """Sequences into a file: ``.npz`` and ``.npy`` as they are read, ``.png`` to look at, ``.mid`` of 128 bits.

        Args:
            path: The file.
            samples: int64, shape (N, T, 1 + D).

        Raises:
            InputError: If the file is of another kind, or there are no 128 pitches for MIDI.
        """
        about = self._about
        lowest, total, are_bits = about["lowest"], about["num_columns"], set(self.sizes) == {2}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            return write_samples(path, self.pictured(self.decode(samples)))
        if path.suffix == ".npz":
            write_aside(path, lambda file: save_frames(file, samples, lowest, total, are_bits=are_bits))
            return path
        values, lengths = self._restored(samples)
        if path.suffix == ".npy":
            write_aside(path, lambda file: np.save(file, values))
            return path
        if path.suffix != ".mid":
            raise InputError(f"{path}: expected a file name ending in {' or '.join(self.suffixes)}")
        if not are_bits or total > 128:
            raise InputError(f"{path}: expected a run on notes, at most 128 bits a frame, for .mid")
        write_midi(path, [roll[:length] for roll, length in zip(values, lengths, strict=True)], self.options.rate)
        return path

    def _restored(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        about = self._about
        return restored(x, about["lowest"], about["num_columns"], are_bits=set(self.sizes) == {2})

    def scores(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        *,
        num: int | None = None,
        depth: Depth = "run",
        seed: int = 0,
    ) -> list[Score]:
        """Likelihood of held-out frames, then how far samples are from the data in what sounds together and changes.

        Args:
            generator: To draw from.
            discriminator: Not asked.
            num: Samples; 1,000 if not given.
            depth: How much to measure.
            seed: Of latents and samples.
        """
        quick = depth == "line"
        found = self._likelihood(generator, _QUICK if quick else None)
        x = generate(generator, _QUICK if quick else num or _NUM, seed=seed, batch_size=_NUM).cpu()
        found += self._likeness(x, f"n:{len(x)}|seed:{seed}")
        return found + self._compared(x, seed) if depth == "full" else found

    @torch.no_grad()
    def _likelihood(self, generator: Any, num: int | None) -> list[Score]:
        """Negative log-likelihood in nats per frame: exact without latents, else an upper bound and its gap."""
        rows, gap, total = self.test[:num], 0.0, 0.0
        exact = generator.latent_dim == 0
        with evaluating(generator), seeded("likelihood"):
            for part in rows.split(_ROWS if exact else max(1, _ROWS // _LATENTS)):
                g = generator(generator.latents(1 if exact else _LATENTS))
                try:
                    log_prob = g.log_prob(part[:, None].expand(-1, *g.batch_shape, -1, -1)).double().cpu()
                except NotImplementedError:  # a generator without a density
                    return []
                if exact:
                    total -= float(log_prob.sum())
                    continue
                bounded = importance_weighted_bound(log_prob.T)
                total, gap = total - float(bounded.bound.sum()), gap + float(bounded.gap.sum())
        frames = int(self._lengths(rows).sum())
        protocol = f"n:{len(rows)}|data:{self.data.fingerprint()}"
        label, unit = "held-out NLL", "nats per frame"
        note = f"columns that know of nothing else {self._independent:.4g}"
        found = [Score("nll_frame", total / frames, label, unit, "less", protocol=protocol, note=note)]
        if not exact:
            label = "held-out NLL too high by"
            found.append(Score("nll_frame_gap", gap / frames, label, unit, "less", 0, protocol=protocol))
        return found

    @functools.cached_property
    def _independent(self) -> float:
        """Nats per held-out frame of the marginals of each column."""
        rows, other = (part[..., 1:][part[..., 0] == 0] for part in (self.data.train, self.data.held_out))
        total = 0.0
        for column, size in enumerate(self.data.sizes):
            probs = (rows[:, column].bincount(minlength=size) + 0.5).double()
            total -= float((probs / probs.sum()).log()[other[:, column]].mean())
        return total

    def _likeness(self, x: Tensor, protocol: str) -> list[Score]:
        """Total variation between samples and training data, beside that of held-out data."""
        protocol += f"|data:{self.data.fingerprint()}"
        kinds = {"change_error": ("changes between frames", _changed), "length_error": ("lengths", self._lengths)}
        if self.data.are_bits:
            kinds = {"active_error": ("columns at once", _active), **kinds}
        found = []
        for name, (label, counted) in kinds.items():
            of_train, of_samples, of_held_out = (counted(part) for part in (self.data.train, x, self.data.held_out))
            value, floor = _variation(of_train, of_samples), _variation(of_train, of_held_out)
            unit = "total variation"
            found.append(Score(name, value, label, unit, "less", 0, floor, protocol=protocol))
        return found

    def _compared(self, x: Tensor, seed: int) -> list[Score]:
        """A two-sample test on what a sequence is on the average, and distances to the training sequences."""
        data, real = self.data, self.data.held_out
        protocol = f"n:{len(x)}|data:{data.fingerprint()}|seed:{seed}"
        found, least = [], min(len(x), len(real))
        if least >= FEWEST:
            test = classifier_two_sample_test(
                _features(real, data.sizes), _features(x[: len(real)], data.sizes), seed=seed
            )
            found.append(two_sample_score(test, f"features:mean-change-length|{protocol}"))
        nearest, of_held_out = (_nearest(part, data.train) for part in (x[:_NUM], real[:_NUM]))
        scores = memorization_scores(memorization(nearest, of_held_out), protocol, "numbers that differ")
        lengths = self._lengths(x).double()
        mean = mean_interval(lengths)
        of_data = float(self._lengths(data.train).double().mean())
        length = Score("mean_length", mean.value, "mean length", "frames", real=of_data, protocol=protocol)
        return [*found, *scores, length.within(mean)]

    @staticmethod
    def _lengths(x: Tensor) -> Tensor:
        """Frames of each sequence, (N,)."""
        return (x[..., 0].cumsum(dim=1) == 0).sum(dim=1)

    def show(self, generator: Generator, path: Path, scores: Sequence[Score] = ()) -> Path:
        """Sixteen samples as rolls."""
        return self.write(path.with_suffix(".png"), generate(generator, _SHOWN))


def _there(x: Tensor) -> Tensor:
    return x[..., 0].cumsum(dim=1) == 0


def _active(x: Tensor) -> Tensor:
    """How many columns are not at their first category, of each frame."""
    return (x[..., 1:] > 0).sum(dim=-1)[_there(x)]


def _changed(x: Tensor) -> Tensor:
    """How many columns differ from the frame before, of each frame but the first."""
    return (x[:, 1:, 1:] != x[:, :-1, 1:]).sum(dim=-1)[_there(x)[:, 1:]]


def _variation(a: Tensor, b: Tensor) -> float:
    """Total variation between two samples of whole numbers."""
    size = int(torch.cat([a, b]).max()) + 1
    first, second = (part.bincount(minlength=size).double() / max(1, len(part)) for part in (a, b))
    return float((first - second).abs().sum() / 2)


def _features(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Of each sequence: how often each column is on or what it is on the average, how often it changes, its length."""
    there = _there(x).float()
    scale = (torch.tensor(sizes) - 1).clamp(min=1)
    length = there.sum(dim=1, keepdim=True)
    mean = (x[..., 1:] / scale * there[..., None]).sum(dim=1) / length
    both = (there[:, 1:] * there[:, :-1])[..., None]
    change = ((x[:, 1:, 1:] != x[:, :-1, 1:]) * both).sum(dim=1) / both.sum(dim=1).clamp(min=1)
    return torch.cat([mean, change, length / x.shape[1]], dim=1)


def _nearest(x: Tensor, train: Tensor) -> Tensor:
    """How many numbers differ from the nearest training sequence, (N,)."""
    flat, others = x.flatten(1).float(), train.flatten(1).float()
    parts = [torch.cdist(part, others, p=0).amin(dim=1) for part in flat.split(100)]
    return torch.cat(parts).double()
