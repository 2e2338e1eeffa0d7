"""The same work on several processes, each with its share of the batch and of one stream of draws."""

import itertools
import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.multiprocessing.spawn import ProcessException

from discrete_gan.distributed import num_processes, process_rank
from discrete_gan.distributions import Autoregressive, FactorizedBernoulli, FactorizedCategorical

Cases = dict[str, Callable[[], dict[str, Tensor]]]
"""By name, what is computed on each process, and from its share of the batch: tensors, by what they are."""
Results = dict[str, dict[str, Tensor]]
"""What the cases gave."""

_STUCK = timedelta(seconds=60)  # a process that waits for another so long waits for ever


def run_cases(cases: Cases, begun: Callable[[str], object] = lambda name: None) -> Results:
    """All cases on this process, each from the same seed."""
    found = {}
    for name, case in cases.items():
        begun(name)
        torch.manual_seed(0)
        with warnings.catch_warnings(action="ignore"):  # of a metric's compute before update, where a share is empty
            found[name] = case()
    return found


def on_processes(cases: Callable[[], Cases], num: int, folder: Path) -> list[Results]:
    """What the cases that a function of a module returns give on each of several processes, by rank."""
    # One process imports everything and the others fork from it: in a fresh one that takes seconds.
    multiprocessing.get_context("forkserver").set_forkserver_preload(["discrete_gan.metrics", "discrete_gan.models"])
    try:
        mp.start_processes(_one_of_many, args=(cases, num, str(folder)), nprocs=num, start_method="forkserver")
    except ProcessException as error:
        error.add_note(f"in the case: {', or '.join({path.read_text() for path in folder.glob('*.case')})}")
        raise
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(num)]


def _one_of_many(rank: int, cases: Callable[[], Cases], num: int, folder: str) -> None:
    torch.set_num_threads(1)
    rendezvous = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=num, timeout=_STUCK)
    torch.save(run_cases(cases(), Path(folder, f"{rank}.case").write_text), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def share(batch: Tensor, dim: int = 0) -> Tensor:
    """This process's part of a whole batch."""
    return batch.tensor_split(num_processes(), dim)[process_rank()]


@contextmanager
def one_stream() -> Iterator[None]:
    """Distributions draw for the latents of every process and return this one's share.

    So each process draws what a single one draws for these rows of the whole batch.
    """
    draws = [
        (
            FactorizedBernoulli,
            -2,
            ("sample", "antithetic_sample", "jointly_antithetic_sample", "perturbed_logits", "perturbed_logits_given"),
        ),
        (FactorizedCategorical, -3, ("sample", "perturbed_logits", "perturbed_logits_given")),
        (Autoregressive, -2, ("sample", "rollouts")),
        (Autoregressive, -3, ("rsample",)),
    ]
    seeds = itertools.count()  # of each draw: one of sequences ends early where all have ended, and takes fewer numbers
    with ExitStack() as stack:
        for kind, dim, names in draws:
            for name in names:
                stack.enter_context(patch.object(kind, name, _of_everyone(getattr(kind, name), dim, seeds)))
        yield


def _of_everyone(draw: Callable[..., Any], dim: int, seeds: Iterator[int]) -> Callable[..., Any]:
    def drawn(g: Any, *args: Any, **options: Any) -> Any:
        if isinstance(g, Autoregressive):
            whole = Autoregressive(g.decoder, _filled(g.z, 0))
        else:
            whole = type(g)(_filled(g.logits, 0))
        args = tuple(_filled(each, dim) for each in args)
        options = {name: _filled(each, 0) for name, each in options.items()}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(next(seeds))
            result = draw(whole, *args, **options)
        return share(result, dim) if isinstance(result, Tensor) else tuple(share(each, dim) for each in result)

    return drawn


def _filled(part: Any, dim: int) -> Any:
    """A tensor of the size of the whole batch, which this process's part stands for: what others have is not used."""
    return torch.cat([part] * num_processes(), dim) if isinstance(part, Tensor) else part


@contextmanager
def uniform_of_everyone(dim: int) -> Iterator[None]:
    """As :func:`one_stream`, for code that calls ``torch.rand`` itself, with the batch along ``dim``."""
    rand = torch.rand

    def drawn(*shape: int, **options: Any) -> Tensor:
        whole = [size * num_processes() if axis == dim else size for axis, size in enumerate(shape)]
        return share(rand(*whole, **options), dim)

    with patch.object(torch, "rand", drawn):
        yield
