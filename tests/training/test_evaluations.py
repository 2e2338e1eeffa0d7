import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from discrete_gan.models import (
    AMGANDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
    RecurrentDiscriminator,
    TextCNN,
    labeled,
)
from discrete_gan.training import Run, diagnostics
from discrete_gan.training.evaluations import EvaluationCounter
from tests.training.small import D, make_run


def watched(discriminator: torch.nn.Module) -> EvaluationCounter:
    counter = EvaluationCounter()
    counter.watch(discriminator)
    return counter


def test_samples_over_all_leading_axes() -> None:
    discriminator = MLPDiscriminator(6, hidden=(4, 4))
    counter = watched(discriminator)
    discriminator(torch.zeros(5, 6))
    assert counter.total == 5
    discriminator(torch.zeros(3, 5, 6))
    assert counter.total == 5 + 15
    with torch.no_grad():
        discriminator(torch.zeros(2, 6))
    assert counter.total == 5 + 15 + 2


def test_labels_of_a_batch_change_nothing() -> None:
    discriminator = MLPDiscriminator(6, hidden=(4, 4), num_classes=3)
    counter = watched(discriminator)
    labeled(discriminator, torch.tensor([0, 2]))(torch.zeros(7, 2, 6))
    assert counter.total == 14


def test_a_row_of_logits_is_one_sample() -> None:
    discriminator = AMGANDiscriminator((1, 8, 8), num_outputs=11)
    counter = watched(discriminator)
    assert discriminator(torch.zeros(4, 64)).shape == (4, 11)
    assert counter.total == 4


@pytest.mark.parametrize("relaxed", [False, True])
def test_sequences_count_once_whatever_is_asked_of_them(relaxed: bool) -> None:
    discriminator = RecurrentDiscriminator(7, 5, end=0, embedding_dim=3, hidden=4)
    counter = watched(discriminator)
    tokens = torch.randint(7, (3, 2, 5))
    x = torch.nn.functional.one_hot(tokens, 7).float() if relaxed else tokens
    for calls, method in enumerate((discriminator, discriminator.outputs, discriminator.steps), start=1):
        method(x)
        assert counter.total == 6 * calls
    discriminator.penalized(tokens[0])
    assert counter.total == 18 + 2


def test_evaluation_mode_and_copies_do_not_count() -> None:
    generator, discriminator = MLPGenerator(2, 6, hidden=(4,)), MLPDiscriminator(6, hidden=(4, 4))
    counter = watched(discriminator)
    diagnostics(generator, discriminator, torch.zeros(3, 6), torch.zeros(3, 2))
    copy.deepcopy(discriminator)(torch.zeros(3, 6))
    assert counter.total == 0
    sequences = TextCNN(7, 5, end=0, embedding_dim=3, channels=2)
    counter = watched(sequences)
    duplicate = copy.deepcopy(sequences)
    with torch.no_grad():
        for parameter in duplicate.parameters():
            parameter.zero_()
    tokens = torch.randint(7, (4, 5))
    assert duplicate.outputs(tokens).abs().max() == 0, "the copy's method must use the copy's weights"
    assert counter.total == 0
    sequences.outputs(tokens)
    assert counter.total == 4
    sequences.eval()
    sequences.outputs(tokens)
    assert counter.total == 4


def train(path: Path, *, steps: int, resume: bool = False, **options: Any) -> Run:
    """The samples that the discriminator is shown grow by one a step; its average is shown some too."""
    run = make_run(steps=steps, **options, **{"resume" if resume else "out": path})
    run.player("generator", MLPGenerator(3, D, hidden=(4,)), lr=0.1)
    discriminator = MLPDiscriminator(D, hidden=(4, 4))
    d = run.player("discriminator", discriminator, lr=0.1, average=0.5)
    for step in run.steps():
        discriminator(torch.zeros(10 + step, D))
        d.best(torch.zeros(99, D))
    return run


def rows(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_lines_results_and_resumption_go_on_counting(tmp_path: Path) -> None:
    train(tmp_path / "run", steps=2)
    assert [row["evaluations"] for row in rows(tmp_path / "run")] == [10, 21]
    train(tmp_path / "run", steps=4, resume=True)
    assert [row["evaluations"] for row in rows(tmp_path / "run")] == [10, 21, 33, 46]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["evaluations"] == 46 and results["steps"] == 4 and results["scores"].keys() == {"ones"}
    assert results["seconds"] >= rows(tmp_path / "run")[-1]["seconds"] - 0.001  # lines are rounded to a millisecond


def test_figures_that_wait_for_a_line_survive_a_resumption(tmp_path: Path) -> None:
    where = {"out": tmp_path / "run", "checkpoint_every": 1}
    for steps in (1, 2):
        if steps == 2:
            where = {"resume": tmp_path / "run"}
        run = make_run(steps=2, log_every=2, sample_every=0, **where)
        run.player("generator", MLPGenerator(3, D, hidden=(4,)), lr=0.1)
        run.player("discriminator", MLPDiscriminator(D, hidden=(4, 4)), lr=0.1)
        for step in run.steps():
            if step == 0:
                run.log(early=torch.tensor(0.25))
            run.log(loss=float(step))
            if step + 1 == steps == 1:
                run._save()  # as if killed behind it
                break
    assert [(row["early"], row["loss"]) for row in rows(tmp_path / "run")] == [(0.25, 1.0)]


def test_every_process_counts(tmp_path: Path) -> None:
    run = make_run(out=tmp_path / "run")
    discriminator = MLPDiscriminator(D, hidden=(4, 4))
    run.player("discriminator", discriminator, lr=0.1)
    run.world_size = 3
    discriminator(torch.zeros(10, D))
    assert run.evaluations == 30
