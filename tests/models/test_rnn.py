"""The recurrent generator: its laws, its latents, its two ways through the network, files."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.distributions import Autoregressive
from discrete_gan.models import RecurrentGenerator
from discrete_gan.models.rnn import Cell
from tests.problems import assert_exact, seeded_normal

D, K, END = 5, 4, 3
CELLS = pytest.mark.parametrize("cell", ["lstm", "gru"])
LAYERS = pytest.mark.parametrize("num_layers", [1, 2])


def generator_of(cell: Cell = "lstm", num_layers: int = 1, latent_dim: int = 2) -> RecurrentGenerator:
    torch.manual_seed(0)
    options = {"latent_dim": latent_dim, "embedding_dim": 6, "hidden": 7}
    return RecurrentGenerator(K, D, end=END, cell=cell, num_layers=num_layers, **options).double()


@CELLS
@LAYERS
@pytest.mark.parametrize("latent_dim", [0, 2])
def test_distribution_and_gradients(cell: Cell, num_layers: int, latent_dim: int) -> None:
    generator = generator_of(cell, num_layers, latent_dim)
    z = generator.latents(3).double()
    assert z.shape == (3, latent_dim)
    g = generator(z)
    assert isinstance(g, Autoregressive)
    assert (g.batch_shape, g.event_shape, g.end) == ((3,), (D,), END)
    for leading in [(), (6,), (2, 6)]:
        x = g.sample(leading)
        assert x.shape == (*leading, 3, D)
        assert g.log_prob(x).shape == (*leading, 3)
        assert g.rsample(leading).shape == (*leading, 3, D, K)
    g.log_prob(g.sample((6,))).sum().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())
    assert [name for name, _ in generator.named_parameters() if name.startswith("state")] == (
        ["state.weight", "state.bias"] if latent_dim else []
    )


@CELLS
@LAYERS
def test_state_of_the_latent(cell: Cell, num_layers: int) -> None:
    generator = generator_of(cell, num_layers)
    z = seeded_normal(3, 2)
    state = generator.initial_state(z)
    assert [each.shape for each in state] == [(num_layers, 3, 7)] * (2 if cell == "lstm" else 1)
    assert_exact(torch.stack(state)[..., 1, :], torch.stack(generator.initial_state(z[1:2]))[..., 0, :])
    assert torch.stack(state).unique().numel() == len(state) * num_layers * 3 * 7  # each with numbers of its own
    assert torch.stack(state).abs().max() < 1
    assert torch.stack(generator.initial_state(1e6 * z)).abs().min() > 0.99
    plain = generator_of(cell, num_layers, latent_dim=0).initial_state(torch.empty(3, 0))
    assert [each.shape for each in plain] == [each.shape for each in state]
    assert all(each.abs().max() == 0 for each in plain)


@CELLS
@LAYERS
def test_steps_follow_torchs_own_module(cell: Cell, num_layers: int) -> None:
    generator, z = generator_of(cell, num_layers), seeded_normal(3, 2)
    tokens = torch.randint(K, (3, D), generator=torch.Generator().manual_seed(0))
    hidden = generator.hidden(tokens, z)
    assert hidden.shape == (3, D, 7)
    state = generator.initial_state(z)
    one_step = tuple(each.contiguous() for each in state)
    for position in range(D):
        row, new = generator.step(tokens[:, position], z, state)
        assert_exact(row, hidden[:, position])
        inputs = torch.cat([generator.embedding.weight[tokens[:, position]], z], dim=1)[:, None]
        _, after = generator.rnn(inputs, one_step if cell == "lstm" else one_step[0])
        one_step = after if isinstance(after, tuple) else (after,)
        assert_exact(new, one_step)
        one_hot = nn.functional.one_hot(tokens[:, position], K).double()
        assert_exact(generator.step(one_hot, z, state), (row, new))
        state = new


def test_relaxed_tokens_are_mixtures_of_embeddings() -> None:
    generator, z = generator_of(), seeded_normal(3, 2)
    state, mixture = generator.initial_state(z), torch.softmax(seeded_normal(3, K), dim=-1)
    hidden, _ = generator.step(mixture, z, state)
    with torch.no_grad():
        generator.embedding.weight[:3] = mixture @ generator.embedding.weight[:K]
    assert_exact(hidden, generator.step(torch.arange(3), z, state)[0])


@CELLS
@pytest.mark.parametrize("path", ["state", "input"])
def test_latent_sets_the_state_and_is_read_at_every_step(cell: Cell, path: str) -> None:
    generator = generator_of(cell)

    def ignore_input() -> None:
        generator.rnn.weight_ih_l0.data.narrow(1, 6, 2).zero_()  # type: ignore[operator]

    def step_log_prob(z: Tensor) -> Tensor:
        return generator(z).step_log_prob(torch.zeros(2, D).long())

    with torch.no_grad():
        if path == "state":  # what is left of the latent then
            ignore_input()
        else:
            generator.state.weight.zero_()
        one, other = step_log_prob(seeded_normal(2, 2)), step_log_prob(seeded_normal(2, 2, seed=1))
        assert (one - other).abs().min() > 1e-7
        generator.state.weight.zero_()
        ignore_input()
        assert_exact(step_log_prob(seeded_normal(2, 2)), step_log_prob(seeded_normal(2, 2, seed=1)))


@CELLS
@LAYERS
@pytest.mark.parametrize("latent_dim", [0, 2])
def test_saved_models_load_with_equal_probabilities(cell: Cell, num_layers: int, latent_dim: int, tmp_path: Path):
    generator = generator_of(cell, num_layers, latent_dim).float()
    generator.save_pretrained(tmp_path)
    again = RecurrentGenerator.from_pretrained(tmp_path)
    z = generator.latents(3)
    x = generator(z).sample((20,))
    assert torch.equal(again(z).log_prob(x), generator(z).log_prob(x))
    assert (again.end, again.num_positions, again.num_categories) == (END, D, K)


def test_no_end_is_saved_too(tmp_path: Path) -> None:
    RecurrentGenerator(K, D, end=None).save_pretrained(tmp_path)
    assert RecurrentGenerator.from_pretrained(tmp_path).end is None


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"^cell: expected lstm or gru, got 'rnn'"):
        RecurrentGenerator(K, D, end=END, cell="rnn")  # type: ignore[arg-type]
    for end in (-1, K):
        with pytest.raises(ValueError, match=rf"^end: expected a category from 0 to 3, got {end}"):
            RecurrentGenerator(K, D, end=end)


@CELLS
@pytest.mark.parametrize("latent_dim", [0, 2])
def test_classes_are_more_of_the_latent(cell: Cell, latent_dim: int) -> None:
    """A generator of 2 + 3 latents that are given the classes one-hot is the same."""
    torch.manual_seed(0)
    options = {"embedding_dim": 6, "hidden": 7}
    generator = RecurrentGenerator(K, D, end=END, cell=cell, latent_dim=latent_dim, num_classes=3, **options).double()
    other = RecurrentGenerator(K, D, end=END, cell=cell, latent_dim=latent_dim + 3, **options).double()
    other.load_state_dict(generator.state_dict())
    z, labels = generator.latents(4).double(), torch.tensor([2, 0, 1, 2])
    assert z.shape == (4, latent_dim)
    g, expected = generator(z, labels), other(torch.cat([z, nn.functional.one_hot(labels, 3)], dim=1))
    x = g.sample((5,))
    assert_exact(g.log_prob(x), expected.log_prob(x))
    assert_exact(g.log_prob(g.enumerate_support()).exp().sum(dim=0), torch.ones(4, dtype=torch.float64))
    if latent_dim == 0:
        assert_exact(g.log_prob(x[:, :1].expand(-1, 4, -1))[:, 0], g.log_prob(x[:, :1].expand(-1, 4, -1))[:, 3])
        assert (g.log_prob(x[:, :1].expand(-1, 4, -1)).std(dim=1) > 0).all()
    with pytest.raises(ValueError, match="labels: expected classes of 0 to 2"):
        generator(z)
