"""Reports on text and on the oracle's sequences against small laws computed by hand, and curves of temperatures."""

import itertools
import math
import random
import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from torch import Tensor, nn

from discrete_gan.data import TextData, load_text
from discrete_gan.data.equations import all_equations
from discrete_gan.distributions import Autoregressive
from discrete_gan.metrics import TextScorer
from discrete_gan.report import OracleReport, TextReport, as_lines, generate_text, held_out_likelihood
from discrete_gan.report.curves import Axis, save_temperature_curves
from discrete_gan.training import generate
from tests.problems import seeded_normal

pytest.importorskip("tokenizers", reason="needs tokenizers")

D, K, END = 4, 3, 2
EXACT = 1e-12  # relative, the rounding of float64


class Bigrams(nn.Module):
    """Sequences whose logits stand in a table (D, K + 1, K), by position and token before; z moves them on a slope.

    Args:
        table: The last row of each position stands before the first token.
        end: Ends a sequence.
        slope: What z, one number, is multiplied with; None for no latents.
        nodes: Latents to hand out, in place of random ones.
    """

    def __init__(
        self, table: Tensor, *, end: int | None, slope: Tensor | None = None, nodes: Tensor | None = None
    ) -> None:
        super().__init__()
        self.table, self.end, self.nodes = table, end, nodes
        self.slope = torch.zeros_like(table) if slope is None else slope
        self.num_positions, _, self.num_categories = table.shape
        self.latent_dim = 0 if slope is None else 1
        self.asked: list[int] = []
        self.modes: set[tuple[bool, bool]] = set()

    def latents(self, num: int) -> Tensor:
        self.asked.append(num)
        return torch.randn(num, self.latent_dim, dtype=torch.float64) if self.nodes is None else self.nodes

    def forward(self, z: Tensor) -> Autoregressive:
        self.modes.add((self.training, torch.is_grad_enabled()))
        return Autoregressive(self, z)

    def initial_state(self, z: Tensor) -> tuple[Tensor, ...]:
        return (torch.zeros(1, len(z), 1, dtype=torch.long),)  # the position

    def step(self, x: Tensor, z: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        position = state[0][0, :, 0]
        return self.table[position, x] + z.sum(dim=-1, keepdim=True) * self.slope[position, x], (state[0] + 1,)

    def hidden(self, tokens: Tensor, z: Tensor) -> Tensor:
        position = torch.arange(tokens.shape[1])
        return self.table[position, tokens] + z.sum(dim=-1)[:, None, None] * self.slope[position, tokens]

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden


def random_bigrams(*, seed: int = 0, end: int | None = END, num_positions: int = D, num_categories: int = K) -> Bigrams:
    return Bigrams(seeded_normal(num_positions, num_categories + 1, num_categories, seed=seed), end=end)


def with_latent(nodes: Tensor | None = None) -> Bigrams:
    shape = (D, K + 1, K)
    return Bigrams(seeded_normal(*shape), end=END, slope=seeded_normal(*shape, seed=1, scale=0.5), nodes=nodes)


def by_hand(
    generator: Bigrams, sequence: Sequence[int], *, temperature: float = 1.0, z: float = 0.0
) -> tuple[float, int]:
    """Log-probability of one sequence, token by token up to its end, and the number of these tokens."""
    log_prob, previous = 0.0, generator.num_categories
    for position, token in enumerate(sequence):
        row = generator.table[position, previous] + z * generator.slope[position, previous]
        logits = [logit / temperature for logit in row.tolist()]
        log_prob += logits[token] - math.log(sum(map(math.exp, logits)))
        previous = token
        if token == generator.end:
            return log_prob, position + 1
    return log_prob, len(sequence)


def nll_by_hand(generator: Bigrams, tokens: Tensor, *, temperature: float = 1.0) -> dict[str, float]:
    """What the likelihood of sequences (N, D) is without latents."""
    terms = [by_hand(generator, sequence, temperature=temperature) for sequence in tokens.tolist()]
    total, num_tokens = -sum(log_prob for log_prob, _ in terms), sum(num for _, num in terms)
    per_token = total / num_tokens
    return {"nll_token": per_token, "nll_sequence": total / len(terms), "perplexity": math.exp(per_token)}


def random_tokens(number: int, *, end: int | None = END, seed: int = 0) -> Tensor:
    """Sequences (N, D) of any length, padded with the end."""
    tokens = torch.randint(K, (number, D), generator=torch.Generator().manual_seed(seed))
    if end is None:
        return tokens
    return torch.where((tokens == end).cumsum(dim=1) > 0, end, tokens)


# What is held out


def test_likelihood_of_halves_and_quarters() -> None:
    first, later = torch.tensor([1 / 2, 1 / 4, 1 / 4]), torch.tensor([1 / 4, 1 / 4, 1 / 2])
    generator = Bigrams(torch.stack([first.expand(4, 3), later.expand(4, 3)]).double().log(), end=2)
    tokens = torch.tensor([[2, 2], [0, 2], [1, 0]])  # 1/4 of one token, 1/2 1/2, 1/4 1/4
    halvings = 2 + 2 + 4
    assert held_out_likelihood(generator, tokens) == pytest.approx(
        {
            "nll_token": halvings / 5 * math.log(2),
            "nll_sequence": halvings / 3 * math.log(2),
            "perplexity": 2 ** (halvings / 5),
        },
        rel=EXACT,
    )
    # Logits by 1/2 square the probabilities: 2/3 1/6 1/6, then 1/6 1/6 2/3.
    nll = -(math.log(1 / 6) + math.log(4 / 9) + math.log(1 / 36))
    found = held_out_likelihood(generator, tokens, temperature=0.5)
    assert found == pytest.approx(
        {"nll_token": nll / 5, "nll_sequence": nll / 3, "perplexity": math.exp(nll / 5)}, rel=EXACT
    )


@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.7])
@pytest.mark.parametrize("end", [END, None])
def test_likelihood_without_latents_takes_every_sequence(end: int | None, temperature: float) -> None:
    """More of them than the thousand that bounds are computed of, and than go through the network at a time."""
    generator, tokens = random_bigrams(end=end), random_tokens(1100, end=end)
    found = held_out_likelihood(generator, tokens, temperature=temperature)
    assert found == pytest.approx(nll_by_hand(generator, tokens, temperature=temperature), rel=EXACT)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_bound_over_latents_by_hand(temperature: float) -> None:
    size, tokens = 7, random_tokens(1030)
    nodes = torch.linspace(-1.5, 2, size, dtype=torch.float64)
    generator = with_latent(nodes[:, None])
    bounds, gaps, num_tokens = [], [], 0
    for sequence in tokens[:1000].tolist():
        terms = [by_hand(generator, sequence, temperature=temperature, z=z) for z in nodes.tolist()]
        probabilities = [math.exp(log_prob) for log_prob, _ in terms]
        bounds.append(math.log(statistics.fmean(probabilities)))
        left = [math.log((sum(probabilities) - one) / (size - 1)) for one in probabilities]
        gaps.append((size - 1) * (bounds[-1] - statistics.fmean(left)))
        num_tokens += terms[0][1]
    found = held_out_likelihood(generator, tokens, num_latents=size, temperature=temperature)
    expected = {
        "nll_token": -sum(bounds) / num_tokens,
        "nll_sequence": -statistics.fmean(bounds),
        "perplexity": math.exp(-sum(bounds) / num_tokens),
        "nll_gap": statistics.fmean(gaps),
    }
    assert found == pytest.approx(expected, rel=1e-10)  # the differences of a gap lose a few digits
    assert set(generator.asked) == {size}


