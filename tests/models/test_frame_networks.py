"""Networks of frames: one path for draws and for probabilities, and discriminators that see frames and no more."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from discrete_gan.distributions.ragged import ragged_one_hot
from discrete_gan.models import FrameGenerator, RecurrentFrameDiscriminator, TransformerFrameDiscriminator
from discrete_gan.models.frames import FrameEmbedding
from tests.problems import assert_exact, seeded_normal

SIZES, T = (2, 3), 4
K = 7  # with the end
DISCRIMINATORS = pytest.mark.parametrize("kind", [RecurrentFrameDiscriminator, TransformerFrameDiscriminator])


def discriminator_of(kind: Any) -> Any:
    torch.manual_seed(0)
    return kind(SIZES, T, 8).double()


def frames(*leading: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.stack([torch.randint(size, (*leading, T), generator=generator) for size in (2, *SIZES)], dim=-1)
    x[..., 0, 0] = 0
    over = x[..., 0].cumsum(dim=-1) > 0
    return torch.where(over[..., None], torch.tensor([1, 0, 0]), x)


def one_hot(x: Tensor) -> Tensor:
    return ragged_one_hot(x, (2, *SIZES), torch.float64)


def test_vectors_of_columns_add_up() -> None:
    embedding, x = FrameEmbedding((2, *SIZES), 5).double(), frames(3)
    weight = embedding.weight
    by_hand = weight[x[..., 0]] + weight[2 + x[..., 1]] + weight[4 + x[..., 2]]
    assert_exact(embedding(x), by_hand)
    assert_exact(embedding(one_hot(x)), by_hand)


@pytest.mark.parametrize("latent_dim", [0, 2])
def test_steps_follow_the_whole_pass(latent_dim: int) -> None:
    torch.manual_seed(0)
    generator = FrameGenerator(SIZES, T, latent_dim, hidden=5, num_layers=2, width=4).double()
    x, z = frames(6), generator.latents(6).double()
    state, frame, found = generator.initial_state(z), None, []
    for t in range(T):
        hidden, state = generator.step(frame, z, state)
        found.append(hidden)
        frame = x[:, t] if t % 2 else one_hot(x[:, t])
    assert_exact(torch.stack(found, dim=1), generator.hidden(x, z))


@pytest.mark.parametrize("within", ["autoregressive", "factorized"])
def test_untrained_frames_are_those_of_the_data(within: Any) -> None:
    torch.manual_seed(0)
    generator = FrameGenerator(SIZES, T, hidden=8, width=8, within=within)
    data = frames(4000)
    generator.begin_at(data)
    drawn = generator(generator.latents(4000)).sample()
    for column, size in enumerate(SIZES, start=1):
        real, fake = (x[..., column][x[..., 0] == 0].bincount(minlength=size).double() for x in (data, drawn))
        assert_exact(fake / fake.sum(), real / real.sum(), atol=0.02)
    hazards = [(x[:, -1, 0] == 1).sum() / (x[:, :-1, 0] == 0).sum() for x in (data, drawn)]
    assert abs(float(hazards[0] - hazards[1])) < 0.02  # ends per frame that has a next one


@DISCRIMINATORS
def test_relaxed_frames_and_leading_axes(kind: Any) -> None:
    discriminator, x = discriminator_of(kind), frames(2, 3)
    raw = discriminator(x)
    assert raw.shape == (2, 3)
    assert_exact(discriminator(one_hot(x)), raw)
    assert_exact(torch.stack([discriminator(row) for row in x.flatten(0, 1)]), raw.flatten())


@DISCRIMINATORS
def test_nothing_after_the_end_matters(kind: Any) -> None:
    discriminator, x = discriminator_of(kind), frames(40)
    over = x[..., 0] == 1
    after = torch.nn.functional.pad(over[:, :-1], (1, 0))
    assert after.any()
    noise = torch.where(after[..., None], torch.tensor([0, 1, 2]), x)
    assert_exact(discriminator(noise), discriminator(x))


@DISCRIMINATORS
def test_penalty_is_the_squared_gradient_in_one_hot_frames(kind: Any) -> None:
    discriminator, x = discriminator_of(kind), frames(9)
    raw, penalty = discriminator.penalized(x)
    relaxed = one_hot(x).requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):  # which differentiates twice
        every = discriminator.outputs(relaxed)
        (slope,) = torch.autograd.grad(every.reshape(9, -1).mean(dim=1).sum(), relaxed, create_graph=True)
    assert_exact(raw, every)
    assert_exact(penalty, slope.square().sum(dim=(1, 2)) / (2 * K))


def test_log_ratios_of_prefixes() -> None:
    discriminator, x = discriminator_of(RecurrentFrameDiscriminator), frames(20)
    steps = discriminator.steps(x)
    assert steps.shape == (20, T)
    assert_exact(steps[:, -1], discriminator(x))
    changed = x.clone()
    changed[:, -1, 1:] = 0
    differs = (x[:, -1, 0] == 0) & (x[:, -1, 1:] > 0).any(dim=1)
    assert_exact(discriminator.steps(changed)[:, :-1], steps[:, :-1])
    assert (discriminator.steps(changed)[differs, -1] != steps[differs, -1]).all()


@pytest.mark.parametrize("within", ["autoregressive", "factorized"])
def test_saved_models_load_with_equal_probabilities(within: Any, tmp_path: Path) -> None:
    generator = FrameGenerator(SIZES, T, 2, hidden=5, width=4, within=within, ends=False)
    generator.save_pretrained(tmp_path)
    again = FrameGenerator.from_pretrained(tmp_path)
    z, x = seeded_normal(3, 2).float(), frames(3) * torch.tensor([0, 1, 1])
    assert_exact(again(z).log_prob(x), generator(z).log_prob(x))
