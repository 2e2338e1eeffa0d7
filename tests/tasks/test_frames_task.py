"""Frames as a task: likelihoods by hand, scores that are known, and files of every kind."""

import math
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch

from discrete_gan.data.chords import draw_chords
from discrete_gan.data.frames import load_frames
from discrete_gan.errors import InputError
from discrete_gan.models import FrameGenerator
from discrete_gan.tasks import FrameOptions, Frames
from discrete_gan.tasks.frames import _active, _changed

NOBODY: Any = None


def ready(**options: Any) -> Frames:
    task = Frames(FrameOptions(**options))
    task.to(torch.device("cpu"))
    return task


def generator_of(task: Frames, **options: Any) -> FrameGenerator:
    torch.manual_seed(0)
    return FrameGenerator(task.sizes, task.num_frames, hidden=6, width=4, **options)


def by_name(task: Frames, generator: Any, **options: Any) -> dict[str, Any]:
    return {score.name: score for score in task.scores(generator, NOBODY, **options)}


class Parrot(FrameGenerator):
    """Says training sequences again, in turn."""

    rows: torch.Tensor

    def forward(self, z: torch.Tensor) -> Any:
        number = len(z)

        class Law:
            def sample(self) -> torch.Tensor:
                return self_rows[torch.arange(number) % len(self_rows)]

            batch_shape = (number,)

            def log_prob(self, x: torch.Tensor) -> torch.Tensor:
                return torch.zeros(len(x), number)

        self_rows = self.rows
        return Law()


def _chords(seed: int) -> dict[str, np.ndarray]:
    return draw_chords(seed, num=300)._asdict()


def test_likelihood_of_a_frame_by_hand() -> None:
    task = ready()
    generator = generator_of(task)
    score = by_name(task, generator, num=20)["nll_frame"]
    held_out = task.held_out().x
    g = generator.eval()(generator.latents(len(held_out)))
    frames = int((held_out[..., 0] == 0).sum())
    assert score.value == pytest.approx(-float(g.log_prob(held_out).double().sum()) / frames, rel=1e-6)
    train, other = (x[..., 1:][x[..., 0] == 0].double() for x in (task.data.train, held_out))
    p = (train.sum(dim=0) + 0.5) / (len(train) + 1)
    alone = -float((other * p.log() + (1 - other) * (1 - p).log()).sum(dim=1).mean())
    assert score.note == f"columns that know of nothing else {alone:.4g}"
    bounded = by_name(task, generator_of(task, latent_dim=2), num=20)
    assert bounded["nll_frame_gap"].value > 0 and math.isfinite(bounded["nll_frame"].value)


def test_training_sequences_are_perfect_samples_and_copies(tmp_path: Path) -> None:
    parts: Any = {
        f"{part}{name}": value for part, seed in (("", 0), ("test_", 1)) for name, value in _chords(seed).items()
    }
    np.savez(tmp_path / "a.npz", **parts)
    task = ready(data=str(tmp_path / "a.npz"))
    parrot = Parrot(task.sizes, task.num_frames, hidden=6, width=4)
    parrot.rows = task.data.train
    scores = by_name(task, parrot, num=len(task.data.train), depth="full")
    for name in ("active_error", "change_error", "length_error"):
        assert scores[name].value == pytest.approx(0, abs=1e-12)
        assert scores[name].protocol.startswith(f"n:{len(task.data.train)}|seed:0|data:")
    assert scores["copies"].value == 1 and scores["nearest_training"].value == 0
    assert scores["mean_length"].value == pytest.approx(scores["mean_length"].real)
    parrot.rows = task.data.train.clone()
    parrot.rows[..., 2] = 1 - parrot.rows[..., 0]  # one more note in every frame, a C sharp, which there never is
    scores = by_name(task, parrot, num=len(task.data.train), depth="full")
    assert scores["active_error"].value == pytest.approx(1)
    assert scores["change_error"].value < 1e-12
    assert scores["two_sample_accuracy"].value > 0.7


