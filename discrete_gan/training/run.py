"""One training run: its device, random streams, players, progress, logs, checkpoints and scores."""

import copy
import functools
import inspect
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Conditional, Discriminator, Generator
from discrete_gan.distributed import ProcessLostError, agree, alone, average_gradients, from_first, is_first_process
from discrete_gan.errors import InputError, unknown_name
from discrete_gan.estimators import adapted, parse_estimator
from discrete_gan.labels import labeled
from discrete_gan.own import blaming, is_own
from discrete_gan.ranges import check_ranges
from discrete_gan.seeds import derive_seed, seeded
from discrete_gan.tasks import Batch, Depth, Score, Task, load_scores, measure
from discrete_gan.tasks.base import own_scores
from discrete_gan.tasks.score import as_json, lines
from discrete_gan.training.diagnostics import diagnostics
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.evaluations import EvaluationCounter
from discrete_gan.training.interrupts import interrupts_collected
from discrete_gan.training.launch import launch
from discrete_gan.training.log import Log
from discrete_gan.training.network import build_networks
from discrete_gan.training.options import RunOptions
from discrete_gan.training.player import Player, linear_decay
from discrete_gan.training.probe import probe
from discrete_gan.training.records import read_metrics
from discrete_gan.training.trial import latents_of, try_estimator

G = TypeVar("G", bound=nn.Module)
D = TypeVar("D", bound=nn.Module)
_TRIED = 16  # samples that the user's own scores are tried on
_FIRST_PICTURE = 30  # seconds
_RISE = 0.02  # of a held-out figure above its least, that is worth a note
_FAILED = 1 << 8  # larger than any signal


