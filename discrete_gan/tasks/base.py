"""What is learnt: the data, its batches, and how samples are scored and shown.

A task is any object with the methods of :class:`Task`: ``train --data FILE.py:CLASS`` takes a user's own, and it then
works in every verb. :class:`TensorTask` has all of them but ``scores``, for data that fit into two tensors.
"""

import hashlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.data import Batches
from discrete_gan.errors import InputError
from discrete_gan.own import blaming, is_own, load_own, parse_options
from discrete_gan.sampling import generate
from discrete_gan.tasks.output import write_samples
from discrete_gan.tasks.score import Score

Depth = Literal["line", "run", "full"]
"""How much to measure: for a line of the log, at the end of a run, or in an evaluation."""


T = TypeVar("T")
_COLUMNS = ("step", "seconds", "evaluations")  # of the log
_OWN = 2000  # samples of a user's own score, where nobody says


class Batch(NamedTuple):
    """Real samples of one step.

    Attributes:
        x: As the generator's distribution yields them, shape (B, *event).
        labels: Their classes, int64, shape (B,); None where the networks are given none.
    """

    x: Tensor
    labels: Tensor | None = None


class Task(Protocol):
    """What is learnt.

    Made by a recipe's ``task(args)``, which should read nothing yet: data that are first read when a batch or a
    summary is asked for leave ``discrete-gan sample`` working where they are gone. More methods are used where a task
    has them: ``save(folder)`` puts beside a run what its samples cannot be shown without, and ``recall(folder,
    config)``, given the run's config.json too, takes that up in place of the data, or before others are read;
    ``pictured(images)`` makes what a PNG shows of images that ``decode`` made; ``set_apart(part)`` takes that part of
    the training data, at random, out of all batches to come and returns it as a :class:`Batch`.
    """

    def summary(self) -> Mapping[str, Any]:
        """What config.json says of the data: at least ``name``, and a ``fingerprint`` that changes with any datum."""
        ...

    def to(self, device: torch.device) -> object:
        """Bring what batches and scores are made of to the run's device. Called once, before the first batch."""
        ...

    def batch(self, step: int) -> Batch:
        """Real samples of a step, on the device: the same at every call but for what the task draws anew."""
        ...

    def held_out(self) -> Batch:
        """Real samples that no step has seen, as the generator yields them, on the device."""
        ...

    def scores(
        self, generator: Generator, discriminator: Discriminator | None, *, num: int | None, depth: Depth, seed: int = 0
    ) -> Sequence[Score]:
        """How good a generator is, the most telling score first.

        Args:
            generator: To draw from, by :func:`discrete_gan.sampling.generate`.
            discriminator: Trained beside it; None where it is not there any more.
            num: Samples to score; the task's own choice if not given.
            depth: How much to measure.
            seed: Of latents and samples.
        """
        ...

    def show(self, generator: Generator, path: Path, scores: Sequence[Score] = ()) -> Path | None:
        """Write samples for people, into ``path`` with a suffix of the task's choice; with scores, at the end of a run.

        Returns:
            The file; None where there is nothing to show.
        """
        ...

    def decode(self, x: Tensor) -> Tensor | list[str]:
        """Samples as people look at them: lines, or images of shape (N, C, H, W), bool or from 0 to 1, or numbers.

        Args:
            x: As the generator's own ``decode`` left them.
        """
        ...


class Rows:
    """What tasks share whose data are the rows of two tensors, by options with ``batch_size`` and ``seed``."""

    options: Any

    def parts(self) -> tuple[Tensor, Tensor]:
        """For training and held out, as the generator's distribution yields samples, shape (N, *event) each."""
        raise NotImplementedError

    def to(self, device: torch.device) -> None:
        """Move both there."""
        self.rows, self.test = (part.to(device) for part in self.parts())
        self._batches = Batches(len(self.rows), self.options.batch_size, seed=self.options.seed)

    def batch(self, step: int) -> Batch:
        """Rows for training, each once per epoch."""
        return Batch(self.rows[self._batches.indices(step, device=self.rows.device)])

    def set_apart(self, part: float) -> Batch:
        """Rows for training that no later batch has."""
        return Batch(self.rows[self._batches.set_apart(part).to(self.rows.device)])

    def held_out(self) -> Batch:
        """The others."""
        return Batch(self.test)


