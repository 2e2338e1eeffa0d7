"""Files of frames: arrays, lists of notes and MIDI, read as sequences; MIDI is written too."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from discrete_gan.data.arrays import read_arrays
from discrete_gan.data.extras import one_line, require
from discrete_gan.data.limits import Unpacked
from discrete_gan.errors import InputError

FRAME_FORMATS = "chords, a .npz or .npy file of frames, a .json file of notes, or a folder of .mid files"
"""What ``load_frames`` reads, as a phrase."""
_ROLLS = ("rolls", "piano_rolls")  # notes of any velocity
_NAMES = ("frames", *_ROLLS, "x", "arr_0")


class Sequences(NamedTuple):
    """Frames one after another, and how many each sequence has.

    Attributes:
        frames: Categories, integers, shape (sum of the lengths, D).
        lengths: Frames of each, shape (N,).
    """

    frames: np.ndarray
    lengths: np.ndarray


def read_frames(spec: str, path: Path, rate: float) -> tuple[Sequences, Sequences | None]:
    """A part for training, and one held out where there is one; errors of reading as they come."""
    if path.is_dir():
        return _read_midi(path, rate), None
    if path.suffix == ".json":
        return _read_json(path)
    if path.suffix not in (".npz", ".npy"):
        raise InputError(f"{spec}: expected {FRAME_FORMATS}")
    arrays = read_arrays(path)
    train = _part(arrays, "", path)
    if train is None:
        raise InputError(f"{path}: expected an array named {' or '.join(_NAMES)}, found {', '.join(arrays) or 'none'}")
    return train, _part(arrays, "test_", path)


def _part(arrays: dict[str, np.ndarray], prefix: str, path: Path) -> Sequences | None:
    """The arrays of one part as frames one after another."""
    name = next((prefix + name for name in _NAMES if prefix + name in arrays), None)
    if name is None:
        return None
    values, where = arrays[name], str(path) if path.suffix == ".npy" else f"{path}: {name}"
    lengths, mask = arrays.get(f"{prefix}lengths"), arrays.get(f"{prefix}mask")
    if values.dtype.kind not in "buif" or values.ndim not in (2, 3):
        told = f"{values.dtype} of shape {values.shape}"
        other = "" if path.suffix == ".npy" else ", or (frames, D) with lengths"
        raise InputError(f"{where}: expected numbers of shape (N, T, D){other}, found {told}")
    if name.removeprefix(prefix) in _ROLLS:
        if not (values >= 0).all():
            raise InputError(f"{where}: expected notes of velocities from 0, found {values.min()}")
        values = values > 0
    if mask is not None:
        if values.ndim != 3 or mask.shape != values.shape[:2] or (np.diff(mask.astype(int), axis=1) > 0).any():
            expected = f"expected shape {values.shape[:2]}, in each row ones first and then zeros"
            found = f"shape {mask.shape}" if mask.shape != values.shape[:2] else "zeros before ones"
            raise InputError(f"{path}: {prefix}mask: {expected}, found {found}")
        lengths = mask.astype(bool).sum(axis=1)
    if lengths is None:
        if values.ndim == 2:
            other = "" if path.suffix == ".npy" else ", or lengths beside it"
            raise InputError(f"{where}: expected shape (N, T, D){other}, found shape {values.shape}")
        lengths = np.full(len(values), values.shape[1])
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 1).any():
        raise InputError(f"{path}: {prefix}lengths: expected whole numbers from 1, shape (N,)")
    if values.ndim == 3:
        if len(lengths) != len(values) or (lengths > values.shape[1]).any():
            most, found = f"at most {values.shape[1]} each", f"found {len(lengths)} up to {lengths.max()}"
            raise InputError(f"{path}: {prefix}lengths: expected {len(values)} numbers, {most}, {found}")
        values = values[np.arange(values.shape[1]) < lengths[:, None]]
    elif lengths.sum() != len(values):
        raise InputError(f"{path}: {prefix}lengths: expected a sum of {len(values)} frames, found {lengths.sum()}")
    if values.dtype.kind == "f" and not (values == values.round()).all():
        raise InputError(f"{where}: expected whole numbers, found fractions")
    return Sequences(values.astype(np.int64), lengths.astype(np.int64))


def _read_json(path: Path) -> tuple[Sequences, Sequences | None]:
    with Unpacked(path) as file:
        content = file.read()
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON: {one_line(error)}") from None
    parts = found if isinstance(found, dict) else {"train": found}
    if "train" not in parts:
        raise InputError(f"{path}: expected a list of sequences, or one under train, found {', '.join(parts)}")
    held_out = next((parts[name] for name in ("test", "valid") if name in parts), None)
    return _notes(parts["train"], path), None if held_out is None else _notes(held_out, path)


def _notes(sequences: Any, path: Path) -> Sequences:
    """Lists of notes as bits, a column for each number from 0."""
    rows, lengths = [], []
    try:
        for index, sequence in enumerate(sequences):
            for frame in sequence:
                notes = [int(note) for note in frame]
                if any(note != number or not 0 <= note < 128 for note, number in zip(notes, frame, strict=True)):
                    raise InputError(f"{path}: sequence {index}: expected notes from 0 to 127, found {frame}"[:300])
                row = np.zeros(128, dtype=np.int64)
                row[notes] = 1
                rows.append(row)
            if not len(sequence):
                raise InputError(f"{path}: sequence {index}: expected frames, found none")
            lengths.append(len(sequence))
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        told = "a list of sequences, each a list of frames, each a list of notes"
        raise InputError(f"{path}: expected {told}, found something else") from error
    return Sequences(np.array(rows, dtype=np.int64).reshape(-1, 128), np.array(lengths, dtype=np.int64))


def _read_midi(folder: Path, rate: float) -> Sequences:
    """Each file a sequence of 128 bits a frame, drums left out."""
    if not 0 < rate < 1000:
        raise InputError(f"rate: expected frames per second above 0, got {rate:g}")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    if not files:
        raise InputError(f"{folder}: expected .mid files, found none")
    pretty_midi = require("pretty_midi", "pretty_midi", "reading MIDI files", extra="midi")
    rolls = []
    for path in files:
        try:
            roll = pretty_midi.PrettyMIDI(str(path)).get_piano_roll(fs=rate).T > 0
        except Exception as error:  # Damage shows as any of the library's errors.
            raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
        sounding = roll.any(axis=1).nonzero()[0]
        if len(sounding):
            rolls.append(roll[sounding[0] : sounding[-1] + 1].astype(np.int64))
    if not rolls:
        raise InputError(f"{folder}: expected notes, found none in {len(files)} files")
    return Sequences(np.concatenate(rolls), np.array([len(roll) for roll in rolls]))


def write_midi(path: Path, rolls: Sequence[np.ndarray], rate: float) -> None:
    """Rolls (frames, 128) into one MIDI file, one after another with a rest between.

    Raises:
        InputError: If pretty_midi is not installed.
    """
    pretty_midi = require("pretty_midi", "pretty_midi", "writing MIDI files", extra="midi")
    song, piano = pretty_midi.PrettyMIDI(), pretty_midi.Instrument(program=0)
    start = 0
    for roll in rolls:
        padded = np.pad(roll > 0, ((1, 1), (0, 0))).astype(np.int8)
        changes = np.diff(padded, axis=0)
        for pitch in np.flatnonzero(roll.any(axis=0)):
            for on, off in zip(
                np.flatnonzero(changes[:, pitch] > 0), np.flatnonzero(changes[:, pitch] < 0), strict=True
            ):
                times = (start + on) / rate, (start + off) / rate
                piano.notes.append(pretty_midi.Note(80, int(pitch), *times))
        start += len(roll) + max(1, round(rate))
    song.instruments.append(piano)
    song.write(str(path))
