"""Estimates of memory against what PyTorch allocates, and refusals."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from discrete_gan.errors import InputError
from discrete_gan.estimators import GumbelSoftmax, MaximumLikelihood, SeqGAN, StepwiseBoundarySeeking
from discrete_gan.models import RecurrentGenerator, TextCNN
from discrete_gan.training import memory
from discrete_gan.training.memory import available_memory, check_text_fits, gigabytes, sequence_memory

SIZES: dict[str, Any] = {"batch_size": 8, "num_samples": 3, "max_length": 10, "num_categories": 100}
SIZES |= {"hidden": 16, "embedding": 16}


def kept_bytes(forward: Callable[[], Tensor]) -> int:
    """Bytes of everything that a forward pass keeps for its backward pass, each storage once."""
    storages: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(tensor.untyped_storage().nbytes() for tensor in storages.values())


LIMITED = """
import resource, torch
from pathlib import Path
from discrete_gan.training import memory
memory._LIMITS = ("limit",)
Path("limit").write_text(str(1 << 30))
memory.limit_memory()
assert resource.getrlimit(resource.RLIMIT_DATA)[0] == 1 << 30
Path("limit").write_text(str(1 << 40))
memory.limit_memory()
assert resource.getrlimit(resource.RLIMIT_DATA)[0] == 1 << 30, "raised"
torch.zeros(1 << 20)
try:
    torch.zeros(1 << 29)
except RuntimeError as error:
    from discrete_gan.errors import is_out_of_memory
    assert is_out_of_memory(error)
    print("refused")
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts what is written to")
def test_what_the_container_does_not_have_is_refused(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "refused\n", done.stderr


@pytest.mark.parametrize(
    ("batch_size", "num_samples", "max_length", "num_categories", "hidden"),
    [(16, 4, 20, 3000, 32), (8, 2, 64, 70, 128), (4, 1, 20, 20_000, 32)],
)
def test_estimates_are_within_a_factor_of_three(
    batch_size: int, num_samples: int, max_length: int, num_categories: int, hidden: int
) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"end": num_categories - 1, "embedding_dim": 32}
    generator = RecurrentGenerator(num_categories, max_length, hidden=hidden, **options)
    discriminator = TextCNN(num_categories, max_length, **options)
    num_parameters = sum(each.numel() for model in (generator, discriminator) for each in model.parameters())
    z = generator.latents(batch_size)
    value = torch.randint(num_categories - 1, (num_samples, batch_size, max_length))
    estimates = sequence_memory(
        batch_size=batch_size,
        num_samples=num_samples,
        max_length=max_length,
        num_categories=num_categories,
        hidden=hidden,
        embedding=32,
        num_parameters=num_parameters,
    )
    # Adam's moments and the gradients, which a forward pass does not make.
    later = 4 * 3 * num_parameters
    likelihood = kept_bytes(lambda: generator(z).log_prob(value).sum()) + later
    assert likelihood < estimates["likelihood"] < 3 * likelihood
    relaxation = kept_bytes(lambda: discriminator(generator(z).rsample((num_samples,))).sum()) + later
    assert relaxation < estimates["relaxation"] < 3 * relaxation


def test_estimates_follow_the_sizes() -> None:
    base = sequence_memory(**SIZES, num_parameters=1000)
    assert list(base) == ["likelihood", "score function", "rollouts", "relaxation"]
    assert base["likelihood"] < base["score function"] < base["rollouts"]
    # By hand: 240 tokens, 100 categories.
    kept = 240 * (16 + 20 * 16)
    assert base["likelihood"] == 4 * (3 * 24_000 + kept + 4000)
    assert base["score function"] - base["likelihood"] == 4 * kept
    assert base["rollouts"] - base["score function"] == 4 * 16 * 240 * 10 * 68
    assert base["relaxation"] == 4 * (5 * 24_000 + 240 * 16 + kept + 4000)
    large = sequence_memory(**(SIZES | {"num_categories": 100_000}), num_parameters=1000)
    assert large["likelihood"] == 4 * (24_000_000 + 2 * 2**21 + kept + 4000)
    twice = sequence_memory(**(SIZES | {"num_samples": 6}), num_parameters=1000)
    assert {family: number - 16_000 for family, number in twice.items()} == {
        family: 2 * (number - 16_000) for family, number in base.items()
    }
    deep = sequence_memory(**SIZES, num_layers=2, num_parameters=1000)
    assert deep["likelihood"] - base["likelihood"] == 4 * 240 * 20 * 16


def test_parameters_are_counted_if_not_given() -> None:
    generator = RecurrentGenerator(100, 10, end=99, embedding_dim=16, hidden=16, num_layers=3)
    recurrent = sum(each.numel() for each in generator.rnn.parameters())
    expected = 2 * (100 * 16 + recurrent) + 100 * 17
    sizes = SIZES | {"num_layers": 3}
    assert sequence_memory(**sizes) == sequence_memory(**sizes, num_parameters=expected)


def files(monkeypatch: pytest.MonkeyPatch, contents: dict[str, str]) -> None:
    def read_text(path: Any) -> str:
        if str(path) not in contents:
            raise FileNotFoundError(path)
        return contents[str(path)]

    monkeypatch.setattr(memory, "Path", lambda name: SimpleNamespace(read_text=lambda: read_text(name)))


def test_what_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = {"/proc/meminfo": "MemTotal:       64 kB\nMemAvailable:   32 kB\nBuffers: 1 kB\n"}
    new, old = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    for contents, expected in (
        (meminfo, 32 * 1024),
        (meminfo | {new: "max\n"}, 32 * 1024),
        (meminfo | {new: "1000\n"}, 1000),
        (meminfo | {old: "2000\n"}, 2000),
        (meminfo | {old: "9223372036854771712\n"}, 32 * 1024),
        ({}, None),
        ({"/proc/meminfo": "MemTotal: 64 kB\n"}, None),
    ):
        files(monkeypatch, contents)
        assert available_memory() == expected
    assert available_memory("meta") is None
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7, 9))
    assert available_memory("cuda:0") == 7


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data: Any = SimpleNamespace(max_length=10, num_categories=100)
    options = SimpleNamespace(batch_size=8, hidden=16, embedding=16, num_layers=1)
    needed = sequence_memory(**SIZES)
    monkeypatch.setattr(memory, "available_memory", lambda device: needed["score function"])
    for fits in (MaximumLikelihood(), StepwiseBoundarySeeking(3), GumbelSoftmax()):
        check_text_fits(data, options, fits)
    with pytest.raises(InputError) as caught:
        check_text_fits(data, options, SeqGAN(3))
    assert str(caught.value) == (
        f"a step (rollouts) of 8 x 3 sequences of 10 tokens over 100 categories takes about "
        f"{gigabytes(needed['rollouts'])}, but {gigabytes(needed['score function'])} are free on cpu: "
        "use a smaller --batch-size, --max-length or --vocabulary-size, or fewer samples"
    )
    with pytest.raises(InputError, match=r"step \(score function\) of 8 x 4"):
        check_text_fits(data, options, StepwiseBoundarySeeking(4))
    monkeypatch.setattr(memory, "available_memory", lambda device: needed["likelihood"])
    with pytest.raises(InputError, match=r"step \(relaxation\) of 8 x 3"):
        check_text_fits(data, options, GumbelSoftmax(num_samples=3))
    monkeypatch.setattr(memory, "available_memory", lambda device: None)
    check_text_fits(data, options, SeqGAN(3))
    assert gigabytes(12_340_000_000) == "12.3 GB"