class TensorTask:
    """A task on two tensors: everything but ``scores`` follows from them.

    Args:
        name: Of the data.
        train: As the generator's distribution yields samples, shape (N, *event).
        held_out: Others, shape (N', *event).
        batch_size: B, of each process.
        seed: Of the order of the batches.

    Raises:
        InputError: If one has no row.
    """

    num_classes = 0  # batches come without labels

    def __init__(self, name: str, train: Tensor, held_out: Tensor, *, batch_size: int = 64, seed: int = 0) -> None:
        for part, rows in (("train", train), ("held_out", held_out)):
            if rows.ndim == 0 or len(rows) == 0:
                raise InputError(f"{name}: {part}: expected at least one row, got shape {tuple(rows.shape)}")
        self.name, self.train, self.test = name, train, held_out
        self.num_positions = train[0].numel()
        self._batch_size, self._seed = batch_size, seed

    def summary(self) -> dict[str, Any]:
        """Name, sizes and fingerprint."""
        digest = hashlib.blake2b(digest_size=8)
        for part in (self.train, self.test):
            digest.update(repr((tuple(part.shape), part.dtype)).encode())
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        sizes = {"num_train": len(self.train), "num_test": len(self.test)}
        return {"name": self.name, **sizes, "fingerprint": digest.hexdigest()}

    def to(self, device: torch.device) -> None:
        """Move both tensors there."""
        self.train, self.test = self.train.to(device), self.test.to(device)
        self._batches = Batches(len(self.train), self._batch_size, seed=self._seed)

    def batch(self, step: int) -> Batch:
        """Rows of the training tensor, each once per epoch."""
        return Batch(self.train[self._batches.indices(step, device=self.train.device)])

    def set_apart(self, part: float) -> Batch:
        """Rows that no later batch has."""
        return Batch(self.train[self._batches.set_apart(part).to(self.train.device)])

    def held_out(self) -> Batch:
        """The other tensor."""
        return Batch(self.test)

    def show(self, generator: Generator, path: Path, scores: Sequence[Score] = ()) -> Path | None:
        """64 samples, as :func:`write_samples` writes them."""
        decoded = self.decode(generate(generator, 64, convert=generator.decode))
        return write_samples(path.with_suffix(".txt" if isinstance(decoded, list) else ".png"), decoded)

    def decode(self, x: Tensor) -> Tensor | list[str]:
        """Numbers with blanks between; override for what they stand for."""
        return [" ".join(f"{value:g}" for value in row) for row in x.flatten(1).tolist()]


def make_task(options: Any, default: Callable[[], T]) -> T:
    """The task of a recipe, or the user's own where ``--data FILE.py:CLASS`` names one, called with the options.

    Raises:
        InputError: If the file does not run or what it makes lacks a method of :class:`Task`.
    """
    spec = str(options.data)
    if not is_own(spec):
        return default()
    found, text, path = load_own("task", spec)
    parse_options(f"task {spec}", (), text)  # there are none: what a task needs stands in the recipe's options
    with blaming(f"task {spec}", path):
        made = found(options)
    methods = [name for name in vars(Task) if not name.startswith("_")]
    lacking = [name for name in methods if not callable(getattr(made, name, None))]
    if lacking:
        raise InputError(f"task {spec}: expected methods {', '.join(lacking)}, see discrete_gan.tasks.Task")
    return made


class OwnScore(NamedTuple):
    """A score of the user's own.

    Attributes:
        spec: As the user wrote it.
        function: ``(samples, real)``, or ``(samples)``, to a number, a Score, or a dict of these by name.
        path: Its file.
        digest: Of the file's content: values of another one do not compare.
        names: Of its numbers, as they were last.
    """

    spec: str
    function: Callable[..., Any]
    path: Path
    digest: str
    names: list[str]


def load_scores(specs: Sequence[str]) -> list[OwnScore]:
    """Scores of the user's own, once for a whole run: a file that is edited meanwhile changes nothing.

    Raises:
        InputError: If there is no such file or function, or it does not run.
    """
    found = []
    for spec in specs:
        function, text, path = load_own("score", spec)
        parse_options(f"score {spec}", (), text)
        found.append(OwnScore(spec, function, path, hashlib.blake2b(path.read_bytes(), digest_size=4).hexdigest(), []))
    return found


