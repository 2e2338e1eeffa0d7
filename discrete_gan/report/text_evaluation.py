"""How good a trained generator of sequences is: likelihood, quality, diversity, memorization, its discriminator."""

from collections.abc import Sequence
from typing import Any

import torch
from sklearn.feature_extraction.text import CountVectorizer
from torch import nn

from discrete_gan.data.equations import equation_scores
from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.metrics.memorization import memorization
from discrete_gan.metrics.nearest import nearest_edit
from discrete_gan.metrics.two_sample import classifier_two_sample_test
from discrete_gan.report.evaluation import Evaluation, raw_outputs, weight_rows
from discrete_gan.report.likelihood import LikelihoodOptions, held_out_log_likelihood
from discrete_gan.report.oracle import OracleReport
from discrete_gan.report.text import TextReport, generate_text
from discrete_gan.training import generate

_COMPARED = 1000  # samples, and held-out sequences, of everything that is compared in pairs
_NGRAMS, _MOST_NGRAMS = (1, 3), 1000  # that the two-sample test's classifier counts


def evaluate_text(
    report: TextReport | OracleReport,
    generator: nn.Module,
    discriminator: nn.Module | None,
    *,
    num: int = 2000,
    num_likelihood: int = 200,
    likelihood: LikelihoodOptions | None = None,
    seed: int = 0,
) -> tuple[Evaluation, list[str]]:
    """Every figure there is of a generator of sequences, and its first samples as text.

    Args:
        report: Of the run's data, moved to the device.
        generator: On the same device.
        discriminator: As the run left it; None for none.
        num: Samples that are scored.
        num_likelihood: Held-out sequences whose likelihood is computed, if that is not exact; else all.
        likelihood: How.
        seed: Of latents and samples.
    """
    found = Evaluation()
    data = str(report.summary()["fingerprint"])
    options = (likelihood or LikelihoodOptions())._replace(seed=seed)
    held_out = report.held_out if generator.latent_dim == 0 else report.held_out[:num_likelihood]
    bounded = held_out_log_likelihood(generator, held_out, options=options)
    if bounded is None:
        found.verdicts.append("no log-likelihood: not asked for")
    else:
        found.add_likelihood(bounded, f"data:{data}")
    protocol = f"n:{num}|data:{data}|seed:{seed}"
    if isinstance(report, OracleReport):
        tokens = generate(generator, num, seed=seed)
        nll = report.oracle_log_prob(tokens).neg() / report.max_length
        found.add(
            "nll_oracle", mean_interval(nll), protocol, "of samples under the oracle, nats a token; less is better"
        )
        lines = generate_text(generator, None, 10, seed=seed)
    else:
        lines = generate_text(generator, report.data.vocabulary, num, seed=seed)
        _add_scores(found, report, lines, protocol)
        _add_copies(found, report, lines, seed)
    if discriminator is not None:
        fake, real = generate(generator, _COMPARED, seed=seed), report.held_out[:_COMPARED]
        raw_real, raw_fake = raw_outputs(discriminator, real), raw_outputs(discriminator, fake)
        if raw_real is None or raw_fake is None:
            found.verdicts.append("no calibration: the discriminator has more than one output a sample")
        else:
            sizes = f"n:{len(fake)}|held-out:{len(real)}|data:{data}|seed:{seed}"
            found.add_discriminator(raw_real.cpu(), raw_fake.cpu(), sizes)
            found.weights = weight_rows(generator, discriminator, seed=seed)
    return found, lines[:10]


def _add_scores(found: Evaluation, report: TextReport, lines: Sequence[str], protocol: str) -> None:
    signatures = report.scorer.signatures(len(lines))
    meanings = {
        "bleu": "against held-out lines; more is better",
        "self_bleu": "against each other; less is more diverse",
    }
    for name, values in report.scorer.by_sample(lines).items():
        meaning = meanings.get(name.rstrip("2345"), "samples that are training lines")
        own = signatures[name].partition("|")[2]
        found.add(name, mean_interval(values), own, meaning)
    counts: dict[str, int] = {}
    for line in lines:
        counts[line] = counts.get(line, 0) + 1
    distinct = torch.tensor([1 / counts[line] for line in lines], dtype=torch.float64)
    found.add("distinct_samples", mean_interval(distinct), protocol, "distinct samples a sample; 1")
    if report.are_equations:
        valid = torch.tensor([equation_scores([line], ())["valid"] for line in lines], dtype=torch.float64)
        found.add("valid", mean_interval(valid), report.protocol(len(lines)), "samples that are true equations; 1")


def _add_copies(found: Evaluation, report: TextReport, lines: Sequence[str], seed: int) -> None:
    """Nearest training lines, by edits of the unit that the scores count."""
    split = (lambda line: line.split()) if report.unit == "word" else list
    train = [split(line) for line in report.data.train_lines]
    held_out_lines = report.data.held_out_lines[:_COMPARED]
    compared = nearest_edit([split(line) for line in lines[:_COMPARED]], train)
    of_held_out = nearest_edit([split(line) for line in held_out_lines], train)
    protocol = (
        f"unit:{report.unit}|n:{len(compared.distance)}|held-out:{len(of_held_out.distance)}|train:{len(train)}"
        f"|data:{report.data.fingerprint()}|seed:{seed}"
    )
    found.add_memorization(memorization(compared.distance, of_held_out.distance), protocol, f"edit ({report.unit})")
    real, fake = list(held_out_lines), list(lines[: len(held_out_lines)])
    if min(len(real), len(fake)) >= 20:
        units: Any = {"analyzer": "word", "token_pattern": r"\S+"} if report.unit == "word" else {"analyzer": "char"}
        counter = CountVectorizer(**units, ngram_range=_NGRAMS, max_features=_MOST_NGRAMS, lowercase=False)
        found_ngrams: Any = counter.fit_transform([*real, *fake])  # a sparse matrix, which its type does not say
        counts = torch.from_numpy(found_ngrams.toarray()).float()
        test = classifier_two_sample_test(counts[: len(real)], counts[len(real) :], seed=seed)
        found.add_two_sample(test, f"ngrams:{_NGRAMS[0]}-{_NGRAMS[1]}|{protocol}")
