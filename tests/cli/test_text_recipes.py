"""The recipes on sequences, from the command line: train, resume, sample, evaluate, and a user's mistakes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.optim import Optimizer

import discrete_gan as dg
from discrete_gan.cli import main
from discrete_gan.cli.runs import load_model
from discrete_gan.estimators import SEQUENCE_ESTIMATORS
from discrete_gan.models.oracle import random_oracle
from discrete_gan.training import Run
from discrete_gan.training.directory import RunDirectory

SMALL = "--steps 6 --pretrain-steps 2 --warmup-steps 1 --batch-size 4 --hidden 8 --embedding 4 --discriminator-width 8"
STEPS = ["--discriminator", "lstm", "--estimator", "boundary-seeking-steps:num_samples=2"]
QUICK = [
    *STEPS,
    *SMALL.split(),
    "--num-scored",
    "20",
    "--log-every",
    "1",
    "--sample-every",
    "3",
    "--checkpoint-every",
    "3",
]
LINES = ["the cat sat", "a dog ran far", "the dog sat", "a cat ran", "the bird flew far away", "a bird sat"] * 4


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("".join(f"{line} {number}\n" for number, line in enumerate(LINES)))
    weights = {key: value.numpy() for key, value in random_oracle(0, num_categories=30, size=4).items()}
    np.savez("oracle.npz", **weights)  # pyright: ignore[reportArgumentType]
    return tmp_path


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("discrete-gan: ") and "\n" not in error
    return error


def scores_of(run: str) -> dict[str, dict[str, Any]]:
    return json.loads(Path(run, "results.json").read_text())["scores"]


def metrics(run: str) -> list[dict[str, float]]:
    return [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]


def test_text_of_ones_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    probe = ["--probe-every", "6", "--probe-redraws", "2"]
    main(["train", "text", "--data", "my.txt", "--out", "run", "--max-length", "5", *probe, *QUICK])
    printed = capsys.readouterr().out
    assert "5 tokens" in printed and "vocabulary K = " in printed  # what was left out is said, and what there is
    assert metrics("run")[-1]["probe/all/variance"] > 0
    assert sorted(path.name for path in Path("run").iterdir() if path.is_dir()) == [
        "checkpoints",
        "discriminator",
        "generator",
        "pretrained",
        "samples",
    ]
    scores = scores_of("run")
    assert {"nll_token", "bleu4", "self_bleu4", "js4", "copied"} <= scores.keys()
    assert all(score["protocol"] and score["label"] for score in scores.values())
    assert len(Path("run/samples.txt").read_text().splitlines()) == 20
    assert len(Path("run/samples/step-00000003.txt").read_text().splitlines()) == 64
    assert Tokenizer.from_file("run/tokenizer.json").token_to_id("cat") is not None
    config = json.loads(Path("run/config.json").read_text())
    assert config["data"]["tokenizer"] == "word" and config["data"]["max_length"] == 5


def test_phases(here: Path) -> None:
    """Likelihood, then the discriminator alone, then both: seen in the logs and in the weights that are kept."""
    main(["train", "text", "--out", "run", *QUICK, "--average", "0"])
    rows = metrics("run")
    assert ["d_loss" in row for row in rows] == [False, False, True, True, True, True]
    assert rows[0]["g_loss"] > 15  # nats of eight characters, not a surrogate
    directory = RunDirectory(Path("run"))
    start, final = load_model(directory, "pretrained"), load_model(directory)
    assert any(not torch.equal(a, b) for a, b in zip(start.parameters(), final.parameters(), strict=True))

    main(["train", "text", "--out", "only", *QUICK, "--average", "0", "--steps", "3"])  # the third is the warm-up
    start, final = (load_model(RunDirectory(Path("only")), name) for name in ("pretrained", "generator"))
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), final.parameters(), strict=True))


def test_updates_and_their_learning_rates(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two phases ends in a decay of its own; the discriminator has as many updates a step as asked for."""
    made: list[tuple[int, str, float]] = []
    minimize = Run.minimize

    def recorded(run: Run, name: str, loss: Tensor, optimizer: Optimizer) -> None:
        made.append((run.step - 1, name, optimizer.param_groups[0]["lr"]))
        minimize(run, name, loss, optimizer)

    monkeypatch.setattr(Run, "minimize", recorded)
    rates = ["--pretrain-lr", "0.4", "--discriminator-lr", "0.2", "--generator-lr", "0.8", "--decay-from", "0.5"]
    more = ["--steps", "8", "--pretrain-steps", "4", "--warmup-steps", "1", "--discriminator-steps", "2"]
    main(["train", "text", "--out", "run", *QUICK, *more, *rates])
    assert made == [
        *((step, "likelihood", pytest.approx(rate)) for step, rate in enumerate([0.4, 0.4, 0.4, 0.2])),
        *((4, "discriminator", 0.2),) * 2,
        *((5, "discriminator", 0.2),) * 2,
        (5, "generator", 0.8),
        *((6, "discriminator", 0.2),) * 2,
        (6, "generator", 0.8),
        *((7, "discriminator", pytest.approx(0.1)),) * 2,
        (7, "generator", pytest.approx(0.4)),
    ]


