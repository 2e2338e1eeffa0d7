"""Text to learn: lines as sequences of tokens, judged by the likelihood of held-out lines and by scores of samples."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.data import Batches, TextData, Vocabulary, load_text
from discrete_gan.data.classes import Classes
from discrete_gan.data.equations import equation_scores
from discrete_gan.data.text_report import report_text
from discrete_gan.distributions import before_end
from discrete_gan.errors import InputError
from discrete_gan.metrics import importance_weighted_bound
from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.metrics.markov import markov_ladder
from discrete_gan.metrics.memorization import memorization
from discrete_gan.metrics.nearest import nearest_edit
from discrete_gan.metrics.two_sample import classifier_two_sample_test
from discrete_gan.sampling import evaluating, generate
from discrete_gan.seeds import seeded
from discrete_gan.tasks.base import Batch, Depth
from discrete_gan.tasks.likeness import memorization_scores, two_sample_score
from discrete_gan.tasks.options import reading
from discrete_gan.tasks.output import write_samples
from discrete_gan.tasks.score import Score
from discrete_gan.tasks.text_classes import ClassJudge
from discrete_gan.tasks.text_scores import TextScorer

_ROWS = 512  # sequences whose log-probability is computed at a time
MOST_BOUNDED = 1000  # held-out sequences, where the likelihood costs num_latents passes
_COMPARED = 1000  # samples, and held-out sequences, of everything that is compared in pairs
_QUICK = 500  # samples, and held-out sequences, of a line of the log
_POINT = 2000  # held-out sequences of a point over temperatures
_COUNTED, _MOST_COUNTED = (1, 3), 1000  # n-grams that the two-sample test's classifier counts


def held_out_likelihood(
    generator: Generator,
    tokens: Tensor,
    labels: Tensor | None = None,
    *,
    num_latents: int = 20,
    temperature: float = 1.0,
) -> dict[str, float]:
    """Negative log-likelihood of text under a generator: exact without latents, else an upper bound and its gap.

    Args:
        generator: Of sequences; in evaluation mode for the time.
        tokens: Shape (N, D). With latents, the first 1,000.
        labels: Classes, shape (N,), of a conditional generator.
        num_latents: S, latents of each bound.
        temperature: Divides the logits.

    Returns:
        ``nll_token`` and ``nll_sequence`` in nats, ``perplexity`` of a token, the end of a sequence among the tokens;
        and ``nll_gap``, nats per sequence that the bound is too high by, as the jackknife has it.
    """
    from discrete_gan.metrics import TokenNLL

    # On the CPU, as not every device has float64; of this process alone, the one that reports.
    metric, gap, num_sequences = TokenNLL(sync_on_compute=False), 0.0, 0
    with torch.no_grad(), evaluating(generator), seeded("likelihood"):
        exact = generator.latent_dim == 0
        tokens, rows = (tokens, _ROWS) if exact else (tokens[:MOST_BOUNDED], max(1, _ROWS // num_latents))
        for start in range(0, len(tokens), rows):
            part = tokens[start : start + rows]
            z = generator.latents(1 if exact else num_latents)
            if labels is None:
                g, x = generator(z), part[:, None].expand(-1, len(z), -1)
            else:  # each datum has latents of its own class
                g = generator(z.repeat(len(part), 1), labels[start : start + rows].repeat_interleave(len(z)))
                x = part.repeat_interleave(len(z), dim=0)
            # (N, S)
            log_prob = g.log_prob(x, temperature=temperature).view(len(part), len(z)).cpu()
            bound = log_prob[:, 0] if exact else None
            if bound is None:
                bounded = importance_weighted_bound(log_prob.T)
                bound, gap = bounded.bound, gap + float(bounded.gap.sum())
            metric.update(bound, before_end(part, g.end).sum(dim=-1).cpu())
            num_sequences += len(part)
    result = metric.compute()
    values = {
        "nll_token": float(result.per_token),
        "nll_sequence": float(result.per_sequence),
        "perplexity": float(result.perplexity),
    }
    return values if exact else {**values, "nll_gap": gap / num_sequences}


class Text:
    """Lines of text.

    Args:
        options: Names data and reading.
    """

    num_compared = _COMPARED
    held_out_score = "nll_sequence"

    def __init__(self, options: Any) -> None:
        self.options = options
        self._vocabulary: Vocabulary | None = None
        self._max_length: int | None = None
        self._classes: Classes | None = None

    @functools.cached_property
    def data(self) -> TextData:
        """The data set."""
        how: dict[str, Any] = reading(self.options) | {"classes": self._classes}
        if self._vocabulary is not None:  # that of the run, whatever lines are read
            known = {"tokenizer": self._vocabulary, "vocabulary_size": None}
            how |= {**known, "max_length": self._max_length or self.options.max_length}
        return load_text(self.options.data, seed=self.options.seed, **how)

    def describe(self) -> str:
        """What there is to learn, to be read before it is."""
        return report_text(self.data)

    @property
    def vocabulary(self) -> Vocabulary:
        """What tokens stand for."""
        return self._vocabulary or self.data.vocabulary

    @property
    def num_categories(self) -> int:
        """K, tokens with the one that ends a sequence."""
        return self.data.num_categories

    @property
    def max_length(self) -> int:
        """D, tokens of the longest sequence."""
        return self.data.max_length

    @property
    def end(self) -> int | None:
        """The token that ends a sequence."""
        return self.vocabulary.end

    @property
    def num_classes(self) -> int:
        """K that networks are built for; 0 where batches come without labels."""
        if not self.options.conditional:
            return 0
        classes = self._classes or self.data.classes
        return 0 if classes is None else len(classes.names)

    @property
    def are_equations(self) -> bool:
        """Whether truth can be checked."""
        return self.data.name == "equations"

    @property
    def unit(self) -> Literal["word", "char"]:
        """What scores count."""
        return "char" if self.data.vocabulary.kind == "char" else "word"

    @functools.cached_property
    def scorer(self) -> TextScorer:
        """Scores lines against the held-out ones."""
        data = self.data
        return TextScorer(data.train_lines, data.held_out_lines, unit=self.unit, split=data.fingerprint())

    def summary(self) -> dict[str, object]:
        """What config.json says of the data."""
        return self.data.summary()

    def save(self, folder: Path) -> None:
        """Write the vocabulary."""
        self.data.vocabulary.save(folder / "tokenizer.json")

    def recall(self, folder: Path, config: dict[str, Any]) -> None:
        """Take up the vocabulary and the longest length, in which other lines are then read."""
        if (folder / "tokenizer.json").is_file():
            self._vocabulary = Vocabulary.load(folder / "tokenizer.json")
            length = config.get("data", {}).get("max_length")
            self._max_length = length if isinstance(length, int) and length > 0 else None
        self._classes = Classes.recalled(config.get("data", {})) if self.options.conditional else None

    def to(self, device: torch.device) -> None:
        """Move the tokens there.

        Raises:
            InputError: If there is a single sequence to train on.
        """
        if len(self.data.train) < 2:
            raise InputError(f"{self.data.name}: training needs at least 2 lines, found 1")
        self.tokens, self.test = self.data.train.to(device), self.data.held_out.to(device)
        labels = self.data.train_labels, self.data.held_out_labels
        self.labels, self.test_labels = (None if each is None else each.to(device) for each in labels)
        self._batches = Batches(len(self.tokens), self.options.batch_size, seed=self.options.seed)

    def batch(self, step: int) -> Batch:
        """Training sequences, each once per epoch, int64, shape (B, D)."""
        return self._at(self._batches.indices(step, device=self.tokens.device))

    def set_apart(self, part: float) -> Batch:
        """Training sequences that no later batch has."""
        return self._at(self._batches.set_apart(part).to(self.tokens.device))

    def _at(self, index: Tensor) -> Batch:
        return Batch(self.tokens[index], None if self.labels is None else self.labels[index])

    def held_out(self) -> Batch:
        """Held-out sequences."""
        return Batch(self.test, self.test_labels)

    def decode(self, x: Tensor) -> list[str]:
        """Lines."""
        return self.vocabulary.decode(x.cpu())

    def write(self, path: Path, samples: list[str], labels: Sequence[str] | None = None) -> Path:
        """Lines into a file, called as the column that they were learnt from, with their labels if there are any.

        Args:
            path: As :func:`write_samples` has it.
            samples: Lines.
            labels: Names of their classes.
        """
        named = None if labels is None else {self.options.label_column or "label": labels}
        return write_samples(path, samples, column=self.options.column or "text", labels=named)

    def encode_prompt(self, prompt: str) -> Tensor:
        """Tokens of what every sample is to begin with, shape (P,).

        Raises:
            InputError: If a part of it is not in the vocabulary.
        """
        vocabulary = self.vocabulary
        (ids,) = vocabulary.encode([prompt])
        if vocabulary.unknown in ids:
            parts = prompt.split() if vocabulary.kind == "word" else prompt
            lacking = ", ".join(part for part in parts if vocabulary.unknown in vocabulary.encode([part])[0])
            raise InputError(f"--prompt {prompt!r}: expected what the training data has, which lacks {lacking}")
        return torch.tensor(ids, dtype=torch.int64)

    def scores(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        *,
        num: int | None = None,
        depth: Depth = "run",
        seed: int = 0,
        temperature: float | None = None,
    ) -> list[Score]:
        """Truth of equations, likelihood of held-out text, BLEU and its kin; in full, intervals and memorization too.

        Args:
            generator: To draw from.
            discriminator: Not asked.
            num: Samples; 10,000 if not given, or 2,000 equations, of which there are 6,480; in full 2,000.
            depth: How much to measure.
            seed: Of latents and samples.
            temperature: Divides the logits; where it is given, the likelihood is of at most 2,000 held-out sequences.
        """
        quick, full = depth == "line", depth == "full"
        num = _QUICK if quick else num or (2000 if self.are_equations or full else 10_000)
        most = _QUICK if quick else None if temperature is None else _POINT
        temperature = temperature or 1.0
        likelihood = self._likelihood(generator, most, temperature)
        if quick:  # perplexity is the exponential of the first
            likelihood = [score for score in likelihood if score.name != "perplexity"]
        if quick and not self.are_equations:
            return likelihood
        lines = self.decode(generate(generator, num, seed=seed, temperature=temperature))
        drawn = f"|seed:{seed}|temperature:{temperature:g}"
        equations = self._equations(lines, full, drawn) if self.are_equations else []
        if quick:
            return [*equations[:2], *likelihood]
        ladder = [] if not likelihood or temperature != 1 else [self._ladder]
        likelihood = [*likelihood[:1], *ladder, *self._agreement(lines, full, drawn), *likelihood[1:]]
        found = [*equations, *likelihood, *self.scorer.scores(lines, intervals=full, protocol=drawn)]
        return [*found, *self._copies(lines, seed)] if full else found

    def _likelihood(self, generator: Generator, num: int | None, temperature: float) -> list[Score]:
        """Of the first ``num`` held-out sequences, all if not given; nothing of a generator without a density."""
        data, tokens = self.data, self.test[:num]
        labels = None if self.test_labels is None else self.test_labels[:num]
        try:
            values = held_out_likelihood(generator, tokens, labels, temperature=temperature)
        except NotImplementedError:
            return []
        count = min(len(tokens), MOST_BOUNDED) if "nll_gap" in values else len(tokens)
        kind, size = data.vocabulary.kind, self.num_categories
        protocol = f"n:{count}|tokens:{kind}|K:{size}|length:{self.max_length}|split:{data.fingerprint()}"
        protocol += f"|temperature:{temperature:g}"
        labels = {
            "nll_token": ("held-out NLL", "nats per token"),
            "nll_sequence": ("held-out NLL", "nats per sequence"),
            "perplexity": ("held-out perplexity", "per token"),
            "nll_gap": ("NLL too high by", "nats per sequence, as a bound"),
        }
        return [Score(name, value, *labels[name], "less", protocol=protocol) for name, value in values.items()]

    @functools.cached_property
    def _ladder(self) -> Score:
        """What counting reaches: the least of all, and each in the note."""
        data = self.data
        nats = markov_ladder(data.train, data.held_out, self.num_categories, end=self.end).tolist()
        rungs = ["uniform", "unigrams", *(f"Markov of order {order}" for order in range(1, len(nats) - 1))]
        note = ", ".join(f"{rung} {value:.3g}" for rung, value in zip(rungs, nats, strict=True))
        kind, size = data.vocabulary.kind, self.num_categories
        protocol = f"n:{len(data.held_out)}|tokens:{kind}|K:{size}|length:{self.max_length}|split:{data.fingerprint()}"
        label, unit = "NLL of counting", "nats per token"
        return Score("nll_counting", min(nats), label, unit, protocol=protocol, note=note, parts=tuple(nats))

    def _agreement(self, lines: Sequence[str], interval: bool, drawn: str) -> list[Score]:
        """How many samples are of the class that was asked for, each in turn; nothing of unlabeled ones."""
        if not self.num_classes:
            return []
        asked = np.arange(len(lines)) % self.num_classes
        right = self._judge.right(lines, asked)
        protocol = f"n:{len(lines)}|classes:{self.num_classes}|split:{self.data.fingerprint()}{drawn}"
        label, unit = "of the class asked for", "of samples"
        score = Score(
            "class_agreement", float(right.mean()), label, unit, "more", 1, self._judge.of_held_out, protocol=protocol
        )
        return [score.within(mean_interval(torch.from_numpy(right).double())) if interval else score]

    @functools.cached_property
    def _judge(self) -> ClassJudge:
        return ClassJudge(self.data, by_word=self.unit == "word")

    def _equations(self, lines: Sequence[str], interval: bool, drawn: str) -> list[Score]:
        """How many samples are true, different and new; scored like them, training lines are all true."""
        labels = {
            "valid": ("true equations", "per sample"),
            "distinct": ("distinct true equations", "per sample"),
            "new": ("new equations", "of the distinct true ones"),
        }
        train = self.data.train_lines
        real = equation_scores(train[: len(lines)], ())
        protocol = f"n:{len(lines)}|train:{len(train)}|split:{self.data.fingerprint()}{drawn}"
        found = [
            Score(name, value, *labels[name], "more", 1, None if name == "new" else real[name], protocol=protocol)
            for name, value in equation_scores(lines, train).items()
        ]
        if interval:
            each = [equation_scores([line], ())["valid"] for line in lines]
            found[0] = found[0].within(mean_interval(torch.tensor(each, dtype=torch.float64)))
        return found

    def _copies(self, lines: Sequence[str], seed: int) -> list[Score]:
        """Nearest training lines, by edits of the unit that the scores count, and a two-sample test."""
        data, unit = self.data, self.unit
        split = (lambda line: line.split()) if unit == "word" else list
        train = [split(line) for line in data.train_lines]
        real = data.held_out_lines[:_COMPARED]
        compared = nearest_edit([split(line) for line in lines[:_COMPARED]], train)
        of_held_out = nearest_edit([split(line) for line in real], train)
        protocol = (
            f"unit:{unit}|n:{len(compared.distance)}|held-out:{len(of_held_out.distance)}|train:{len(train)}"
            f"|data:{data.fingerprint()}|seed:{seed}"
        )
        found = memorization(compared.distance, of_held_out.distance)
        scores = memorization_scores(found, protocol, f"edits of {unit}s")
        fake = list(lines[: len(real)])
        if min(len(real), len(fake)) >= 20:
            from sklearn.feature_extraction.text import CountVectorizer

            units: Any = {"analyzer": "word", "token_pattern": r"\S+"} if unit == "word" else {"analyzer": "char"}
            counter = CountVectorizer(**units, ngram_range=_COUNTED, max_features=_MOST_COUNTED, lowercase=False)
            found_ngrams: Any = counter.fit_transform([*real, *fake])  # a sparse matrix, which its type does not say
            counts = torch.from_numpy(found_ngrams.toarray()).float()
            test = classifier_two_sample_test(counts[: len(real)], counts[len(real) :], seed=seed)
            scores.append(two_sample_score(test, f"ngrams:{_COUNTED[0]}-{_COUNTED[1]}|{protocol}"))
        return scores

    def show(self, generator: Generator, path: Path, scores: Sequence[Score] = ()) -> Path:
        """64 samples, one per line; with scores, as many as were scored."""
        num = self.options.num_scored or (2000 if self.are_equations else 10_000)
        return write_samples(path.with_suffix(".txt"), self.decode(generate(generator, num if scores else 64)))

    # Over temperatures.

    @property
    def axes(self) -> tuple[str, str]:
        """Scores of diversity and of quality that span the picture of temperatures."""
        return ("distinct", "valid") if self.are_equations else ("self_bleu5", "bleu5")
