"""The oracle's sequences as a task, against small laws computed by hand."""

import itertools
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from discrete_gan.errors import InputError
from discrete_gan.models.oracle import oracle_generator, random_oracle
from discrete_gan.sampling import generate
from discrete_gan.seeds import seeded
from discrete_gan.tasks import Oracle, OracleOptions, Score
from discrete_gan.tasks.text import held_out_likelihood
from tests.tasks.sequences import EXACT, Bigrams, D, K, by_hand, nll_by_hand, random_bigrams, random_tokens, with_latent

CPU = torch.device("cpu")
NOBODY: Any = None  # the discriminator, who is not asked


def small_oracle(num_train: int = 700, *, seed: int = 0) -> Oracle:
    """Over three tokens, where SeqGAN's has 5,000."""
    task = Oracle(OracleOptions(length=D, num_train=num_train, batch_size=8, seed=seed))
    vars(task)["oracle"] = random_bigrams(end=None)
    task.to(CPU)
    return task


def oracle_nll_by_hand(task: Oracle, tokens: Tensor) -> tuple[float, float]:
    """Mean and its standard error over sequences, nats per token."""
    assert isinstance(task.oracle, Bigrams)
    nll = [-by_hand(task.oracle, sequence)[0] / D for sequence in tokens.tolist()]
    return statistics.fmean(nll), statistics.stdev(nll) / math.sqrt(len(nll))


def by_name(scores: list[Score]) -> dict[str, Score]:
    assert len({score.name for score in scores}) == len(scores)
    return {score.name: score for score in scores}