def test_bounds_come_from_fresh_standard_normal_latents() -> None:
    """Without its gap, the mean bound of one sequence again and again is the integral over z by quadrature."""
    generator, sequence, num_latents = with_latent(), [1, 0, 1, END], 128
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    probabilities = np.exp([by_hand(generator, sequence, z=z)[0] for z in nodes])
    mean = weights @ probabilities
    relative_variance = weights @ probabilities**2 / mean**2 - 1
    found = held_out_likelihood(generator, torch.tensor([sequence]).expand(1000, -1), num_latents=num_latents)
    # One set of latents for each part: log of a mean of S has the variance of that mean, relative, to first order.
    num_sets = len(generator.asked)
    error = math.sqrt(relative_variance / (num_latents * num_sets))
    assert abs(found["nll_sequence"] - found["nll_gap"] + math.log(mean)) < 5 * error
    assert num_sets >= 100 and error < 0.02  # or the bound says little


def test_likelihood_is_repeatable_and_touches_nothing() -> None:
    generator, tokens = with_latent(), random_tokens(60)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = held_out_likelihood(generator, tokens)
    assert set(generator.asked) == {20}
    assert torch.equal(torch.get_rng_state(), before)
    assert generator.training and generator.modes == {(False, False)}
    torch.manual_seed(2)
    assert held_out_likelihood(generator.eval(), tokens) == first
    assert not generator.training


