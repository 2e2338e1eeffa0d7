"""The files of docs/examples, unchanged, through every verb: what a user brings is one file."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from discrete_gan.cli import main
from discrete_gan.cli.runs import load_model
from discrete_gan.sampling import generate
from discrete_gan.training import RunDirectory

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
BROUGHT = {
    "network": ["digits", "--generator", f"{EXAMPLES / 'network.py'}:ResidualGenerator:depth=3"],
    "estimator": ["digits", "--estimator", f"{EXAMPLES / 'estimator.py'}:median_reinforce:num_samples=4"],
    "score": ["digits", "--scores", f"{EXAMPLES / 'score.py'}:ink"],
    "task": ["digits", "--data", f"{EXAMPLES / 'task.py'}:BarsAndStripes"],
    "recipe": [str(EXAMPLES / "recipe.py")],
}
QUICK = ["--steps", "4", "--num-scored", "40", "--sample-every", "2", "--log-every", "2", "--batch-size", "16"]


def scores_of(run: Path, file: str) -> dict[str, Any]:
    return json.loads((run / file).read_text())["scores"]


@pytest.mark.parametrize(
    "name", [name if name == "task" else pytest.param(name, marks=pytest.mark.slow) for name in BROUGHT]
)
def test_what_a_user_brings_works_in_every_verb(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [tmp_path / "first", tmp_path / "second"]
    for seed, run in enumerate(runs):
        main(["train", *BROUGHT[name], *QUICK, "--seed", str(seed), "--out", str(run)])
    trust = [] if name == "estimator" else ["--trust", str(EXAMPLES / f"{name}.py")]  # which only training runs
    main(["sample", str(runs[0]), "--num", "4", "--out", "samples.png", *trust])
    main(["evaluate", *map(str, runs), "--num", "40", "--likelihood", "none", *trust])
    main(["compare", *map(str, runs), "--out", "comparison"])
    compared = capsys.readouterr().out
    results, evaluation = scores_of(runs[0], "results.json"), scores_of(runs[0], "evaluation.json")
    assert results.keys() <= evaluation.keys()
    assert (tmp_path / "samples.png").is_file() and (tmp_path / "comparison" / "report.html").is_file()
    first = next(score for score in results.values() if score["better"])
    page = (runs[0] / "report.html").read_text()
    assert first["label"] in compared and first["label"] in page


def test_the_network_is_the_users(tmp_path: Path) -> None:
    run = tmp_path / "run"
    main(["train", *BROUGHT["network"], *QUICK, "--out", str(run)])
    generator = load_model(RunDirectory(run), trust=[EXAMPLES / "network.py"])
    assert type(generator).__name__ == "ResidualGenerator" and len(generator.blocks) == 3


def test_a_run_is_resumed_with_the_users_network(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for run in (whole, broken):
        main(["train", *BROUGHT["network"], *QUICK, "--checkpoint-every", "2", "--out", str(run)])
    (broken / "checkpoints" / "step-00000004.pt").unlink()
    main(["train", *BROUGHT["network"], "--resume", str(broken)])
    weights = [(run / "generator" / "model.safetensors").read_bytes() for run in (whole, broken)]
    assert weights[0] == weights[1]


def test_the_score_is_in_log_results_and_evaluation(tmp_path: Path) -> None:
    run = tmp_path / "run"
    main(["train", *BROUGHT["score"], *QUICK, "--out", str(run)])
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    result = scores_of(run, "results.json")["ink"]
    assert all("ink" in row for row in rows)
    assert result["unit"] == "difference of mean pixels" and 0 <= result["value"] <= 1


def test_the_users_data_are_what_is_learnt(tmp_path: Path) -> None:
    run = tmp_path / "run"
    main(["train", *BROUGHT["task"], *QUICK, "--out", str(run)])
    drawn = generate(load_model(RunDirectory(run)), 2)
    assert drawn.shape == (2, 16)
    assert scores_of(run, "results.json").keys() == {"valid", "found"}


def test_the_recipe_trains(tmp_path: Path) -> None:
    main(["train", *BROUGHT["recipe"], *QUICK, "--out", str(tmp_path / "run")])
    assert json.loads((tmp_path / "run/config.json").read_text())["recipe"] == "recipe"
    assert "frechet" in scores_of(tmp_path / "run", "results.json")


def test_an_example_is_one_short_file() -> None:
    for path in EXAMPLES.glob("*.py"):
        tree = ast.parse(path.read_text())
        modules = {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        own = {
            module
            for module in modules
            if module.partition(".")[0] in ("docs", "", *(p.stem for p in EXAMPLES.glob("*.py")))
        }
        assert not own and len(path.read_text().splitlines()) <= 90
    assert len((EXAMPLES / "task.py").read_text().partition("class ")[2].splitlines()) <= 40


def test_median_reinforce_is_zero_where_rewards_are_equal() -> None:
    scope: dict[str, Any] = {}
    exec((EXAMPLES / "estimator.py").read_text(), scope)  # the file stands alone
    logits = torch.zeros(3, 4, requires_grad=True)
    from discrete_gan.distributions import FactorizedBernoulli

    loss = scope["median_reinforce"](
        lambda z: FactorizedBernoulli(logits=logits), lambda x: x.sum(-1) * 0, torch.zeros(3, 1)
    )
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert gradient.abs().max() == 0