def test_nothing_is_read_or_drawn_before_it_is_asked_for(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    task = Oracle(OracleOptions(oracle=str(tmp_path / "gone.npz"), length=D))
    assert task.max_length == D and task.end is None
    assert task.decode(torch.tensor([[3, 14], [159, 2]])) == ["3 14", "159 2"]
    assert not {"oracle", "_drawn"} & vars(task).keys() and torch.equal(torch.get_rng_state(), before)
    with pytest.raises(InputError, match=r"gone\.npz"):
        task.summary()


def test_training_and_held_out_sequences_are_the_oracles() -> None:
    task = small_oracle(50, seed=3)
    with seeded("oracle", 3), torch.no_grad():
        expected = task.oracle(task.oracle.latents(1)).sample((100,))[:, 0]
    assert torch.equal(torch.cat([task.rows, task.test]), expected)
    assert torch.equal(task.held_out().x, expected[50:]) and task.held_out().labels is None
    epoch = torch.cat([task.batch(step).x for step in range(6)])  # of 50, by 8
    assert epoch.shape == (48, D) and task.batch(0).labels is None
    left = expected[:50].tolist()
    for row in epoch.tolist():
        left.remove(row)  # each once
    assert not torch.equal(small_oracle(50, seed=4).rows, task.rows)


def test_an_oracle_without_a_file_is_drawn_by_its_own_seed() -> None:
    first, again, other = (
        Oracle(OracleOptions(length=D, num_train=2, oracle_seed=oracle_seed, seed=seed))
        for oracle_seed, seed in ((1, 0), (1, 5), (2, 0))
    )
    expected = oracle_generator(random_oracle(1), D).state_dict()
    for task, equal in ((first, True), (again, True), (other, False)):
        weights = task.oracle.state_dict()  # type: ignore[attr-defined]
        assert all(torch.equal(weights[name], value) for name, value in expected.items()) == equal
    assert first.num_categories == 5000
    assert first.summary()["fingerprint"] != again.summary()["fingerprint"]  # other sequences with every seed


def test_oracle_likelihood_by_hand() -> None:
    task = small_oracle()
    for tokens in (task.test, task.test[:5], random_tokens(600, end=None)):
        nll = task.oracle_nll(tokens)
        assert nll.shape == (len(tokens),) and nll.dtype == torch.float64
        assert float(nll.mean()) == pytest.approx(oracle_nll_by_hand(task, tokens)[0], rel=EXACT)


def test_error_is_that_of_means_over_seeds() -> None:
    """Five times its own: a standard deviation of n numbers has a relative error of 1 / sqrt(2 n)."""
    task, number = small_oracle(20), 200
    found = [task.scores(task.oracle, NOBODY, num=100, seed=seed)[0] for seed in range(number)]
    spread = statistics.stdev(score.value for score in found)
    errors = [float(score.note.removeprefix("standard error ")) for score in found]
    assert spread / statistics.fmean(errors) == pytest.approx(1, abs=5 / math.sqrt(2 * number))
    # And the mean is the entropy: that of all sequences, enumerated.
    terms = [by_hand(random_bigrams(end=None), s)[0] for s in itertools.product(range(K), repeat=D)]
    entropy = -sum(math.exp(log_prob) * log_prob for log_prob in terms) / D
    assert abs(statistics.fmean(score.value for score in found) - entropy) < 5 * spread / math.sqrt(number)


def test_scores_at_a_temperature() -> None:
    task, generator = small_oracle(2100), random_bigrams(seed=9, end=None)
    found = by_name(task.scores(generator, NOBODY, num=300, seed=3, temperature=0.7))
    nll, error = oracle_nll_by_hand(task, generate(generator, 300, seed=3, temperature=0.7))
    test = nll_by_hand(generator, task.test[:2000], temperature=0.7)["nll_token"]
    assert [*found] == ["nll_oracle", "nll_test"]
    assert found["nll_oracle"].value == pytest.approx(nll, rel=EXACT)
    assert found["nll_oracle"].note == f"standard error {error:.2g}"
    assert found["nll_test"].value == pytest.approx(test, rel=EXACT)
    assert "n:2000|" in found["nll_test"].protocol and "seed:3|" in found["nll_oracle"].protocol
    plain = task.scores(generator, NOBODY, num=300, temperature=1.0)[0]
    assert plain.value == pytest.approx(oracle_nll_by_hand(task, generate(generator, 300))[0], rel=EXACT)
    assert task.axes == ("nll_test", "nll_oracle")


def test_a_line_of_the_oracle() -> None:
    task, generator = small_oracle(), random_bigrams(seed=9, end=None)
    found = by_name(task.scores(generator, NOBODY, num=7, depth="line"))
    nll = oracle_nll_by_hand(task, generate(generator, 1000, seed=0))[0]
    assert found["nll_oracle"].value == pytest.approx(nll, rel=EXACT)
    assert found["nll_test"].value == pytest.approx(nll_by_hand(generator, task.test[:500])["nll_token"], rel=EXACT)


def test_real_sequences_have_one_likelihood_in_both_places() -> None:
    task = small_oracle()
    nll, _ = oracle_nll_by_hand(task, task.test)
    found = by_name(task.scores(random_bigrams(seed=9, end=None), NOBODY, num=20))
    assert [found[name].real for name in ("nll_oracle", "nll_test")] == [pytest.approx(nll, rel=EXACT)] * 2
    # The oracle's own is the least that is to be had of held-out sequences; of samples less can be, of one sequence.
    assert (found["nll_test"].perfect, found["nll_oracle"].perfect) == (pytest.approx(nll, rel=EXACT), None)
    # A generator that is the oracle has the same, by the other way of computing it.
    itself = by_name(task.scores(task.oracle, NOBODY, num=2))
    assert itself["nll_test"].value == pytest.approx(nll, rel=EXACT)


def test_fingerprint_changes_with_any_token() -> None:
    task = small_oracle(50)
    summary = task.summary()
    digest = summary.pop("fingerprint")
    assert isinstance(digest, str) and len(digest) == 16
    sizes = {"num_train": 50, "num_held_out": 50, "max_length": D, "num_categories": K}
    assert summary == {"name": "oracle", "tokenizer": None, **sizes}
    found = {digest}
    for part in (0, 1):
        other = small_oracle(50)
        other._drawn[part][-1, -1] += 1
        found.add(str(other.summary()["fingerprint"]))
    assert len(found) == 3
    assert small_oracle(50).summary()["fingerprint"] == digest


def test_samples_of_the_oracle_are_lines_of_numbers(tmp_path: Path) -> None:
    task, generator = small_oracle(20), random_bigrams(seed=9, end=None)
    path = task.show(generator, tmp_path / "samples")
    assert path == tmp_path / "samples.txt"
    numbers = [[int(token) for token in line.split()] for line in path.read_text().splitlines()]
    assert numbers == generate(generator, 64, seed=0).tolist()


def test_scores_of_the_oracle() -> None:
    task, generator = small_oracle(2100), random_bigrams(seed=9, end=None)
    nll, error = oracle_nll_by_hand(task, generate(generator, 1500, seed=0))
    test = nll_by_hand(generator, task.test)["nll_token"]
    found = by_name(task.scores(generator, NOBODY, num=1500))
    digest = task.summary()["fingerprint"]
    assert found["nll_oracle"].value == pytest.approx(nll, rel=EXACT)
    assert found["nll_oracle"].note == f"standard error {error:.2g}"
    assert found["nll_test"].value == pytest.approx(test, rel=EXACT)
    assert found["nll_oracle"].protocol == f"n:1500|seed:0|length:{D}|data:{digest}"
    assert found["nll_test"].protocol == f"n:2100|length:{D}|data:{digest}"
    assert {(score.better, score.unit) for score in found.values()} == {("less", "nats per token")}
    assert task.scores(generator, NOBODY)[0].protocol.startswith("n:10000|")
    full = by_name(task.scores(generator, NOBODY, depth="full"))
    assert full["nll_oracle"].protocol.startswith("n:2000|")
    assert full["nll_oracle"].low < full["nll_oracle"].value < full["nll_oracle"].high


def test_gap_of_the_test_likelihood_is_per_token() -> None:
    task, generator = small_oracle(1100), with_latent()
    generator.end = None
    found = by_name(task.scores(generator, NOBODY, num=20))
    gap = held_out_likelihood(generator, task.test)["nll_gap"]
    assert gap > 0
    assert found["nll_test_gap"].value == pytest.approx(gap / D, rel=EXACT)
    assert found["nll_test_gap"].perfect == 0
    # All that a bound is computed of:
    assert found["nll_test"].protocol == found["nll_test_gap"].protocol
    assert found["nll_test"].protocol.startswith("n:1000|")


def test_oracle_and_sequences_move_to_the_device() -> None:
    task = small_oracle(20)
    assert isinstance(task.oracle, Bigrams)
    task.oracle.register_buffer("weights", torch.zeros(2))
    task.to(torch.device("meta"))
    moved = (task.rows, task.test, task.oracle.get_buffer("weights"))
    assert [tensor.device.type for tensor in moved] == ["meta"] * 3
