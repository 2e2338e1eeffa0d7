"""The recipes with class labels, and labels as an option of the others: train, resume, sample, a user's mistakes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from discrete_gan.cli import main
from discrete_gan.cli.runs import load_model
from discrete_gan.data import Batches
from discrete_gan.distributions import PointMass
from discrete_gan.losses import semi_supervised
from discrete_gan.models import AMGANDiscriminator, AMGANGenerator, MLPImageGenerator, NoisyMLPClassifier
from discrete_gan.tasks import images
from discrete_gan.training.directory import RunDirectory

QUICK = ["--steps", "2", "--batch-size", "5", "--sample-every", "0", "--log-every", "1"]
SMALL = [
    *QUICK,
    "--model",
    "conv",
    "--generator-width",
    "2",
    "--discriminator-width",
    "2",
    "--latent-dim",
    "4",
    "--num-scored",
    "20",
]
LOSSES = ["gan", "gan-star", "ac-gan", "ac-gan-star", "ac-gan-star-plus", "label-gan", "am-gan"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with a bright band, whose place is the class."""
    path = tmp_path_factory.mktemp("data") / "classes.npz"
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = random.integers(0, 60, (60, 16, 16))
    for image, label in zip(images, labels, strict=True):
        image[5 * label : 5 * label + 5] += 180
    arrays = {"x_train": images.astype(np.uint8), "y_train": labels}
    np.savez(path, **arrays, x_test=arrays["x_train"], y_test=labels)  # pyright: ignore[reportArgumentType]
    return path


def train(recipe: str, out: Path, data: Path, *options: str) -> dict:
    main(["train", recipe, "--data", str(data), "--out", str(out), *options])
    return json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])


def scores_of(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())["scores"]


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


BOTH = [(loss, labeling) for loss in LOSSES for labeling in ("dynamic", "predefined")]


@pytest.mark.parametrize(
    ("loss", "labeling"),
    [
        # By default each loss with one labeling, in turn; the rest takes long.
        pair if index % 4 in (0, 3) else pytest.param(*pair, marks=pytest.mark.slow)
        for index, pair in enumerate(BOTH)
    ],
)
def test_every_loss_with_both_labelings(loss: str, labeling: str, tmp_path: Path, data: Path) -> None:
    row = train("am_gan", tmp_path, data, *SMALL, "--loss", loss, "--labeling", labeling)
    assert np.isfinite([row["d_loss"], row["g_loss"]]).all()
    scores = scores_of(tmp_path)
    assert {"am_score", "inception_score", "ms_ssim", "frechet"} <= scores.keys()
    assert ("label_accuracy" in scores) == (labeling == "predefined")
    generator = AMGANGenerator.from_pretrained(tmp_path / "generator")
    discriminator = AMGANDiscriminator.from_pretrained(tmp_path / "discriminator")
    assert generator.num_classes == (3 if labeling == "predefined" else 0)
    assert discriminator.output.out_features == (1 if loss == "gan" else 4)
    convolutions = [layer for layer in discriminator.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert len(convolutions) == (4 if labeling == "predefined" else 3)  # 16 halves twice


@pytest.mark.parametrize("labeling", ["dynamic", "predefined"])
def test_small_pair(labeling: str, tmp_path: Path, data: Path) -> None:
    train("am_gan", tmp_path, data, *QUICK, "--num-scored", "20", "--labeling", labeling)
    generator = MLPImageGenerator.from_pretrained(tmp_path / "generator")
    discriminator = NoisyMLPClassifier.from_pretrained(tmp_path / "discriminator")
    assert generator.num_classes == (3 if labeling == "predefined" else 0)
    assert len(discriminator.hidden) == (3 if labeling == "predefined" else 2)
    assert (discriminator.input_noise, discriminator.noise) == (0.1, 0.3)


def test_predefined_labels_are_those_of_the_real_images(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[int]] = []
    forward = MLPImageGenerator.forward

    def recorded(self: MLPImageGenerator, z: Tensor, labels: Tensor | None = None) -> PointMass:
        given.append([] if labels is None else labels.tolist())
        return forward(self, z, labels)

    monkeypatch.setattr(MLPImageGenerator, "forward", recorded)
    train("am_gan", tmp_path, data, *QUICK, "--num-scored", "20", "--labeling", "predefined")
    batches = Batches(60, 5, seed=0)
    expected = [(batches.indices(step) % 3).tolist() for step in (0, 0, 1, 1)]  # for either network
    assert given[:4] == expected
    # Of logged distance, grid, scores and last picture they take turns.
    assert given[4:] == [[number % 3 for number in range(count)] for count in (images._QUICK, 24, 20, 30)]


@pytest.mark.parametrize("options", [[], ["--generated-class"]])
def test_semi_supervised_losses_take_the_classes_logits(
    options: list[str], tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Tensor]] = []
    loss = semi_supervised.discriminator_loss

    def recorded(labeled: Tensor, labels: Tensor, unlabeled: Tensor, fake: Tensor, **smoothing: float) -> Tensor:
        seen.append([labeled, unlabeled, fake])
        return loss(labeled, labels, unlabeled, fake, **smoothing)

    monkeypatch.setattr(semi_supervised, "discriminator_loss", recorded)
    train("semi_supervised", tmp_path, data, *QUICK, "--steps", "1", "--labels-per-class", "2", *options)
    assert [logits.shape for logits in seen[0]] == [(5, 3)] * 3
    outputs = NoisyMLPClassifier.from_pretrained(tmp_path / "discriminator").output.out_features
    assert outputs == (4 if options else 3)


