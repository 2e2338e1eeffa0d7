"""Text as a task against small laws computed by hand: likelihood, scores, samples, what is read and when."""

import copy
import math
import random
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from discrete_gan.data.equations import all_equations
from discrete_gan.errors import InputError
from discrete_gan.sampling import generate
from discrete_gan.tasks import Score, Text
from discrete_gan.tasks.text import held_out_likelihood
from discrete_gan.tasks.text_scores import TextScorer
from tests.problems import seeded_normal
from tests.tasks.sequences import (
    END,
    EXACT,
    Bigrams,
    Options,
    by_hand,
    nll_by_hand,
    random_bigrams,
    random_tokens,
    with_latent,
)

pytest.importorskip("tokenizers", reason="needs tokenizers")

CPU = torch.device("cpu")
NOBODY: Any = None  # the discriminator, who is not asked


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


# Tasks


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Text:
    """Up to five words a line, 30 lines for training and 12 held out."""
    draw, folder = random.Random(0), tmp_path_factory.mktemp("words")
    lines = [" ".join(draw.choices(["a", "cat", "dog", "sat", "ran"], k=draw.randint(2, 5))) for _ in range(80)]
    train, held_out = list(dict.fromkeys(lines))[:30], list(dict.fromkeys(lines))[30:42]
    (folder / "train.txt").write_text("".join(f"{line}\n" for line in train))
    (folder / "held_out.txt").write_text("".join(f"{line}\n" for line in held_out))
    return ready(Options(data=str(folder / "train.txt"), held_out=str(folder / "held_out.txt")))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Text:
    """Pieces of five characters with line breaks in them."""
    path, draw = tmp_path_factory.mktemp("running") / "running.txt", random.Random(0)
    path.write_text("".join(draw.choice("äb\n") for _ in range(400)), encoding="utf-8")
    return ready(Options(data=str(path), window=5, num_scored=40))


@pytest.fixture(scope="module")
def equations() -> Text:
    return ready(Options(data="equations"))


def ready(options: Options) -> Text:
    task = Text(options)
    task.to(CPU)
    return task


def with_more_held_out(task: Text) -> Text:
    """As many held-out sequences as there are in all."""
    found = copy.copy(task)
    found.test = torch.cat([task.data.held_out, task.data.train])
    return found


def bigrams_of(task: Text, *, seed: int = 0) -> Bigrams:
    return random_bigrams(seed=seed, end=task.end, num_positions=task.max_length, num_categories=task.num_categories)


def decoded(task: Text, tokens: Tensor, blank: str) -> list[str]:
    vocabulary = task.data.vocabulary
    names = {index: token for token, index in vocabulary.tokens.items()}
    ends = [row.index(vocabulary.end) if vocabulary.end in row else len(row) for row in tokens.tolist()]
    return [blank.join(names[t] for t in row[:end]) for row, end in zip(tokens.tolist(), ends, strict=True)]


def values(scores: list[Score]) -> dict[str, float]:
    assert len({score.name for score in scores}) == len(scores)
    return {score.name: score.value for score in scores}


