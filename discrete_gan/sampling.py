"""Drawing from a trained generator."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from discrete_gan.contracts import Conditional, Generator, Network
from discrete_gan.distributions import Autoregressive
from discrete_gan.errors import InputError
from discrete_gan.seeds import seeded

_FEW = 16  # sequences of a batch whose probabilities are looked at


@contextmanager
def evaluating(*modules: Network) -> Iterator[None]:
    """Evaluation mode inside: no batch statistics, running averages or power iterations are touched."""
    were_training = [module.training for module in modules]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for module, was_training in zip(modules, were_training, strict=True):
            module.train(was_training)


def num_classes_of(generator: Conditional) -> int:
    """K of a generator that is given labels, 0 of any other."""
    return getattr(generator, "num_classes", 0)


def labels_in_turn(num_classes: int, numbers: Tensor, label: int | Sequence[int] | None = None) -> Tensor:
    """Classes of numbered samples, the shape of ``numbers``: n mod K of sample n, or those asked for in turn."""
    if label is None:
        return numbers % num_classes
    if isinstance(label, int):
        return torch.full_like(numbers, label)
    return torch.tensor(label, device=numbers.device)[numbers % len(label)]


def generate(
    generator: Generator,
    num: int,
    *,
    seed: int = 0,
    label: int | Sequence[int] | None = None,
    batch_size: int = 1000,
    convert: Callable[[Tensor], Tensor] = lambda samples: samples,
    **options: Any,
) -> Tensor:
    """Samples of x, one for each fresh latent, in evaluation mode.

    Neither the caller's random state nor the generator's mode is changed.

    Args:
        generator: With a method ``latents(num)`` and a forward that returns a distribution. One with ``num_classes``
            gives the classes in turn, sample n of class n mod K, unless labels are asked for.
        num: Number of samples.
        seed: Of latents and samples.
        label: Class of all samples, of a conditional generator; or several, which take turns.
        batch_size: Samples drawn at a time. Part of the random stream: another size gives other samples.
        convert: Applied to each batch, where what becomes of the samples is smaller than they are.
        options: Passed on to the distribution's ``sample``, such as ``temperature``.

    Returns:
        Shape (num, *event), or what ``convert`` makes of it, on the generator's device. No gradient.

    Raises:
        InputError: If the generator's probabilities, or its points, are not numbers: what is drawn means nothing.
    """
    num_classes = num_classes_of(generator)

    def distribution(start: int, size: int) -> Any:
        z = generator.latents(size)
        if not num_classes:
            return generator(z)
        return generator(z, labels_in_turn(num_classes, torch.arange(start, start + size, device=z.device), label))

    wrong: list[Tensor] = []

    def draw(start: int, size: int) -> Tensor:
        g = distribution(start, size)
        x = g.sample(**options)
        wrong.append(_are_not_numbers(g, x))
        return convert(x)

    with torch.no_grad(), evaluating(generator), seeded(seed, "generate"):
        sizes = [(start, min(batch_size, num - start)) for start in range(0, num, batch_size)]
        samples = torch.cat([draw(*size) for size in sizes])
        if torch.stack(wrong).any():  # read once
            raise InputError(
                "generator: its probabilities are not numbers (NaN) though its weights are finite: "
                "expected weights that do not overflow. Train with a smaller learning rate"
            )
        return samples


@torch.no_grad()
def negative_log_likelihood(
    generator: Generator, x: Tensor, labels: Tensor | None = None, *, batch_size: int = 1000
) -> float:
    """Mean over data of -log g(x | z) in nats, in evaluation mode: exact without latents, else with one of the prior.

    Args:
        generator: Returns a distribution with ``log_prob``.
        x: Shape (N, *event).
        labels: Classes, shape (N,), of a conditional generator.
        batch_size: Data at a time.
    """
    with evaluating(generator), seeded("likelihood"):
        given = ((part,) for part in labels.split(batch_size)) if labels is not None else itertools.repeat(())
        parts = [
            -generator(generator.latents(len(part)), *label).log_prob(part)
            for part, label in zip(x.split(batch_size), given, strict=False)
        ]
    return float(torch.cat(parts).mean())


def _are_not_numbers(g: Distribution, x: Tensor) -> Tensor:
    """Whether weights that are finite have overflowed on the way to the logits, shape ()."""
    g = getattr(g, "base", g)  # of a reweighted model, the generator's own
    measured = getattr(g, "logits", None)
    if isinstance(g, Autoregressive):  # whose logits are not kept: those of a few sequences, which cost little
        measured = Autoregressive(g.decoder, g.z[:_FEW]).log_prob(x[:_FEW])
    if measured is None:
        try:
            measured = g.log_prob(x)
        except NotImplementedError:  # a point has no density
            measured = 0 * x  # NaN where it is infinite
    return measured.isnan().any()
