"""One training run: its device, random streams, progress, logs and checkpoints."""

import inspect
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from discrete_gan.distributed import average_gradients
from discrete_gan.errors import InputError
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.evaluations import EvaluationCounter
from discrete_gan.training.interrupts import interrupts_collected
from discrete_gan.training.launch import launch
from discrete_gan.training.options import RunOptions, check_options
from discrete_gan.training.seeds import derive_seed


class Stateful(Protocol):
    """What a checkpoint can hold: modules, optimizers, schedulers."""

    def state_dict(self) -> dict[str, Any]:
        """What must be saved."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take up what was saved."""
        ...


class Run:
    """Everything of a recipe that is not its method.

    A recipe reads like this::

        run = Run(args, steps=args.steps, data=data.summary())
        ...                                     # build models and optimizers on run.device
        run.track(export={"generator": ema.module}, generator=generator, optimizer=optimizer, ema=ema)
        for step in run.steps():
            run.minimize("generator", loss, optimizer)
            run.log(loss=loss)

    Every step starts from random streams seeded by (seed, rank, step) and no draw of one step reaches another, so
    a resumed run equals an unbroken one and what is measured between steps disturbs nothing. Under torchrun each
    process runs this same code, ``minimize`` averages gradients, and the first process writes.

    Args:
        options: The recipe's arguments, of a class defined in the recipe's file: that gives the run its name.
        steps: Steps of the whole run.
        data: What config.json says of the data; ``image_shape`` lets ``discrete-gan sample`` draw pictures.

    Attributes:
        device: Where models and data belong.
        rank: This process; 0 writes.
        world_size: Number of processes.
        directory: The run directory.
        step: Steps begun so far.

    Raises:
        InputError: If the directory holds a run already, there is none to resume, or the device is not there.
    """

    def __init__(self, options: RunOptions, *, steps: int, data: dict[str, Any]) -> None:
        if steps < 1:
            raise InputError(f"--steps: expected at least 1, got {steps}")
        check_options(
            options,
            log_every=(1, math.inf),
            sample_every=(0, math.inf),
            checkpoint_every=(0, math.inf),
            probe_every=(0, math.inf),
            probe_redraws=(2, math.inf),
        )
        recipe_file = Path(inspect.getfile(type(options))).resolve()
        self.recipe = recipe_file.stem
        self.directory = RunDirectory.of(options, self.recipe)
        self.options = options
        self.total = steps
        self.step = 0
        self.fabric = launch(options)
        self.device = self.fabric.device
        self.rank = self.fabric.global_rank
        self.world_size = self.fabric.world_size
        self._recipe_file = recipe_file
        self._data = data
        self._writer: Any = None
        self._tracked: dict[str, Stateful] = {}
        self._export: dict[str, nn.Module] = {}
        self._row: dict[str, Tensor | float] = {}
        self._bad_step: dict[str, Tensor] = {}
        self._seconds = 0.0
        self._evaluations_before = 0
        self._counter = EvaluationCounter()
        self._resumed_at = time.perf_counter()
        # Equal on all ranks, so that every process builds the same weights.
        torch.manual_seed(derive_seed(options.seed, "weights"))

    @property
    def seconds(self) -> float:
        """Wall seconds of the whole run, those before a resumption included."""
        return self._seconds + time.perf_counter() - self._resumed_at

    @property
    def evaluations(self) -> int:
        """Samples that the discriminators of all processes were shown in training, those before a resumption included.

        It is the first process's count times the number of processes, whose batches are equal.
        """
        return self._evaluations_before + self.world_size * self._counter.total

    def autocast(self) -> AbstractContextManager[None]:
        """Context of the forward passes: the run's precision."""
        return self.fabric.autocast()

    def track(self, *, export: dict[str, nn.Module], **stateful: Stateful) -> None:
        """Make the run directory, or take up its last checkpoint if the run is resumed.

        Called last before the steps: what fails before leaves no directory behind. A resumed run must have the data it
        began with; what may be changed, such as its steps, is written into its config.json.

        Args:
            export: Models saved beside each checkpoint as ``NAME/config.json`` and ``NAME/model.safetensors``.
            stateful: Everything with a state: models, optimizers, schedulers, averages, estimators with state. The
                samples that the one called ``discriminator`` is shown are counted.
        """
        self._tracked = stateful
        self._export = export
        # What is exported may be an average, which nothing trains.
        discriminator = stateful.get("discriminator", export.get("discriminator"))
        if isinstance(discriminator, nn.Module):
            self._counter.watch(discriminator)
        if self.options.resume is None:
            if self.rank == 0:
                self.directory.create(self.options, self._recipe_file, self._data, export)
                self._open_tensorboard()
            self.fabric.barrier()
            return
        fingerprint = self.directory.read_config()["data"].get("fingerprint")
        if fingerprint != self._data.get("fingerprint"):
            raise InputError(
                f"--resume {self.directory.path}: the data is not what the run began with: expected fingerprint "
                f"{fingerprint}, found {self._data.get('fingerprint')}"
            )
        checkpoint = self.directory.load_checkpoint(self.device)
        if checkpoint["step"] > self.total:
            raise InputError(f"--steps: the run has done {checkpoint['step']} already, expected more, got {self.total}")
        if checkpoint["states"].keys() != stateful.keys():
            raise InputError(
                f"--resume {self.directory.path}: its checkpoint holds {', '.join(checkpoint['states'])}, "
                f"expected {', '.join(stateful)}"
            )
        try:
            for name, state in checkpoint["states"].items():
                stateful[name].load_state_dict(state)
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"--resume {self.directory.path}: the checkpoint does not fit the models: resume with the "
                f"settings of its config.json ({str(error).splitlines()[0]})"
            ) from None
        self.step = checkpoint["step"]
        self._seconds = checkpoint["seconds"]
        # Older checkpoints hold neither.
        self._evaluations_before = checkpoint.get("evaluations", 0)
        self._row = checkpoint.get("row", {})
        if self.rank == 0:
            self.directory.record_changes(self.options, self.step)
            self.directory.truncate_metrics(self.step)
            self._open_tensorboard()

    def steps(self) -> Iterator[int]:
        """The steps that are left, counted from 0 over the whole run.

        On Ctrl-C the step at hand is finished and saved, and the program ends with status 130.

        Raises:
            InputError: If a loss is not finite.
        """
        first = self.step
        bar = tqdm(
            total=self.total,
            initial=first,
            desc=self.recipe,
            unit="step",
            disable=self.rank != 0,
            dynamic_ncols=True,
        )
        self._resumed_at = time.perf_counter()
        with bar, interrupts_collected() as interrupts:
            for step in range(first, self.total):
                torch.manual_seed(derive_seed(self.options.seed, self.rank, step))
                self.step = step + 1
                yield step
                if self.device.type == "cpu" or self.logging:
                    self._check_finite()
                if self.logging:
                    self._write_row(bar)
                bar.update()
                if self.due(self.options.checkpoint_every) or interrupts:
                    self._save()
                if interrupts:
                    break
        if interrupts and self.step < self.total:
            if self.rank == 0:
                tqdm.write(f"stopped after step {self.step}; continue with --resume {self.directory.path}")
            raise SystemExit(130)

    def due(self, every: int) -> bool:
        """Whether the step at hand is one of every so many, or the last."""
        return self.step == self.total or (every > 0 and self.step % every == 0)

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
        # Where a loss went bad is kept on the device and read only when a line is due.
        bad = self._bad_step.get(name, torch.full((), -1, device=self.device))
        fresh = ~torch.isfinite(loss.detach()) & (bad < 0)
        self._bad_step[name] = torch.where(fresh, self.step, bad)

    def log(self, **values: Tensor | float) -> None:
        """Figures of the step at hand: scalars, read back from the device only when a line is due."""
        self._row.update(
            {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}
        )

    def finish(self, results: dict[str, Any]) -> None:
        """Write results.json, with steps, evaluations and seconds so far, and close the logs."""
        if self.rank == 0:
            cost = {"steps": self.step, "evaluations": self.evaluations, "seconds": self.seconds}
            self.directory.write_json("results.json", {**cost, **results})
        if self._writer is not None:
            self._writer.close()

    def _check_finite(self) -> None:
        for name, bad in self._bad_step.items():
            if (step := int(bad)) >= 0:
                kept = self.directory.last_checkpoint() or "none was written yet"
                raise InputError(
                    f"{name}: its loss is not finite at step {step}; last good checkpoint: {kept}. "
                    "Try a smaller learning rate or a stronger penalty on the discriminator"
                )

    def _write_row(self, bar: tqdm) -> None:
        row = {name: float(value) for name, value in self._row.items()}
        self._row = {}
        if self.rank != 0:
            return
        cost = {"step": self.step, "seconds": round(self.seconds, 3), "evaluations": self.evaluations}
        self.directory.append_metrics({**cost, **row})
        if self._writer is not None:
            for name, value in row.items():
                self._writer.add_scalar(name, value, self.step)
        bar.set_postfix({name: f"{value:.3g}" for name, value in row.items() if "/" not in name}, refresh=False)

    def _save(self) -> None:
        self._check_finite()
        if self.rank == 0:
            states = {name: value.state_dict() for name, value in self._tracked.items()}
            for name, model in self._export.items():
                model.save_pretrained(self.directory.path / name)  # type: ignore[operator]
            cost = {"step": self.step, "seconds": self.seconds, "evaluations": self.evaluations}
            row = {name: float(value) for name, value in self._row.items()}  # what waits for the next line
            self.directory.save_checkpoint(self.step, {**cost, "row": row, "states": states})
        self.fabric.barrier()

    def _open_tensorboard(self) -> None:
        if self.options.tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.directory.path), purge_step=self.step + 1)