# Samples as text


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> TextData:
    """Up to five words a line, 30 lines for training and 12 held out."""
    draw, folder = random.Random(0), tmp_path_factory.mktemp("words")
    lines = [" ".join(draw.choices(["a", "cat", "dog", "sat", "ran"], k=draw.randint(2, 5))) for _ in range(80)]
    train, held_out = list(dict.fromkeys(lines))[:30], list(dict.fromkeys(lines))[30:42]
    (folder / "train.txt").write_text("".join(f"{line}\n" for line in train))
    (folder / "held_out.txt").write_text("".join(f"{line}\n" for line in held_out))
    return load_text(folder / "train.txt", held_out=folder / "held_out.txt")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> TextData:
    """Pieces of five characters with line breaks in them."""
    path, draw = tmp_path_factory.mktemp("running") / "running.txt", random.Random(0)
    path.write_text("".join(draw.choice("äb\n") for _ in range(400)), encoding="utf-8")
    return load_text(path, window=5)


@pytest.fixture(scope="module")
def equations() -> TextData:
    return load_text("equations")


def bigrams_of(data: TextData, *, seed: int = 0) -> Bigrams:
    end = data.vocabulary.end
    return random_bigrams(seed=seed, end=end, num_positions=data.max_length, num_categories=data.num_categories)


def decoded(data: TextData, tokens: Tensor, blank: str) -> list[str]:
    names = {index: token for token, index in data.vocabulary.tokens.items()}
    ends = [row.index(data.vocabulary.end) if data.vocabulary.end in row else len(row) for row in tokens.tolist()]
    return [blank.join(names[t] for t in row[:end]) for row, end in zip(tokens.tolist(), ends, strict=True)]


def test_text_is_what_the_tokens_say(words: TextData) -> None:
    generator = bigrams_of(words)
    lines = generate_text(generator, words.vocabulary, 30, seed=5, temperature=0.8)
    assert lines == decoded(words, generate(generator, 30, seed=5, temperature=0.8), " ")
    assert lines != generate_text(generator, words.vocabulary, 30, seed=6, temperature=0.8)
    assert generate_text(generator, words.vocabulary, 30) == decoded(words, generate(generator, 30, seed=0), " ")
    prefix = words.vocabulary.encode(["cat a"])[0]
    begun = generate_text(generator, words.vocabulary, 30, prefix=torch.tensor(prefix))
    assert len(set(begun)) > 5 and all(line.startswith("cat a") for line in begun)


def test_tokens_without_a_vocabulary_are_numbers() -> None:
    generator = random_bigrams(end=None, num_categories=12)
    numbers = [[int(token) for token in line.split(" ")] for line in generate_text(generator, None, 30, seed=5)]
    assert numbers == generate(generator, 30, seed=5).tolist()


