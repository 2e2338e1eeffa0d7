"""The recipe on tables, from a file to rows of the same columns, types and formats."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from discrete_gan.cli import main
from discrete_gan.cli.runs import load_model, open_run
from discrete_gan.sampling import negative_log_likelihood
from discrete_gan.training import RunDirectory

pandas = pytest.importorskip("pandas", reason="needs pandas")


def people(folder: Path, num: int = 150) -> str:
    rows = [
        f"{n};{20 + n * 7 % 50};{['', 'a,b', 'c'][n % 3]};{n * 37 % 101 / 4:.2f};2020-0{1 + n % 9}-1{n % 10};{n % 2}"
        for n in range(num)
    ]
    path = folder / "people.csv"
    path.write_text("id;age;sort;pay;day;rich\n" + "\n".join(rows) + "\n")
    return str(path)


def train(folder: Path, *words: str) -> str:
    out = str(folder / "run")
    quick = ["--steps", "2", "--num-scored", "40", "--sample-every", "0", "--generator-width", "8"]
    main(["train", "table", "--out", out, "--discriminator-width", "8", "--device", "cpu", *quick, *words])
    return out


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    told = capsys.readouterr().err
    assert end.value.code == 2
    return told.splitlines()[-1].removeprefix("discrete-gan: ")


def test_a_file_in_and_rows_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tmp_path, "--data", people(tmp_path), "--target", "rich")
    printed = capsys.readouterr().out
    for told in ("values are all different: left out", "column shape error", "pair trend error", "of rich, gradient"):
        assert told in printed
    Path(people(tmp_path)).unlink()
    main(["sample", run, "--num", "30", "--out", str(tmp_path / "rows.csv")])
    header, *rows = (tmp_path / "rows.csv").read_text().splitlines()
    assert header == "age;sort;pay;day;rich" and len(rows) == 30
    for row in rows:
        age, sort, pay, day, rich = row.split(";")
        assert 20 <= int(age) < 70 and sort in ("", "a,b", "c") and rich in "01"
        assert len(pay.split(".")[1]) == 2 and 0 <= float(pay) <= 25
        assert "2020-01-10" <= day <= "2020-09-19" and len(day) == 10
    main(["sample", run, "--num", "30", "--out", str(tmp_path / "again.csv")])
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "rows.csv").read_text()
    main(["sample", run, "--num", "30", "--out", str(tmp_path / "c.csv"), "--where", "sort=c", "rich=1"])
    assert all(";c;" in row and row.endswith(";1") for row in (tmp_path / "c.csv").read_text().splitlines()[1:])
    assert "sort=c, rich=1: " in capsys.readouterr().out
    assert "expected one of a,b, c" in refusal(capsys, "sample", run, "--out", "a.csv", "--where", "sort=d")
    assert "expected a file name ending in .csv or .parquet" in refusal(capsys, "sample", run, "--out", "a.png")
    assert "--out is missing: expected a file name ending in .csv" in refusal(capsys, "sample", run)


def test_conditions_are_drawn_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tmp_path, "--data", people(tmp_path), "--target", "age", "--condition", "sort")
    assert load_model(RunDirectory(Path(run))).order == (1, 2, 3, 4, 0)
    capsys.readouterr()
    main(["sample", run, "--num", "30", "--out", str(tmp_path / "c.csv"), "--where", "sort=c"])
    assert "these are worth 30 independent ones" in capsys.readouterr().out
    told = refusal(capsys, "train", "table", "--data", people(tmp_path), "--condition", "sorts", "--out", "x")
    assert "--condition sorts: expected a column that is learnt, one of age, sort" in told


def test_what_likelihood_leaves_is_the_best_of_what_was_looked_at(tmp_path: Path) -> None:
    """Rates far too large make it worse after a while; the adversarial phase, of one step, begins at the best."""
    phases = ["--pretrain-steps", "20", "--warmup-steps", "0", "--steps", "21", "--check-every", "2"]
    rates = ["--pretrain-lr", "1", "--decay-from", "1", "--generator-lr", "1e-6"]
    options = [*rates, "--log-every", "1", "--average", "0", "--batch-size", "20"]
    run = Path(train(tmp_path, "--data", people(tmp_path), *phases, *options))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    *seen, _ = [row["nll_apart"] for row in rows if "nll_apart" in row]  # and the adversarial step
    assert len(seen) == 10 and 0 < min(seen) < seen[-1] - 0.1
    task: Any = open_run(run).task
    task.to(torch.device("cpu"))
    apart = task.set_apart(0.1).x
    left, end = (load_model(RunDirectory(run), name) for name in ("pretrained", "generator"))
    assert negative_log_likelihood(left, apart) == pytest.approx(min(seen), rel=1e-5)
    assert negative_log_likelihood(end, apart) == pytest.approx(min(seen), rel=1e-2)  # after one small step
    assert not torch.equal(left.output.weight, end.output.weight)
    others = {row.tobytes() for step in range(30) for row in task.batch(step).x.numpy()}
    assert len(others) == 108 and not others & {row.tobytes() for row in apart.numpy()}


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["reinforce", "vimco", "straight-through", "gumbel-softmax", "st-gumbel-softmax"])
def test_other_estimators_train(estimator: str, tmp_path: Path) -> None:
    for model in ("mlp", "autoregressive"):
        if (estimator, model) != ("straight-through", "autoregressive"):
            short = ["--model", model, "--pretrain-steps", "1", "--warmup-steps", "0", "--overwrite"]
            assert Path(train(tmp_path, "--estimator", f"{estimator}:num_samples=2", *short), "results.json").is_file()


@pytest.mark.slow
def test_a_run_is_evaluated_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tmp_path, "--data", people(tmp_path), "--model", "mlp")
    few = ["--num", "200", "--likelihood-num", "2", "--ais-steps", "10", "--ais-simulated", "2"]
    main(["evaluate", run, *few])
    printed = capsys.readouterr().out
    for told in ("two-sample accuracy", "coverage", "distance to training", "likelihood gap", "mean weight"):
        assert told in printed
    main(["train", "table", "--resume", run, "--steps", "3"])
    options = [
        "--data",
        people(tmp_path),
        "--steps",
        "4",
        "--batch-size",
        "20",
        "--num-scored",
        "20",
        "--device",
        "cpu",
    ]
    main(["train", "table", "--verify-resume", *options])


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, out = people(tmp_path), str(tmp_path / "run")
    start = ["train", "table", "--data", spec, "--out", out]
    assert "--target id: expected a column that is learnt" in refusal(capsys, *start, "--target", "id")
    assert "a batch of 500 on each of 1" in refusal(capsys, *start, "--batch-size", "500")
    assert "drop: no column 'idd': did you mean 'id'?" in refusal(capsys, *start, "--drop", "idd")
    told = refusal(capsys, *start, "--estimator", "rebar")
    assert "Rebar: expected a generator that returns FactorizedBernoulli or FactorizedCategorical" in told
    assert "no table at" in refusal(capsys, "train", "table", "--data", "gone.csv", "--out", out)
