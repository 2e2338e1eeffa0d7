"""Two processes, each with half of the latents, give the gradient and state of one with all of them."""

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent

from discrete_gan.distributed import average_gradients, gather, mean_over_processes, num_processes, process_rank
from discrete_gan.estimators import (
    BoundarySeeking,
    ControlledBoundarySeeking,
    Estimator,
    Nvil,
    Reinforce,
    StraightThrough,
)
from tests.problems import ColumnGenerator, Replay, SmoothDiscriminator, assert_exact, seeded_normal

M, B, STEPS = 6, 4, 3
EVENT = torch.Size((5,))


class AnyGenerator(ColumnGenerator):
    """Returns torch's own distribution, which the estimators know nothing about."""

    def forward(self, z: Tensor) -> Distribution:
        return Independent(Bernoulli(logits=self.logits[z.flatten()]), 1)


def estimators() -> dict[str, Estimator]:
    return {
        "batch": BoundarySeeking(M, over="batch"),
        "batch, plain": BoundarySeeking(M, over="batch", zero_sum=False),
        "batch, in chunks": BoundarySeeking(M, over="batch", chunk_size=4),
        "batch, any distribution": BoundarySeeking(M, over="batch"),
        "samples": BoundarySeeking(M),
        "moving average": Reinforce(M, baseline="moving-average").double(),
        "straight-through": StraightThrough(num_samples=M),
        "tilted": ControlledBoundarySeeking(M).double(),
        "nvil": Nvil(M, hidden=3, normalize=True).double(),
    }


def gradients() -> dict[str, Tensor]:
    """Gradients and state after some steps on this process's share of the latents."""
    share = B // num_processes()
    z = torch.arange(process_rank() * share, (process_rank() + 1) * share)
    discriminator = SmoothDiscriminator(EVENT)
    torch.manual_seed(0)  # of the network that is made at the first call
    result = {}
    for name, estimator in estimators().items():
        generator = (AnyGenerator if "any" in name else ColumnGenerator)(seeded_normal(B, *EVENT))
        for step in range(STEPS):
            x = (seeded_normal(M, B, *EVENT, seed=step) > 0).double()
            estimator(Replay(generator, x[:, z]), discriminator, z[:, None]).mean().backward()
        average_gradients(generator.parameters())
        assert generator.logits.grad is not None
        result[name] = generator.logits.grad
        if isinstance(estimator, nn.Module):
            result |= {f"{name}: {key}": value for key, value in estimator.named_buffers()}
    return result


def one_of_two(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    gathered = gather(torch.tensor([[1.0], [2.0]]) + 10 * rank)
    extra = {"gather": gathered, "mean": mean_over_processes(torch.tensor(float(rank)))}
    torch.save({**gradients(), **extra}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    mp.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)
    expected = gradients()
    assert all(bool((value != 0).any()) for value in expected.values())
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found.pop("gather").tolist() == [[1, 11], [2, 12]]
        assert found.pop("mean").item() == 0.5
        for name, value in expected.items():
            assert_exact(found[name], value)


def test_one_process_changes_nothing() -> None:
    value = torch.ones(2, 3, requires_grad=True)
    assert (num_processes(), process_rank()) == (1, 0)
    for result in (gather(value), mean_over_processes(value)):
        assert torch.equal(result, value)
        assert not result.requires_grad