def test_one_sample_a_line() -> None:
    samples = ["a\nb\n", "", "\n\nc", "d"]
    text = as_lines(sample for sample in samples)
    assert text == "a\\nb\\n\n\n\\n\\nc\nd\n"
    assert [line.replace("\\n", "\n") for line in text.split("\n")] == [*samples, ""]
    assert as_lines([]) == ""
    breaks = [chr(code) for code in range(0x10000) if len(f"a{chr(code)}b".splitlines()) == 2]
    assert len(breaks) == 10  # all that readers of a file may take for the end of a line
    assert as_lines(f"a{each}b" for each in breaks).splitlines() == [
        f"a{each.encode('unicode_escape').decode()}b" for each in breaks
    ]


# Equations


def equation_generator(data: TextData) -> Bigrams:
    """Mostly 1a+1b=2c with digits up to 4: some are true, and of those some were trained on."""
    table = torch.full((8, data.num_categories + 1, data.num_categories), -6.0, dtype=torch.float64)
    for position, characters in enumerate(["1", "01234", "+", "1", "01234", "=", "2", "01234"]):
        for rank, character in enumerate(characters):
            table[position, :, data.vocabulary.tokens[character]] = -0.3 * rank
    return Bigrams(table, end=data.vocabulary.end)


def equations_by_hand(lines: list[str], train: list[str]) -> dict[str, float]:
    true = set(all_equations())
    valid = [line for line in lines if line in true]
    new = set(valid) - set(train)
    return {
        "valid": len(valid) / len(lines),
        "distinct": len(set(valid)) / len(lines),
        "new": len(new) / len(set(valid)),
    }


def test_quick_figures_of_equations(equations: TextData) -> None:
    report, generator = TextReport(equations), equation_generator(equations)
    lines = decoded(equations, generate(generator, 500, seed=0), "")
    counts = equations_by_hand(lines, equations.train_lines)
    nll = nll_by_hand(generator, equations.held_out)
    expected = {
        "valid": counts["valid"],
        "distinct": counts["distinct"],
        "nll_token": nll["nll_token"],
        "nll_sequence": nll["nll_sequence"],
    }
    assert 0 < expected["distinct"] < expected["valid"] < 1
    assert report.quick(generator) == pytest.approx(expected, rel=EXACT)
    # Of more sequences than 500, the first.
    report.held_out = torch.cat([equations.held_out, equations.train])
    assert report.quick(generator) == pytest.approx(expected, rel=EXACT)


def test_point_of_equations(equations: TextData) -> None:
    report, generator = TextReport(equations), equation_generator(equations)
    report.held_out = torch.cat([equations.held_out, equations.train])
    found = report.point(generator, 1.3, num_samples=150, seed=3)
    lines = decoded(equations, generate(generator, 150, seed=3, temperature=1.3), "")
    counts = equations_by_hand(lines, equations.train_lines)
    assert 0 < counts["distinct"] < counts["valid"] < 1 and 0 < counts["new"] < 1
    scorer = TextScorer(equations.train_lines, equations.held_out_lines, unit="char")
    nll = nll_by_hand(generator, report.held_out[:2000], temperature=1.3)
    assert found == pytest.approx({**nll, **counts, **scorer(lines).values}, rel=EXACT)
    assert found != report.point(generator, 1.3, num_samples=150)
    by_default = equations_by_hand(decoded(equations, generate(generator, 150), ""), equations.train_lines)
    assert report.point(generator, 1.0, num_samples=150)["valid"] == by_default["valid"]


def test_real_equations_and_what_is_shown(equations: TextData) -> None:
    report = TextReport(equations)
    real = report.real(40)
    assert (real["valid"], real["distinct"]) == (1, 1) and "new" not in real
    scorer = TextScorer(equations.train_lines, equations.held_out_lines, unit="char")
    expected = scorer(equations.train_lines[:40]).real
    assert {name: real[name] for name in expected} == pytest.approx(expected, rel=EXACT)
    assert [axis.name for axis in report.axes] == ["distinct", "valid"]
    assert report.num_samples == 2000  # fewer than there are, so that all could be different
    assert report.shown == ("valid", "distinct", "new", "nll_token")
    fingerprint = equations.fingerprint()
    assert report.protocol(40) == f"n:40|train:3000|split:{fingerprint}"
    assert report.summary() == equations.summary()


