"""Every figure of an evaluation against the function that defines it, or by hand; on tiny images and lines."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn

from discrete_gan.data import ImageData, load_text
from discrete_gan.data.equations import equation_scores
from discrete_gan.metrics import ImageScorer, precision_recall, predict
from discrete_gan.metrics.bootstrap import Interval
from discrete_gan.metrics.memorization import memorization
from discrete_gan.metrics.two_sample import classifier_two_sample_test
from discrete_gan.models import MLPGenerator, MLPImageGenerator, RecurrentGenerator
from discrete_gan.report import ImageReport, TextReport, generate_pixels, generate_text
from discrete_gan.report.evaluation import Evaluation, raw_outputs, weight_rows
from discrete_gan.report.image_evaluation import evaluate_images, native
from discrete_gan.report.likelihood import LikelihoodOptions, held_out_log_likelihood
from discrete_gan.report.text_evaluation import evaluate_text
from discrete_gan.training import generate, seeded

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


def tiny_report() -> ImageReport:
    report = ImageReport(data(), "none", labeled=None)
    report.to(torch.device("cpu"))
    torch.manual_seed(1)
    report.scorer = ImageScorer(nn.Linear(BITS, CLASSES), report.train, report.test)
    return report


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


def values(found: Evaluation) -> dict[str, float]:
    return {name: figure.value for name, figure in found.figures.items()}


def test_scores_of_images() -> None:
    report, generator = tiny_report(), random_generator()
    assert report.scorer is not None
    found, _ = evaluate_images(report, generator, None, num=SAMPLES, likelihood=NO_LIKELIHOOD, seed=4)
    got = values(found)
    samples = generate_pixels(generator, SAMPLES, seed=4)
    scores = report.scorer(samples)
    for name in ("frechet", "frechet_floor", "inception_score", "am_score", "classes_covered"):
        assert got[name] == pytest.approx(getattr(scores, name), rel=EXACT), name
    fake, real = (predict(report.scorer.classifier, images).features[:40] for images in (samples, report.test))
    for name, value in precision_recall(real, fake, k=5)._asdict().items():
        assert got[name] == pytest.approx(float(value), rel=EXACT), name
        assert value > 0 and value != 1, name
    assert "n:50|" in found.figures["frechet"].signature and "n:45|" in found.figures["frechet_floor"].signature
    assert "n-each:40|" in found.figures["recall"].signature
    assert all(figure.low <= figure.value <= figure.high for figure in found.figures.values())


def test_copies_of_images() -> None:
    report, generator = tiny_report(), random_generator()
    found, nearest = evaluate_images(report, generator, None, num=SAMPLES, likelihood=NO_LIKELIHOOD, seed=4)
    got, samples = values(found), generate_pixels(generator, SAMPLES, seed=4)
    assert got["distinct"] == pytest.approx(len(set(map(tuple, samples.tolist()))) / SAMPLES, rel=EXACT)
    assert got["distinct"] < 1
    own, of_test = ((side[:, None] != report.train).sum(-1).amin(1) for side in (samples, report.test))
    expected = memorization(own, of_test)
    assert got["nearest_training"] == pytest.approx(float(own.double().mean()), rel=EXACT)
    assert got["nearest_training_held_out"] == pytest.approx(float(of_test.double().mean()), rel=EXACT)
    assert (got["nearer"], got["copies"]) == (expected.nearer.value, expected.copies.value)
    assert f"memorization: {expected.verdict}" in found.verdicts
    two_sample = classifier_two_sample_test(report.test, samples[:40], seed=4)
    assert got["two_sample_accuracy"] == two_sample.accuracy.value
    assert f"two-sample test: accuracy {two_sample.accuracy.value:.3f}, p {two_sample.p_value:.2g}" in found.verdicts
    distances = (nearest.samples != nearest.training).sum(1)
    assert torch.equal(distances, own.sort().values[:10]) and len(distances.unique()) > 1
    assert all(row in report.train.tolist() for row in nearest.training.tolist())
    assert all(row in samples.tolist() for row in nearest.samples.tolist())


def test_few_images_and_no_scores_are_told() -> None:
    report, generator = tiny_report(), random_generator()
    few, _ = evaluate_images(report, generator, None, num=5, likelihood=NO_LIKELIHOOD)
    assert "precision" not in few.figures and any("more than 5 images a side" in each for each in few.verdicts)
    report.scorer = None
    without, _ = evaluate_images(report, generator, None, num=5, likelihood=NO_LIKELIHOOD)
    assert "frechet" not in without.figures and "two_sample_accuracy" not in without.figures
    assert {"no scores by features: the recipe has no labeled images for them", "no log-likelihood: not asked for"} <= {
        *without.verdicts
    }


def test_likelihood_is_of_the_test_images_and_their_classes() -> None:
    report, generator, whole = tiny_report(), random_generator(CLASSES), data()
    labels = torch.arange(40) % CLASSES
    other = ImageData(
        "other", (1, 3, 4), 1 - whole.train_images, whole.train_labels, 1 - whole.test_images, 2 - labels, 1
    )
    options = LikelihoodOptions("bound", num_latents=50, seed=5)
    for test, images, given in ((None, whole.test_images, labels), (other, other.test_images, 2 - labels)):
        found, _ = evaluate_images(
            report, generator, None, num=5, num_likelihood=7, likelihood=options, test=test, seed=5
        )
        expected = held_out_log_likelihood(generator, images[:7].float(), given[:7], options=options)
        assert expected is not None
        assert found.log_likelihood == expected.log_likelihood.tolist()
        source = test or report.data
        assert found.figures["log_likelihood"].signature.endswith(f"data:{source.fingerprint()}")
        assert values(found)["likelihood_gap"] == pytest.approx(expected.gap.value if expected.gap else None)
        assert "a lower bound" in found.figures["log_likelihood"].meaning
        assert "by the jackknife" in found.figures["likelihood_gap"].meaning


def test_images_as_the_generator_draws_them() -> None:
    bits, colored, grey = random_generator(), random_generator(), MLPImageGenerator(2, BITS, hidden=(4,))
    whole = data(16)
    threshold = ImageReport(whole, "threshold", labeled=None)
    x, labels = native(whole, threshold, bits)
    assert torch.equal(x, (whole.test_images > 8).float())
    assert labels is not None and torch.equal(labels, torch.arange(40) % CLASSES)
    drawn = ImageReport(whole, "stochastic", labeled=None)
    first, again = (native(whole, drawn, bits)[0] for _ in range(2))
    assert torch.equal(first, again) and set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, x)
    # Data that are bits already stay as they are, however the run makes bits of its own.
    assert torch.equal(native(data(), drawn, bits)[0], data().test_images.float())
    assert torch.equal(native(whole, threshold, grey)[0], whole.test_images / 8 - 1)
    colored.palette = torch.tensor([[0.0], [0.5], [1.0]])
    x, _ = native(whole, threshold, colored)
    assert x.shape == (40, BITS, 3) and x.dtype == torch.float32
    nearest = (whole.test_images[..., None] / 16 - colored.palette[:, 0]).abs()
    assert torch.equal(nearest.gather(2, x.argmax(2, keepdim=True))[..., 0], nearest.amin(2))


@pytest.mark.parametrize("num_classes", [0, CLASSES])
def test_discriminator_of_images(num_classes: int) -> None:
    report, generator = tiny_report(), random_generator(num_classes)
    discriminator = OfClass() if num_classes else Linear()
    found, _ = evaluate_images(report, generator, discriminator, num=5, likelihood=NO_LIKELIHOOD, seed=4)
    fake = generate(generator, 2000, seed=4)
    labels = [(torch.arange(len(x)) % CLASSES,) if num_classes else () for x in (report.test, fake)]
    with torch.no_grad():
        real_w, fake_w = (discriminator(x, *of) for x, of in zip((report.test, fake), labels, strict=True))
    expected = Evaluation()
    expected.add_discriminator(real_w, fake_w, f"n:2000|test:40|data:{report.data.fingerprint()}|seed:4")
    assert expected.figures.items() <= found.figures.items()
    assert found.weights == weight_rows(generator, discriminator, num_classes=num_classes, seed=4)


def test_discriminator_that_takes_no_labels_and_one_of_several_outputs() -> None:
    report, generator = tiny_report(), random_generator(CLASSES)
    found, _ = evaluate_images(report, generator, Linear(4), num=5, likelihood=NO_LIKELIHOOD)
    assert "no calibration: the discriminator has more than one output a sample" in found.verdicts
    assert not found.weights and "accuracy" not in found.figures


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


def test_calibrated_discriminator() -> None:
    found = Evaluation()
    found.add_discriminator(*log_ratios(1, 0), "n:100")
    expected = {"accuracy": 0.75, "mean_weight": 1, "calibration_error": 0, "temperature": 1, "offset": 0}
    assert values(found) == pytest.approx(expected, abs=1e-5)  # of a fit by Newton's method, in float32 outputs
    assert found.reliability is not None and found.reliability.observed.tolist() == pytest.approx([0.25, 0.75])
    assert found.figures["accuracy"].signature == "accuracy|n:100"


@pytest.mark.parametrize(("scale", "way"), [(2, "too sharp"), (0.5, "too flat")])
def test_discriminator_that_is_off(scale: float, way: str) -> None:
    found = Evaluation()
    real, fake = log_ratios(scale, 0.3)
    found.add_discriminator(real, fake, "n:100")
    expected = {
        "accuracy": 0.75,
        "mean_weight": float(fake.exp().mean()),
        "calibration_error": float((torch.sigmoid(real[[0, -1]]) - torch.tensor([0.75, 0.25])).abs().mean()),
        "temperature": scale,
        "offset": -0.3 / scale,
    }
    # The bins are of unequal weight unless both sides are equally many, as here: half of all samples in each.
    assert values(found) == pytest.approx(expected, rel=1e-4)  # of a fit by Newton's method, in float32 outputs
    (verdict,) = found.verdicts
    assert f"its log-ratios are {way}: {1 / scale:.3g} times them, plus {-0.3 / scale:.3g}, fit best" in verdict
    lost = -(torch.cat([torch.nn.functional.logsigmoid(real), torch.nn.functional.logsigmoid(-fake)])).mean()
    best = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert f"(cross entropy {best:.4f} nats, as they are {float(lost):.4f})" in verdict


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


def test_intervals_that_there_are_none_of_are_null() -> None:
    found = Evaluation()
    found.add("one", Interval(1.0, math.nan, math.nan), "n:1", "said")
    found.add("two", Interval(2.0, 1.0, 3.0), "n:1", "too")
    content = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert content["figures"]["one"] == {
        "value": 1,
        "low": None,
        "high": None,
        "signature": "one|n:1",
        "meaning": "said",
    }
    assert content["figures"]["two"]["high"] == 3 and content["reliability"] is None
    assert found.protocols() == {"n:1": ["one", "two"]}


@pytest.mark.parametrize("equations", [False, True])
def test_figures_of_text(equations: bool, tmp_path: Path) -> None:
    if equations:
        whole = load_text("equations")
    else:
        lines = [f"{first} {second} {third}\n" for first in "abcde" for second in "abcde" for third in "abcde"]
        (tmp_path / "my.txt").write_text("".join(lines))
        whole = load_text(str(tmp_path / "my.txt"))
    report = TextReport(whole)
    report.held_out = report.held_out[:300]
    torch.manual_seed(0)
    size = whole.num_categories, whole.max_length
    generator = RecurrentGenerator(*size, end=whole.vocabulary.end, latent_dim=0, hidden=8, embedding_dim=4)
    found, shown = evaluate_text(report, generator, None, num=60, seed=3)
    got, lines = values(found), generate_text(generator, whole.vocabulary, 60, seed=3)
    assert shown == lines[:10]
    scores = report.scorer(lines).values
    for name in ("bleu2", "bleu5", "self_bleu3", "copied"):
        assert got[name] == pytest.approx(scores[name], rel=EXACT), name
        assert found.figures[name].signature == report.scorer.signatures(60)[name]
    assert got["distinct_samples"] == pytest.approx(len(Counter(lines)) / 60, rel=EXACT)
    if equations:
        assert got["valid"] == pytest.approx(equation_scores(lines, ())["valid"], rel=EXACT)
    else:
        assert "valid" not in got
    split = (lambda line: list(line)) if equations else str.split

    def nearest(side: list[str]) -> float:
        distances = [min(Levenshtein.distance(split(a), split(b)) for b in whole.train_lines) for a in side]
        return sum(distances) / len(distances)

    if not equations:  # 60 times several thousand by hand take seconds
        assert got["nearest_training"] == pytest.approx(nearest(lines), rel=EXACT)
        assert got["nearest_training_held_out"] == pytest.approx(nearest(whole.held_out_lines), rel=EXACT)
    unit = "char" if equations else "word"
    assert f"unit:{unit}|" in found.figures["nearest_training"].signature
    exact = held_out_log_likelihood(generator, report.held_out)
    assert exact is not None and got["log_likelihood"] == pytest.approx(exact.mean.value, rel=EXACT)
    assert len(found.log_likelihood) == len(report.held_out) and "likelihood_gap" not in got
    assert found.figures["log_likelihood"].meaning.endswith("exact")
