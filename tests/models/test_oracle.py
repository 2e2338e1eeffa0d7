"""SeqGAN's oracle: its LSTM written out by hand, every sequence there is, fresh weights, and weights of a file."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax
from scipy.stats import kstest
from torch import Tensor

from discrete_gan.data.oracle import load_oracle
from discrete_gan.errors import InputError
from discrete_gan.models.oracle import NAMES, oracle_generator, random_oracle
from discrete_gan.sampling import generate
from tests.problems import assert_exact, seeded_normal

D, K, E, H = 3, 4, 3, 5
GATES = ("i", "f", "og", "c")
SEQUENCES = torch.tensor(list(itertools.product(range(K), repeat=D)))


def shapes(num_categories: int, embedding: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Of the weights, by SeqGAN's names."""
    gates = {f"W{gate}": (embedding, hidden) for gate in GATES}
    gates |= {f"U{gate}": (hidden, hidden) for gate in GATES} | {f"b{gate}": (hidden,) for gate in GATES}
    return {"embeddings": (num_categories, embedding), **gates, "Wo": (hidden, num_categories), "bo": (num_categories,)}


def small_weights() -> dict[str, Tensor]:
    """Random ones of embeddings and states that differ in width, float32."""
    return {
        name: seeded_normal(*shape, seed=seed).float() for seed, (name, shape) in enumerate(shapes(K, E, H).items())
    }


def by_hand(weights: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """Log-probabilities (N, D) of tokens (N, D), each by one step of SeqGAN's LSTM in float64."""
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    h = c = np.zeros((len(tokens), len(w["bi"])))
    previous, terms = np.zeros(len(tokens), dtype=int), []  # token 0 stands before the first
    for column in tokens.numpy().T:
        x = w["embeddings"][previous]
        i, f, o, candidate = (x @ w[f"W{gate}"] + h @ w[f"U{gate}"] + w[f"b{gate}"] for gate in GATES)
        c = expit(f) * c + expit(i) * np.tanh(candidate)
        h = expit(o) * np.tanh(c)
        terms.append(log_softmax(h @ w["Wo"] + w["bo"], axis=1)[np.arange(len(tokens)), column])
        previous = column
    return torch.from_numpy(np.stack(terms, axis=1))


def test_every_token_of_every_sequence_equals_the_lstm_by_hand() -> None:
    oracle = oracle_generator(small_weights(), D).double()  # from float32, so nothing is rounded
    g = oracle(oracle.latents(1))
    assert_exact(g.step_log_prob(SEQUENCES[:, None])[:, 0], by_hand(small_weights(), SEQUENCES))
    assert_exact(g.log_prob(SEQUENCES[:, None]).exp().sum(), torch.ones(()).double())


def test_steps_of_drawing_equal_the_lstm_by_hand() -> None:
    oracle = oracle_generator(small_weights(), D).double()
    z = oracle.latents(len(SEQUENCES))
    state, previous, terms = oracle.initial_state(z), torch.full((len(SEQUENCES),), K), []
    for column in SEQUENCES.T:
        hidden, state = oracle.step(previous, z, state)
        terms.append(oracle.logits(hidden).log_softmax(dim=-1).gather(1, column[:, None])[:, 0])
        previous = column
    assert_exact(torch.stack(terms, dim=1), by_hand(small_weights(), SEQUENCES))


def test_no_token_ends_a_sequence() -> None:
    oracle = oracle_generator(small_weights(), D)
    assert oracle.end is None and oracle.latent_dim == 0
    g = oracle(oracle.latents(1))
    assert {tuple(row) for row in g.enumerate_support()[:, 0].tolist()} == set(map(tuple, SEQUENCES.tolist()))
    samples = generate(oracle, 10_000, seed=0)
    assert samples.shape == (10_000, D)
    # After every token comes every token: the rarest pair is expected 20 times.
    pairs = set(itertools.product(range(K), repeat=2))
    assert all(set(map(tuple, samples[:, start : start + 2].tolist())) == pairs for start in range(D - 1))


def test_oracle_is_not_to_be_trained() -> None:
    assert not any(parameter.requires_grad for parameter in oracle_generator(small_weights(), D).parameters())


def test_random_weights_follow_their_seed_alone() -> None:
    before = torch.get_rng_state()
    weights = random_oracle(3, num_categories=50, size=4)
    torch.manual_seed(1)
    torch.randn(10)
    again = random_oracle(3, num_categories=50, size=4)
    torch.set_rng_state(before)
    other = random_oracle(4, num_categories=50, size=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert {name: weight.shape for name, weight in weights.items()} == shapes(50, 4, 4)
    for name, weight in weights.items():
        assert torch.equal(weight, again[name])
        assert not torch.isclose(weight, other[name]).any()
    # No weight is a copy of another one, nor the front of it.
    assert len({float(weight.flatten()[0]) for weight in weights.values()}) == len(weights)


def test_random_weights_are_standard_normal() -> None:
    weights = random_oracle(0)
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == shapes(5000, 32, 32)
    for weight in weights.values():
        assert weight.dtype == torch.float32
        # Five standard errors of a normal sample's mean and standard deviation.
        assert abs(float(weight.mean())) < 5 / math.sqrt(weight.numel())
        assert abs(float(weight.std()) - 1) < 5 / math.sqrt(2 * weight.numel())
        assert kstest(weight.flatten().numpy(), "norm").pvalue > 1e-6


def test_random_weights_make_an_oracle() -> None:
    weights = random_oracle(0, num_categories=K, size=E)
    oracle = oracle_generator(weights, D).double()
    assert_exact(
        oracle(oracle.latents(1)).step_log_prob(SEQUENCES[:, None])[:, 0],
        by_hand(weights, SEQUENCES),
    )


@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_weight_is_named(missing: str) -> None:
    weights = small_weights()
    del weights[missing]
    with pytest.raises(ValueError, match=rf"^weights: expected embeddings, .*, bo, found no {missing}$"):
        oracle_generator(weights, D)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("embeddings", (K, E + 1), f"Wi of shape ({E + 1}, {H}), got ({E}, {H})"),  # E is taken from it
        ("embeddings", (K + 1, E), f"Wo of shape ({H}, {K + 1}), got ({H}, {K})"),  # and K
        ("embeddings", (K,), f"embeddings of shape ({K}, 1), got ({K},)"),
        ("embeddings", (), "embeddings of shape (1, 1), got ()"),
        ("Wf", (E, H + 1), f"Wf of shape ({E}, {H}), got ({E}, {H + 1})"),
        ("Wf", (E + 1, H), f"Wf of shape ({E}, {H}), got ({E + 1}, {H})"),
        ("Uc", (H, H - 1), f"Uc of shape ({H}, {H}), got ({H}, {H - 1})"),
        ("bi", (H + 1,), f"Wo of shape ({H + 1}, {K}), got ({H}, {K})"),  # H is taken from it
        ("bi", (), f"Wo of shape (1, {K}), got ({H}, {K})"),
        ("bog", (H + 1,), f"bog of shape ({H},), got ({H + 1},)"),
        ("Wo", (K, H), f"Wo of shape ({H}, {K}), got ({K}, {H})"),
        ("bo", (K - 1,), f"bo of shape ({K},), got ({K - 1},)"),
    ],
)
def test_a_weight_of_another_shape_is_refused(name: str, shape: tuple[int, ...], expected: str) -> None:
    with pytest.raises(ValueError, match=f"^weights: expected {re.escape(expected)}$"):
        oracle_generator({**small_weights(), name: torch.zeros(shape)}, D)


