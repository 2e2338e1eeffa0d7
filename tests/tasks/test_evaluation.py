"""Every score of an evaluation against the function that defines it, or by hand; on tiny images and lines."""

import json
import math
from collections import Counter
from pathlib import Path

import matplotlib.image
import pytest
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn

from discrete_gan.data import ImageData
from discrete_gan.data.equations import equation_scores
from discrete_gan.metrics.memorization import memorization
from discrete_gan.metrics.two_sample import classifier_two_sample_test
from discrete_gan.models import MLPGenerator, MLPImageGenerator, RecurrentGenerator
from discrete_gan.sampling import generate
from discrete_gan.seeds import seeded
from discrete_gan.tasks import Batch, BinaryImageOptions, BinaryImages, Score, Text, load_scores
from discrete_gan.tasks.evaluation import Evaluation, calibration_scores, evaluate, weight_rows
from discrete_gan.tasks.image_scores import ImageScorer
from discrete_gan.tasks.likelihood import LikelihoodOptions, held_out_log_likelihood
from discrete_gan.tasks.log_ratios import raw_outputs
from tests.tasks.sequences import Options

EXACT = 1e-9  # relative, of sums in float64
SINGLE = 1e-5  # relative, of sums in float32
BITS, CLASSES, SAMPLES = 12, 3, 50
NO_LIKELIHOOD = LikelihoodOptions("none")


def data(maximum: int = 1) -> ImageData:
    """45 training and 40 test images of 12 pixels, most of them dark, with classes."""
    torch.manual_seed(0)
    train, test = (((maximum + 0.99) * torch.rand(num, BITS) ** 2.5).byte() for num in (45, 40))
    train_labels, test_labels = (torch.arange(num) % CLASSES for num in (45, 40))
    return ImageData("tiny", (1, 3, 4), train, train_labels, test, test_labels, maximum)


class Tiny(BinaryImages):
    """These images, scored by features of one layer."""

    scored_by_features = False

    def __init__(self) -> None:
        super().__init__(BinaryImageOptions(binarize="none", batch_size=8))
        vars(self)["data"] = data()
        self.to(torch.device("cpu"))
        torch.manual_seed(1)
        self._scorer = ImageScorer(nn.Linear(BITS, CLASSES), self.train, self.test)


def random_generator(num_classes: int = 0) -> MLPGenerator:
    """Three latent numbers, and weights that make its samples far from uniform."""
    torch.manual_seed(2)
    generator = MLPGenerator(3, BITS, hidden=(8,), num_classes=num_classes).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.copy_(2 * torch.randn_like(parameter))
    return generator


class Linear(nn.Module):
    """Raw outputs of one layer."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Linear(BITS, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).squeeze(-1)


class OfClass(nn.Module):
    """The same, plus 10 for class 1 and 20 for class 2."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear()

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.linear(x) + 10 * labels


def by_name(found: Evaluation) -> dict[str, Score]:
    """Each of which comes once."""
    assert len({score.name for score in found.scores}) == len(found.scores)
    return {score.name: score for score in found.scores}


def values(found: Evaluation) -> dict[str, float]:
    return {name: score.value for name, score in by_name(found).items()}


def test_scores_of_images() -> None:
    task, generator = Tiny(), random_generator()
    found = evaluate(task, generator, None, num=SAMPLES, likelihood=NO_LIKELIHOOD, seed=4)
    samples = generate(generator, SAMPLES, seed=4)
    assert task._scorer is not None
    expected = task._scorer.scores(samples, depth="full", protocol="|seed:4")
    assert found.scores[: len(expected)] == expected and expected[0].name == "frechet"
    assert "|n:50|floor:45|" in "|" + expected[0].protocol and "n-each:40|" in by_name(found)["recall"].protocol
    measured = [score for score in found.scores if not math.isnan(score.value)]
    assert all(not score.value < score.low and not score.value > score.high for score in measured)
    assert all(score.protocol for score in measured)
    of_classes = evaluate(task, random_generator(CLASSES), None, num=SAMPLES, likelihood=NO_LIKELIHOOD)
    assert "label_accuracy" in values(of_classes) and "label_accuracy" not in values(found)


