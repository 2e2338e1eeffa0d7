"""No parameter or buffer is what the memory happened to hold: torch fills fresh memory with NaN here."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from discrete_gan import models
from discrete_gan.estimators import Nvil, Relax, adapted
from discrete_gan.models.base import Generator, HubModel, PixelGenerator

ABSTRACT = (HubModel, Generator, PixelGenerator, models.TokenDiscriminator)
CLASSES = [
    kind
    for name in models.__all__
    if inspect.isclass(kind := getattr(models, name)) and issubclass(kind, HubModel) and kind not in ABSTRACT
]
SMALL: dict[str, Any] = {
    "num_categories": 5,
    "num_positions": 4,
    "end": 0,
    "palette": [[0.0], [1.0]],
    "image_shape": (1, 16, 16),
    "width": 4,
}


@pytest.fixture(autouse=True)
def nan_in_fresh_memory() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    assert torch.empty(4).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


def assert_initialized(module: nn.Module) -> None:
    assert all(value.isfinite().all() for value in module.state_dict().values())


@pytest.mark.parametrize("empty", [False, True], ids=["", "empty"])
@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_models(kind: type[HubModel], empty: bool) -> None:
    parameters = inspect.signature(kind).parameters
    given = {name: value for name, value in SMALL.items() if name in parameters}
    if "image_shape" in parameters:
        given.pop("num_categories", None)
    sizes = {"latent_dim": 0 if empty else 2, "num_classes": 0 if empty else 3}
    given |= {name: value for name, value in sizes.items() if name in parameters}
    assert_initialized(kind(**given))


@pytest.mark.parametrize("latent_dim", [0, 3])
@pytest.mark.parametrize("make", [Nvil, Relax])
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_layers_sized_by_their_input(make: type[Nvil] | type[Relax], latent_dim: int) -> None:
    generator = models.MLPGenerator(latent_dim, 6, hidden=(4,))
    discriminator = models.MLPDiscriminator(6, hidden=(4,))
    estimator = make()
    assert adapted(estimator)(generator, discriminator, generator.latents(8)).isfinite().all()
    assert_initialized(estimator)