def test_biases_of_other_widths_that_add_up_are_refused() -> None:
    weights = {**small_weights(), "bf": torch.zeros(H - 1), "bog": torch.zeros(H + 1)}
    with pytest.raises(ValueError, match=re.escape(f"expected bf of shape ({H},), got ({H - 1},)")):
        oracle_generator(weights, D)


def write(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
    return path


def test_file_and_its_folder_are_read_as_float32(tmp_path: Path) -> None:
    arrays = {"bi": np.array([1.5, -2.25]), "Wi": np.arange(6).reshape(2, 3)}
    path = write(tmp_path / "weights.npz", **arrays)
    (tmp_path / "README.md").write_text("not weights")
    for given in (path, tmp_path):
        weights = load_oracle(given)
        assert weights.keys() == arrays.keys()
        for name, weight in weights.items():
            assert weight.dtype == torch.float32
            np.testing.assert_array_equal(weight, arrays[name])


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_oracle(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_single_file_is_refused_with_the_number_found(tmp_path: Path) -> None:
    wanted = "expected an .npz file, or a folder with one, found"
    assert refusal(tmp_path / "gone.npz") == f"{tmp_path / 'gone.npz'}: {wanted} 0"
    (tmp_path / "text.txt").write_text("not weights")
    assert refusal(tmp_path) == f"{tmp_path}: {wanted} 0"
    write(tmp_path / "one.npz", bi=np.zeros(2))
    write(tmp_path / "two.npz", bi=np.zeros(2))
    assert refusal(tmp_path) == f"{tmp_path}: {wanted} 2"


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    text, single, cut = tmp_path / "text.npz", tmp_path / "single.npy", tmp_path / "cut.npz"
    text.write_text("not weights")
    np.save(single, np.zeros(2))
    cut.write_bytes(write(tmp_path / "whole.npz", bi=np.zeros(20)).read_bytes()[:100])
    pickled = write(tmp_path / "pickled.npz", bi=np.array([None, {}], dtype=object))
    words = write(tmp_path / "words.npz", bi=np.array(["one", "two"]))
    for path in (text, single, cut, pickled, words):
        assert refusal(path).startswith(f"{path}: cannot be read as .npz: ")
    assert "allow_pickle=False" in refusal(pickled)
    folder = tmp_path / "folder"
    folder.mkdir()
    inside = words.rename(folder / "words.npz")
    assert refusal(folder).startswith(f"{inside}: cannot be read as .npz: ")


def test_seqgans_own_weights(shared_data: Path) -> None:
    weights = load_oracle(shared_data / "seqgan_oracle")
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == shapes(5000, 32, 32)
    oracle = oracle_generator(weights, 20)
    samples = generate(oracle, 2000, seed=0)
    assert samples.shape == (2000, 20)
    g = oracle(oracle.latents(1))
    nll = -g.log_prob(samples[:, None])[:, 0].double() / 20
    error = float(nll.std()) / math.sqrt(len(nll))
    # 5.760 +- 0.0053 nats are what 10,000 sequences have that were drawn with numpy, by the equations of by_hand.
    assert abs(float(nll.mean()) - 5.760) < 5 * math.hypot(error, 0.0053)
    assert error < 0.015  # or the bound says little
    exact = oracle.double()(oracle.latents(1)).step_log_prob(samples[:50, None])[:, 0]
    assert_exact(exact, by_hand(weights, samples[:50]), rtol=1e-10)