def test_copies_of_images() -> None:
    task, generator = Tiny(), random_generator()
    found = by_name(evaluate(task, generator, None, num=SAMPLES, likelihood=NO_LIKELIHOOD, seed=4))
    samples = generate(generator, SAMPLES, seed=4)
    assert found["distinct"].value == pytest.approx(len(set(map(tuple, samples.tolist()))) / SAMPLES, rel=EXACT)
    assert found["distinct"].value < 1 and found["distinct"].protocol == "n:50|seed:4"
    own, of_test = ((side[:, None] != task.train).sum(-1).amin(1) for side in (samples, task.test))
    expected = memorization(own, of_test)
    nearest = found["nearest_training"]
    assert nearest.value == pytest.approx(float(own.double().mean()), rel=EXACT)
    assert nearest.real == pytest.approx(float(of_test.double().mean()), rel=EXACT)
    assert (found["nearer"].value, found["copies"].value) == (expected.nearer.value, expected.copies.value)
    assert (found["nearer"].perfect, found["copies"].perfect) == (0.5, 0.01)
    assert found["copies"].note == expected.verdict
    two_sample = classifier_two_sample_test(task.test, samples[:40], seed=4)
    score = found["two_sample_accuracy"]
    assert (score.value, score.perfect, score.better) == (two_sample.accuracy.value, 0.5, "less")
    assert score.note == f"p {two_sample.p_value:.2g}"
    for name in ("nearest_training", "nearer", "copies", "two_sample_accuracy"):
        assert f"n:50|test:40|train:45|data:{task.data.fingerprint()}|seed:4" in found[name].protocol, name