@pytest.mark.slow
def test_the_losses_differ(tmp_path: Path, data: Path) -> None:
    """On the same networks and draws, all but the pairs that share a side."""
    first: dict[str, tuple[float, float]] = {}
    for loss in LOSSES[1:]:
        run = tmp_path / loss
        train("am_gan", run, data, *SMALL, "--loss", loss, "--steps", "1")
        row = json.loads((run / "metrics.jsonl").read_text())
        first[loss] = row["d_loss"], row["g_loss"]
    discriminator = {loss: losses[0] for loss, losses in first.items()}
    assert discriminator["label-gan"] == discriminator["am-gan"]
    assert discriminator["gan-star"] == discriminator["ac-gan-star"]
    assert len(set(discriminator.values())) == 4
    assert len({losses[1] for losses in first.values()}) == 6


@pytest.mark.slow
def test_smoothing_and_class_weight_reach_the_losses(tmp_path: Path, data: Path) -> None:
    def first(name: str, *options: str) -> dict:
        return train("am_gan", tmp_path / name, data, *SMALL, "--steps", "1", *options)

    plain = first("plain", "--loss", "ac-gan-star")
    weighted = first("weighted", "--loss", "ac-gan-star", "--class-weight", "0.1")
    without = first("without", "--loss", "gan-star")
    # The discriminator's step is the same; the classes' part of the generator's loss is linear in its weight.
    assert weighted["d_loss"] == plain["d_loss"] == without["d_loss"]
    part = plain["g_loss"] - without["g_loss"]
    assert weighted["g_loss"] - without["g_loss"] == pytest.approx(0.1 * part, rel=1e-3)
    assert (
        first("smooth", "--smoothing-real", "0.1", "--loss", "gan")["d_loss"] != first("p", "--loss", "gan")["d_loss"]
    )