def test_likelihood_beside_the_adversarial_loss(here: Path) -> None:
    """Runs that differ in the weight alone agree up to the first loss that holds it, which is linear in it."""
    losses = []
    for weight in ("0", "2", "4"):
        out = ["--out", f"weight{weight}", "--likelihood-weight", weight]
        main(["train", "text", *QUICK, *out, "--pretrain-steps", "1", "--steps", "3"])
        losses.append([row.get("g_loss") for row in metrics(f"weight{weight}")])
    first, _, last = (np.array([each[step] for each in losses]) for step in (0, 1, 2))
    assert np.ptp(first) == 0
    assert np.diff(last, 2) == pytest.approx(0, abs=1e-4)  # float32 sums of some 50 nats
    assert (last[1] - last[0]) / 2 == pytest.approx(first[0], rel=0.1)  # one small step from the first likelihood


def test_first_weights_of_the_oracle_benchmark(here: Path) -> None:
    options = ["--oracle", "oracle.npz", "--num-train", "30", "--length", "6", *QUICK, "--hidden", "64"]
    still = ["--estimator", "mle", "--steps", "1", "--pretrain-lr", "0"]
    main(["train", "oracle_text", "--out", "run", *options, *still])
    assert _spread("run") == pytest.approx(0.1, rel=0.03)  # 18,000 weights, standard error 0.5 %
    main(["train", "oracle_text", "--out", "wide", *options, *still, "--init-std", "0.3"])
    assert _spread("wide") == pytest.approx(0.3, rel=0.03)


def _spread(run: str) -> float:
    generator = load_model(RunDirectory(Path(run)))
    return torch.cat([each.flatten() for each in generator.parameters()]).std().item()


def test_likelihood_alone_never_asks_the_discriminator(here: Path) -> None:
    main(["train", "text", "--out", "run", *QUICK, "--estimator", "mle", "--discriminator", "cnn"])
    assert all("d_loss" not in row for row in metrics("run"))
    assert metrics("run")[-1]["g_loss"] > 5


@pytest.mark.parametrize("name", [*SEQUENCE_ESTIMATORS, "boundary-seeking", "maligan", "gumbel-softmax", "vimco"])
def test_every_estimator_trains(here: Path, name: str) -> None:
    options = {"seqgan": ":num_rollouts=2", "mle": ""}.get(name, ":num_samples=2")
    latents = [] if name == "mle" else ["--latent-dim", "3"]
    main(["train", "text", "--out", "run", *QUICK, "--estimator", name + options, *latents])
    scores = scores_of("run")
    assert 0 <= scores["valid"]["value"] <= 1
    assert ("nll_gap" in scores) == bool(latents)