def test_files_of_samples(tmp_path: Path) -> None:
    rolls = np.zeros((6, 5, 128), dtype=np.uint8)
    rolls[..., 60] = rolls[:, ::2, 67] = 1
    np.savez(tmp_path / "a.npz", frames=rolls, lengths=[5, 4, 3, 5, 2, 5])
    task = ready(data=str(tmp_path / "a.npz"), batch_size=2)
    assert task.describe().splitlines()[0] == "a: 5 sequences for training, 1 held out; 8 bits"
    x = task.data.train
    again = load_frames(str(task.write(tmp_path / "b.npz", x)))
    assert sorted(map(str, [*again.train.tolist(), *again.held_out.tolist()])) == sorted(map(str, x.tolist()))
    array = np.load(task.write(tmp_path / "b.npy", x))
    assert array.shape == (5, 5, 128) and array[..., [60, 67]].sum() == array.sum() > 0
    assert task.decode(x).shape == (5, 1, 5, 128)
    picture = matplotlib.image.imread(task.write(tmp_path / "b.png", x))
    assert picture.ndim == 3
    with pytest.raises(InputError, match=r"expected a file name ending in .png or .npz or .npy or .mid"):
        task.write(tmp_path / "b.txt", x)
    pytest.importorskip("pretty_midi")
    import pretty_midi

    song = pretty_midi.PrettyMIDI(str(task.write(tmp_path / "b.mid", x)))
    assert {note.pitch for note in song.instruments[0].notes} == {60, 67}
    assert sum(note.pitch == 60 for note in song.instruments[0].notes) == 5  # one long note in each


def test_voices_are_tracks(tmp_path: Path) -> None:
    values = np.array([[[1, 3], [0, 2]], [[2, 0], [1, 1]], [[2, 3], [0, 0]]])
    np.save(tmp_path / "a.npy", values)
    task = ready(data=str(tmp_path / "a.npy"), batch_size=2)
    rolls = task.decode(task.data.train)
    assert rolls.shape == (2, 2, 2, 4) and rolls.dtype == torch.bool
    assert torch.equal(rolls.int().argmax(dim=-1).transpose(1, 2), task.data.train[..., 1:])
    with pytest.raises(InputError, match=r"expected a run on notes, at most 128 bits a frame, for \.mid"):
        task.write(tmp_path / "b.mid", task.data.train)
    assert "active_error" not in by_name(task, generator_of(task, ends=False), num=5)


def test_samples_need_no_data(tmp_path: Path) -> None:
    task = ready()
    known = Frames(FrameOptions(data="gone.npz"))
    known.recall(tmp_path, {"data": task.summary()})
    assert (known.sizes, known.num_frames) == (task.sizes, task.num_frames)
    assert known.write(tmp_path / "a.png", task.data.train[:3]).exists()
    for damage in ({"sizes": []}, {"num_columns": 3}, {"lowest": -1}, {"num_frames": "9"}):
        with pytest.raises(InputError):
            known.recall(tmp_path, {"data": {**task.summary(), **damage}})


def test_what_there_is_to_learn_is_said() -> None:
    told = ready().describe().splitlines()
    assert told[0] == "chords: 360 sequences for training, 40 held out; 24 bits"
    assert told[2] == "at once    4: 100 % of frames"
    assert "frames of shorter sequences left out" in ready(window=10).describe()


def test_what_is_counted_of_frames_by_hand() -> None:
    end, x = [1, 0, 0], torch.zeros(2, 4, 3, dtype=torch.int64)
    x[0] = torch.tensor([[0, 1, 1], [0, 0, 0], [0, 0, 0], end])
    x[1] = torch.tensor([[0, 0, 0], end, end, end])
    assert _active(x).tolist() == [2, 0, 0, 0]
    assert _changed(x).tolist() == [2, 0]
    assert Frames._lengths(x).tolist() == [3, 1]


def test_windows_begin_elsewhere_in_each_epoch(tmp_path: Path) -> None:
    """A batch is a function of the step alone; what is set apart is whole sequences, which no batch has a frame of."""
    whose, which = np.repeat(np.arange(20), 30), np.tile(np.arange(30), 20)
    np.savez(tmp_path / "a.npz", frames=np.stack([whose, which], axis=1).reshape(20, 30, 2))
    task = ready(data=str(tmp_path / "a.npz"), window=8, batch_size=6)
    apart = set(task.set_apart(0.1).x[..., 1].flatten().tolist())
    assert len(apart) == 2
    steps = task._batches.steps_per_epoch
    epochs = [torch.cat([task.batch(steps * epoch + step).x for step in range(steps)]) for epoch in range(12)]
    for x in epochs:
        assert x.shape[1:] == (8, 3)
        assert apart.isdisjoint(x[..., 1].flatten().tolist())
        assert (x[:, 1:, 2] - x[:, :-1, 2] == 1).all()
        assert (x[..., 1] == x[:, :1, 1]).all()
    begun = torch.cat(epochs)[:, 0]
    assert len({tuple(row[1:].tolist()) for row in begun}) > 0.7 * (18 - 2 + 1) * 23
    again = ready(data=str(tmp_path / "a.npz"), window=8, batch_size=6)
    again.set_apart(0.1)
    assert torch.equal(again.batch(steps + 1).x, task.batch(steps + 1).x)
