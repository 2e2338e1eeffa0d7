"""Frames from every kind of file, and what is refused in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from discrete_gan.data.chords import chord_of
from discrete_gan.data.frames import FrameData, load_frames, restored, save_frames
from discrete_gan.errors import InputError

RNG = np.random.default_rng(0)
LENGTHS = np.array([3, 5, 2, 5, 4, 1])
BITS = (RNG.random((LENGTHS.sum(), 6)) < 0.4).astype(np.uint8)
BITS[:, [0, 5]] = 0  # never used
BITS[0, 1] = BITS[0, 4] = 1


def padded(flat: np.ndarray) -> np.ndarray:
    rows = np.zeros((len(LENGTHS), LENGTHS.max(), flat.shape[1]), dtype=flat.dtype)
    rows[np.arange(LENGTHS.max()) < LENGTHS[:, None]] = flat
    return rows


def sequences(data: FrameData) -> list[list[list[int]]]:
    """All sequences as lists of frames, of all columns, in the order of their content."""
    values, lengths = restored(
        torch.cat([data.train, data.held_out]), data.lowest, data.num_columns, are_bits=data.are_bits
    )
    return sorted(value[:length].tolist() for value, length in zip(values, lengths, strict=True))


EXPECTED = sorted(part.tolist() for part in np.split(BITS, LENGTHS.cumsum()[:-1]))


def write(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def refusal(spec: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_frames(str(spec), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_ragged_frames_by_lengths_mask_and_padding(tmp_path: Path) -> None:
    mask = np.arange(5) < LENGTHS[:, None]
    for number, arrays in enumerate(
        [
            {"frames": BITS, "lengths": LENGTHS},
            {"frames": padded(BITS), "lengths": LENGTHS},
            {"frames": padded(BITS), "mask": mask},
            {"frames": padded(BITS).astype(float), "mask": mask.astype(int)},
            {"rolls": 90 * padded(BITS), "lengths": LENGTHS},
            {"piano_rolls": padded(BITS) > 0, "mask": mask},
        ]
    ):
        data = load_frames(write(tmp_path / f"{number}.npz", **arrays))
        assert sequences(data) == EXPECTED
        assert (data.sizes, data.lowest, data.num_columns, data.num_frames) == ((2,) * 4, 1, 6, 5)
        assert data.are_bits and data.ends
        assert (len(data.train), len(data.held_out)) == (5, 1)
        assert data.train.dtype == torch.int64
        over = data.train[..., 0] == 1
        assert (over[:, 1:] >= over[:, :-1]).all() and (data.train[over][:, 1:] == 0).all()


def test_arrays_of_one_length_and_a_part_held_out(tmp_path: Path) -> None:
    values = RNG.integers(0, 4, (7, 3, 2))
    values[0, 0] = [3, 2]
    np.save(tmp_path / "a.npy", values)
    data = load_frames(str(tmp_path / "a.npy"))
    assert sequences(data) == sorted(values.tolist()) and not data.ends
    assert data.sizes == tuple(int(most) + 1 for most in values.max(axis=(0, 1))) and not data.are_bits
    both = load_frames(write(tmp_path / "b.npz", frames=values[:5], test_frames=values[5:]))
    assert [len(both.train), len(both.held_out)] == [5, 2]
    assert both.fingerprint() != data.fingerprint()
    assert load_frames(str(tmp_path / "a.npy")).fingerprint() == data.fingerprint()
    assert load_frames(str(tmp_path / "a.npy"), seed=1).fingerprint() != data.fingerprint()


def test_notes_of_json(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    songs = [[[60, 64], [], [67]], [[72]], [[60], [60.0, 61]]]
    path.write_text(json.dumps(songs))
    data = load_frames(str(path))
    assert (data.lowest, len(data.sizes), data.num_columns) == (60, 13, 128)
    found = [[[note for note, on in enumerate(frame) if on] for frame in song] for song in sequences(data)]
    assert sorted(found) == sorted([[60, 64], [], [67]] if song == songs[0] else song for song in songs)
    path.write_text(json.dumps({"train": songs, "valid": songs[:1], "test": songs[1:]}))
    assert len(load_frames(str(path)).held_out) == 2


def test_velocities_as_bits(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", 90 * padded(BITS)[:, :2])
    assert load_frames(str(tmp_path / "a.npy")).sizes[1] == 91
    assert load_frames(str(tmp_path / "a.npy"), bits=True).are_bits
    np.save(tmp_path / "b.npy", BITS)
    assert refusal(tmp_path / "b.npy") == f"{tmp_path / 'b.npy'}: expected shape (N, T, D), found shape (20, 6)"


def test_windows(tmp_path: Path) -> None:
    spec = write(tmp_path / "a.npz", frames=BITS, lengths=LENGTHS)
    data = load_frames(spec, window=2)
    assert len(data.train) + len(data.held_out) == sum(length // 2 for length in LENGTHS)
    assert data.left_out == LENGTHS[LENGTHS < 2].sum()
    pieces = [part[at : at + 2].tolist() for part in np.split(BITS, LENGTHS.cumsum()[:-1]) for at in (0, 2, 4)]
    assert sequences(data) == sorted(piece for piece in pieces if len(piece) == 2)
    assert "a: window 9: expected at most the 5 frames of a sequence" in refusal(spec, window=9)
    long = write(tmp_path / "long.npz", frames=np.ones((2, 600, 1)))
    assert "expected sequences of at most 512 frames, found one of 600: window cuts them" in refusal(long)


def test_windows_do_not_leave_their_sequence(tmp_path: Path) -> None:
    """Each frame says whose it is and which: rows shift within a sequence, whole ones are held out, none is missed."""
    lengths = np.array([7, 3, 11, 5, 9, 4, 8, 6, 10, 12, 4])
    whose, which = np.repeat(np.arange(11), lengths), np.concatenate([np.arange(length) for length in lengths])
    data = load_frames(write(tmp_path / "a.npz", frames=np.stack([whose, which], axis=1), lengths=lengths), window=4)
    assert data.left_out == 3
    held_out = set(data.held_out[..., 1].flatten().tolist())
    assert len(held_out) == 1
    assert held_out.isdisjoint(data.train[..., 1].flatten().tolist())
    seen = set()
    for row, room, sequence in zip(data.long, data.room.tolist(), data.sequence.tolist(), strict=True):
        for shift in range(room + 1):
            piece = row[shift : shift + 4]
            assert piece[:, 0].tolist() == [0] * 4
            assert len(set(piece[:, 1].tolist())) == 1
            assert piece[:, 2].tolist() == list(range(int(piece[0, 2]), int(piece[0, 2]) + 4))
            seen.add((sequence, int(piece[0, 1]), int(piece[0, 2])))
    there = [index for index, length in enumerate(lengths) if length >= 4 and index not in held_out]
    assert sorted(each[1:] for each in seen) == [(who, at) for who in there for at in range(lengths[who] - 3)]
    assert len({each[:2] for each in seen}) == len(there)  # a number for each sequence


def test_a_long_sequence_is_cut_before_a_part_is_held_out(tmp_path: Path) -> None:
    data = load_frames(write(tmp_path / "a.npz", frames=np.arange(1000)[None, :, None]), window=8)
    held_out = set(data.held_out.flatten().tolist())
    assert 0.05 < len(data.held_out) / (len(data.held_out) + len(data.train)) < 0.15
    assert held_out - {0} == held_out.difference(data.long[..., 1].flatten().tolist()) - {0}
    short = load_frames(write(tmp_path / "b.npz", frames=np.arange(20)[None, :, None]), window=8)
    assert (len(short.train), len(short.held_out)) == (1, 1)


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    data = load_frames(write(tmp_path / "a.npz", frames=BITS, lengths=LENGTHS))
    with (tmp_path / "b.npz").open("wb") as file:
        save_frames(file, data.train, data.lowest, data.num_columns, are_bits=True)
    again = load_frames(str(tmp_path / "b.npz"))
    held_out = sequences(data)
    assert all(sequence in held_out for sequence in sequences(again))
    assert len(sequences(again)) == len(data.train)


def test_chords_are_triads() -> None:
    data = load_frames("chords", seed=3)
    known = {tuple(chord_of(degree).tolist()) for degree in range(7)}
    frames = [tuple(frame) for sequence in sequences(data) for frame in sequence]
    assert set(frames) == known and all(sum(frame) == 4 for frame in known)
    assert min(map(len, sequences(data))) >= 8 and max(map(len, sequences(data))) == 16


def test_midi_there_and_back(tmp_path: Path) -> None:
    pytest.importorskip("pretty_midi")
    from discrete_gan.data.frame_files import write_midi

    rolls = [np.zeros((6, 128), dtype=np.uint8), np.zeros((4, 128), dtype=np.uint8)]
    rolls[0][:4, 60] = rolls[0][2:, 64] = rolls[1][:, 67] = 1
    (tmp_path / "songs").mkdir()
    for number, roll in enumerate(rolls):
        write_midi(tmp_path / "songs" / f"{number}.mid", [roll], 4.0)
    data = load_frames(str(tmp_path / "songs"), rate=4.0)
    assert sequences(data) == sorted(roll.tolist() for roll in rolls)
    (tmp_path / "songs" / "bad.mid").write_bytes(b"no music")
    assert "bad.mid: cannot be read" in refusal(tmp_path / "songs")


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"frames": BITS}, "frames: expected shape (N, T, D), or lengths beside it, found shape (20, 6)"),
        ({"frames": BITS, "lengths": LENGTHS[:-1]}, "lengths: expected a sum of 20 frames, found 19"),
        ({"frames": BITS, "lengths": LENGTHS * 0}, "lengths: expected whole numbers from 1, shape (N,)"),
        (
            {"frames": padded(BITS), "lengths": LENGTHS + 1},
            "lengths: expected 6 numbers, at most 5 each, found 6 up to 6",
        ),
        (
            {"frames": padded(BITS), "mask": np.ones((6, 4))},
            "mask: expected shape (6, 5), in each row ones first and then zeros, found shape (6, 4)",
        ),
        (
            {"frames": padded(BITS), "mask": np.arange(5) >= LENGTHS[:, None]},
            "ones first and then zeros, found zeros before ones",
        ),
        ({"frames": padded(BITS) - 0.5, "lengths": LENGTHS}, "frames: expected whole numbers, found fractions"),
        ({"rolls": padded(BITS).astype(int) - 1, "lengths": LENGTHS}, "rolls: expected notes of velocities from 0"),
        ({"frames": padded(BITS).astype(int) - 1}, "expected categories from 0, found -1"),
        ({"frames": padded(BITS) * 0}, "expected some ones, all frames are empty"),
        ({"frames": padded(BITS).astype(int) * 20_000}, "at most 10,000 categories of a column, found 20,001"),
        ({"frames": np.array(["a"])}, "frames: expected numbers of shape (N, T, D), or (frames, D) with lengths"),
        ({"frames": padded(BITS)[:1]}, "expected at least two sequences, found 1: a window cuts a long one"),
        ({"other": BITS}, "expected an array named frames or rolls or piano_rolls or x or arr_0, found other"),
    ],
)
def test_arrays_that_are_no_frames(arrays: dict[str, Any], told: str, tmp_path: Path) -> None:
    assert told in refusal(write(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[[[60], [128]]]", "sequence 0: expected notes from 0 to 127, found [128]"),
        ("[[[60.5]]]", "sequence 0: expected notes from 0 to 127, found [60.5]"),
        ("[[]]", "sequence 0: expected frames, found none"),
        ("[[60]]", "expected a list of sequences, each a list of frames, each a list of notes"),
        ('{"a": []}', "expected a list of sequences, or one under train, found a"),
        ("[", "expected JSON: "),
    ],
)
def test_json_that_is_no_music(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    assert told in refusal(tmp_path / "a.json")


def test_what_is_not_there(tmp_path: Path) -> None:
    assert refusal("chord").startswith("chord: expected chords, a .npz or .npy file of frames")
    assert refusal(tmp_path / "a.npz").startswith(f"no frames at '{tmp_path / 'a.npz'}': expected chords")
    assert refusal(tmp_path) == f"{tmp_path}: expected .mid files, found none"
    assert refusal("chords", window=1) == "window: expected at least 2 frames, got 1"
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 damaged")
    assert "cannot be read" in refusal(tmp_path / "a.npz")