@pytest.mark.parametrize("kind", ["lstm", "cnn", "transformer"])
def test_discriminators_with_a_penalty(here: Path, kind: str) -> None:
    options = ["--discriminator", kind, "--estimator", "boundary-seeking:num_samples=2", "--cell", "gru"]
    penalties = []
    for weight in ("1e-9", "1e3"):
        out = ["--out", f"weight{weight}", "--r1", weight]
        main(["train", "text", *QUICK, *options, *out, "--warmup-steps", "9", "--steps", "8"])
        penalties.append(metrics(f"weight{weight}")[-1]["penalty"])
    assert 0 < penalties[1] < 0.9 * penalties[0]  # it is what the discriminator descends


@pytest.mark.parametrize("recipe", ["text", "oracle_text"])
def test_resumed_run_equals_an_unbroken_one(here: Path, recipe: str) -> None:
    """The break is in the adversarial phase, and the estimator's state counts its calls."""
    base = ["train", recipe, *QUICK, "--estimator", "maligan-mixed:num_samples=2,decrement_every=1"]
    base += ["--oracle", "oracle.npz", "--num-train", "30", "--length", "6"] if recipe == "oracle_text" else []
    main([*base, "--out", "whole"])
    main([*base, "--out", "broken", "--sample-every", "0"])
    last = sorted(Path("broken/checkpoints").glob("*.pt"))[-1]
    assert last.name == "step-00000006.pt"
    last.unlink()
    main(["train", recipe, "--resume", "broken"])
    whole, broken = (load_model(RunDirectory(Path(name))) for name in ("whole", "broken"))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), broken.parameters(), strict=True))
    assert [row.get("g_loss") for row in metrics("whole")] == [row.get("g_loss") for row in metrics("broken")]


