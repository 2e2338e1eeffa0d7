"""Weights of a folder: all of the model's tensors and no others, finite, and no memory before that is known."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from discrete_gan.models import HubModel, MLPGenerator, TransformerDiscriminator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    MLPGenerator(4, 6, hidden=(3,)).save_pretrained(tmp_path)
    return tmp_path


Change = Callable[[dict[str, Tensor]], None]


def first(weights: dict[str, Tensor]) -> str:
    return min(weights)


def foreign_alone(weights: dict[str, Tensor]) -> None:
    weights.clear()
    weights["foreign"] = torch.zeros(1)


def foreign_too(weights: dict[str, Tensor]) -> None:
    weights["foreign"] = torch.zeros(1)


def missing(weights: dict[str, Tensor]) -> None:
    del weights[first(weights)]


def reshaped(weights: dict[str, Tensor]) -> None:
    weights[first(weights)] = torch.zeros(5, 5)


def other_kind(weights: dict[str, Tensor]) -> None:
    weights[first(weights)] = weights[first(weights)].long()


def not_a_number(weights: dict[str, Tensor]) -> None:
    weights[first(weights)].view(-1)[0] = torch.nan


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (foreign_alone, r"tensor \S+ is missing"),
        (foreign_too, "tensor foreign is none of the model"),
        (missing, r"tensor \S+ is missing"),
        (reshaped, r"tensor \S+: expected shape \(\d.*found \(5, 5\)"),
        (other_kind, r"tensor \S+: expected torch.float32, found torch.int64"),
        (not_a_number, r"tensor \S+: expected finite numbers"),
    ],
)
def test_weights_that_are_not_the_models_are_refused(change: Change, told: str, folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ValueError, match=told):
        MLPGenerator.from_pretrained(folder)


def test_weights_that_are_whole_load_as_they_are(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    loaded = MLPGenerator.from_pretrained(folder)
    assert all(torch.equal(value, weights[name]) for name, value in loaded.state_dict().items())
    assert loaded.state_dict().keys() == weights.keys() and not loaded.training


@pytest.mark.parametrize("settings", [{"latent_dim": 10**12}, {"num_positions": 10**13}, {"latent_dim": 10**30}])
def test_settings_that_ask_for_terabytes_take_no_memory(settings: dict[str, int], folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    start = time.perf_counter()
    with pytest.raises((ValueError, RuntimeError, TypeError, OverflowError)):
        MLPGenerator.from_pretrained(folder)
    assert time.perf_counter() - start < 2


class Deep(HubModel):
    """As many layers as its settings say, and two names of one weight."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        first = nn.Linear(2, 2)
        self.layers = nn.ModuleList([first])
        self.layers.extend(nn.Linear(2, 2) for _ in range(depth - 1))
        self.tied = nn.Linear(2, 2)
        self.tied.weight = first.weight


def test_settings_that_ask_for_a_billion_layers_are_refused(tmp_path: Path) -> None:
    Deep(2).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"depth": 1000000000}')
    with pytest.raises(ValueError, match="more layers than its weights fill"):
        Deep.from_pretrained(tmp_path)


def test_a_billion_layers_of_the_transformer_are_refused_at_once(tmp_path: Path) -> None:
    TransformerDiscriminator(5, 4, end=0, embedding_dim=8, num_layers=3).save_pretrained(tmp_path)
    assert len(TransformerDiscriminator.from_pretrained(tmp_path).encoder.layers) == 3
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_layers": 10**9}))
    started = time.monotonic()
    with pytest.raises(ValueError, match="more layers than its weights fill"):
        TransformerDiscriminator.from_pretrained(tmp_path)
    assert time.monotonic() - started < 5


def test_tied_weights_and_lazy_layers_load(tmp_path: Path) -> None:
    tied = Deep(2)
    tied.save_pretrained(tmp_path / "tied")
    loaded = Deep.from_pretrained(tmp_path / "tied")
    assert torch.equal(loaded.tied.weight, tied.layers[0].weight)  # type: ignore[arg-type]
    lazy = Lazy()
    lazy.layer(torch.zeros(1, 3))
    lazy.save_pretrained(tmp_path / "lazy")
    assert torch.equal(Lazy.from_pretrained(tmp_path / "lazy").layer.weight, lazy.layer.weight)


class Lazy(HubModel):
    """Knows its width when it first sees data."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LazyLinear(2)


def test_a_header_that_lies_is_refused(folder: Path) -> None:
    name = first(load_file(folder / "model.safetensors"))
    header = json.dumps({name: {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 1 << 42]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(Exception, match=r"(?i)header|offset|incomplete"):
        MLPGenerator.from_pretrained(folder)


class Reads(HubModel):
    """It reads a number of its own while it is made, so that it cannot be made without memory."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, round(float(torch.tensor(2.0))))


def test_a_model_that_reads_its_own_numbers(tmp_path: Path) -> None:
    Reads().save_pretrained(tmp_path)
    assert Reads.from_pretrained(tmp_path).layer.out_features == 2
    save_file({"foreign": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"layer\.weight is missing"):
        Reads.from_pretrained(tmp_path)
