"""What a run on text is judged by: samples as text, the likelihood of held-out text, and scores."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from discrete_gan.data import TextData, Vocabulary
from discrete_gan.data.equations import equation_scores
from discrete_gan.distributions import Autoregressive, before_end
from discrete_gan.metrics import TextScorer, TokenNLL, importance_weighted_bound
from discrete_gan.report.curves import Axis
from discrete_gan.training import generate, seeded
from discrete_gan.training.sampling import evaluating

_LINE_BREAK = re.compile("[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")  # where str.splitlines breaks
_ROWS = 512  # sequences whose log-probability is computed at a time
MOST_BOUNDED = 1000  # held-out sequences, where the likelihood costs num_latents passes


def generate_text(
    generator: nn.Module,
    vocabulary: Vocabulary | None,
    num: int,
    *,
    seed: int = 0,
    temperature: float = 1.0,
    prefix: Tensor | None = None,
) -> list[str]:
    """Samples as text, one for each fresh latent.

    Args:
        generator: Of sequences.
        vocabulary: What decodes them; token numbers with blanks between where there is none.
        num: Number of samples.
        seed: Of latents and samples.
        temperature: Divides the logits.
        prefix: Tokens that every sample begins with, shape (P,).
    """
    tokens = generate(generator, num, seed=seed, temperature=temperature, prefix=prefix).cpu()
    if vocabulary is None:
        return [" ".join(map(str, row)) for row in tokens.tolist()]
    return vocabulary.decode(tokens)


def as_lines(samples: Iterable[str]) -> str:
    r"""A sample a line: line breaks inside one, of any kind, are written as ``\n``, ``\u2028`` and so on."""
    return "".join(_LINE_BREAK.sub(_escaped, sample) + "\n" for sample in samples)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def held_out_likelihood(
    generator: nn.Module, tokens: Tensor, *, num_latents: int = 20, temperature: float = 1.0
) -> dict[str, float]:
    """Negative log-likelihood of text under a generator: exact without latents, else an upper bound and its gap.

    Args:
        generator: Of sequences; in evaluation mode for the time.
        tokens: Shape (N, D). With latents, the first 1,000.
        num_latents: S, latents behind each bound.
        temperature: Divides the logits.

    Returns:
        ``nll_token`` and ``nll_sequence`` in nats, ``perplexity`` of a token, the end of a sequence among the tokens;
        and ``nll_gap``, nats a sequence that the bound is too high by, as the jackknife has it.
    """
    latents = cast(Callable[[int], Tensor], generator.latents)
    # On the CPU, as not every device has float64; of this process alone, the one that reports.
    metric, gap, num_sequences = TokenNLL(sync_on_compute=False), 0.0, 0
    with torch.no_grad(), evaluating(generator), seeded("likelihood"):
        exact = generator.latent_dim == 0
        for part in tokens.split(_ROWS) if exact else tokens[:MOST_BOUNDED].split(max(1, _ROWS // num_latents)):
            g = cast(Autoregressive, generator(latents(1 if exact else num_latents)))
            # (N, S)
            log_prob = g.log_prob(part[:, None].expand(-1, *g.batch_shape, -1), temperature=temperature).cpu()
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


class TextReport:
    """Scores and samples of a generator of text against one data set.

    Args:
        data: The training run's data.

    Attributes:
        axes: Scores of a picture of diversity and quality.
        shown: Scores of a table.
        num_samples: How many samples to score if nobody says: fewer than there are equations, else 10,000.
    """

    def __init__(self, data: TextData) -> None:
        self.data = data
        self.held_out = data.held_out
        self.are_equations = data.name == "equations"
        self.num_samples = 2000 if self.are_equations else 10_000
        if self.are_equations:
            self.axes = Axis("distinct", "distinct true equations a sample"), Axis("valid", "true equations a sample")
            self.shown = ("valid", "distinct", "new", "nll_token")
        else:
            self.axes = (
                Axis("self_bleu5", "self-BLEU-5 (less is more diverse)"),
                Axis("bleu5", "BLEU-5 (more is better)"),
            )
            self.shown = (*(f"{kind}{n}" for kind in ("bleu", "self_bleu") for n in range(2, 6)), "copied", "nll_token")
        self.unit: Literal["word", "char"] = "char" if data.vocabulary.kind == "char" else "word"
        self._scorer: TextScorer | None = None

    def to(self, device: torch.device) -> None:
        """Move what likelihoods are computed of there."""
        self.held_out = self.held_out.to(device)

    def summary(self) -> dict[str, object]:
        """What a run's config.json says of its data."""
        return self.data.summary()

    @property
    def scorer(self) -> TextScorer:
        """Scores lines against the held-out ones."""
        if self._scorer is None:
            self._scorer = TextScorer(
                self.data.train_lines, self.data.held_out_lines, unit=self.unit, split=self.data.fingerprint()
            )
        return self._scorer

    def point(self, generator: nn.Module, temperature: float, *, num_samples: int, seed: int = 0) -> dict[str, float]:
        """Scores of samples at a temperature, and the likelihood of at most 2,000 held-out sequences."""
        lines = generate_text(generator, self.data.vocabulary, num_samples, seed=seed, temperature=temperature)
        scores = held_out_likelihood(generator, self.held_out[:2000], temperature=temperature)
        if self.are_equations:
            scores |= equation_scores(lines, self.data.train_lines)
        return scores | self.scorer(lines).values

    def real(self, num_samples: int) -> dict[str, float]:
        """The same scores of as many training lines, but for how many are new."""
        lines = self.data.train_lines[:num_samples]
        scores = equation_scores(lines, ()) if self.are_equations else {}
        scores.pop("new", None)
        return scores | self.scorer(lines).real

    def protocol(self, num_samples: int) -> str:
        """The signature that the scores of the axes share."""
        if self.are_equations:
            return f"n:{num_samples}|train:{len(self.data.train)}|split:{self.data.fingerprint()}"
        return self.scorer.signatures(num_samples)["bleu5"].partition("|")[2]

    def quick(self, generator: nn.Module) -> dict[str, float]:
        """Figures for a line of the log: the held-out likelihood, and of equations how many of 500 are true."""
        values = held_out_likelihood(generator, self.held_out[:500])
        if self.are_equations:
            scores = equation_scores(generate_text(generator, self.data.vocabulary, 500), self.data.train_lines)
            values |= {"valid": scores["valid"], "distinct": scores["distinct"]}
        values.pop("perplexity")
        return values

    def samples(self, path: Path, generator: nn.Module, *, num: int = 64) -> None:
        """Write samples, one a line; the same latents at every call."""
        path.write_text(as_lines(generate_text(generator, self.data.vocabulary, num)), encoding="utf-8")

    def final(self, folder: Path, generator: nn.Module, *, num_samples: int = 10_000) -> dict[str, Any]:
        """Score samples, write all of them to ``folder/samples.txt``, and print where and what.

        Args:
            folder: Run directory.
            generator: As trained.
            num_samples: Samples to score.

        Returns:
            The scores for results.json.
        """
        lines = generate_text(generator, self.data.vocabulary, num_samples)
        (folder / "samples.txt").write_text(as_lines(lines), encoding="utf-8")
        likelihood = held_out_likelihood(generator, self.held_out)
        signatures = {name: f"{name}|{self._likelihood_protocol('nll_gap' not in likelihood)}" for name in likelihood}
        results: dict[str, Any] = dict(likelihood)
        for line in as_lines(lines[:10]).splitlines():
            print(f"  {line}")
        if self.are_equations:
            counts = equation_scores(lines, self.data.train_lines)
            results |= counts
            signatures |= {name: f"{name}|{self.protocol(len(lines))}" for name in counts}
            print("equations         " + ", ".join(f"{key} {results[key]:.3f}" for key in ("valid", "distinct", "new")))
            print(f"{'':<18}{self.protocol(len(lines))}")
        scores = self.scorer(lines)
        gap = f", {results['nll_gap']:.2f} of it the bound's gap" if "nll_gap" in results else ""
        print(
            f"held-out NLL      {results['nll_token']:.3f} nats a token, {results['nll_sequence']:.2f} a sequence{gap}"
        )
        print(f"{'':<18}{signatures['nll_token'].partition('|')[2]}")
        for line in scores.lines():
            print(line)
        print(f"samples           {folder / 'samples.txt'}")
        print(f"run               {folder}")
        return {**results, **scores.as_dict(), "signatures": signatures | scores.signatures}

    def _likelihood_protocol(self, exact: bool) -> str:
        """What a held-out likelihood depends on besides the generator."""
        count = len(self.held_out) if exact else min(len(self.held_out), MOST_BOUNDED)
        kind, size = self.data.vocabulary.kind, self.data.num_categories
        return f"n:{count}|tokens:{kind}|K:{size}|length:{self.data.max_length}|split:{self.data.fingerprint()}"