def test_sampling_text(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "text", "--data", "my.txt", "--out", "run", *QUICK])
    capsys.readouterr()
    main(["sample", "run", "--num", "3", "--prompt", "the cat"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(line.startswith("the cat") for line in lines)
    main(["sample", "run", "--num", "5", "--out", "new/samples.jsonl", "--seed", "7"])
    main(["sample", "run", "--num", "5", "--out", "samples.txt", "--seed", "7"])
    rows = [json.loads(line)["text"] for line in Path("new/samples.jsonl").read_text().splitlines()]
    assert rows == Path("samples.txt").read_text().splitlines()
    main(["sample", "run", "--num", "40", "--temperature", "0.0001", "--out", "cold.txt"])
    assert len(set(Path("cold.txt").read_text().splitlines())) == 1  # the mode, as the generator has no latents

    assert "--temperature: expected a number above 0, got 0.0" in fails(["sample", "run", "--temperature", "0"], capsys)
    assert "--temperature" in fails(["sample", "run", "--temperature", "inf"], capsys)
    assert "which lacks Katze" in fails(["sample", "run", "--prompt", "the Katze"], capsys)
    assert "expected at most 6 tokens" in fails(["sample", "run", "--prompt", "the " * 9], capsys)
    assert ".txt or .jsonl" in fails(["sample", "run", "--out", "samples.png"], capsys)
    main(["train", "digits", "--out", "images", "--steps", "1", "--num-scored", "20"])
    assert "--prompt: expected a run of text" in fails(["sample", "images", "--prompt", "a"], capsys)
    assert ".png or .npy" in fails(["sample", "images"], capsys)
    assert "expected a run of text" in fails(["evaluate", "images", "--temperatures", "1"], capsys)


def test_running_text_is_a_sample_a_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("running.txt").write_text("a\n" * 200)
    main(["train", "text", "--data", "running.txt", "--window", "5", "--seed", "1", "--out", "run", *QUICK])
    capsys.readouterr()
    main(["sample", "run", "--num", "30"])
    assert len(capsys.readouterr().out.splitlines()) == 30
    main(["sample", "run", "--num", "30", "--out", "samples.jsonl"])
    samples = [json.loads(line)["text"] for line in Path("samples.jsonl").read_text().splitlines()]
    assert any("\n" in sample for sample in samples)
    assert len(Path("run/samples.txt").read_text().splitlines()) == 20


def test_oracle(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--oracle", "oracle.npz", "--num-train", "30", "--length", "6", *QUICK]
    main(["train", "oracle_text", "--out", "run", *options, "--estimator", "reinforce-steps:num_samples=2"])
    scores = scores_of("run")
    assert scores["nll_oracle"]["value"] > 0 and scores["nll_test"]["value"] > 0
    assert float(scores["nll_oracle"]["note"].removeprefix("standard error ")) > 0
    assert len(Path("run/samples/step-00000006.txt").read_text().splitlines()[0].split()) == 6
    capsys.readouterr()
    main(["sample", "run", "--num", "2"])
    assert all(0 <= int(token) < 30 for token in capsys.readouterr().out.split())
    assert "--prompt: expected a run on text" in fails(["sample", "run", "--prompt", "1 2"], capsys)

    np.savez("short.npz", embeddings=np.zeros((3, 2)))
    assert "found no Wi" in fails(["train", "oracle_text", "--out", "no", "--oracle", "short.npz"], capsys)
    assert "expected an .npz file" in fails(["train", "oracle_text", "--out", "no", "--oracle", "gone.npz"], capsys)
    Path("text.npz").write_text("no arrays")
    assert "cannot be read as .npz" in fails(["train", "oracle_text", "--out", "no", "--oracle", "text.npz"], capsys)
    assert not Path("no").exists()


@pytest.mark.slow
def test_evaluation_over_temperatures(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = ["train", "text", "--data", "my.txt", *QUICK]
    main([*base, "--out", "run"])
    main([*base, "--out", "mle", "--estimator", "mle"])
    capsys.readouterr()
    main(["evaluate", "run", "mle", "--temperatures", "1.5", "0.5", "--num", "10", "--out", "both"])
    printed = capsys.readouterr().out
    found = json.loads(Path("both/temperatures.json").read_text())
    names = [f"run: {STEPS[-1]}", "run: mle start", "mle: mle"]
    assert list(found["curves"]) == names and all(name in printed for name in names)
    assert all([point["temperature"] for point in points] == [0.5, 1.5] for points in found["curves"].values())
    assert Path("both/temperatures.png").stat().st_size > 5000
    bleu = found["curves"]["mle: mle"][0]["scores"]["bleu2"]
    assert "refs:" in bleu["protocol"] and 0 < bleu["real"] <= 1
    assert bleu["protocol"] in printed and bleu["label"] in printed and "real data" in printed
    # At the temperature of training, the likelihood is the one that the run reported.
    main(["evaluate", "run", "--temperatures", "1", "--num", "10"])
    (point,) = json.loads(Path("run/temperatures.json").read_text())["curves"][f"run: {STEPS[-1]}"]
    of_training = scores_of("run")["nll_token"]["value"]
    assert point["scores"]["nll_token"]["value"] == pytest.approx(of_training, rel=1e-6)

    # A picture that cannot be drawn takes nothing with it.
    Path("run/temperatures.json").unlink()
    capsys.readouterr()
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("discrete_gan.report.curves.save_temperature_curves", lambda *args, **options: 1 / 0)
        main(["evaluate", "run", "--temperatures", "1", "--num", "10"])
    assert json.loads(Path("run/temperatures.json").read_text())["curves"][f"run: {STEPS[-1]}"] == [point]
    assert "held-out NLL" in capsys.readouterr().out

    # Runs are told apart by their whole paths.
    main([*base, "--out", "more/run", "--steps", "1"])
    main(["evaluate", "run", "more/run", "--temperatures", "1", "--num", "10", "--out", "both"])
    names = [f"run: {STEPS[-1]}", "run: mle start", f"more/run: {STEPS[-1]}"]
    assert list(json.loads(Path("both/temperatures.json").read_text())["curves"]) == names

    assert "expected numbers above 0" in fails(["evaluate", "run", "--temperatures", "0"], capsys)
    assert "--num: expected at least 2" in fails(["evaluate", "run", "--temperatures", "1", "--num", "1"], capsys)
    main(["train", "text", "--out", "equations", *QUICK])
    assert "fingerprint" in fails(["evaluate", "run", "equations", "--temperatures", "1"], capsys)
    Path("my.txt").unlink()
    assert "no text at 'my.txt'" in fails(["evaluate", "run", "--temperatures", "1"], capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--estimator", "arm"], "ARM"),
        (["--discriminator", "cnn"], "expected a discriminator with a raw output per step"),
        (["--data", "gone.txt"], "no text at 'gone.txt'"),
        (
            ["--discriminator", "transformer", "--estimator", "maligan", "--discriminator-width", "6"],
            "networks: embedding_dim",
        ),
        (["--hidden", "0"], "--hidden: expected at least 1, got 0"),
        (["--estimator", "maligan-mixed:num_samples=2,prefix=99"], "prefix: expected at most 8"),
        (["--estimator", "boundary-seeking-steps:num_samples=100000000"], "takes about"),
    ],
)
def test_mistakes(here: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = fails(["train", "text", "--out", "no", *QUICK, *options], capsys)
    assert message.lower() in error.lower()
    assert not Path("no").exists()


def test_a_labeled_column_of_a_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a CSV to a CSV: samples of the label that is asked for, by its name, in the columns that were read."""
    kinds = ["cat", "dog", "bird"]
    lines = [(f"the {kind} {verb} {number}", kind) for kind in kinds for verb in ("sat", "ran") for number in range(9)]
    rows = "".join(f"{number},{line},{kind}\n" for number, (line, kind) in enumerate(lines))
    Path("animals.csv").write_text(f"id,said,kind\n{rows}")
    reading = ["--column", "said", "--conditional", "--label-column", "kind", "--tokenizer", "word"]
    main(["check", "animals.csv", *reading, "--batch-size", "4"])
    assert "classes    bird 1" in capsys.readouterr().out
    learning = ["--steps", "150", "--pretrain-steps", "150", "--pretrain-lr", "0.05", "--hidden", "16"]
    main(
        ["train", "text", "--data", "animals.csv", *reading, *QUICK, *learning, "--out", "run", "--sample-every", "50"]
    )
    assert scores_of("run")["class_agreement"]["value"] >= 0.9
    assert scores_of("run")["class_agreement"]["label"] == "of the class asked for"
    assert json.loads(Path("run/config.json").read_text())["data"]["classes"] == sorted(kinds)
    main(["sample", "run", "--num", "40", "--label", "dog", "--out", "dogs.csv"])
    dogs = pandas.read_csv("dogs.csv")
    assert list(dogs.columns) == ["said", "kind"] and set(dogs["kind"]) == {"dog"}
    assert dogs["said"].str.contains("dog").mean() >= 0.9
    main(["sample", "run", "--num", "6", "--out", "turns.jsonl"])
    turns = [json.loads(line)["kind"] for line in Path("turns.jsonl").read_text().splitlines()]
    assert turns == sorted(kinds) * 2
    assert "expected a class or an index from 0 to 2: bird, cat, dog" in fails(
        ["sample", "run", "--label", "cow"], capsys
    )
    main(["evaluate", "run", "--num", "40"])
    evaluated = json.loads(Path("run/evaluation.json").read_text())["scores"]
    assert evaluated["class_agreement"]["low"] <= evaluated["class_agreement"]["value"]
    assert evaluated["log_likelihood"]["value"] < 0


@pytest.mark.parametrize(
    ("estimator", "discriminator"),
    [
        *((name, "lstm") for name in ("boundary-seeking-steps", "reinforce-steps", "scratchgan", "vimco", "seqgan")),
        *((name, "cnn") for name in ("mle", "boundary-seeking-union", "reinforce", "maligan-mixed")),
        *((name, "transformer") for name in ("boundary-seeking", "gumbel-softmax", "st-gumbel-softmax")),
    ],
)
def test_labels_with_every_kind_of_estimator(estimator: str, discriminator: str, here: Path) -> None:
    options = [*SMALL.split(), "--num-scored", "20", "--latent-dim", "2", "--sample-every", "0", "--r1", "1"]
    main(["train", "text", "--conditional", *options, "--estimator", estimator, "--discriminator", discriminator])
    assert "class_agreement" in scores_of("runs/text")


def test_refining_a_generator_with_labels(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "text", "--conditional", *QUICK, "--out", "run"])
    main(["refine", "run", "--network", "cnn", "--width", "4", "--steps", "3", "--check-every", "1", "--r1", "1"])
    main(["sample", "run", "--num", "4", "--label", "+", "--reweight", "--out", "some.csv"])
    assert pandas.read_csv("some.csv")["label"].tolist() == ["+"] * 4


def test_the_generator_that_likelihood_left(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "text", *QUICK, "--out", "run", "--average", "0", "--generator-lr", "0.5"])
    capsys.readouterr()
    main(["sample", "run/pretrained", "--num", "5", "--seed", "3"])
    printed = capsys.readouterr().out.splitlines()
    assert printed == dg.load("run/pretrained").sample(5, seed=3) != dg.load("run").sample(5, seed=3)
    told = "run/pretrained: expected a run directory, this is a part of run"
    assert told in fails(["evaluate", "run/pretrained"], capsys)
    card = Path("run/generator/README.md").read_text()
    assert "# RecurrentGenerator" in card and "from discrete_gan.models import RecurrentGenerator" in card
    assert f'"num_categories": {15}' in card


def test_each_figure_of_a_temperature_stands_in_its_own_row(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At temperature 1 there is a score more: the table is by name, as the file is."""
    main(["train", "text", "--estimator", "mle", *QUICK[len(STEPS) :], "--out", "run"])
    for temperatures in (["0.8", "1"], ["1", "1.2"]):
        capsys.readouterr()
        main(["evaluate", "run", "--num", "30", "--temperatures", *temperatures])
        out = capsys.readouterr().out
        (points,) = (points for name, points in json.loads(Path("run/temperatures.json").read_text())["curves"].items())
        rows = {row[:30].strip(): row[30:].split() for row in out.splitlines() if not row.startswith("protocol")}
        for name in ("mean_length", "copied", "bleu2"):
            label = points[0]["scores"][name]["label"]
            shown = [f"{point['scores'][name]['value']:.4g}" for point in points]
            (row,) = (row for row in out.splitlines() if row.startswith(f"{label} "))
            assert row.removeprefix(label).split()[-3:-1] == shown or row.removeprefix(label).split()[-2:] == shown
        assert len([row for row in rows if row.startswith("held-out NLL")]) == 2
        assert "temperature:" not in out


def test_the_best_by_a_score_of_ones_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(
        "def pluses(samples):\n    return {'pluses': sum('+' in line for line in samples) / len(samples)}\n"
    )
    mine = ["--scores", "mine.py:pluses", "--keep-best", "pluses:less"]
    main(["train", "text", *QUICK, *mine, "--out", "run", "--sample-every", "1"])
    values = [row["pluses"] for row in metrics("run")]
    assert f"the generator of step {1 + values.index(min(values))}, best by pluses" in capsys.readouterr().out
    told = fails(["train", "text", *QUICK, "--keep-best", "nll", "--out", "other"], capsys)
    assert told.startswith("discrete-gan: --keep-best: unknown score 'nll': did you mean 'nll_token'? expected one of")
    assert not Path("other").exists()
