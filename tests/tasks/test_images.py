"""Images as tasks: what is read and when, what batches and held-out images are, what depth adds, pictures."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from discrete_gan.data import ImageData
from discrete_gan.data.classes import Classes
from discrete_gan.errors import InputError
from discrete_gan.models import MLPGenerator, MLPImageGenerator
from discrete_gan.sampling import generate
from discrete_gan.tasks import (
    BinaryImageOptions,
    BinaryImages,
    ContinuousImages,
    FewLabels,
    ImageOptions,
    PaletteImages,
    Score,
)
from discrete_gan.tasks.image_scores import ImageScorer
from discrete_gan.tasks.images import Images

CPU = torch.device("cpu")
NOBODY: Any = None  # the discriminator, who is not asked
BITS, CLASSES = 12, 3
TASKS = ("binary", "conditional", "continuous", "palette", "few labels")


def data(maximum: int = 16, *, labeled: bool = True, seed: int = 0) -> ImageData:
    """45 training and 40 test images of 3x4 pixels, most of them dark, with classes."""
    torch.manual_seed(seed)
    train, test = (((maximum + 0.99) * torch.rand(num, BITS) ** 2.5).byte() for num in (45, 40))
    labels = [torch.arange(num) % CLASSES if labeled else None for num in (45, 40)]
    return ImageData("tiny", (1, 3, 4), train, labels[0], test, labels[1], maximum)


def made(kind: str, spec: str = "gone", **options: Any) -> Images:
    if kind in ("binary", "conditional"):
        return BinaryImages(BinaryImageOptions(data=spec, batch_size=15, **options), conditional=kind == "conditional")
    args = ImageOptions(data=spec, batch_size=15, **options)
    if kind == "continuous":
        return ContinuousImages(args)
    return PaletteImages(args, 3) if kind == "palette" else FewLabels(args, 2)


def ready(kind: str, whole: ImageData, **options: Any) -> Images:
    """On these images, without a classifier."""
    task = made(kind, **options)
    vars(task)["data"] = whole  # of PaletteImages, what its colors are learnt from
    task.scored_by_features = False
    task.to(CPU)
    return task


def by_name(scores: list[Score]) -> dict[str, Score]:
    assert len({score.name for score in scores}) == len(scores)
    return {score.name: score for score in scores}


def random_generator(num_classes: int = 0) -> MLPGenerator:
    """Weights that make its samples far from uniform."""
    torch.manual_seed(2)
    generator = MLPGenerator(3, BITS, hidden=(8,), num_classes=num_classes).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.copy_(2 * torch.randn_like(parameter))
    return generator


# What is read, and when


@pytest.mark.parametrize("kind", TASKS)
def test_nothing_is_read_before_it_is_asked_for(kind: str, tmp_path: Path) -> None:
    task = made(kind, str(tmp_path / "gone"))
    with pytest.raises(InputError, match="gone"):
        task.summary()


@pytest.mark.parametrize("kind", TASKS)
def test_a_shape_that_was_kept_is_known_without_the_data(kind: str, tmp_path: Path) -> None:
    task = made(kind, str(tmp_path / "gone"))
    summary = json.loads(json.dumps(ready(kind, data()).summary()))
    task.recall(tmp_path, {"data": summary})
    assert (task.image_shape, task.num_positions) == ((1, 3, 4), BITS)
    pixels = torch.arange(2 * BITS).view(2, BITS) / (2 * BITS)
    decoded, are_bits = task.decode(pixels), kind in ("binary", "conditional")
    expected = pixels.view(2, 1, 3, 4)
    assert decoded.dtype == (torch.bool if are_bits else torch.float32)
    assert torch.equal(decoded, expected > 0.5 if are_bits else expected)
    with pytest.raises(InputError, match="gone"):
        task.to(CPU)
    with pytest.raises(InputError, match="expected a run on images"):
        task.recall(tmp_path, {"data": {"name": "words"}})


@pytest.mark.parametrize("kind", TASKS)
def test_summary_is_that_of_the_data(kind: str) -> None:
    task = ready(kind, data())
    summary = task.summary()
    assert summary == task.data.summary()
    assert (summary["num_train"], summary["num_test"], summary["image_shape"]) == (45, 40, (1, 3, 4))
    assert summary["fingerprint"] != ready(kind, data(seed=1)).summary()["fingerprint"]


# Batches and what is held out


def test_bits_are_drawn_anew_and_others_are_not() -> None:
    whole = data()
    task = ready("binary", whole)  # stochastic, as the option has it
    first, again = task.batch(0).x, task.batch(0).x
    assert set(first.unique().tolist()) == {0.0, 1.0} and not torch.equal(first, again)
    assert first.dtype == torch.float32 and first.shape == (15, BITS)
    threshold = ready("binary", whole, binarize="threshold")
    epoch = torch.cat([threshold.batch(step).x for step in range(3)])
    assert torch.equal(threshold.batch(0).x, epoch[:15])
    expected = sorted((whole.train_images > 8).float().tolist())
    assert sorted(epoch.tolist()) == expected  # each once
    plain = ready("binary", data(1), binarize="none")
    assert sorted(torch.cat([plain.batch(step).x for step in range(3)]).tolist()) == sorted(
        data(1).train_images.float().tolist()
    )


@pytest.mark.parametrize("kind", TASKS)
def test_batches_have_labels_where_networks_are_given_them(kind: str) -> None:
    task = ready(kind, data())
    batch = task.batch(4)
    conditional = kind == "conditional"
    assert (batch.labels is not None) == conditional
    assert task.num_classes == (CLASSES if kind in ("conditional", "few labels") else 0)
    if batch.labels is None:
        return
    # Those of their own images.
    whole = data()
    threshold = ready(kind, whole, binarize="threshold").batch(4)
    assert threshold.labels is not None and whole.train_labels is not None
    pairs = set(zip(map(tuple, (whole.train_images > 8).float().tolist()), whole.train_labels.tolist(), strict=True))
    found = list(zip(map(tuple, threshold.x.tolist()), threshold.labels.tolist(), strict=True))
    assert set(found) <= pairs and len({label for _, label in found}) == CLASSES


def test_labels_that_are_not_there_are_told() -> None:
    for kind, told in (("conditional", "--conditional: .*tiny has no labels"), ("few labels", "tiny has no labels")):
        task = made(kind)
        vars(task)["data"] = data(labeled=False)
        with pytest.raises(InputError, match=told):
            _ = task.num_classes
    unasked = ready("binary", data(labeled=False))
    assert unasked.num_classes == 0 and unasked.batch(0).labels is None and unasked.held_out().labels is None


def test_held_out_images_are_as_the_generator_draws_them() -> None:
    whole = data()
    threshold = ready("binary", whole, binarize="threshold").held_out()
    assert torch.equal(threshold.x, (whole.test_images > 8).float())
    assert threshold.labels is not None and torch.equal(threshold.labels, torch.arange(40) % CLASSES)
    drawn = ready("binary", whole)
    first = drawn.held_out().x
    torch.manual_seed(9)
    state = torch.get_rng_state()
    assert torch.equal(drawn.held_out().x, first) and set(first.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, threshold.x)
    continuous = made("continuous")
    assert isinstance(continuous, ContinuousImages) and continuous.pixel_range == (-1, 1)
    grey = ready("continuous", whole)
    assert torch.equal(grey.held_out().x, whole.test_images / 8 - 1)
    assert sorted(torch.cat([grey.batch(step).x for step in range(3)]).tolist()) == sorted(
        (whole.train_images / 8 - 1).tolist()
    )
    assert torch.equal(ready("few labels", whole).held_out().x, whole.test_images / 16)


def test_held_out_images_of_other_data_are_treated_alike() -> None:
    """Bits of the others' own maximum; data that are bits already stay as they are under a random draw too."""
    whole, other = data(16), data(1, seed=5)
    for binarize in ("threshold", "stochastic"):
        found = ready("binary", whole, binarize=binarize).held_out_of(other)
        assert torch.equal(found.x, other.test_images.float())
    assert torch.equal(ready("continuous", whole).held_out_of(other).x, 2 * other.test_images.float() - 1)


