"""A trained run in Python: ``run = dg.load("runs/text")``, then ``run.sample(10)``, ``run.generator`` and so on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from discrete_gan.cli.runs import open_run
from discrete_gan.sampling import generate
from discrete_gan.tasks import Task


class Trained(NamedTuple):
    """What :func:`load` returns.

    Attributes:
        generator: In evaluation mode, on the CPU.
        discriminator: Likewise; None of a run that has none.
        task: What it learnt: ``task.decode`` makes lines, images or data frames of what the generator draws. Its data
            are not read.
    """

    generator: Any
    discriminator: Any
    task: Task

    def sample(self, num: int, *, seed: int = 0, **options: Any) -> Any:
        """As ``discrete-gan sample`` draws them: lines of text, images (N, C, H, W), or a data frame.

        Args:
            num: Samples.
            seed: Of latents and samples.
            options: Of :func:`discrete_gan.sampling.generate`, such as ``label`` or ``temperature``.
        """
        return self.task.decode(generate(self.generator, num, seed=seed, convert=self.generator.decode, **options))


def load(run: str | Path, *, trust: Sequence[str | Path] = ()) -> Trained:
    """A trained run.

    Args:
        run: Its directory, or its folder ``pretrained`` for the generator that maximum likelihood left.
        trust: Files of your own that it names and that may be run: recipe, network, task. No others are.

    Raises:
        InputError: If there is no such run, or a part of it is damaged or not trusted.
    """
    saved = open_run(Path(run).expanduser(), [Path(file) for file in trust], part=True)
    saved.recall()
    discriminator = saved.model("discriminator").eval() if "discriminator" in saved.config["models"] else None
    return Trained(saved.model().eval(), discriminator, saved.task)