def test_report_moves_what_likelihoods_are_computed_of(words: TextData) -> None:
    report = TextReport(words)
    report.to(torch.device("meta"))
    assert report.held_out.device.type == "meta" and words.held_out.device.type == "cpu"
    oracle = random_bigrams(end=None)
    scored = OracleReport(oracle, train=random_tokens(5, end=None), held_out=random_tokens(5, end=None))
    oracle.register_buffer("weights", torch.zeros(2))
    scored.to(torch.device("meta"))
    moved = (scored.train, scored.held_out, oracle.get_buffer("weights"))
    assert [tensor.device.type for tensor in moved] == ["meta"] * 3


# Any other text


def test_scores_of_words(words: TextData) -> None:
    report, generator = TextReport(words), bigrams_of(words)
    found = report.point(generator, 0.7, num_samples=20, seed=1)
    lines = decoded(words, generate(generator, 20, seed=1, temperature=0.7), " ")
    scores = TextScorer(words.train_lines, words.held_out_lines, unit="word", split=words.fingerprint())(lines)
    nll = nll_by_hand(generator, words.held_out, temperature=0.7)
    assert found == pytest.approx({**nll, **scores.values}, rel=EXACT)
    assert report.real(20) == pytest.approx(scores.real, rel=EXACT)
    assert report.protocol(20) == scores.signatures["bleu5"].removeprefix("bleu5|")
    assert report.protocol(1000).startswith("n:1000|refs:12|")  # more than there are training lines
    assert report.protocol(20).startswith("n:20|refs:12|") and words.fingerprint() in report.protocol(20)
    assert report.quick(generator).keys() == {"nll_token", "nll_sequence"}
    assert report.num_samples == 10_000
    assert [axis.name for axis in report.axes] == ["self_bleu5", "bleu5"]
    assert {*report.shown} <= found.keys() and len(report.shown) == 10


def test_samples_are_written_a_line_each(running: TextData, tmp_path: Path) -> None:
    report, generator = TextReport(running), bigrams_of(running)
    samples = decoded(running, generate(generator, 64, seed=0), "")
    assert any("\n" in sample for sample in samples)
    report.samples(tmp_path / "samples.txt", generator)
    written = (tmp_path / "samples.txt").read_bytes().decode("utf-8")
    assert written == "".join(sample.replace("\n", "\\n") + "\n" for sample in samples)
    report.samples(tmp_path / "few.txt", generator, num=3)
    few = (tmp_path / "few.txt").read_text(encoding="utf-8").splitlines()
    assert len(few) == 3