def test_palette_images_are_one_hot_colors() -> None:
    whole = data()
    task = ready("palette", whole)
    assert isinstance(task, PaletteImages)
    held_out, palette = task.held_out().x, task.palette[:, 0]
    assert held_out.shape == (40, BITS, 3) and held_out.dtype == torch.float32
    assert torch.equal(held_out.sum(-1), torch.ones(40, BITS))
    far = (whole.test_images[..., None] / 16 - palette).abs()
    assert torch.equal(far.gather(2, held_out.argmax(2, keepdim=True))[..., 0], far.amin(2))
    # The data set as it is learnt: in its colors.
    assert task.data.maximum == 255 and task.data.test_images.unique().tolist() == (255 * palette).round().tolist()
    batch = torch.cat([task.batch(step).x for step in range(3)])
    colors = (batch @ task.palette)[..., 0]
    assert sorted(colors.tolist()) == sorted((task.data.train_images / 255).tolist())
    assert torch.equal(task.as_categories(task.test).long(), held_out.argmax(2))


# Labels of a few


def test_few_labels_are_chosen_by_the_seed_and_kept(tmp_path: Path) -> None:
    whole = data()
    task, other = (ready("few labels", whole, seed=seed) for seed in (0, 1))
    assert isinstance(task, FewLabels) and isinstance(other, FewLabels)
    x, labels = task.labeled()
    assert labels.tolist() == [0, 0, 1, 1, 2, 2] and x.shape == (6, BITS)
    assert torch.equal(x, whole.train_images[task.chosen.flatten()] / 16)
    assert not torch.equal(task.chosen, other.chosen)
    task.save(tmp_path)
    kept = json.loads((tmp_path / "labeled.json").read_text())
    assert kept == {"seed": 0, "indices_by_class": task.chosen.tolist()}