def test_nearest_pairs_are_shown(tmp_path: Path) -> None:
    """Ten samples above the training images nearest to them, the nearest pair first."""
    task, generator = Tiny(), random_generator()
    found = by_name(evaluate(task, generator, None, num=SAMPLES, likelihood=NO_LIKELIHOOD, seed=4))
    picture = found["nearest_training"].picture
    assert picture is not None
    (tmp_path / "pairs.png").write_bytes(picture)
    pixels = torch.from_numpy(matplotlib.image.imread(tmp_path / "pairs.png")[..., 0])
    scale = pixels.shape[0] // 9  # 2 rows of 3 pixels, and lines of 1 between and around
    small = pixels[scale // 2 :: scale, scale // 2 :: scale]
    assert small.shape == (1 + 2 * 4, 1 + 10 * 5)
    tiles = (
        small[1:, 1:].unflatten(0, (2, 4)).unflatten(2, (10, 5))[:, :3, :, :4].permute(0, 2, 1, 3).flatten(2).round()
    )
    shown, nearest = tiles
    own = (generate(generator, SAMPLES, seed=4)[:, None] != task.train).sum(-1).amin(1)
    distances = (shown != nearest).sum(1)
    assert torch.equal(distances, own.sort().values[:10]) and len(distances.unique()) > 1
    assert all(row in task.train.tolist() for row in nearest.tolist())
    assert all(row in generate(generator, SAMPLES, seed=4).tolist() for row in shown.tolist())


def test_few_images_and_no_scores_are_told() -> None:
    task, generator = Tiny(), random_generator()
    few = by_name(evaluate(task, generator, None, num=5, likelihood=NO_LIKELIHOOD))
    assert math.isnan(few["precision"].value) and "more than 5 images" in few["precision"].note
    task._scorer = None
    without = by_name(evaluate(task, generator, None, num=5, likelihood=NO_LIKELIHOOD))
    assert math.isnan(without["frechet"].value) and "no labels" in without["frechet"].note
    assert "two_sample_accuracy" not in without and "distinct" in without
    assert math.isnan(without["log_likelihood"].value) and without["log_likelihood"].note == "not asked for"


def test_likelihood_is_of_the_test_images_and_their_classes() -> None:
    task, generator, whole = Tiny(), random_generator(CLASSES), data()
    labels = torch.arange(40) % CLASSES
    other = Batch(1 - whole.test_images.float(), 2 - labels)
    options = LikelihoodOptions("bound", num_latents=50, seed=5)
    for test, images, given in ((None, whole.test_images.float(), labels), (other, other.x, 2 - labels)):
        found = evaluate(
            task,
            generator,
            None,
            num=5,
            num_likelihood=7,
            likelihood=options,
            test=test,
            test_fingerprint="" if test is None else "of-other",
            seed=5,
        )
        expected = held_out_log_likelihood(generator, images[:7], given[:7], options=options)
        assert expected is not None and expected.gap is not None
        assert found.log_likelihood == expected.log_likelihood.tolist()
        scores = by_name(found)
        source = whole.fingerprint() if test is None else "of-other"
        assert scores["log_likelihood"].protocol == f"{expected.signature}|data:{source}"
        assert scores["log_likelihood"].value == pytest.approx(expected.mean.value)
        assert scores["likelihood_gap"].value == pytest.approx(expected.gap.value)
        assert "a lower bound" in scores["log_likelihood"].note and scores["log_likelihood"].better == "more"
        assert "by the jackknife" in scores["likelihood_gap"].note


def test_likelihood_follows_the_seed_of_the_evaluation() -> None:
    task, generator = Tiny(), random_generator()
    options = LikelihoodOptions("bound", num_latents=5)
    found = [
        evaluate(task, generator, None, num=5, num_likelihood=7, likelihood=options, seed=seed) for seed in (0, 0, 1)
    ]
    assert found[0].log_likelihood == found[1].log_likelihood != found[2].log_likelihood
    assert "seed:1|" in by_name(found[2])["log_likelihood"].protocol


@pytest.mark.parametrize("num_classes", [0, CLASSES])
def test_discriminator_of_images(num_classes: int) -> None:
    task, generator = Tiny(), random_generator(num_classes)
    discriminator = OfClass() if num_classes else Linear()
    found = evaluate(task, generator, discriminator, num=5, likelihood=NO_LIKELIHOOD, seed=4)
    fake = generate(generator, 2000, seed=4)
    labels = [(torch.arange(len(x)) % CLASSES,) if num_classes else () for x in (task.test, fake)]
    with torch.no_grad():
        real_w, fake_w = (discriminator(x, *of) for x, of in zip((task.test, fake), labels, strict=True))
    expected = calibration_scores(real_w, fake_w, f"n:2000|held-out:40|data:{task.data.fingerprint()}|seed:4")
    assert found.scores[-len(expected) :] == expected
    assert found.weights == weight_rows(generator, discriminator, num_classes=num_classes, seed=4)
    assert found.reliability is not None


def test_discriminator_that_takes_no_labels_and_one_of_several_outputs() -> None:
    task, generator = Tiny(), random_generator(CLASSES)
    found = evaluate(task, generator, Linear(4), num=5, likelihood=NO_LIKELIHOOD)
    score = by_name(found)["calibration_error"]
    assert math.isnan(score.value) and score.note == "the discriminator has more than one output per sample"
    assert not found.weights and "accuracy" not in by_name(found)


def test_without_a_discriminator_there_is_nothing_of_it() -> None:
    found = evaluate(Tiny(), random_generator(), None, num=5, likelihood=NO_LIKELIHOOD)
    assert "calibration_error" not in values(found) and not found.weights and found.reliability is None


def test_scores_of_the_users_own_stand_between(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def dark(samples, real):\n    return (samples.float().mean() < 1) + len(real)\n")
    own = (f"{tmp_path / 'mine.py'}:dark",)
    found = evaluate(Tiny(), random_generator(), Linear(), num=7, likelihood=NO_LIKELIHOOD, own=load_scores(own))
    names = [score.name for score in found.scores]
    assert by_name(found)["dark"].value == 8
    assert names.index("frechet") < names.index("dark") < names.index("log_likelihood") < names.index("accuracy")


def test_raw_outputs_are_of_evaluation_mode_in_parts() -> None:
    discriminator = nn.Sequential(Linear(), nn.Dropout())
    x = torch.rand(1203, BITS)
    with torch.no_grad():
        expected = discriminator[0](x)
    found = raw_outputs(discriminator, x)
    assert found is not None and discriminator.training and not found.requires_grad
    torch.testing.assert_close(found, expected)
    labels = torch.arange(1203) % CLASSES
    of_class = raw_outputs(OfClass(), x, labels)
    assert of_class is not None
    torch.testing.assert_close(of_class, expected + 10 * labels)


def log_ratios(scale: float, offset: float) -> tuple[Tensor, Tensor]:
    """Of 100 real samples, 75 of them where real ones are three times as likely, and of 100 fake ones, 25 of them."""
    signs = [torch.cat([torch.ones(of), -torch.ones(100 - of)]) for of in (75, 25)]
    return signs[0] * math.log(3) * scale + offset, signs[1] * math.log(3) * scale + offset


def calibration(real: Tensor, fake: Tensor) -> dict[str, Score]:
    return {score.name: score for score in calibration_scores(real, fake, "n:100")}


def test_calibrated_discriminator() -> None:
    found = calibration(*log_ratios(1, 0))
    expected = {"accuracy": 0.75, "mean_weight": 1, "calibration_error": 0, "temperature": 1, "offset": 0}
    assert {name: score.value for name, score in found.items()} == pytest.approx(expected, abs=1e-5)  # float32 outputs
    # What a discriminator of log-ratios gets is what is called perfect; its accuracy depends on the generator.
    perfect = {name: score.perfect for name, score in found.items()}
    assert perfect == {**expected, "accuracy": None}
    assert {score.protocol for score in found.values()} == {"n:100"}
    assert all(math.isfinite(score.low) and math.isfinite(score.high) for score in found.values())


@pytest.mark.parametrize(("scale", "way"), [(2, "too sharp"), (0.5, "too flat")])
def test_discriminator_that_is_off(scale: float, way: str) -> None:
    real, fake = log_ratios(scale, 0.3)
    found = calibration(real, fake)
    expected = {
        "accuracy": 0.75,
        "mean_weight": float(fake.exp().mean()),
        "calibration_error": float((torch.sigmoid(real[[0, -1]]) - torch.tensor([0.75, 0.25])).abs().mean()),
        "temperature": scale,
        "offset": -0.3 / scale,
    }
    # The bins are of unequal weight unless both sides are equally many, as here: half of all samples in each.
    # Of a fit by Newton's method, in float32 outputs:
    assert {name: score.value for name, score in found.items()} == pytest.approx(expected, rel=1e-4)
    verdict = found["calibration_error"].note
    assert f"its log-ratios are {way}: {1 / scale:.3g} times them, plus {-0.3 / scale:.3g}, fit best" in verdict
    lost = -(torch.cat([torch.nn.functional.logsigmoid(real), torch.nn.functional.logsigmoid(-fake)])).mean()
    best = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert f"(cross entropy {best:.4f} nats, as they are {float(lost):.4f})" in verdict


def test_discriminator_that_tells_nothing() -> None:
    """Log-ratios of the other sign are neither too flat nor too sharp."""
    found = calibration(*log_ratios(-1, 0))["calibration_error"]
    assert "its log-ratios tell nothing of these data, reversed ones fit better (cross entropy" in found.note


def test_reliability_of_an_evaluation_is_of_both_sides() -> None:
    class Given(nn.Module):
        """Raw outputs by the first pixel."""

        def forward(self, x: Tensor) -> Tensor:
            return (2 * x[..., 0] - 1) * math.log(3)

    task, generator = Tiny(), random_generator()
    found = evaluate(task, generator, Given(), num=5, likelihood=NO_LIKELIHOOD, seed=4)
    assert found.reliability is not None
    real, fake = task.test[:, 0].mean(), generate(generator, 2000, seed=4)[:, 0].mean()
    observed = [float((1 - real) / (2 - real - fake)), float(real / (real + fake))]
    assert found.reliability.predicted.tolist() == pytest.approx([0.25, 0.75], rel=SINGLE)
    assert found.reliability.observed.tolist() == pytest.approx(observed, rel=SINGLE)


def test_weights_over_the_number_of_samples() -> None:
    generator, discriminator = MLPGenerator(3, BITS, hidden=(8,)).eval(), Linear()
    found = weight_rows(generator, discriminator, seed=7)
    with torch.no_grad(), seeded(7, "weights"):
        g = generator(generator.latents(256))
        log_w = torch.cat([discriminator(g.sample((1,))) for _ in range(100)])
    assert [row.num_samples for row in found] == [2, 5, 10, 20, 50, 100]
    for row in found:
        w = log_w[: row.num_samples].double().exp()
        normalized = w / w.sum(0)
        assert row.effective_part == pytest.approx(
            float((1 / normalized.square().sum(0)).mean()) / row.num_samples, rel=SINGLE
        )
        assert row.largest_weight == pytest.approx(float(normalized.amax(0).mean()), rel=SINGLE)
        assert row.log_partition == pytest.approx(float(w.mean().log()), rel=SINGLE)
        assert (row.pareto_tail_index is None) == (row.num_samples < 21)
    assert weight_rows(generator, discriminator, seed=8) != found == weight_rows(generator, discriminator, seed=7)
    labels = torch.arange(256) % CLASSES
    of_class = weight_rows(random_generator(CLASSES), OfClass(), num_classes=CLASSES, seed=7)
    # What a class adds to all M outputs of a latent leaves the weights and moves their partition.
    conditional = random_generator(CLASSES)
    with torch.no_grad(), seeded(7, "weights"):
        g = conditional(conditional.latents(256), labels)
        log_w = torch.cat([discriminator(g.sample((1,))) for _ in range(2)]).double()
    expected = (log_w + 10 * labels).flatten().logsumexp(0) - math.log(log_w.numel())
    assert of_class[0].log_partition == pytest.approx(float(expected), rel=SINGLE)
    assert weight_rows(MLPImageGenerator(2, BITS, hidden=(4,)), Linear()) == []


def test_what_is_written_is_json_without_nan() -> None:
    discriminator = Linear()
    found = evaluate(Tiny(), random_generator(), discriminator, num=5, likelihood=NO_LIKELIHOOD)
    content = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert content["scores"].keys() == values(found).keys()
    assert content["scores"]["log_likelihood"]["value"] is None
    assert content["scores"]["frechet"]["protocol"] == found.scores[0].protocol
    assert [row["num_samples"] for row in content["weights"]] == [2, 5, 10, 20, 50, 100]
    assert len(content["reliability"]["observed"]) == len(content["reliability"]["predicted"]) > 0
    assert Evaluation().as_dict() == {"scores": {}, "weights": [], "reliability": None, "log_likelihood": []}


@pytest.mark.parametrize("equations", [False, True])
def test_scores_of_text(equations: bool, tmp_path: Path) -> None:
    lines = [f"{first} {second} {third}\n" for first in "abcde" for second in "abcde" for third in "abcde"]
    (tmp_path / "my.txt").write_text("".join(lines))
    task = Text(Options(data="equations" if equations else str(tmp_path / "my.txt")))
    task.to(torch.device("cpu"))
    task.test = task.test[:300]
    torch.manual_seed(0)
    size = task.num_categories, task.max_length
    generator = RecurrentGenerator(*size, end=task.end, latent_dim=0, hidden=8, embedding_dim=4)
    found = evaluate(task, generator, None, num=60, seed=3)
    scores, samples = by_name(found), task.decode(generate(generator, 60, seed=3))
    expected = task.scorer.scores(samples, intervals=True, protocol="|seed:3|temperature:1")
    assert {score.name: score for score in expected}.items() <= scores.items()
    assert scores["distinct_samples"].value == pytest.approx(len(Counter(samples)) / 60, rel=EXACT)
    if equations:
        assert scores["valid"].value == pytest.approx(equation_scores(samples, ())["valid"], rel=EXACT)
        assert scores["valid"].low <= scores["valid"].value <= scores["valid"].high
        assert found.scores[0].name == "valid"
    else:
        assert "valid" not in scores
    split = list if equations else str.split

    def nearest(side: list[str]) -> float:
        distances = [min(Levenshtein.distance(split(a), split(b)) for b in task.data.train_lines) for a in side]
        return sum(distances) / len(distances)

    copied = scores["nearest_training"]
    if not equations:  # 60 times several thousand by hand take seconds
        assert copied.value == pytest.approx(nearest(samples), rel=EXACT)
        assert copied.real == pytest.approx(nearest(task.data.held_out_lines), rel=EXACT)
    unit = "char" if equations else "word"
    assert f"unit:{unit}|" in copied.protocol and f"edits of {unit}s" in copied.unit
    assert f"n:60|held-out:{min(1000, len(task.data.held_out_lines))}|" in copied.protocol
    exact = held_out_log_likelihood(generator, task.test)
    assert exact is not None and scores["log_likelihood"].value == pytest.approx(exact.mean.value, rel=EXACT)
    assert len(found.log_likelihood) == len(task.test) and "likelihood_gap" not in scores
    assert scores["log_likelihood"].note == "exact"
    fewer = scores["nll_sequence"].value  # of the same sequences, by the other way of computing it
    assert fewer == pytest.approx(-exact.mean.value, rel=1e-5)