def test_final_scores_of_text(running: TextData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, generator = TextReport(running), bigrams_of(running, seed=1)
    results = report.final(tmp_path, generator, num_samples=40)
    samples = decoded(running, generate(generator, 40, seed=0), "")
    assert any("\n" in sample for sample in samples[:10])
    lines = [sample.replace("\n", "\\n") for sample in samples]
    assert (tmp_path / "samples.txt").read_bytes().decode("utf-8") == "".join(f"{line}\n" for line in lines)
    nll = nll_by_hand(generator, running.held_out)
    scorer = TextScorer(running.train_lines, running.held_out_lines, unit="char", split=running.fingerprint())
    scores = scorer(samples)
    assert {name: results[name] for name in nll} == pytest.approx(nll, rel=EXACT)
    of_likelihood = f"n:{len(running.held_out)}|tokens:char|K:{running.num_categories}|length:{running.max_length}"
    of_likelihood += f"|split:{running.fingerprint()}"
    signatures = {**{name: f"{name}|{of_likelihood}" for name in nll}, **scores.signatures}
    assert {name: results[name] for name in scores.as_dict()} == {**scores.as_dict(), "signatures": signatures}
    assert results.keys() == {*nll, *scores.as_dict()}
    printed = capsys.readouterr().out.split("\n")
    assert printed[:10] == [f"  {line}" for line in lines[:10]]
    assert printed[10] == (
        f"held-out NLL      {nll['nll_token']:.3f} nats a token, {nll['nll_sequence']:.2f} a sequence"
    )
    assert printed[11] == " " * 18 + of_likelihood
    assert printed[12:-3] == scores.lines()
    assert printed[-3:] == [f"samples           {tmp_path / 'samples.txt'}", f"run               {tmp_path}", ""]


def test_final_scores_of_equations(equations: TextData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = equation_generator(equations)
    results = TextReport(equations).final(tmp_path, generator, num_samples=300)
    lines = decoded(equations, generate(generator, 300, seed=0), "")
    counts = equations_by_hand(lines, equations.train_lines)
    assert {name: results[name] for name in counts} == pytest.approx(counts, rel=EXACT)
    figures = ", ".join(f"{name} {counts[name]:.3f}" for name in ("valid", "distinct", "new"))
    printed = capsys.readouterr().out.splitlines()
    signature = f"n:300|train:3000|split:{equations.fingerprint()}"
    assert printed[printed.index(f"equations         {figures}") + 1] == " " * 18 + signature
    assert [results["signatures"][name] for name in counts] == [f"{name}|{signature}" for name in counts]


def test_gap_of_the_bound_is_said(running: TextData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = (running.max_length, running.num_categories + 1, running.num_categories)
    generator = Bigrams(seeded_normal(*shape), end=running.vocabulary.end, slope=seeded_normal(*shape, seed=1))
    results = TextReport(running).final(tmp_path, generator, num_samples=10)
    likelihood = held_out_likelihood(generator, running.held_out)
    assert {name: results[name] for name in likelihood} == likelihood
    printed = capsys.readouterr().out
    assert f" a sequence, {likelihood['nll_gap']:.2f} of it the bound's gap\n" in printed


# The oracle


def oracle_report(*, num_held_out: int = 700) -> OracleReport:
    oracle = random_bigrams(end=None)
    train, held_out = generate(oracle, 50, seed=1), generate(oracle, num_held_out, seed=2)
    return OracleReport(oracle, train=train, held_out=held_out)


def oracle_nll_by_hand(report: OracleReport, tokens: Tensor) -> tuple[float, float]:
    """Mean and its standard error over sequences, nats a token."""
    assert isinstance(report.oracle, Bigrams)
    nll = [-by_hand(report.oracle, sequence)[0] / D for sequence in tokens.tolist()]
    return statistics.fmean(nll), statistics.stdev(nll) / math.sqrt(len(nll))


def test_oracle_likelihood_and_its_error_by_hand() -> None:
    report = oracle_report()
    for tokens in (report.held_out, report.held_out[:5], random_tokens(600, end=None)):
        assert report.oracle_nll(tokens) == pytest.approx(oracle_nll_by_hand(report, tokens), rel=EXACT)


def test_error_is_that_of_means_over_seeds() -> None:
    """Five times its own: a standard deviation of n numbers has a relative error of 1 / sqrt(2 n)."""
    report, number = oracle_report(), 200
    found = [report.oracle_nll(generate(report.oracle, 100, seed=seed)) for seed in range(number)]
    spread = statistics.stdev(mean for mean, _ in found)
    assert spread / statistics.fmean(error for _, error in found) == pytest.approx(1, abs=5 / math.sqrt(2 * number))
    # And the mean is the entropy: that of all sequences, enumerated.
    terms = [by_hand(random_bigrams(end=None), s)[0] for s in itertools.product(range(K), repeat=D)]
    entropy = -sum(math.exp(log_prob) * log_prob for log_prob in terms) / D
    assert abs(statistics.fmean(mean for mean, _ in found) - entropy) < 5 * spread / math.sqrt(number)


def test_point_of_the_oracle() -> None:
    report, generator = oracle_report(num_held_out=2100), random_bigrams(seed=9, end=None)
    found = report.point(generator, 0.7, num_samples=300, seed=3)
    samples = generate(generator, 300, seed=3, temperature=0.7)
    nll, error = oracle_nll_by_hand(report, samples)
    test = nll_by_hand(generator, report.held_out[:2000], temperature=0.7)["nll_token"]
    assert found == pytest.approx({"nll_oracle": nll, "nll_oracle_error": error, "nll_test": test}, rel=EXACT)
    assert report.point(generator, 0.7, num_samples=300)["nll_oracle"] == pytest.approx(
        oracle_nll_by_hand(report, generate(generator, 300, temperature=0.7))[0], rel=EXACT
    )


def test_quick_figures_of_the_oracle() -> None:
    report, generator = oracle_report(), random_bigrams(seed=9, end=None)
    expected = {
        "nll_oracle": oracle_nll_by_hand(report, generate(generator, 1000, seed=0))[0],
        "nll_test": nll_by_hand(generator, report.held_out[:500])["nll_token"],
    }
    assert report.quick(generator) == pytest.approx(expected, rel=EXACT)


def test_real_sequences_have_one_likelihood_in_both_places() -> None:
    report = oracle_report()
    nll, _ = oracle_nll_by_hand(report, report.held_out[:60])
    assert report.real(60) == pytest.approx({"nll_oracle": nll, "nll_test": nll}, rel=EXACT)
    # A generator that is the oracle has the same, by the other way of computing it.
    assert report.point(report.oracle, 1.0, num_samples=2)["nll_test"] == pytest.approx(
        report.real(2000)["nll_test"], rel=EXACT
    )
    assert [axis.name for axis in report.axes] == ["nll_test", "nll_oracle"]
    assert report.shown == ("nll_oracle", "nll_test")


def test_fingerprint_changes_with_any_token() -> None:
    report = oracle_report(num_held_out=70)
    summary = report.summary()
    digest = summary.pop("fingerprint")
    assert isinstance(digest, str) and len(digest) == 16
    sizes = {"num_train": 50, "num_held_out": 70, "max_length": D, "num_categories": K}
    assert summary == {"name": "oracle", "tokenizer": None, **sizes}
    assert report.protocol(10) == f"n:10|length:{D}|data:{digest}"
    found = {digest}
    for name in ("train", "held_out"):
        other = oracle_report(num_held_out=70)
        getattr(other, name)[-1, -1] += 1
        found.add(str(other.summary()["fingerprint"]))
    assert len(found) == 3
    assert oracle_report(num_held_out=70).summary()["fingerprint"] == digest


def test_samples_of_the_oracle_are_lines_of_numbers(tmp_path: Path) -> None:
    report, generator = oracle_report(), random_bigrams(seed=9, end=None)
    report.samples(tmp_path / "samples.txt", generator)
    numbers = [[int(token) for token in line.split()] for line in (tmp_path / "samples.txt").read_text().splitlines()]
    assert numbers == generate(generator, 64, seed=0).tolist()


def test_final_scores_of_the_oracle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, generator = oracle_report(num_held_out=2100), random_bigrams(seed=9, end=None)
    nll, error = oracle_nll_by_hand(report, generate(generator, 1500, seed=0))
    of_data, _ = oracle_nll_by_hand(report, report.held_out)
    test = nll_by_hand(generator, report.held_out)["nll_token"]
    expected = {
        "num_samples": 1500,
        "nll_oracle": nll,
        "nll_oracle_error": error,
        "nll_oracle_of_data": of_data,
        "nll_test": test,
        "nll_test_of_oracle": of_data,
    }
    results = report.final(tmp_path, generator, num_samples=1500)
    digest = report.summary()["fingerprint"]
    counts = {name: 1500 if name in ("nll_oracle", "nll_oracle_error") else 2100 for name in expected}
    counts.pop("num_samples")
    signatures = {name: f"{name}|n:{count}|length:{D}|data:{digest}" for name, count in counts.items()}
    assert results.pop("signatures") == signatures
    assert results == pytest.approx(expected, rel=EXACT)
    assert capsys.readouterr().out.splitlines() == [
        f"NLL oracle        {nll:.3f} ± {error:.3f} nats a token of 1,500 samples (of data {of_data:.3f})",
        f"{'':<18}n:1500|length:{D}|data:{digest}",
        f"NLL test          {test:.3f} nats a token of 2,100 held-out sequences",
        f"{'':<18}n:2100|length:{D}|data:{digest}",
        f"run               {tmp_path}",
    ]


def test_gap_of_the_oracles_test_likelihood_is_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, generator = oracle_report(num_held_out=1100), with_latent()
    generator.end = None
    results = report.final(tmp_path, generator, num_samples=20)
    gap = held_out_likelihood(generator, report.held_out)["nll_gap"]
    assert gap > 0
    assert results["nll_test_gap"] == pytest.approx(gap / D, rel=EXACT)
    assert results["signatures"]["nll_test_gap"].startswith("nll_test_gap|n:1000|")
    assert "of 1,000 held-out sequences" in capsys.readouterr().out  # all that a bound is computed of


# Curves

CURVES = {
    "first run": [{"temperature": t, "down": 10 * t, "up": t * t} for t in (0.5, 1.0, 1.25)],
    "second run": [{"temperature": t, "down": 7 - t, "up": 3 * t} for t in (0.75, 2.0)],
}
AXES = Axis("down", "less of it"), Axis("up", "more of it")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    saved: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: object, **options: object) -> None:
        saved.append(figure)
        save(figure, *args, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def drawn_points(plot: Axes) -> dict[str, list[tuple[float, float]]]:
    return {str(line.get_label()): [(x, y) for x, y in np.asarray(line.get_xydata())] for line in plot.get_lines()}


def test_every_curve_and_temperature_is_drawn(figures: list[Figure], tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    save_temperature_curves(path, CURVES, AXES, real={"down": 4.0, "up": 2.5}, title="two lines\nof title")
    assert matplotlib.image.imread(path).std() > 0  # a picture, and not a blank one
    (figure,) = figures
    (plot,) = figure.axes
    assert plot.get_title() == "two lines\nof title"
    assert (plot.get_xlabel(), plot.get_ylabel()) == ("less of it", "more of it")
    curves = {name: [(point["down"], point["up"]) for point in points] for name, points in CURVES.items()}
    assert drawn_points(plot) == {**curves, "real text": [(4.0, 2.5)]}
    first, second, star = plot.get_lines()
    assert (first.get_marker(), second.get_marker(), star.get_marker()) == ("o", "o", "*")
    assert not same_color(first.get_color(), second.get_color())
    temperatures = [(note.get_text(), note.xy) for note in plot.texts]  # type: ignore[attr-defined]
    names = [name for name in CURVES for _ in CURVES[name]]
    assert temperatures == list(zip(["0.5", "1", "1.25", "0.75", "2"], itertools.chain(*curves.values()), strict=True))
    lines = {"first run": first, "second run": second}
    assert all(
        same_color(note.get_color(), lines[name].get_color()) for note, name in zip(plot.texts, names, strict=True)
    )
    legend = plot.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["first run", "second run", "real text"]


def test_points_without_a_finite_score_are_left_out(figures: list[Figure], tmp_path: Path) -> None:
    odd = [
        {"temperature": 0.5, "down": math.nan, "up": 1.0},
        {"temperature": 1.0, "down": 2.0, "up": -math.inf},
        {"temperature": 1.5, "down": 0.0, "up": -3.0},
        {"temperature": 2.0, "down": 2.0},
    ]
    curves = {"odd": odd, "none": odd[:2], "empty": []}
    for real in ({"down": 4.0}, {"down": 4.0, "up": math.nan}, {}):
        save_temperature_curves(tmp_path / "curves.png", curves, AXES, real=real)
        (plot,) = figures[-1].axes
        assert drawn_points(plot) == {"odd": [(0.0, -3.0)], "none": [], "empty": []}
        assert [note.get_text() for note in plot.texts] == ["1.5"]
    save_temperature_curves(tmp_path / "curves.png", {}, AXES)
    assert not figures[-1].axes[0].get_lines()


def test_no_star_without_real_text(figures: list[Figure], tmp_path: Path) -> None:
    save_temperature_curves(tmp_path / "curves.png", CURVES, AXES)
    (plot,) = figures[0].axes
    assert list(drawn_points(plot)) == ["first run", "second run"]
    assert plot.get_title() == ""