def test_few_labels_are_scored_by_the_classifier(tmp_path: Path) -> None:
    task = ready("few labels", data())

    class Classifier(nn.Module):
        """The class by rank of the first pixel, and a fourth output, of generated images, that is the largest."""

        def forward(self, x: Tensor) -> Tensor:
            assert not self.training
            first = (x[:, 0] * 16).long() % CLASSES
            scores = nn.functional.one_hot(first, CLASSES).float()
            return torch.cat([scores, torch.full((len(x), 1), 9.0)], dim=1)

    classifier = Classifier().train()
    generator = MLPImageGenerator(3, BITS, hidden=(4,), pixel_range=(0, 1))
    (line,) = task.scores(generator, classifier, depth="line")
    right = [int(pixel) % CLASSES == index % CLASSES for index, pixel in enumerate(data().test_images[:, 0])]
    assert line.name == "test_accuracy" and line.value == pytest.approx(sum(right) / 40)
    assert (line.better, line.perfect) == ("more", 1)
    assert line.protocol == f"labels:6|test:40|data:{task.data.fingerprint()}"
    assert task.scores(generator, classifier) == [line] and classifier.training
    full = by_name(task.scores(generator, classifier, num=30, depth="full"))
    assert full["test_accuracy"].low < line.value < full["test_accuracy"].high
    assert full.keys() == {"test_accuracy", "distinct", "nearest_training", "nearer", "copies", "two_sample_accuracy"}
    assert task.show(generator, tmp_path / "samples") == tmp_path / "samples.png"
    without = FewLabels(ImageOptions(data="gone"), 2, pictures=False)
    assert without.show(generator, tmp_path / "none") is None and not (tmp_path / "none.png").exists()


# Scores


def with_scorer(kind: str = "binary", **options: Any) -> Images:
    task = ready(kind, data(), **options)
    torch.manual_seed(1)
    task._scorer = ImageScorer(nn.Linear(BITS, CLASSES), task.train, task.test)
    return task