def measure(
    task: Task,
    generator: Generator,
    discriminator: Discriminator | None,
    *,
    num: int | None,
    depth: Depth,
    seed: int = 0,
    own: Sequence[OwnScore] = (),
) -> list[Score]:
    """The scores of a task, then the user's own: the one path by which samples are measured.

    One of the user's that fails is not a number, and its note says where: what is measured beside it is not lost.

    Args:
        task: On the device.
        generator: As trained.
        discriminator: As trained.
        num: Samples to score.
        depth: How much to measure.
        seed: Of latents and samples.
        own: Called with ``num`` samples and as many held-out ones, both as :meth:`Task.decode` makes them.

    Raises:
        InputError: If what comes of the task is no score, or two have one name.
    """
    scores = task.scores(generator, discriminator, num=num, depth=depth, seed=seed)
    if not isinstance(scores, list | tuple):
        raise InputError(f"scores of the task: expected a list of Score, got {type(scores).__name__}")
    found: dict[str, Score] = {}
    for score in scores:
        checked = _checked(score)
        if checked.name in found or checked.name in _COLUMNS:
            raise InputError(f"score {checked.name}: expected another name, this one is taken")
        found[checked.name] = checked
    taken = list(found)
    return [*found.values(), *own_scores(task, generator, own, num=num, depth=depth, seed=seed, taken=taken)]


def own_scores(
    task: Task,
    generator: Generator,
    own: Sequence[OwnScore],
    *,
    num: int | None,
    depth: Depth,
    seed: int = 0,
    tried: bool = False,
    taken: Sequence[str] = (),
) -> list[Score]:
    """Scores of the user's own alone; the arguments are those of :func:`measure`.

    Args:
        tried: Whether one that fails is the user's mistake, before anything is done, and not a note.
        taken: Names that scores have already.

    Raises:
        InputError: If one is tried and fails.
    """
    if not own:
        return []
    count = min(num or _OWN, _OWN) if depth == "line" else num or _OWN
    shown = getattr(task, "for_scores", task.decode)
    samples = shown(generate(generator, count, seed=seed, convert=generator.decode))
    real = shown(generator.decode(task.held_out().x[:count]))
    names = {*taken, *_COLUMNS}
    data, found = task.summary()["fingerprint"], []
    for each in own:
        protocol = f"n:{len(samples)}|real:{len(real)}|data:{data}|seed:{seed}|file:{each.digest}"
        try:
            made = _asked(each, samples, real)
            if again := next((score.name for score in made if score.name in names), None):
                raise InputError(f"score {each.spec}: {again}: expected another name, this one is taken")
        except InputError as error:
            if tried:
                raise
            print(f"note: {error}", file=sys.stderr)
            made = [Score(name, math.nan, note=str(error)) for name in each.names or [each.function.__name__]]
        made = [score for score in made if score.name not in names]
        each.names[:] = [score.name for score in made]
        names |= {*each.names}
        found += [score._replace(protocol=score.protocol or protocol) for score in made]
    return found


def _asked(own: OwnScore, samples: Any, real: Any) -> list[Score]:
    """What a function of the user's own says of samples: a number, a Score, or numbers and Scores by name."""
    with blaming(f"score {own.spec}", own.path):
        takes = inspect.signature(own.function).parameters.values()
        places = [one for one in takes if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        alone = len(places) == 1 and not any(one.kind == one.VAR_POSITIONAL for one in takes)
        value = own.function(samples) if alone else own.function(samples, real)
    named = value if isinstance(value, Mapping) else {own.function.__name__: value}
    scores = [one if isinstance(one, Score) else Score(str(name), one) for name, one in named.items()]
    if not scores:
        raise InputError(f"score {own.spec}: expected a number, a Score, or a dict of these, got an empty dict")
    checked = [_checked(score, own.spec) for score in scores]
    if wrong := next((score for score in checked if math.isnan(score.value) and not score.note), None):
        raise InputError(f"score {own.spec}: {wrong.name}: expected a number, got NaN ({own.path})")
    return checked


def _checked(score: Any, spec: str = "") -> Score:
    """A score whose value is a number, or one line on what it is instead."""
    what = f"score {spec}" if spec else "scores of the task"
    if not isinstance(score, Score):
        raise InputError(f"{what}: expected a Score, got {type(score).__name__}")
    try:
        value = float(score.value)
    except (TypeError, ValueError, RuntimeError):
        got = type(score.value).__name__
        raise InputError(f"{what}: {score.name}: expected a number or a Score, got {got}") from None
    if score.better not in (None, "less", "more") or not score.name.isidentifier():
        raise InputError(f"{what}: expected a name of letters and better 'less', 'more' or None, got {score[:5]}")
    return score._replace(value=value)
