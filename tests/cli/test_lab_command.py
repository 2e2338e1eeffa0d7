"""``discrete-gan lab``: what it prints, writes and refuses."""

import csv
from pathlib import Path

import matplotlib.image
import pytest
import torch

from discrete_gan.cli import main
from discrete_gan.cli.lab import final_table, table, write_curves
from discrete_gan.estimators import ESTIMATORS, parse_estimator
from discrete_gan.lab import DISCRIMINATORS, PROBLEMS, Analysis, Curve, analyze, train

QUICK = ["--draws", "50", "--most-tuples", "5000", "--num-samples", "2"]
MINE = """\
import torch


def score(generator, discriminator, z, num_samples=2):
    g = generator(z)
    x = g.sample((num_samples,))
    with torch.no_grad():
        reward = discriminator(x)
    return -((reward - reward.mean(0)) * g.log_prob(x)).sum(0) / (num_samples - 1)
"""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_estimator_has_its_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["lab", *QUICK, "--out", str(tmp_path)])
    found = rows(tmp_path / "table-network.csv")
    assert [row["estimator"] for row in found] == list(ESTIMATORS)
    for row in found:
        assert float(row["mse"]) == pytest.approx(float(row["bias"]) ** 2 + float(row["variance"]), rel=1e-9)
        assert row["method"] in ("enumerated", "sampled")
    printed = capsys.readouterr().out
    assert "table: 16 states, network discriminator" in printed
    assert all(f"\n{name} " in printed for name in ESTIMATORS)
    picture = matplotlib.image.imread(tmp_path / "table-network.png")
    assert picture.shape[0] > 500
    assert picture.std() > 0.1


@pytest.mark.slow
def test_each_m_has_a_row_unless_the_text_says_it(tmp_path: Path) -> None:
    names = ["reinforce", "boundary-seeking:num_samples=3,zero_sum=false", "exact"]
    options = ["--num-samples", "2", "4", "--discriminator", "oracle", "--problem", "table3", "parity"]
    main(["lab", "--estimators", *names, *options, "--out", str(tmp_path)])
    for problem in ("table3", "parity"):
        found = rows(tmp_path / f"{problem}-oracle.csv")
        assert [(row["estimator"], row["num_samples"]) for row in found] == [
            ("reinforce", "2"),
            ("reinforce", "4"),
            (names[1], "3"),
            ("exact", ""),
        ]
    assert [row["num_outcomes"] for row in rows(tmp_path / "table3-oracle.csv")] == ["36", "330", "120", "1"]


def test_ten_lines_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    main(["lab", "--estimators", "mine.py:score", "reinforce", "--num-samples", "2", "3"])
    found = rows(Path("runs/lab/table-network.csv"))
    assert [row["estimator"] for row in found] == ["mine.py:score"] * 2 + ["reinforce"] * 2
    for mine, theirs in zip(found[:2], found[2:], strict=True):
        assert mine["target"] == "log-ratio?"
        for column in ("variance", "mse", "cosine_kl"):
            assert float(mine[column]) == pytest.approx(float(theirs[column]), rel=1e-9)


LEAVE_ONE_OUT = """\
import torch


def leave_one_out(generator, discriminator, z):
    g = generator(z)
    x = g.sample((3,))
    with torch.no_grad():
        reward = discriminator(x)
    others = (reward.sum(0) - reward) / 2
    return -((reward - others) * g.log_prob(x)).mean(0)
"""


