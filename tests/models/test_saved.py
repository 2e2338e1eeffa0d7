"""Weights that are not the model's are refused by name, and none of them takes memory before."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from discrete_gan.models import MLPGenerator
from discrete_gan.models.base import HubModel


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    MLPGenerator(3, 6, hidden=(4,)).save_pretrained(tmp_path)
    return tmp_path


def foreign(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"embedding.weight": torch.ones(2)}


def one_more(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return weights | {"zzz": torch.ones(2)}


def one_less(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(list(weights.items())[1:])


def other_shape(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value[:1] if value.ndim else value for name, value in weights.items()}


def not_finite(value: float) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    def change(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        last = list(weights)[-1]
        return weights | {last: weights[last].index_fill(0, torch.tensor([0]), value)}

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (foreign, "embedding.weight is no part of the model"),
        (one_more, "zzz is no part of the model"),
        (one_less, "is missing"),
        (other_shape, r"expected .* of shape .*, found \(1"),
        (not_finite(float("nan")), "holds NaN or infinity"),
        (not_finite(float("-inf")), "holds NaN or infinity"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_other_weights_are_refused(change: Callable[[Any], Any], told: str, saved: Path) -> None:
    file = saved / "model.safetensors"
    save_file(change(load_file(file)), file)
    with pytest.raises(ValueError, match=told):
        MLPGenerator.from_pretrained(saved)


def test_a_damaged_file_is_refused(saved: Path) -> None:
    file = saved / "model.safetensors"
    whole = file.read_bytes()
    for content in (b"", whole[:-1], (2**40).to_bytes(8, "little") + whole[8:], whole + b"more"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="expected a safetensors file"):
            MLPGenerator.from_pretrained(saved)


def test_sizes_of_a_lying_config_take_no_memory(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "latent_dim": 10**9, "hidden": [10**6]}))
    with pytest.raises(ValueError, match=r"of shape \(1000000, 1000000000\), found \(4, 3\)"):
        MLPGenerator.from_pretrained(saved)


class Tied(HubModel):
    """Two names of one tensor, of which the file holds one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
        self.second.weight = self.first.weight


def test_weights_with_two_names(tmp_path: Path) -> None:
    model = Tied()
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(Tied.from_pretrained(tmp_path).state_dict(), model.state_dict(), rtol=0, atol=0)


class Reads(HubModel):
    """It reads a number of its own while it is made, so that it cannot be made without memory."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, round(float(torch.tensor(2.0))))


def test_a_model_that_reads_its_own_numbers(tmp_path: Path) -> None:
    Reads().save_pretrained(tmp_path)
    assert Reads.from_pretrained(tmp_path).layer.out_features == 2
    save_file({"foreign": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(RuntimeError, match=r"layer\.weight"):
        Reads.from_pretrained(tmp_path)
