"""Two processes, each with half of both batches, give the value and gradient of one with all of them."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent

from discrete_gan.distributed import average_gradients, num_processes, process_rank
from discrete_gan.estimators import BoundarySeeking
from discrete_gan.losses import cat_gan, feature_matching, softmax_gan
from discrete_gan.losses.unlabeled import reference_loss
from tests.problems import ColumnGenerator, Replay, SmoothDiscriminator, assert_exact, seeded_normal

REAL, FAKE, M, B, D = 6, 4, 3, 4, 5


class Critic(nn.Module):
    """Two features, the first of which is the score."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(seeded_normal(D, 2, seed=5))

    def features(self, x: Tensor) -> Tensor:
        return (x @ self.weight).tanh()

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.features(x)[:, 0]

    def logits(self, x: Tensor) -> Tensor:
        """Of three classes."""
        return torch.cat([3 * self.features(x), self.features(x).prod(dim=1, keepdim=True)], dim=1)


def share(batch: Tensor) -> Tensor:
    return batch.tensor_split(num_processes())[process_rank()]


def coupled() -> dict[str, Callable[[Critic, Tensor, Tensor], Tensor]]:
    return {
        "discriminator": lambda critic, real, fake: softmax_gan.discriminator_loss(critic(real), critic(fake)),
        "generator": lambda critic, real, fake: softmax_gan.generator_loss(critic(real), critic(fake)),
        "real fixed": lambda critic, real, fake: softmax_gan.generator_loss(critic(real).detach(), critic(fake)),
        "features": lambda critic, real, fake: feature_matching.generator_loss(
            critic.features(real), critic.features(fake)
        ),
        "cat_gan": lambda critic, real, fake: cat_gan.discriminator_loss(critic.logits(real), critic.logits(fake)),
        "cat_gan, labeled": lambda critic, real, fake: cat_gan.discriminator_loss(
            critic.logits(real), critic.logits(fake), labels=share(torch.tensor([0, 2, 1, 1, 2, 2]))
        ),
        "cat_gan, generator": lambda critic, real, fake: cat_gan.generator_loss(critic.logits(fake)),
        "reference": lambda critic, real, fake: reference_loss(critic.logits(fake), torch.tensor([0.3, 0.7])),
    }


def results() -> dict[str, Tensor]:
    """Losses of this process and gradients averaged over all."""
    found = {}
    for name, loss in coupled().items():
        critic, shift = Critic(), nn.Parameter(torch.zeros(D).double())  # the generator's parameter
        value = loss(critic, share(seeded_normal(REAL, D)), share(seeded_normal(FAKE, D, seed=1)) + shift)
        value.backward()
        average_gradients([critic.weight, shift])
        assert critic.weight.grad is not None and shift.grad is not None
        found |= {name: value.detach(), f"{name}, critic": critic.weight.grad, f"{name}, shift": shift.grad}
    return found | discrete()


class AnyGenerator(ColumnGenerator):
    """Returns torch's own distribution, which the estimators know nothing about."""

    def forward(self, z: Tensor) -> Distribution:
        return Independent(Bernoulli(logits=self.logits[z.flatten()]), 1)


def discrete() -> dict[str, Tensor]:
    """Gradients of the boundary-seeking estimator with weights over the union."""
    z, found = share(torch.arange(B)), {}
    samples = (seeded_normal(M, B, D, seed=2) > 0).double()[:, z]
    real = share((seeded_normal(REAL, D, seed=3) > 0).double())
    for name, make, chunk_size in (
        ("any", AnyGenerator, None),
        ("factorized", ColumnGenerator, None),
        ("chunks", ColumnGenerator, 2),
    ):
        generator, estimator = make(seeded_normal(B, D)), BoundarySeeking(M, "union", chunk_size=chunk_size)
        networks = Replay(generator, samples), SmoothDiscriminator(torch.Size((D,))), z[:, None]
        estimator(*networks, real=real).mean().backward()
        average_gradients(generator.parameters())
        assert generator.logits.grad is not None
        found[f"boundary-seeking, {name}"] = generator.logits.grad
    return found


def one_of_two(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save(results(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    mp.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)
    expected = results()
    assert all(bool((value != 0).any()) for value in expected.values())
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_exact(found[name], value)