def by_name(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


# What is read, and when


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    task = Text(Options(data=str(tmp_path / "gone.txt")))
    with pytest.raises(InputError, match=r"gone\.txt"):
        task.summary()


def test_a_vocabulary_that_was_kept_decodes_without_the_data(words: Text, tmp_path: Path) -> None:
    words.save(tmp_path)
    task = Text(Options(data=str(tmp_path / "gone.txt")))
    task.recall(tmp_path, {})
    tokens = generate(bigrams_of(words), 20, seed=1)
    assert task.decode(tokens) == words.decode(tokens) == decoded(words, tokens, " ")
    assert task.end == words.end
    assert torch.equal(task.encode_prompt("cat a"), torch.tensor(words.data.vocabulary.encode(["cat a"])[0]))
    with pytest.raises(InputError, match=r"gone\.txt"):
        task.to(CPU)


def test_without_a_kept_vocabulary_the_data_are_read(words: Text, tmp_path: Path) -> None:
    task = Text(words.options)
    task.recall(tmp_path, {})
    assert task.vocabulary.tokens == words.vocabulary.tokens


def test_tensors_move_to_the_device_and_the_data_stay(words: Text) -> None:
    task = copy.copy(words)
    task.to(torch.device("meta"))
    assert {task.tokens.device.type, task.test.device.type} == {"meta"}
    assert {words.data.train.device.type, words.data.held_out.device.type} == {"cpu"}


def test_batches_are_training_sequences_and_held_out_ones_the_others(words: Text) -> None:
    rows = [words.batch(step).x for step in range(3)]
    assert all(batch.shape == (8, words.max_length) and batch.dtype == torch.int64 for batch in rows)
    train = words.data.train.tolist()
    seen = [tuple(row) for row in torch.cat(rows).tolist()]
    assert len(set(seen)) == 24 and all(list(row) in train for row in seen)  # 30 in an epoch, each once
    assert torch.equal(words.batch(1).x, rows[1])
    assert words.batch(0).labels is None
    assert torch.equal(words.held_out().x, words.data.held_out)
    other = ready(Options(**{**vars(words.options), "seed": 1}))
    assert not torch.equal(other.batch(0).x, rows[0])


def test_summary_is_that_of_the_data(words: Text) -> None:
    assert words.summary() == words.data.summary() and words.summary()["fingerprint"] == words.data.fingerprint()
    assert words.num_categories == words.data.num_categories and words.max_length == words.data.max_length


# Samples


def test_text_is_what_the_tokens_say(words: Text) -> None:
    tokens = generate(bigrams_of(words), 30, seed=5, temperature=0.8)
    assert words.decode(tokens) == decoded(words, tokens, " ")
    prefix = words.encode_prompt("cat a")
    begun = words.decode(generate(bigrams_of(words), 30, prefix=prefix))
    assert len(set(begun)) > 5 and all(line.startswith("cat a") for line in begun)


def test_a_prompt_that_the_vocabulary_lacks_is_told(words: Text, running: Text) -> None:
    with pytest.raises(InputError, match=r"^--prompt 'cat zebra a yak': .*lacks zebra, yak$"):
        words.encode_prompt("cat zebra a yak")
    with pytest.raises(InputError, match=r"lacks c, d$"):
        running.encode_prompt("äcbd")


def test_samples_are_shown_a_line_each(running: Text, tmp_path: Path) -> None:
    generator = bigrams_of(running)
    for scores, num in (((), 64), ([Score("bleu2", 0.5)], 40)):
        samples = decoded(running, generate(generator, num, seed=0), "")
        assert any("\n" in sample for sample in samples)
        assert running.show(generator, tmp_path / "samples", scores) == tmp_path / "samples.txt"
        written = (tmp_path / "samples.txt").read_bytes().decode("utf-8")
        assert written == "".join(sample.replace("\n", "\\n") + "\n" for sample in samples)


# Equations


def equation_generator(task: Text) -> Bigrams:
    """Mostly 1a+1b=2c with digits up to 4: some are true, and of those some were trained on."""
    table = torch.full((8, task.num_categories + 1, task.num_categories), -6.0, dtype=torch.float64)
    for position, characters in enumerate(["1", "01234", "+", "1", "01234", "=", "2", "01234"]):
        for rank, character in enumerate(characters):
            table[position, :, task.vocabulary.tokens[character]] = -0.3 * rank
    return Bigrams(table, end=task.end)


def equations_by_hand(lines: list[str], train: list[str]) -> dict[str, float]:
    true = set(all_equations())
    valid = [line for line in lines if line in true]
    new = set(valid) - set(train)
    return {
        "valid": len(valid) / len(lines),
        "distinct": len(set(valid)) / len(lines),
        "new": len(new) / len(set(valid)),
    }


def test_a_line_of_equations(equations: Text) -> None:
    generator = equation_generator(equations)
    lines = decoded(equations, generate(generator, 500, seed=0), "")
    counts = equations_by_hand(lines, equations.data.train_lines)
    nll = nll_by_hand(generator, equations.data.held_out)
    expected = {
        "valid": counts["valid"],
        "distinct": counts["distinct"],
        "nll_token": nll["nll_token"],
        "nll_sequence": nll["nll_sequence"],
    }
    assert 0 < expected["distinct"] < expected["valid"] < 1
    found = equations.scores(generator, NOBODY, depth="line")
    assert values(found) == pytest.approx(expected, rel=EXACT)
    assert [score.name for score in found] == [*expected]
    # Of more sequences than 500, the first.
    more = with_more_held_out(equations).scores(generator, NOBODY, num=77, depth="line")
    assert values(more) == pytest.approx(expected, rel=EXACT)


def test_scores_of_equations_at_a_temperature(equations: Text) -> None:
    task, generator = with_more_held_out(equations), equation_generator(equations)
    found = values(task.scores(generator, NOBODY, num=150, seed=3, temperature=1.3))
    lines = decoded(equations, generate(generator, 150, seed=3, temperature=1.3), "")
    counts = equations_by_hand(lines, equations.data.train_lines)
    assert 0 < counts["distinct"] < counts["valid"] < 1 and 0 < counts["new"] < 1
    scorer = TextScorer(equations.data.train_lines, equations.data.held_out_lines, unit="char")
    nll = nll_by_hand(generator, task.test[:2000], temperature=1.3)
    assert len(task.test) > 2000
    assert found == pytest.approx({**nll, **counts, **values(scorer.scores(lines))}, rel=EXACT)
    assert found != values(task.scores(generator, NOBODY, num=150, temperature=1.3))
    by_default = equations_by_hand(decoded(equations, generate(generator, 150), ""), equations.data.train_lines)
    plain = values(task.scores(generator, NOBODY, num=150))
    assert plain["valid"] == by_default["valid"]
    # Without a temperature, all that are held out.
    assert plain["nll_token"] == pytest.approx(nll_by_hand(generator, task.test)["nll_token"], rel=EXACT)


def test_scores_of_equations(equations: Text) -> None:
    generator = equation_generator(equations)
    scores = equations.scores(generator, NOBODY, num=300)
    found = by_name(scores)
    lines = decoded(equations, generate(generator, 300, seed=0), "")
    counts = equations_by_hand(lines, equations.data.train_lines)
    assert [score.name for score in scores[:3]] == [*counts]
    for name, value in counts.items():
        assert found[name].value == pytest.approx(value, rel=EXACT)
        assert (found[name].better, found[name].perfect) == ("more", 1)
        split = equations.data.fingerprint()
        assert found[name].protocol == f"n:300|train:3000|split:{split}|seed:0|temperature:1"
    # Training lines are all true, and none of them is new.
    assert [found[name].real for name in counts] == [1, 1, None]
    assert equations.axes == ("distinct", "valid")
    by_default = equations.scores(generator, NOBODY)  # 2,000: fewer than there are, so that all could be different
    assert by_default[0].protocol.startswith("n:2000|")


# Any other text


def test_scores_of_words(words: Text) -> None:
    generator = bigrams_of(words)
    scores = words.scores(generator, NOBODY, num=20, seed=1, temperature=0.7)
    found = by_name(scores)
    lines = decoded(words, generate(generator, 20, seed=1, temperature=0.7), " ")
    scorer = TextScorer(words.data.train_lines, words.data.held_out_lines, unit="word", split=words.data.fingerprint())
    expected = scorer.scores(lines, protocol="|seed:1|temperature:0.7")
    nll = nll_by_hand(generator, words.data.held_out, temperature=0.7)
    assert values(scores) == pytest.approx({**nll, **values(expected)}, rel=EXACT)
    assert {name: of.protocol for name, of in by_name(expected).items()}.items() <= {
        name: of.protocol for name, of in found.items()
    }.items()
    assert {of.protocol.rpartition("|")[2] for of in scores} == {"temperature:0.7"}
    assert found["bleu5"].protocol.startswith("n:20|refs:12|") and words.data.fingerprint() in found["bleu5"].protocol
    assert found["bleu5"].real == by_name(expected)["bleu5"].real
    assert words.axes == ("self_bleu5", "bleu5")
    line = words.scores(generator, NOBODY, depth="line")
    assert values(line).keys() == {"nll_token", "nll_sequence"}


def test_number_of_samples_where_nobody_says(words: Text) -> None:
    generator = bigrams_of(words)
    assert by_name(words.scores(generator, NOBODY))["bleu2"].protocol.startswith("n:10000|")
    assert by_name(words.scores(generator, NOBODY, depth="full"))["bleu2"].protocol.startswith("n:2000|")


def test_likelihood_says_what_it_depends_on(running: Text) -> None:
    generator = bigrams_of(running, seed=1)
    found = by_name(running.scores(generator, NOBODY, num=40))
    samples = decoded(running, generate(generator, 40, seed=0), "")
    nll = nll_by_hand(generator, running.data.held_out)
    of = f"n:{len(running.data.held_out)}|tokens:char|K:{running.num_categories}|length:{running.max_length}"
    for name, value in nll.items():
        assert found[name].value == pytest.approx(value, rel=EXACT)
        assert found[name].better == "less"
        assert found[name].protocol == f"{of}|split:{running.data.fingerprint()}|temperature:1"
    assert (found["nll_token"].unit, found["nll_sequence"].unit) == ("nats per token", "nats per sequence")
    scorer = TextScorer(
        running.data.train_lines, running.data.held_out_lines, unit="char", split=running.data.fingerprint()
    )
    expected = scorer.scores(samples)
    assert {score.name: score.value for score in expected}.items() <= {n: s.value for n, s in found.items()}.items()
    few = by_name(running.scores(generator, NOBODY, num=40, depth="line"))
    assert few["nll_token"].protocol.startswith(f"n:{min(500, len(running.data.held_out))}|")


def test_gap_of_the_bound_is_a_score(running: Text) -> None:
    shape = (running.max_length, running.num_categories + 1, running.num_categories)
    generator = Bigrams(seeded_normal(*shape), end=running.end, slope=seeded_normal(*shape, seed=1))
    found = running.scores(generator, NOBODY, num=10)
    likelihood = held_out_likelihood(generator, running.data.held_out)
    assert likelihood["nll_gap"] > 0
    assert {name: by_name(found)[name].value for name in likelihood} == likelihood


def test_intervals_and_copies_are_of_a_whole_evaluation(words: Text) -> None:
    generator = bigrams_of(words)
    run, full = (words.scores(generator, NOBODY, num=20, depth=depth) for depth in ("run", "full"))
    assert values(run) == {name: value for name, value in values(full).items() if name in values(run)}
    assert values(full).keys() - values(run).keys() == {"nearest_training", "nearer", "copies"}
    assert not any(math.isfinite(score.low) for score in run)
    assert math.isfinite(by_name(full)["bleu2"].low)


def test_a_single_training_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a b\nb a\n")
    task = Text(Options(data=str(tmp_path / "a.txt")))
    with pytest.raises(InputError, match=r"^a: training needs at least 2 lines, found 1$"):
        task.to(CPU)


def test_other_lines_in_the_tokens_that_were_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{a} {b} end\n" for a in "abcdef" for b in "abcdef"))
    (tmp_path / "b.txt").write_text("".join(f"{a} {b}\n" for a in "abcdef" for b in "fghi"))
    first, other, again = (Text(Options(data=str(tmp_path / f"{name}.txt"))) for name in "aba")
    first.save(tmp_path)
    for task in (other, again):
        task.recall(tmp_path, {"data": {"max_length": 3}})
    assert (other.max_length, other.num_categories) == (3, first.num_categories)
    assert other.vocabulary.tokens == first.vocabulary.tokens
    assert again.summary() == first.summary()


# Classes


class ByClass(Bigrams):
    """Of each class a table of its own."""

    num_classes = 2

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Any:
        assert labels is not None
        return super().forward(torch.cat([z, labels[:, None].double()], dim=1))


@pytest.mark.parametrize("latents", [False, True])
def test_likelihood_of_each_class_by_hand(latents: bool) -> None:
    shape = (4, 4, 3)
    table, slope = seeded_normal(*shape), seeded_normal(*shape, seed=1, scale=0.5)
    nodes = seeded_normal(5, 1, seed=3)
    generator = ByClass(table, end=END, slope=slope)
    generator.latent_dim = 1 if latents else 0
    generator.nodes = nodes if latents else torch.zeros(1, 0, dtype=torch.float64)
    tokens, labels = random_tokens(30, end=END), torch.arange(30) % 2
    found = held_out_likelihood(generator, tokens, labels, num_latents=5)
    total = 0.0
    for label in (0, 1):
        for row in tokens[labels == label]:
            z = (nodes if latents else torch.zeros(1, 1)) + label
            moved = [Bigrams(table + float(each) * slope, end=END)(torch.zeros(1, 0)) for each in z]
            total += float(torch.stack([g.log_prob(row[None])[0] for g in moved]).exp().mean().log())
    assert found["nll_sequence"] == pytest.approx(-total / 30, rel=1e-10)


def test_batches_scores_and_recollection_of_classes(tmp_path: Path) -> None:
    task = Text(Options(conditional=True, batch_size=16))
    task.to(CPU)
    assert task.num_classes == 2
    for batch in (task.batch(0), task.set_apart(0.1), task.held_out()):
        assert batch.labels is not None
        for line, label in zip(task.decode(batch.x), batch.labels.tolist(), strict=True):
            assert "+-"[label] in line

    class Parrot(torch.nn.Module):
        """Says the first training line of the class that is asked for, but every tenth of the other."""

        num_classes, latent_dim = 2, 0

        def latents(self, num: int) -> Tensor:
            return torch.zeros(num, 0)

        def decode(self, x: Tensor) -> Tensor:
            return x

        def forward(self, z: Tensor, labels: Tensor | None = None) -> Any:
            assert labels is not None
            first = [task.tokens[task.labels == label][0] for label in (0, 1)]  # type: ignore[index]
            wrong = torch.arange(len(labels)) % 10 == 0
            self.x = torch.stack([first[int(label)] for label in labels ^ wrong])
            return self

        def sample(self, *, temperature: float) -> Tensor:
            return self.x

        def log_prob(self, x: Tensor, **_: Any) -> Tensor:
            raise NotImplementedError

    scores = {score.name: score for score in task.scores(Parrot(), NOBODY, num=100)}
    agreement = scores["class_agreement"]
    assert (agreement.value, agreement.real, agreement.perfect) == (0.9, 1, 1)
    assert agreement.protocol.startswith("n:100|classes:2|split:")
    task.save(tmp_path)
    again = Text(Options(conditional=True))
    again.recall(tmp_path, {"data": task.summary()})
    assert again.num_classes == 2


def test_the_class_of_a_line_is_learnt_where_it_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    words = {"cat": ["purrs", "naps", "hides"], "dog": ["barks", "runs", "digs"]}
    lines = [f"{kind}\tit {verb} {place}" for kind, verbs in words.items() for verb in verbs for place in range(40)]
    path.write_text("\n".join(lines))
    task = Text(Options(data=str(path), conditional=True, tokenizer="word"))
    task.to(CPU)
    assert task._judge.of_held_out > 0.95
    said = ["it purrs 3", "it digs 3", "it barks 1", "it naps 1"]
    assert task._judge.right(said, np.array([0, 1, 0, 1])).tolist() == [True, True, False, False]


def test_the_ladder_of_counting() -> None:
    task = Text(Options())
    task.to(CPU)
    ladder = task._ladder
    assert ladder.parts[0] == pytest.approx(math.log(task.num_categories))
    assert ladder.value == min(ladder.parts) and len(ladder.parts) == 7
    assert ladder.note.startswith(f"uniform {ladder.parts[0]:.3g}, unigrams {ladder.parts[1]:.3g}, Markov of order 1 ")