def test_depth_is_how_much_is_measured() -> None:
    task, generator = with_scorer(binarize="threshold"), random_generator()
    samples = generate(generator, 30, seed=4)
    assert task._scorer is not None
    run = task.scores(generator, NOBODY, num=30, seed=4)
    assert run == task._scorer.scores(samples, protocol="|seed:4")
    full = task.scores(generator, NOBODY, num=30, depth="full", seed=4)
    assert full[: len(run)] != run and [score.value for score in full[: len(run)]] == [score.value for score in run]
    assert {"precision", "distinct", "copies"} <= by_name(full).keys() - by_name(run).keys()
    (line,) = task.scores(generator, NOBODY, num=30, depth="line", seed=4)
    count = int(line.protocol.split("|")[0].removeprefix("n:"))
    assert count != 30  # the same for every run, whatever it scores at its end
    assert line == task._scorer.scores(generate(generator, count, seed=4), depth="line", protocol="|seed:4")[0]
    assert "label_accuracy" in by_name(task.scores(random_generator(CLASSES), NOBODY, num=30))


def test_images_without_labels_have_no_distance_and_it_is_said() -> None:
    task, generator = ready("binary", data(labeled=False)), random_generator()
    for depth in ("line", "run"):
        (score,) = task.scores(generator, NOBODY, num=30, depth=depth)
        assert score.name == "frechet" and math.isnan(score.value) and "no labels" in score.note
    full = by_name(task.scores(generator, NOBODY, num=30, depth="full"))
    assert math.isnan(full["frechet"].value) and full["distinct"].value > 0


def test_the_classifier_of_the_scores_is_that_of_the_data() -> None:
    """Trained on images that look as the generator's do, and told apart by that: two ways to look are two networks."""
    whole = data()
    found = []
    for binarize in ("threshold", "stochastic", "threshold"):
        task = made("binary", binarize=binarize)
        vars(task)["data"] = whole
        task.to(CPU)
        assert task._scorer is not None and task._scorer.accuracy is not None
        assert set(task.train.unique().tolist()) == {0.0, 1.0}
        found.append(task._scorer.name)
    assert found[0] == found[2] != found[1]


def test_another_data_set_may_train_the_classifier(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 4)).astype(np.uint8)
    labels = np.arange(40) % 2
    np.savez(tmp_path / "labeled.npz", images=images, labels=labels)
    np.save(tmp_path / "unlabeled.npy", images)
    np.savez(tmp_path / "wide.npz", images=np.concatenate([images] * 2, axis=2), labels=labels)

    def task(other: str) -> BinaryImages:
        made = BinaryImages(
            BinaryImageOptions(data="gone", binarize="none", batch_size=15), classifier_data=str(tmp_path / other)
        )
        vars(made)["data"] = data(1, labeled=False)
        return made

    scored = task("labeled.npz")
    scored.to(CPU)  # grey images for 0/1 data, which are to be looked at as bits
    assert (
        scored._scorer is not None and by_name(scored.scores(random_generator(), NOBODY, num=30))["frechet"].value > 0
    )
    with pytest.raises(InputError, match=r"--classifier-data .*unlabeled\.npy: .*no labels, expected labeled images$"):
        task("unlabeled.npy").to(CPU)
    with pytest.raises(
        InputError, match=r"--classifier-data .*wide\.npz: .*\(1, 3, 8\), expected \(1, 3, 4\) as in tiny"
    ):
        task("wide.npz").to(CPU)


# Pictures