class Run:
    """Everything of a recipe that is not its method: device, random streams, players, logs, checkpoints, scores.

    A recipe reads like this::

        run = Run(args, data)
        generator, discriminator = run.networks(lambda: networks(args, data))
        estimate, state = run.estimator(args.estimator, generator, discriminator)
        g = run.player("generator", generator, lr=args.generator_lr, also=state)
        d = run.player("discriminator", discriminator, lr=args.discriminator_lr)
        for step in run.steps():                # checkpoints, probes, scores and pictures when they are due
            real, labels = data.batch(step)
            d.descend(...)
            g.descend(...)
            run.log(...)

    Every step starts from random streams seeded by (seed, rank, step) and no draw of one step reaches another, so
    a resumed run equals an unbroken one and what is measured between steps disturbs nothing. Under torchrun each
    process runs this same code, players average gradients, and the first process scores and writes, alone; all of them
    stop in the same step.

    Args:
        options: The recipe's arguments, of a class defined in the recipe's file: that gives the run its name. What
            their types state of ranges is checked before the data are read.
        task: What is learnt.

    Attributes:
        device: Where models and data belong.
        rank: This process; 0 writes.
        world_size: Number of processes.
        directory: The run directory.
        step: Steps begun so far.

    Raises:
        InputError: If an option is out of its range, the directory holds a run already, there is none to resume, or
            the device is not there.
    """

    def __init__(self, options: Any, task: Task) -> None:
        if not isinstance(options, RunOptions) or not hasattr(options, "steps") or not hasattr(options, "batch_size"):
            expected = "a class derived from RunOptions, with steps and batch_size"
            raise InputError(f"arguments of the recipe: expected {expected}, got {type(options).__name__}")
        check_ranges(options)
        if (spec := getattr(options, "estimator", None)) is not None:
            parse_estimator(spec)  # a mistake in it must not cost the reading of the data
        self._own_scores = load_scores(options.scores)
        recipe_file = Path(inspect.getfile(type(options))).resolve()
        self.recipe = recipe_file.stem
        self.directory = RunDirectory.of(options, self.recipe)
        if is_first_process():
            self.directory.claim()
        self.options: Any = options
        self.task = task
        self.total: int = self.options.steps
        self.step = 0
        with self._blaming_task():
            self._data = dict(task.summary())
        if "fingerprint" not in self._data:
            raise InputError("summary of the task: expected a fingerprint, which changes with any datum")
        self.fabric = launch(options)
        self.device = self.fabric.device
        self.rank = self.fabric.global_rank
        self.world_size = self.fabric.world_size
        self._recipe_file = recipe_file
        self._players: dict[str, Player[Any]] = {}
        self._probe: Callable[..., dict[str, Tensor]] | None = None
        self._observed: tuple[Conditional, Discriminator, Tensor, Tensor, Tensor | None] | None = None
        self._log = Log(self.directory)
        self._seconds = 0.0
        self._evaluations_before = 0
        self._counter = EvaluationCounter()
        asked = getattr(options, "keep_best", None)
        self._best_by, self._better = (
            (asked, "") if asked is None else (asked.partition(":")[0], asked.partition(":")[2])
        )
        if self._better not in ("", "more", "less"):
            raise InputError(f"--keep-best {asked}: expected NAME, NAME:more or NAME:less")
        if self._best_by is not None and options.sample_every == 0:
            raise InputError(f"--keep-best {self._best_by}: expected --sample-every above 0, scores are measured then")
        self._measured = math.nan
        self._shown_at: int | None = None
        self._looked_at = time.perf_counter()
        if self.rank == 0 and (describe := getattr(task, "describe", None)):
            print(describe())
        with self._blaming_task():
            task.to(self.device)
            batch = task.batch(0)
        if not isinstance(batch, Batch):
            raise InputError(f"batch of the task: expected a Batch(x, labels), got {type(batch).__name__}")
        # Equal on all ranks, so that every process builds the same weights.
        torch.manual_seed(derive_seed(options.seed, "weights"))

    def _blaming_task(self) -> AbstractContextManager[None]:
        """What a task of the user's own raises inside becomes one line that says where."""
        spec = str(getattr(self.options, "data", ""))
        return blaming(f"task {spec}", Path(spec.partition(":")[0])) if is_own(spec) else nullcontext()

    @property
    def seconds(self) -> float:
        """Wall seconds of the whole run, those before a resumption included; a clock that jumps back adds none."""
        now = time.perf_counter()
        self._seconds += max(0.0, now - self._looked_at)
        self._looked_at = now
        return self._seconds

    @property
    def evaluations(self) -> int:
        """Samples that the discriminators of all processes were shown in training, those before a resumption included.

        It is the first process's count times the number of processes, whose batches are equal.
        """
        return self._evaluations_before + self.world_size * self._counter.total

    def autocast(self) -> AbstractContextManager[None]:
        """Context of the forward passes: the run's precision."""
        return self.fabric.autocast()

    def networks(self, build: Callable[[], tuple[G, D]]) -> tuple[G, D]:
        """The recipe's networks on the device, or the user's own where ``--generator`` or ``--discriminator`` name any.

        A class of the user's is called with those of its parameters that the task has as attributes, such as
        ``num_positions`` or ``image_shape``, and ``latent_dim``, beside what its text gives as options.

        Args:
            build: Makes generator and discriminator; what it refuses as a ``ValueError`` is the user's mistake.

        Raises:
            InputError: If the data do not fit the networks or lack what these are made from, or a file, a class or an
                option is not usable.
        """
        generator, discriminator = build_networks(build, self.task, self.options, self.recipe)
        return generator.to(self.device), discriminator.to(self.device)

    def draw(self, generator: Generator, labels: Tensor | None = None) -> Tensor:
        """A sample for each of a batch of fresh latents, shape (B, *event), drawn in the run's precision. No gradient.

        Half precision comes as float32, as real samples do: what is in full precision takes both.
        """
        with torch.no_grad(), self.autocast():
            x = labeled(generator, labels)(generator.latents(self.options.batch_size)).sample()
        return at_least_float32(x) if x.is_floating_point() else x

    def observe(
        self,
        generator: Conditional,
        discriminator: Discriminator,
        real: Tensor,
        z: Tensor,
        labels: Tensor | None = None,
    ) -> None:
        """Say what the step's :func:`diagnostics` are of; what :meth:`estimator` returns does it when it is called."""
        self._observed = (generator, discriminator, real, z, labels)

    def estimator(
        self,
        spec: str,
        generator: Conditional,
        discriminator: Discriminator,
        *,
        z: Tensor | None = None,
        num_reference: int = 1024,
    ) -> tuple[Callable[..., Tensor], nn.Module]:
        """The gradient estimator of that name, tried on copies of the networks: one that cannot work writes nothing.

        It is the one that ``--probe-every`` probes, always on the same latents and real samples.

        Args:
            spec: As the user wrote it.
            generator: Moved to the device.
            discriminator: Moved to the device.
            z: What the generator is given there, shape (B, ...); draws of its ``latents`` if not given.
            num_reference: Samples per latent of the probe's reference gradient.

        Returns:
            The estimator in the run's precision, one loss per latent, shape (B,), called as
            ``estimate(generator, discriminator, z, real=real, labels=labels)``; and its state, an empty module if it
            has none, whose parameters are optimized with the generator's: ``run.player(..., also=state)``.

        Raises:
            InputError: If it refuses the networks, or its gradient does not reach the generator.
        """
        generator.to(self.device)
        discriminator.to(self.device)
        seed = self.options.seed
        with seeded(seed, "weights", "estimator"):
            estimate = adapted(parse_estimator(spec))
        with seeded(seed, "probe"):
            z = latents_of(generator, self.options.batch_size) if z is None else z
            batch = self.task.batch(0)
        with seeded(seed, "estimator"):
            state = try_estimator(spec, estimate, (generator, discriminator), z, batch, self.autocast())
        self._probe = functools.partial(
            probe,
            estimate,
            generator,
            discriminator,
            z,
            real=batch.x,
            labels=batch.labels,
            seed=seed,
            num_redraws=self.options.probe_redraws,
            num_reference=num_reference,
        )

        def observed(
            generator: Conditional,
            discriminator: Discriminator,
            z: Tensor,
            *,
            real: Tensor | None = None,
            labels: Tensor | None = None,
        ) -> Tensor:
            if real is not None:
                self.observe(generator, discriminator, real, z, labels)
            with self.autocast():
                return estimate(generator, discriminator, z, real=real, labels=labels)

        return functools.update_wrapper(observed, estimate.__wrapped__, assigned=(), updated=()), state

    def player(
        self,
        name: str,
        network: G,
        *,
        lr: float,
        betas: tuple[float, float] = (0.5, 0.999),
        also: nn.Module | None = None,
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        average: float = 0.0,
        keep: bool = False,
        counted: nn.Module | None = None,
    ) -> Player[G]:
        """A network with what trains it, kept in checkpoints, and saved as ``NAME/model.safetensors``.

        Args:
            name: ``generator`` or ``discriminator``: these two are what a task scores. Any other name is a second
                optimizer of a network that has a player already.
            network: Moved to the device. The samples that the discriminator is shown are counted.
            lr: Adam's learning rate.
            betas: Adam's.
            also: A module whose parameters are optimized with the network's.
            schedule: Of the learning rate; if not given, it falls linearly to zero from the option ``--decay-from`` on.
            average: Decay of the moving average of the weights, which is what is saved and scored; 0 for none.
            keep: Whether :meth:`Player.keep` says which weights are saved and scored; of the generator, the option
                ``--keep-best`` says it too.
            counted: Beside the player ``discriminator``, what the samples are shown to that count as evaluations, where
                that is another module.
        """
        network.to(self.device)
        if not hasattr(network, "save_pretrained"):
            raise InputError(f"{name}: expected a model derived from HubModel, got {type(network).__name__}")
        owns = all(network is not player.network for player in self._players.values())
        if name == "discriminator":
            self._counter.watch(network if counted is None else counted)
        player = Player(
            self,
            name,
            network,
            lr=lr,
            betas=betas,
            also=also if also is not None and any(True for _ in also.state_dict()) else None,
            schedule=schedule or linear_decay(self.total, getattr(self.options, "decay_from", 1.0)),
            average=average,
            keep=keep or (name == "generator" and self._best_by is not None),
            owns=owns,
        )
        self._players[name] = player
        return player

    def _begin(self) -> None:
        """Make the run directory, or take up its last checkpoint if the run is resumed.

        What fails before leaves no directory, scores of the user's own among it: they are tried on a few samples.
        """
        if not {"generator", "discriminator"} <= self._players.keys():
            got = ", ".join(self._players) or "none"
            raise InputError(f"recipe {self.recipe}: expected players generator and discriminator, got {got}")
        if self.rank == 0 and (self._own_scores or self._best_by):
            with alone(), self._blaming_task():
                # What is first called here would differ from the other processes' after it.
                generator = copy.deepcopy(self._players["generator"].best)
                discriminator = self._players["discriminator"].best
                of_task = self.task.scores(generator, discriminator, num=None, depth="line")
                taken = [score.name for score in of_task]
                of_own = own_scores(
                    self.task, generator, self._own_scores, num=_TRIED, depth="line", tried=True, taken=taken
                )
                if self._best_by is not None:
                    self._chosen([*of_task, *of_own])
        if self.options.resume is not None:
            self._resume()
        elif self.rank == 0:
            models = {name: player.best for name, player in self._owners()}
            self.directory.create(self.options, self._recipe_file, self._data, models)
            if save := getattr(self.task, "save", None):
                with alone():
                    save(self.directory.path)
        if self.rank == 0 and self.options.tensorboard:
            self._log.open_tensorboard(self.step)
        agree()

    def _resume(self) -> None:
        """Take up the last checkpoint.

        The data must be those that the run began with; what may be changed, such as its steps, is written into its
        config.json.
        """
        fingerprint = self.directory.read_config()["data"].get("fingerprint")
        if fingerprint != self._data.get("fingerprint"):
            raise InputError(
                f"--resume {self.directory.path}: the data is not what the run began with: expected fingerprint "
                f"{fingerprint}, found {self._data.get('fingerprint')}"
            )
        if self.rank == 0:  # which sets damaged ones aside
            checkpoint = self.directory.load_checkpoint(self.device)
            agree()
        else:
            agree()
            checkpoint = self.directory.load_checkpoint(self.device)
        if checkpoint["step"] > self.total:
            raise InputError(f"--steps: the run has done {checkpoint['step']} already, expected more, got {self.total}")
        states, expected = checkpoint.get("players"), ", ".join(self._players)
        if states is None or states.keys() != self._players.keys():
            held = "what another version wrote" if states is None else ", ".join(states)
            made_by = self.directory.read_config()["versions"].get("discrete-gan")
            raise InputError(
                f"--resume {self.directory.path}: its checkpoint, of discrete-gan {made_by}, holds {held}, "
                f"expected {expected}"
            )
        try:
            for name, state in states.items():
                self._players[name].load_state_dict(state)
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"--resume {self.directory.path}: the checkpoint does not fit the models: resume with the "
                f"settings of its config.json ({str(error).splitlines()[0]})"
            ) from None
        self.step = checkpoint["step"]
        self._seconds = checkpoint["seconds"]
        self._evaluations_before = checkpoint["evaluations"]
        self._log.add(**checkpoint["row"])
        if self.rank == 0:
            self.directory.record_changes(self.options, self.step)
            self.directory.truncate_metrics(self.step)
            for name, player in self._owners():  # a kill may have come between those of a later step and its checkpoint
                self.directory.save_model(name, player.best)

    def _owners(self) -> list[tuple[str, Player[Any]]]:
        """Players whose networks are saved."""
        return [(name, player) for name, player in self._players.items() if player.owns]

    def steps(self) -> Iterator[int]:
        """The steps that are left, counted from 0 over the whole run.

        What is due after a step is done here: averages and schedules of the players, probe, scores and pictures, the
        line of the log, the checkpoint; after the last one, scores and picture of the whole run. On Ctrl-C and
        on a request to end, the step at hand is finished and saved, and the program ends with status 130, or 128 and
        the number of the signal.

        Raises:
            InputError: If a loss, a gradient or a weight is not finite, or nothing can be written.
        """
        try:
            yield from self._steps()
        finally:
            self.directory.release()

    def _steps(self) -> Iterator[int]:
        self._begin()
        first = self.step
        bar = tqdm(
            total=self.total,
            initial=first,
            desc=self.recipe,
            unit="step",
            disable=self.rank != 0,
            dynamic_ncols=True,
        )
        self._looked_at = time.perf_counter()
        stop = 0
        with bar, interrupts_collected() as interrupts:
            for step in range(first, self.total):
                torch.manual_seed(derive_seed(self.options.seed, self.rank, step))
                self.step = step + 1
                yield step
                for player in self._players.values():
                    player.end_step()
                failure = None
                try:
                    self._report()
                except Exception as error:  # what cannot be measured or drawn takes no step with it, nor part of a line
                    failure = error
                    self._log.take()
                self._keep_best(failed=failure is not None)
                if self.device.type == "cpu" or self.logging:
                    self._log.check_finite()
                if self.logging and failure is None:
                    self._write_row(bar)
                bar.update()
                stop = agree(_FAILED if failure else next(iter(interrupts), 0))
                if stop or self.due(self.options.checkpoint_every):
                    self._save()
                if stop and stop != _FAILED and self.rank == 0:
                    with alone():
                        self._show()
                if stop == _FAILED:
                    raise failure or ProcessLostError("another process of this run failed after a step that is saved")
                if stop or self.step == self.total:
                    break
        if stop and self.step < self.total:
            if self.rank == 0:
                print(f"stopped after step {self.step}; continue with --resume {self.directory.path}", flush=True)
            agree()  # that is said: torchrun ends all once one has ended
            raise SystemExit(128 + stop)
        if self.rank == 0:
            with alone():
                self._finish()

    def _report(self) -> None:
        """Probe, diagnostics, scores and picture, those that are due."""
        if self.probing and self._probe is not None:
            with self.autocast():
                self.log(**self._probe(step=self.step))
        if self.logging and self._observed is not None:
            generator, discriminator, real, z, labels = self._observed
            self.log(**diagnostics(generator, discriminator, real, z, labels=labels))
        self._observed = None
        if self.due(self.options.sample_every) and self.rank == 0:
            with alone():
                scores = self._measure("line")
                self.directory.describe(scores)
                self.log(**{score.name: score.value for score in scores if math.isfinite(score.value)})
                if self._best_by is not None:
                    chosen = self._chosen(scores)
                    self._measured = -chosen.value if "more" in (chosen.better, self._better) else chosen.value
                self._show()
        elif self._shown_at is None and self.options.sample_every and self.rank == 0 and self.seconds > _FIRST_PICTURE:
            with alone():  # whoever waits sees soon whether anything comes of it
                self._show()

    def _show(self) -> None:
        """A picture of samples, unless there is one of this step."""
        if self._shown_at == self.step:
            return
        self._shown_at = self.step
        with self._blaming_task():
            self.task.show(self._of_now("generator"), self.directory.sample_path(self.step))

    def _of_now(self, name: str) -> Any:
        """What is measured and shown in the middle of a run: the weights of now, where the best of them are kept."""
        player = self._players[name]
        return player.best if self._best_by is None else player.current

    def _chosen(self, scores: Sequence[Score]) -> Score:
        """The score that weights are kept by."""
        names = {score.name: score for score in scores}
        if self._best_by not in names:
            raise InputError(f"--keep-best: {unknown_name('score', str(self._best_by), names)}")
        chosen = names[self._best_by]
        if chosen.better is None and not self._better:
            told = f"expected {chosen.name}:more or {chosen.name}:less, as the score does not say which way is better"
            raise InputError(f"--keep-best {chosen.name}: {told}")
        if self._better and chosen.better not in (None, self._better):
            raise InputError(f"--keep-best {chosen.name}:{self._better}: of this score {chosen.better} is better")
        return chosen

    def _keep_best(self, *, failed: bool) -> None:
        """Keep the generator if it is the best so far, on every process alike."""
        if self._best_by is None or not self.due(self.options.sample_every):
            return
        value = from_first(math.inf if failed or not math.isfinite(self._measured) else self._measured)
        self._measured = math.nan
        if value < math.inf:
            self._players["generator"].keep(value)

    def _measure(self, depth: Depth) -> list[Score]:
        """Scores of what is saved."""
        with self._blaming_task():
            return measure(
                self.task,
                self._of_now("generator") if depth == "line" else self._players["generator"].best,
                self._players["discriminator"].best,
                num=getattr(self.options, "num_scored", None),
                depth=depth,
                own=self._own_scores,
            )

    def _finish(self) -> None:
        """Score, print and write results.json, then draw: a picture that fails takes nothing with it."""
        scores = self._measure("run")
        print("\n".join(lines(scores, brief=True)))
        if self._best_by is not None:
            at = self._players["generator"].kept_at
            print(f"{'kept':<24} the generator of step {self.step if at is None else at:,}, best by {self._best_by}")
        elif (told := self._overfitted()) is not None:
            print(told)
        self.directory.write_json("results.json", {"steps": self.step, **self._cost(), "scores": as_json(scores)})
        self._log.close()
        with self._blaming_task():
            shown = self.task.show(self._players["generator"].best, self.directory.path / "samples", scores)
        if shown is not None:
            print(f"{'samples':<24} {shown}")
        print(f"{'run':<24} {self.directory.path}")

    def _overfitted(self) -> str | None:
        """A note, where the held-out figure of the task rose again after its least."""
        name = str(getattr(self.task, "held_out_score", ""))
        rows = [(row[name], row["step"]) for row in read_metrics(self.directory.path) if row.get(name) is not None]
        if len(rows) < 2:
            return None
        (least, at), (last, _) = min(rows), rows[-1]
        if last <= least * (1 + _RISE):
            return None
        told = f"note: held-out {name} was least after step {at:,}, {least:.4g}, and is {last:.4g} at the end"
        return f"{told}: --keep-best {name} saves the weights of its least"

    def save_model(self, name: str, network: nn.Module) -> None:
        """Keep a network as it is now, as ``NAME/model.safetensors`` in the run directory."""
        if self.rank == 0:
            self.directory.save_model(name, network)

    def due(self, every: int) -> bool:
        """Whether the step at hand is one of every so many, or the last."""
        return self.step == self.total or (every > 0 and self.step % every == 0)

    def end(self) -> None:
        """Make the step at hand the last: scores, picture and checkpoint follow. Every process has to say so."""
        self.total = self.step

    @property
    def logging(self) -> bool:
        """Whether what is logged in the step at hand is written: costly figures may wait for it."""
        return self.due(self.options.log_every) or self.due(self.options.sample_every) or self.probing

    @property
    def probing(self) -> bool:
        """Whether the generator's gradient is to be probed in the step at hand."""
        return self.options.probe_every > 0 and self.due(self.options.probe_every)

    def minimize(self, name: str, loss: Tensor, optimizer: Optimizer) -> None:
        """One optimizer step down a loss, with gradients averaged over processes.

        Args:
            name: The network, for the error message.
            loss: Scalar.
            optimizer: Of the network's parameters.
        """
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        average_gradients(parameter for group in optimizer.param_groups for parameter in group["params"])
        optimizer.step()
        gradients = [parameter.grad for group in optimizer.param_groups for parameter in group["params"]]
        self._log.watch(name, loss, [gradient for gradient in gradients if gradient is not None], self.step)

    def log(self, **values: Tensor | float) -> None:
        """Figures of the step at hand: scalars, read back from the device only when a line is due."""
        self._log.add(**values)

    def _cost(self) -> dict[str, float]:
        """What the run took so far."""
        return {"seconds": self.seconds, "evaluations": self.evaluations}

    def _write_row(self, bar: tqdm) -> None:
        if self.rank != 0:
            self._log.take()
            return
        cost = self._cost()
        row = self._log.write(self.step, **cost | {"seconds": round(cost["seconds"], 3)})
        bar.set_postfix({name: f"{value:.3g}" for name, value in row.items() if "/" not in name}, refresh=False)

    def _save(self) -> None:
        self._log.check_finite()
        for player in self._players.values():
            player.check_finite(self.step)
        agree()  # so it is on every process
        if self.rank == 0:
            states = {name: player.state_dict() for name, player in self._players.items()}
            for name, player in self._owners():
                self.directory.save_model(name, player.best)
            state = {"step": self.step, **self._cost(), "row": self._log.pending(), "players": states}
            self.directory.save_checkpoint(self.step, state)
        agree()
