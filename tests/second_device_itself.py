"""The stand-in for a second device does what it says.

A process of its own runs this file (:mod:`tests.test_second_device`).
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.second_device import DEVICE, NAME, assert_alike, counting, devices, lacking, peek  # first: it registers it

# isort: split
from discrete_gan.metrics.calibration import discriminator_accuracy
from tests.problems import seeded_normal

X = seeded_normal(4, seed=3).to(DEVICE)
MASK, INDEX = X > 0, torch.tensor([0, 2], device=DEVICE)
READS: dict[str, Callable[[], Any]] = {
    "item": lambda: X.sum().item(),
    "float": lambda: float(X[0]),
    "bool": lambda: bool(MASK.any()),
    "tolist": lambda: X.tolist(),
    "cpu": lambda: X.cpu(),
    "to": lambda: X.to("cpu", torch.float32),
    "copy_ to the CPU": lambda: torch.zeros(4).double().copy_(X),
    "numpy": lambda: X.numpy(force=True),
    "mask": lambda: X[MASK],
    "mask, written": lambda: X.clone().index_put_((MASK,), X[INDEX[:1]].expand(int(peek(MASK).sum()))),
    "nonzero": lambda: MASK.nonzero(),
    "where": lambda: torch.where(MASK),
    "masked_select": lambda: X.masked_select(MASK),
    "unique": lambda: X.unique(),
    "bincount": lambda: INDEX.bincount(),
    "equal": lambda: torch.equal(X, X),
    "allclose": lambda: torch.allclose(X, X),
    "repeat_interleave": lambda: X[INDEX].repeat_interleave(INDEX),
    "cholesky": lambda: torch.linalg.cholesky(torch.eye(2, device=DEVICE)),
    "eigh": lambda: torch.linalg.eigh(torch.eye(2, device=DEVICE)),
    "index by a tensor without axes": lambda: X[INDEX[1]],
}
COPIES: dict[str, Callable[[], Any]] = {
    "tensor": lambda: torch.tensor([1.0, 2.0], device=DEVICE),
    "as_tensor": lambda: torch.as_tensor([1.0, 2.0], device=DEVICE),
    "new_tensor": lambda: X.new_tensor([1.0]),
    "to": lambda: torch.ones(2).to(DEVICE),
    "to the same": lambda: torch.ones(2).to(X),
    "copy_": lambda: torch.zeros_like(X).copy_(torch.ones(4)),
    "index": lambda: X[torch.tensor([0, 2])],
    "index by a list": lambda: X[[0, 2]],
}
QUIET: dict[str, Callable[[], Any]] = {
    "factories": lambda: [torch.zeros(2, device=DEVICE), torch.full((), 2.0, device=DEVICE), X.new_ones(3)],
    "arange": lambda: torch.arange(3, device=DEVICE) + torch.linspace(0, 1, 3, device=DEVICE),
    "a number": lambda: 2 * X + 1.0,
    "a number of the CPU": lambda: torch.where(MASK, torch.tensor(2.0).double(), X) * torch.tensor(3.0),
    "slices": lambda: X[None, 1:].expand(2, -1)[0, ::2],
    "index": lambda: X[INDEX],
    "index, written": lambda: X.clone().index_put_((INDEX,), X[:2]),
    "mask, filled": lambda: X.clone().masked_fill_(MASK, 0.0),
    "mask, filled by index": lambda: X.clone().index_put_((MASK,), torch.zeros((), device=DEVICE, dtype=X.dtype)),
    "gather": lambda: X.gather(0, INDEX),
    "sort": lambda: X.sort(),
    "searchsorted": lambda: torch.searchsorted(X.sort().values, X),
    "one_hot": lambda: nn.functional.one_hot(INDEX, 3),
    "autocast": lambda: torch.autocast(NAME, enabled=False).__enter__(),
}


@pytest.mark.parametrize(
    ("case", "reads", "copies"),
    [(case, kind is READS, kind is COPIES) for kind in (READS, COPIES, QUIET) for case in kind.values()],
    ids=[f"{kind}: {name}" for kind, cases in (("read", READS), ("copy", COPIES), ("none", QUIET)) for name in cases],
)
def test_reads_and_copies_are_counted(case: Callable[[], Any], reads: bool, copies: bool) -> None:
    with counting() as found:
        case()
    assert (bool(found.reads), bool(found.copies)) == (reads, copies), found
    for event in found.reads + found.copies:
        assert event.where.startswith("tests/second_device_itself.py:")
    with counting() as nothing:
        pass
    assert nothing.count == 0


def test_reads_name_the_line_of_the_package() -> None:
    with counting() as found:
        accuracy = discriminator_accuracy(X, X)
    assert accuracy.value == 0.5
    file, line = found.reads[0].where.split(":")
    assert file == "discrete_gan/metrics/calibration.py"
    assert ".cpu()" in Path(file).read_text().splitlines()[int(line) - 1]
    assert f"read at {file}:{line}" in str(found)


class _Reads(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * gradients[0].sum().item()


def test_reads_of_a_backward_pass_are_counted_too() -> None:
    x = X.clone().requires_grad_()
    own, torchs = _Reads.apply(x), torch.zeros_like(X).masked_scatter(MASK, x)
    for value in (own, torchs):
        with counting() as found:
            value.sum().backward()  # type: ignore[union-attr]
        assert found.count == 1 and found.reads[0].where.startswith("tests/second_device_itself.py:"), found


MIXED: dict[str, Callable[[], Any]] = {
    "sum": lambda: X + torch.ones(4),
    "product": lambda: X[None] @ torch.ones(4, 2).double(),
    "module": lambda: nn.Linear(4, 2).double()(X),
    "stacked number": lambda: torch.stack([X.sum(), torch.tensor(1.0).double()]),
    "into a number of the CPU": lambda: torch.tensor(1.0).double().add_(X.sum()),
    "into the CPU": lambda: torch.add(X, X, out=torch.ones(4).double()),
    "mask": lambda: X.masked_fill(torch.ones(4, dtype=torch.bool), 0.0),
    "gather": lambda: X.gather(0, torch.tensor([0])),
    "embedding": lambda: nn.functional.embedding(torch.tensor([0]), X[:, None]),
    "generator": lambda: torch.rand(3, device=DEVICE, generator=torch.Generator()),
    "numpy": lambda: X.numpy(),
}


@pytest.mark.parametrize("name", MIXED)
def test_two_devices_in_one_operator_are_refused(name: str) -> None:
    with pytest.raises((RuntimeError, TypeError), match=r"same device|device type"):
        MIXED[name]()


RANDOM: dict[str, Callable[[Any], Tensor]] = {
    "rand": lambda device: torch.rand(5, device=device),
    "randn": lambda device: torch.randn(5, device=device),
    "randint": lambda device: torch.randint(9, (5,), device=device),
    "randperm": lambda device: torch.randperm(5, device=device),
    "normal_": lambda device: torch.zeros(5, device=device).normal_(1.0, 2.0),
    "uniform_": lambda device: torch.zeros(5, device=device).uniform_(1.0, 2.0),
    "exponential_": lambda device: torch.zeros(5, device=device).exponential_(),
    "random_": lambda device: torch.zeros(5, device=device, dtype=torch.int64).random_(),
    "bernoulli": lambda device: torch.full((5,), 0.5, device=device).bernoulli(),
    "multinomial": lambda device: torch.full((5,), 0.2, device=device).multinomial(3),
    "rand_like": lambda device: torch.rand_like(torch.zeros(5, device=device)),
    "dropout": lambda device: nn.functional.dropout(torch.ones(50, device=device), 0.5),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_are_those_of_the_cpu(name: str) -> None:
    torch.manual_seed(0)
    expected = RANDOM[name]("cpu")
    torch.manual_seed(0)
    with counting() as found:
        drawn = RANDOM[name](DEVICE)
    assert devices(drawn) == {NAME} and found.reads == found.copies == [], found
    assert torch.equal(peek(drawn), expected)


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"foreach": False}], ids=repr)
def test_adam(options: dict[str, Any]) -> None:
    def steps(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
        optimizer = torch.optim.Adam(network.parameters(), 0.1, **options)
        for _ in range(3):
            optimizer.zero_grad()
            network(x).square().mean().backward()
            optimizer.step()
        return dict(network.state_dict())

    assert_alike(steps, nn.Linear(3, 2).double(), seeded_normal(4, 3))


def test_states_are_copied_and_saved(tmp_path: Path) -> None:
    layer = nn.BatchNorm1d(3).to(DEVICE)
    layer(torch.randn(4, 3, device=DEVICE)).sum().backward()
    again = copy.deepcopy(layer)
    assert isinstance(again.weight, nn.Parameter) and devices(list(again.state_dict().values())) == {NAME}
    assert again.weight.grad is not None and again.weight.grad is not layer.weight.grad
    torch.save(layer.state_dict(), tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", map_location=DEVICE, weights_only=True)
    again.load_state_dict(loaded)
    for state in (loaded, again.state_dict()):
        torch.testing.assert_close(peek(dict(state)), peek(dict(layer.state_dict())), rtol=0, atol=0)
    with torch.no_grad():
        again.weight.add_(1)
    assert float(layer.weight[0]) == 1.0
    assert devices(list(again.to("cpu").state_dict().values())) == {"cpu"}


def test_a_device_without_float64() -> None:
    with lacking(torch.float64):
        assert devices(torch.ones(2, device=DEVICE) + 1) == {NAME}
        with pytest.raises(TypeError, match="float64 on second:0"):
            torch.ones(2, device=DEVICE).double()
