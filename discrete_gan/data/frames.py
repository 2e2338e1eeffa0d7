"""Sequences of frames as tensors: piano rolls, spike trains, voices of a chorale, event logs."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from discrete_gan.data.chords import draw_chords
from discrete_gan.data.extras import nearest_path, one_line
from discrete_gan.data.frame_files import FRAME_FORMATS, Sequences, read_frames
from discrete_gan.errors import InputError
from discrete_gan.seeds import generator_of

_LONGEST = 512  # frames, where no window cuts them
_MOST_CATEGORIES = 10_000
_HELD_OUT = 0.1
_PARTS = 10  # sequences at least, of which a tenth is held out whole


@dataclass(frozen=True, eq=False)
class FrameData:
    """A data set of frames, whole, as tensors: a first column says whether the sequence has ended.

    A window makes several rows of one sequence. It then begins anywhere in training: ``long`` has each row with the
    frames that follow it, until the next row would be the same.

    Attributes:
        name: What to call it.
        sizes: Categories of each of the D columns.
        lowest: Of bits, the number of the first column among all that there are, such as a MIDI pitch.
        num_columns: Of bits, all that there are, those never set before and after the others too.
        held_out: int64, shape (N', T, 1 + D), of other sequences than those for training.
        long: Rows for training with what follows them, int64, shape (N, T + most of ``room``, 1 + D).
        room: How many frames later each row may begin, int64, shape (N,); 0 without a window.
        sequence: Which sequence each row is of, int64, shape (N,).
        left_out: Frames of sequences that are shorter than the window.
    """

    name: str
    sizes: tuple[int, ...]
    lowest: int
    num_columns: int
    held_out: Tensor
    long: Tensor
    room: Tensor
    sequence: Tensor
    left_out: int = 0

    @property
    def train(self) -> Tensor:
        """int64, shape (N, T, 1 + D)."""
        return self.long[:, : self.num_frames]

    @property
    def are_bits(self) -> bool:
        """Whether every column is on or off."""
        return set(self.sizes) == {2}

    @property
    def num_frames(self) -> int:
        """T."""
        return self.held_out.shape[1]

    @property
    def ends(self) -> bool:
        """Whether some sequence is shorter than T."""
        return bool((self.train[..., 0] == 1).any() or (self.held_out[..., 0] == 1).any())

    def fingerprint(self) -> str:
        """Changes with any frame."""
        digest = hashlib.blake2b(repr((self.sizes, self.lowest)).encode(), digest_size=8)
        for part in (self.long, self.held_out):
            digest.update(repr(tuple(part.shape)).encode())
            digest.update(part.to(torch.int32).contiguous().numpy().data)
        return digest.hexdigest()

    def summary(self) -> dict[str, Any]:
        """What config.json says of it."""
        return {
            "name": self.name,
            "num_train": len(self.train),
            "num_held_out": len(self.held_out),
            "num_frames": self.num_frames,
            "sizes": list(self.sizes),
            "lowest": self.lowest,
            "num_columns": self.num_columns,
            "fingerprint": self.fingerprint(),
        }


def load_frames(
    spec: str, *, seed: int = 0, window: int | None = None, rate: float = 4.0, bits: bool = False
) -> FrameData:
    """Reads frames; without a test part, a tenth of the sequences, drawn with the seed, is held out.

    Args:
        spec: ``chords`` (generated); ``.npz`` with ``frames`` (N, T, D) or, one sequence after another, (sum of the
            lengths, D), with ``lengths`` (N,) or ``mask`` (N, T) where they differ, and a test part ``test_frames`` and
            so on; columns of 0 and 1 are bits, others categories from 0, and arrays named ``rolls`` are bits of
            whatever is above 0; ``.npy`` (N, T, D); ``.json`` as a list of sequences, each a list of frames, each a
            list of notes, or such lists under ``train`` and ``test``; or a folder of ``.mid`` files.
        seed: Chooses what is held out.
        window: Cut sequences into pieces of so many frames, after whole ones were held out. Of fewer than ten,
            those that have more than a twentieth of all frames are cut into such parts before.
        rate: Frames per second of MIDI files.
        bits: Take whatever is above 0 as set.

    Raises:
        InputError: If it is not there, cannot be read or holds no frames.
    """
    if window is not None and window < 2:
        raise InputError(f"window: expected at least 2 frames, got {window}")
    path = Path(spec).expanduser()
    try:
        train, test = (draw_chords(seed), None) if spec == "chords" else read_frames(spec, path, rate)
    except FileNotFoundError:
        raise InputError(f"no frames at {spec!r}: {nearest_path(path, 'chords')}expected {FRAME_FORMATS}") from None
    except (OSError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    if bits:
        train, test = _as_bits(train), None if test is None else _as_bits(test)
    name = spec if spec == "chords" else path.stem
    left_out = 0
    if window is not None:
        every = [part for part in (train, test) if part is not None]
        left_out = sum(int(part.lengths[part.lengths < window].sum()) for part in every)
        train, *rest = (_long_enough(part, window, name) for part in every)
        train, test = (train, *rest) if rest else _split(_in_parts(train, window), seed, name)
    elif test is None:
        train, test = _split(train, seed, name)
    longest = max(int(part.lengths.max(initial=0)) for part in (train, test))
    if window is None and longest > _LONGEST:
        found = f"found one of {longest:,}"
        raise InputError(f"{name}: expected sequences of at most {_LONGEST} frames, {found}: window cuts them")
    sizes, low, total = _sizes(np.concatenate([train.frames, test.frames]), name)
    num_frames = window or longest
    long, room, sequence = _rows(train, window, low, len(sizes), num_frames)
    held_out = _rows(test, window, low, len(sizes), num_frames)[0][:, :num_frames]
    room, sequence = torch.from_numpy(room), torch.from_numpy(sequence)
    return FrameData(name, sizes, low, total, held_out.clone(), long, room, sequence, left_out)


def _as_bits(part: Sequences) -> Sequences:
    return part._replace(frames=(part.frames > 0).astype(np.int64))


def _long_enough(part: Sequences, window: int, name: str) -> Sequences:
    """Sequences that have a window."""
    there = part.lengths >= window
    if not there.any():
        raise InputError(f"{name}: window {window}: expected at most the {part.lengths.max()} frames of a sequence")
    return Sequences(part.frames[there.repeat(part.lengths)], part.lengths[there])


def _in_parts(part: Sequences, window: int) -> Sequences:
    """A few long sequences as several, so that there is something to hold out."""
    if len(part.lengths) >= _PARTS:
        return part
    lengths = part.lengths
    for least in (4 * window, window):
        nums = np.maximum(1, part.lengths // max(least, int(part.lengths.sum()) // (2 * _PARTS)))
        ends = [np.arange(1, num + 1) * length // num for num, length in zip(nums, part.lengths, strict=True)]
        lengths = np.concatenate([np.diff(each, prepend=0) for each in ends])
        if len(lengths) > 1:
            break
    return part._replace(lengths=lengths)


def _split(part: Sequences, seed: int, name: str) -> list[Sequences]:
    num = len(part.lengths)
    if num < 2:
        raise InputError(f"{name}: expected at least two sequences, found {num}: a window cuts a long one")
    order = torch.randperm(num, generator=generator_of(seed)).numpy()
    apart = max(1, round(_HELD_OUT * num))
    pieces = np.split(part.frames, part.lengths.cumsum()[:-1])
    sides = [np.sort(order[apart:]), np.sort(order[:apart])]
    return [Sequences(np.concatenate([pieces[place] for place in side]), part.lengths[side]) for side in sides]


def _sizes(frames: np.ndarray, name: str) -> tuple[tuple[int, ...], int, int]:
    """Categories of each column that is used, the first of bits, and how many columns there are."""
    if frames.size == 0 or frames.min() < 0:
        found = "none" if frames.size == 0 else str(frames.min())
        raise InputError(f"{name}: expected categories from 0, found {found}")
    most = frames.max(axis=0)
    if most.max() >= _MOST_CATEGORIES:
        raise InputError(
            f"{name}: expected at most {_MOST_CATEGORIES:,} categories of a column, found {most.max() + 1:,}"
        )
    if most.max() > 1:
        return tuple(int(each) + 1 if each else 2 for each in most), 0, len(most)
    used = most.nonzero()[0]
    if not len(used):
        raise InputError(f"{name}: expected some ones, all frames are empty")
    return (2,) * int(used[-1] - used[0] + 1), int(used[0]), len(most)


def _rows(
    part: Sequences, window: int | None, low: int, num_columns: int, num_frames: int
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Rows of one tensor, the end and then the columns that are used, by how much each may shift, and whose each is.

    Without a window a row is a sequence. With one, rows of a sequence lie one after another, and each has what follows.
    """
    nums = np.ones_like(part.lengths) if window is None else part.lengths // window
    sequence = np.repeat(np.arange(len(part.lengths)), nums)
    offsets = (np.arange(len(sequence)) - np.repeat(nums.cumsum() - nums, nums)) * num_frames
    left = part.lengths[sequence] - offsets  # frames of the sequence from the row's first on
    room = np.zeros_like(left) if window is None else np.minimum(left - window, window - 1)
    places = np.arange(num_frames + room.max(initial=0))
    there = places < np.minimum(left, num_frames + room)[:, None]
    starts = (part.lengths.cumsum() - part.lengths)[sequence] + offsets
    rows = np.zeros((*there.shape, 1 + num_columns), dtype=np.int64)
    rows[..., 0] = ~there
    rows[there, 1:] = part.frames[(starts[:, None] + places)[there], low : low + num_columns]
    return torch.from_numpy(rows), room, sequence


def save_frames(file: IO[bytes], frames: Tensor, lowest: int, num_columns: int, *, are_bits: bool) -> None:
    """Sequences (N, T, 1 + D) as ``load_frames`` reads them: an archive with frames (N, T, all columns) and lengths."""
    values, lengths = restored(frames, lowest, num_columns, are_bits=are_bits)
    np.savez_compressed(file, frames=values, lengths=lengths)


def restored(frames: Tensor, lowest: int, num_columns: int, *, are_bits: bool) -> tuple[np.ndarray, np.ndarray]:
    """All columns of sequences (N, T, 1 + D), shape (N, T, num_columns), and the length of each, (N,)."""
    there = (frames[..., 0].cumsum(dim=1) == 0).cpu().numpy()
    columns = frames[..., 1:].cpu().numpy() * there[..., None]
    values = np.zeros((*columns.shape[:2], num_columns), dtype=np.uint8 if are_bits else np.int64)
    values[..., lowest : lowest + columns.shape[2]] = columns
    return values, there.sum(axis=1)