@pytest.mark.parametrize("recipe", ["am_gan", "semi_supervised"])
def test_resumed_run_equals_unbroken_run(recipe: str, tmp_path: Path, data: Path) -> None:
    options = [*QUICK, "--steps", "4", "--checkpoint-every", "2"]
    options += {
        "am_gan": [*SMALL[len(QUICK) :], "--labeling", "predefined"],
        "semi_supervised": ["--model", "conv", "--width", "2", "--labels-per-class", "2"],
    }[recipe]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for run in (whole, broken):
        train(recipe, run, data, *options)
    (broken / "checkpoints" / "step-00000004.pt").unlink()
    main(["train", recipe, "--resume", str(broken)])
    states = [torch.load(run / "checkpoints" / "step-00000004.pt", weights_only=True) for run in (whole, broken)]
    torch.testing.assert_close(states[0]["players"], states[1]["players"], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("binary_mnist", ["--generator-width", "8", "--discriminator-width", "8"]),
        ("binary_mnist", ["--model", "conv", "--channels", "2", "--generator-width", "8", "--estimator", "reinforce"]),
        ("quantized_images", ["--colors", "3", "--channels", "2", "--hidden", "8"]),
    ],
)
def test_conditional_generators_of_discrete_images(
    recipe: str, options: list[str], tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "run", tmp_path / "x.npy"
    row = train(recipe, run, data, *QUICK, *options, "--num-scored", "20", "--conditional", "--probe-every", "2")
    assert np.isfinite(list(row.values())).all() and "probe/all/variance" in row
    assert 0 <= scores_of(run)["label_accuracy"]["value"] <= 1
    assert "of the class asked for" in capsys.readouterr().out
    generator = load_model(RunDirectory(run)).eval()
    assert generator.num_classes == 3
    players = torch.load(run / "checkpoints" / "step-00000002.pt", weights_only=True)["players"]
    assert players["discriminator"]["network"]["classes.directions"].abs().min() > 0  # labels reached it
    main(["sample", str(run), "--num", "6", "--label", "2", "--out", str(out)])
    of_class = np.load(out)
    main(["sample", str(run), "--num", "6", "--out", str(out)])
    in_turn = np.load(out)
    assert (of_class[[2, 5]] == in_turn[[2, 5]]).all() or recipe == "binary_mnist"  # same latents; bits are drawn anew
    assert "--label 3: expected from 0 to 2" in fails(capsys, "sample", str(run), "--label", "3", "--out", str(out))


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "conv", "--width", "2"],
        ["--generated-class", "--generator-loss", "plain"],
        ["--supervised-only"],
    ],
)
def test_semi_supervised(options: list[str], tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = train("semi_supervised", tmp_path, data, *QUICK, "--sample-every", "1", "--labels-per-class", "3", *options)
    score = scores_of(tmp_path)["test_accuracy"]
    assert score["value"] == row["test_accuracy"]
    assert score["protocol"].startswith("labels:9|test:60|")
    assert ("g_loss" in row) == ("--supervised-only" not in options)
    assert (tmp_path / "samples.png").exists() == ("--supervised-only" not in options)
    rows = json.loads((tmp_path / "labeled.json").read_text())["indices_by_class"]
    assert [len(row) for row in rows] == [3, 3, 3]
    assert all(index % 3 == label for label, row in enumerate(rows) for index in row)
    assert "test accuracy" in (printed := capsys.readouterr().out) and "labels:9|" in printed


@pytest.mark.slow
def test_few_labels_are_learnt(tmp_path: Path, data: Path) -> None:
    options = ["--steps", "150", "--batch-size", "10", "--average", "0.9", "--sample-every", "0"]
    train("semi_supervised", tmp_path, data, *options, "--labels-per-class", "2")
    assert scores_of(tmp_path)["test_accuracy"]["value"] > 0.9


def test_mistakes_are_one_line(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = dict(np.load(data))
    np.save(tmp_path / "plain.npy", arrays["x_train"])
    lacking = {**arrays, "y_train": np.where(arrays["y_train"] == 1, 0, arrays["y_train"])}
    np.savez(tmp_path / "lacking.npz", **lacking)  # pyright: ignore[reportArgumentType]
    out = ["--out", str(tmp_path / "run")]
    for recipe, name, options, message in [
        ("am_gan", "plain.npy", [], "--loss am-gan --labeling dynamic: expected labeled images, plain has no labels"),
        ("am_gan", "plain.npy", ["--loss", "gan", "--labeling", "predefined"], "expected labeled images"),
        ("am_gan", "lacking.npz", [], "lacking has none of class 1"),
        ("semi_supervised", "plain.npy", [], "expected labeled images"),
        ("binary_mnist", "plain.npy", ["--conditional"], "--conditional: expected labeled images"),
        ("quantized_images", "plain.npy", ["--conditional"], "--conditional: expected labeled images"),
    ]:
        path = str(tmp_path / name)
        assert message in fails(capsys, "train", recipe, "--data", path, *out, "--batch-size", "5", *options)
    for recipe, options, message in [
        ("am_gan", ["--batch-size", "1"], "--batch-size: expected at least 2, got 1"),
        ("am_gan", ["--dropout", "1"], "--dropout: expected from 0 to below 1, got 1.0"),
        ("semi_supervised", ["--labels-per-class", "21"], "each class, class 0 has 20"),
        ("semi_supervised", ["--labels-per-class", "0"], "--labels-per-class: expected at least 1"),
    ]:
        assert message in fails(capsys, "train", recipe, "--data", str(data), *out, "--batch-size", "5", *options)
    assert not (tmp_path / "run").exists()
    row = train("am_gan", tmp_path / "run", tmp_path / "plain.npy", *SMALL, "--loss", "gan")  # which needs no labels
    assert np.isfinite(row["d_loss"])