def test_picture_of_an_estimator_without_any_bias(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three samples, of which each one's baseline is the mean reward of the others: nothing to draw on a log axis."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(LEAVE_ONE_OUT)
    main(["lab", "--estimators", "mine.py:leave_one_out", "--out", "out"])
    (row,) = rows(Path("out/table-network.csv"))
    assert float(row["bias"]) < 1e-10 and row["method"] == "enumerated" and float(row["variance"]) > 0.1
    assert f"{row['evaluations'].removesuffix('.0')}     0" in capsys.readouterr().out  # the bias in the table
    assert matplotlib.image.imread("out/table-network.png").std() > 0


@pytest.mark.parametrize("train", [[], ["--train", "--steps", "1", "--seeds", "1"]])
def test_results_are_there_if_no_picture_can_be_drawn(
    train: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the problems behind it too, and what was left out."""

    def fails(*args: object, **options: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr("discrete_gan.lab.figures.save_analyses", fails)
    monkeypatch.setattr("discrete_gan.lab.figures.save_curves", fails)
    problems = ["--problem", "table", "categories", "--discriminator", "oracle"]
    options = [*problems, "--estimators", "reinforce:num_samples=2", *train, "--out", str(tmp_path)]
    with pytest.raises(RuntimeError, match="no ink"):
        main(["lab", *options])
    printed, suffix = capsys.readouterr().out, "-training" if train else ""
    for problem in ("table", "categories"):
        assert rows(tmp_path / f"{problem}-oracle{suffix}.csv")[0]["estimator"] == "reinforce:num_samples=2"
        assert f"\n{problem}: " in printed
    assert printed.count("\nreinforce:num_samples=2 ") == 2


def test_training_writes_every_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--steps", "3", "--seeds", "2", "--discriminator", "oracle", "--num-samples", "2"]
    main(["lab", "--train", "--estimators", "exact", "nvil", *options, "--out", str(tmp_path)])
    found = rows(tmp_path / "missing-modes-oracle-training.csv")
    keys = [(row["estimator"], row["seed"], row["step"]) for row in found]
    assert keys == [(name, seed, step) for name in ("exact", "nvil") for seed in "01" for step in "0123"]
    assert {"kl", "reverse_kl", "js", "total_variation", "alternating", "evaluations"} <= found[0].keys()
    assert "missing-modes: after 3 steps, oracle discriminator" in capsys.readouterr().out
    assert (tmp_path / "missing-modes-oracle-training.png").stat().st_size > 20_000


def test_options_reach_the_analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discrete_gan.lab.figures.save_analyses", lambda *args, **options: None)
    options = ["--problem", "table", "--discriminator", "wrong", "--seed", "4", "--draws", "60", "--most-tuples", "100"]
    main(["lab", "--estimators", "reinforce", *options, "--num-samples", "2", "--out", str(tmp_path)])
    problem = PROBLEMS["table"](4)
    discriminator = DISCRIMINATORS["wrong"](problem, problem.generator(), seed=4)
    for row in rows(tmp_path / "table-wrong.csv"):
        spec = f"{row.pop('estimator')}:num_samples=2"
        expected = analyze(spec, problem, discriminator=discriminator, most_tuples=100, num_draws=60, seed=4)
        assert (expected.method, expected.num_outcomes) == ("sampled", 60)
        assert list(row) == [name for name in Analysis._fields if name not in ("estimator", "gradient")]
        del row["seconds"]
        assert row == {name: str(getattr(expected, name)) for name in row}


def test_options_reach_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discrete_gan.lab.figures.save_curves", lambda *args, **options: None)
    options = [
        "--problem",
        "table",
        "--discriminator",
        "wrong",
        "--seed",
        "4",
        "--lr",
        "0.2",
        "--num-samples",
        "2",
        "3",
    ]
    options += ["--steps", "2", "--seeds", "2", "--out", str(tmp_path)]
    main(["lab", "--train", "--estimators", "reinforce", *options])
    problem, estimator = PROBLEMS["table"](4), parse_estimator("reinforce:num_samples=3")
    expected = []
    for seed in (4, 5):
        curve = train(estimator, problem, discriminator="wrong", steps=2, lr=0.2, seed=seed)
        expected += torch.cat([curve.divergences, curve.evaluations[:, None]], dim=1).tolist()
    columns = ("kl", "reverse_kl", "js", "total_variation", "evaluations")
    found = rows(tmp_path / "table-wrong-training.csv")
    assert [[float(row[column]) for column in columns] for row in found] == expected


def analysis(**figures: object) -> Analysis:
    numbers = {"num_samples": 2, "method": "sampled", "num_outcomes": 5000, "bias": 0.25, "bias_error": 0.011}
    numbers |= {"z_score": 3.0, "variance": 7.0, "mse": 7.0625, "cosine": 0.5, "cosine_kl": -0.125}
    numbers |= {"cosine_reverse_kl": 1.0, "evaluations": 2.0, "seconds": 0.0034, "gradient": torch.zeros(1)}
    return Analysis(**{"estimator": "", "problem": "", "target": "log-ratio", **numbers, **figures})  # type: ignore[arg-type]


def test_table_of_analyses() -> None:
    exact = analysis(
        method="enumerated", num_outcomes=1, num_samples=None, target="reweighted", bias=1e-16, variance=0.0
    )
    assert table({"reinforce": [analysis(), analysis(bias=0.0)], "exact": [exact]}).splitlines() == [
        "estimator  M  target      evals         bias  variance   MSE    cos  cos KL  cos rKL    ms  how",
        "reinforce  2  log-ratio       2  0.25 ± 0.01         7  7.06  0.500  -0.125    1.000  3.40  5,000 draws",
        "reinforce  2  log-ratio       2     0 ± 0.01         7  7.06  0.500  -0.125    1.000  3.40  5,000 draws",
        "exact      -  reweighted      2            0         0  7.06  0.500  -0.125    1.000  3.40  1 outcomes",
    ]


def curve(end: list[float], seconds: float) -> Curve:
    divergences = torch.tensor([[8.0, 7.0, 6.0, 5.0], end]).double()
    mode_mass = torch.tensor([[0.5, 0.25], [0.75, 0.125]]).double()
    return Curve(
        torch.tensor([0, 9]), divergences, mode_mass, torch.tensor([0, 4000]), torch.tensor([0, seconds]).double()
    )


def test_table_and_csv_of_curves(tmp_path: Path) -> None:
    curves = {"a": [curve([1, 2, 3, 4], 1), curve([1, 4, 3, 4], 2), curve([4, 6, 3, 4], 3)], "b": [curve([0] * 4, 5)]}
    found = [line.split() for line in final_table(curves).splitlines()]
    ends = ["2.0000", "1.7321", "4.0000", "2.0000", "3.0000", "0.0000", "4.0000", "0.0000"]
    assert [cell for cell in found[1] if cell != "±"] == ["a", *ends, "4,000", "2.0"]
    assert [cell for cell in found[2] if cell != "±"] == ["b", *["0.0000", "nan"] * 4, "4,000", "5.0"]
    write_curves(tmp_path / "curves.csv", {"a": curves["a"][:2]}, PROBLEMS["parity"](0))
    assert (tmp_path / "curves.csv").read_text().splitlines() == [
        "estimator,seed,step,kl,reverse_kl,js,total_variation,even,odd,evaluations,seconds",
        "a,0,0,8.0,7.0,6.0,5.0,0.5,0.25,0,0.0",
        "a,0,9,1.0,2.0,3.0,4.0,0.75,0.125,4000,1.0",
        "a,1,0,8.0,7.0,6.0,5.0,0.5,0.25,0,0.0",
        "a,1,9,1.0,4.0,3.0,4.0,0.75,0.125,4000,2.0",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--problem"], "--problem: expected at least one value"),
        (["--estimators"], "--estimators: expected at least one value"),
        (["--num-samples", "10001"], "--num-samples: expected from 1 to 10000, got 10001"),
        (["--seed", "-1"], "--seed: expected a whole number from 0 to below 2^32, got -1"),
        (["--problem", "tabel"], "unknown problem 'tabel': did you mean 'table'? expected one of categories, "),
        (["--estimators", "rebarr"], "unknown estimator 'rebarr': did you mean 'rebar'?"),
        (["--num-samples", "0"], "--num-samples: expected from 1 to 10000, got 0"),
        (["--draws", "1"], "--draws: expected at least 2, got 1"),
        (["--most-tuples", "0"], "--most-tuples: expected at least 1, got 0"),
        (["--lr", "inf", "--train"], "--lr: expected a number above 0, got inf"),
        (["--lr", "0", "--train"], "--lr: expected a number above 0, got 0.0"),
        (["--estimators", "reinforce:num_samples=1"], "estimator reinforce: num_samples: expected at least 2, got 1"),
    ],
)
def test_mistakes_are_one_line(options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["lab", *options, "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(f"discrete-gan: {message}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("train", [[], ["--train", "--steps", "1", "--seeds", "1"]])
def test_bad_estimator_is_named_and_the_others_are_kept(
    train: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.py").write_text("def flat(generator, discriminator, z):\n    return generator(z).logits.sum()\n")
    options = ["--problem", "categories", "--discriminator", "oracle", *QUICK, *train]
    with pytest.raises(SystemExit) as ended:
        main(["lab", "--estimators", "bad.py:flat", "reinforce", "disarm", *options])
    assert ended.value.code == 2
    output = capsys.readouterr()
    line = output.err.strip().splitlines()[-1]
    assert "estimator bad.py:flat: returned shape (), expected one loss per latent" in line
    assert "DisArm: expected a generator that returns FactorizedBernoulli, got FactorizedCategorical" in line
    assert "\nreinforce " in output.out
    (written,) = Path("runs/lab").glob("*.csv")
    assert {row["estimator"] for row in rows(written)} == {"reinforce"}


@pytest.mark.parametrize("train", [[], ["--train", "--steps", "1", "--seeds", "1"]])
def test_weights_over_the_union_need_real_samples(
    train: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["lab", "--estimators", "boundary-seeking-union", *QUICK, *train, "--out", str(tmp_path)])
    assert ended.value.code == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("discrete-gan: boundary-seeking-union:num_samples=2: real: expected real samples")
    assert "(recipes give them, the lab has none)" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_does_not_fit_is_left_out_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["lab", *QUICK, "--problem", "categories", "--discriminator", "oracle", "--out", str(tmp_path)])
    output = capsys.readouterr().out
    assert "left out: disarm:num_samples=2: DisArm: expected a generator that returns FactorizedBernoulli" in output
    assert len(rows(tmp_path / "categories-oracle.csv")) == len(ESTIMATORS) - 2


def test_folder_that_cannot_be_written_is_found_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SystemExit) as ended:
            main(["lab", "--out", str(out)])
        assert ended.value.code == 2
        output = capsys.readouterr()
        assert f"discrete-gan: {tmp_path / 'file'}" in output.err and "cannot be written" in output.err
        assert not output.out