def tiles_of(path: Path, rows: int, columns: int) -> Tensor:
    """Images of 3x4 pixels in a grid that was written, shape (rows, columns, 12)."""
    pixels = torch.from_numpy(matplotlib.image.imread(path)[..., 0])
    scale = pixels.shape[0] // (4 * rows + 1)
    small = pixels[scale // 2 :: scale, scale // 2 :: scale]
    assert small.shape == (4 * rows + 1, 5 * columns + 1)
    tiles = small[1:, 1:].unflatten(0, (rows, 4)).unflatten(2, (columns, 5))[:, :3, :, :4]
    return tiles.permute(0, 2, 1, 3).flatten(2)


def test_samples_are_shown_in_a_grid_of_classes(tmp_path: Path) -> None:
    task = ready("conditional", data(), binarize="threshold")
    path = task.show(random_generator(), tmp_path / "samples")
    assert path is not None and path == tmp_path / "samples.png"
    assert torch.equal(tiles_of(path, 8, 8).flatten(0, 1), generate(random_generator(), 64))
    of_class = random_generator(CLASSES)
    path = task.show(of_class, tmp_path / "of_class")
    assert path is not None
    assert torch.equal(tiles_of(path, 8, CLASSES).flatten(0, 1), generate(of_class, 8 * CLASSES))


@pytest.mark.parametrize("num_classes", [0, CLASSES])
def test_samples_at_the_end_stand_beside_test_images(
    num_classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[dict[str, Tensor], str, int]] = []
    monkeypatch.setattr(
        "discrete_gan.tasks.images.save_comparison",
        lambda path, panels, shape, *, title, columns, names: drawn.append((panels, title, columns)),
    )
    whole = data()
    task, generator = ready("binary", whole, binarize="threshold"), random_generator(num_classes)
    scores = [Score("frechet", 1.2345, "Frechet distance", real=0.5), Score("other", 7)]
    assert task.show(generator, tmp_path / "samples", scores) == tmp_path / "samples.png"
    (panels, title, columns) = drawn[0]
    assert columns == (num_classes or 10)
    assert torch.equal(panels["generated"], generate(generator, 10 * columns))
    assert "none picked" in title and "Frechet distance 1.23 (real data: 0.5)" in title and "other" not in title
    (of_test,) = (images for name, images in panels.items() if name != "generated")
    assert all(row in task.test.tolist() for row in of_test.tolist())
    if num_classes:  # a class in each column
        assert whole.test_labels is not None
        classes = {tuple(row): int(k) for row, k in zip(task.test.tolist(), whole.test_labels, strict=True)}
        alike = [classes[tuple(row)] == index % num_classes for index, row in enumerate(of_test.tolist())]
        assert sum(alike) > 0.8 * len(alike) and len(of_test) % num_classes == 0  # two classes may share an image
    task.show(generator, tmp_path / "samples", [Score("frechet", math.nan, "Frechet distance")])
    assert "Frechet" not in drawn[1][1]


def test_a_class_without_test_images_leaves_its_column_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[dict[str, Tensor], list[str]]] = []
    monkeypatch.setattr(
        "discrete_gan.tasks.images.save_comparison",
        lambda path, panels, shape, *, title, columns, names: drawn.append((panels, names)),
    )
    whole = dataclasses.replace(
        data(), test_labels=torch.tensor([2] * 37 + [0] * 3), classes=Classes(("a", "b\x1b", "c"))
    )
    task = ready("conditional", whole, binarize="threshold")
    task.show(random_generator(CLASSES), tmp_path / "samples", [Score("frechet", 1.0)])
    panels, names = drawn[0]
    assert names == ["a", "b\\x1b", "c"]
    shown = panels["real (test)"].unflatten(0, (10, CLASSES))
    assert torch.equal(shown[:3, 0], task.test[-3:]) and shown[3:, 0].isnan().all()
    assert torch.equal(shown[:, 2], task.test[:10]) and shown[:, 1].isnan().all()


def test_of_many_classes_the_first_are_shown(tmp_path: Path) -> None:
    task, generator = ready("conditional", data(), binarize="threshold"), random_generator(1000)
    path = task.show(generator, tmp_path / "samples")
    assert path is not None
    assert torch.equal(tiles_of(path, 8, 20).flatten(0, 1), generate(generator, 160, label=range(20)))
    path = task.show(generator, tmp_path / "samples", [Score("frechet", 1.0)])
    assert matplotlib.image.imread(tmp_path / "samples.png").shape[1] < 2000


def test_other_data_are_taken_by_the_names_of_their_classes(tmp_path: Path) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    np.savez(tmp_path / "a.npz", x=images, y=["cat", "bee"] * 3, x_test=images, y_test=["cat", "bee"] * 3)
    known = {"image_shape": [1, 2, 2], "classes": ["ant", "bee", "cat"]}
    task = made("conditional", str(tmp_path / "a.npz"))
    task.recall(tmp_path, {"data": known})
    assert task.data.test_labels is not None and task.data.test_labels.tolist() == [2, 1] * 3
    for changed, told in (
        ({"classes": ["ant", "bee"]}, "ant, bee, found cat"),
        ({"image_shape": [1, 4, 1]}, "(1, 4, 1)"),
    ):
        task = made("conditional", str(tmp_path / "a.npz"))
        task.recall(tmp_path, {"data": known | changed})
        with pytest.raises(InputError) as caught:
            task.summary()
        assert told in str(caught.value)


def test_a_classifier_of_other_data_means_the_same_classes(tmp_path: Path) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    for name, labels in (("a", ["ant", "bee", "cat"] * 2), ("b", ["bee", "cat"] * 3), ("c", ["bee", "dog"] * 3)):
        np.savez(tmp_path / f"{name}.npz", x=images, y=labels, x_test=images, y_test=labels)
    args = BinaryImageOptions(data=str(tmp_path / "a.npz"))
    found = BinaryImages(args, str(tmp_path / "b.npz"), conditional=True).classifier_data
    assert found.train_labels is not None and found.train_labels.tolist() == [1, 2] * 3
    assert found.named() == Classes(("ant", "bee", "cat"))
    with pytest.raises(InputError, match=r"--classifier-data .* expected images of the classes .* found dog"):
        _ = BinaryImages(args, str(tmp_path / "c.npz"), conditional=True).classifier_data
    assert BinaryImages(args, str(tmp_path / "c.npz")).classifier_data.named() == Classes(("bee", "dog"))


def test_one_test_image_has_no_distance() -> None:
    whole = dataclasses.replace(data(), test_images=data().test_images[:1], test_labels=torch.tensor([0]))
    task = made("binary")
    vars(task)["data"] = whole
    task.to(CPU)
    (score,) = task.scores(random_generator(), NOBODY, num=20)
    assert math.isnan(score.value) and score.note == "it takes two test images, the data has one"


def test_piano_rolls_are_shown_as_rolls(tmp_path: Path) -> None:
    rolls = np.zeros((4, 2, 3, 4), dtype=np.uint8)  # tracks, time, pitch
    rolls[:, 0, 0, 1] = 90  # the first track sounds at first, low
    rolls[:, 1, 2, 3] = [1, 1, 1, 0]
    np.savez(tmp_path / "a.npz", rolls=rolls, test_rolls=rolls)
    task = made("binary", str(tmp_path / "a.npz"))
    assert task.image_shape == (2, 3, 4) and task.data.maximum == 1
    (picture, *_) = task.pictured(task.data.train_images.unflatten(1, task.image_shape))
    assert picture.shape == (3, 4, 3)
    assert picture.amax(0).nonzero().tolist() == [[0, 2], [2, 0]]  # from the top, from the left
    assert not torch.equal(picture[:, 0, 2], picture[:, 2, 0])
    known = made("binary", "gone")
    known.recall(tmp_path, {"data": json.loads(json.dumps(task.summary()))})
    assert known.pictured(torch.zeros(5, 2, 3, 4)).shape == (5, 3, 4, 3)


def test_other_images_in_the_colors_of_the_generator(tmp_path: Path) -> None:
    (tmp_path / "generator").mkdir()
    (tmp_path / "generator" / "config.json").write_text(json.dumps({"palette": [[0.0], [0.25], [1.0]]}))
    np.savez(tmp_path / "a.npz", x=np.arange(0, 240, 10, dtype=np.uint8).reshape(6, 2, 2))
    task = made("palette", str(tmp_path / "a.npz"))
    assert isinstance(task, PaletteImages)
    task.recall(tmp_path, {"data": {"image_shape": [1, 2, 2]}})
    assert task.palette.tolist() == [[0.0], [0.25], [1.0]]
    assert set(task.data.train_images.unique().tolist()) <= {0, 64, 255}
