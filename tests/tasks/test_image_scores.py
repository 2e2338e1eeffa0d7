"""Image scores: each against the function that defines it, what real images get, protocols, what depth adds."""

import math

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import (
    ImageClassifier,
    am_score,
    class_coverage,
    frechet_distance,
    gaussian_statistics,
    inception_score,
    intra_class_ms_ssim,
    precision_recall,
    predict,
)
from discrete_gan.metrics.classifier import fingerprint
from discrete_gan.tasks.image_scores import ImageScorer
from discrete_gan.tasks.score import Score


def images(count: int, seed: int, rate: float = 0.5) -> Tensor:
    return (torch.rand(count, 64, generator=torch.Generator().manual_seed(seed)) < rate).float()


def found(scores: list[Score]) -> dict[str, Score]:
    """By name, each of which comes once."""
    assert len({score.name for score in scores}) == len(scores)
    return {score.name: score for score in scores}


@pytest.fixture(scope="module")
def network() -> ImageClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ImageClassifier((1, 8, 8), 4, num_features=8).eval()
    # Untrained, it puts every image in one class and is sure of none: center the logits, and draw them apart.
    with torch.no_grad():
        network.head.weight *= 50
        network.head.bias -= network(images(500, 0)).mean(0)
    return network


@pytest.fixture(scope="module")
def scorer(network: ImageClassifier) -> ImageScorer:
    return ImageScorer(network, images(300, 1), images(200, 2), accuracy=0.975)


def test_parts_are_those_of_the_functions(network: ImageClassifier, scorer: ImageScorer) -> None:
    samples = images(150, 3, rate=0.2)
    scores = found(scorer.scores(samples))
    fake, real = predict(network, samples), predict(network, images(200, 2))
    distance = frechet_distance(*gaussian_statistics(fake.features), *gaussian_statistics(real.features))
    # The order that the floor takes its training images in.
    chosen = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:150]
    train = predict(network, images(300, 1)[chosen])
    floor = frechet_distance(*gaussian_statistics(train.features), *gaussian_statistics(real.features))
    reference = train.probabilities.double().mean(0)
    similarities = [
        intra_class_ms_ssim(given.view(-1, 1, 8, 8), predictions.probabilities.argmax(1)).maximum.item()
        for given, predictions in ((samples, fake), (images(200, 2), real))
    ]
    expected = {
        "frechet": (distance.item(), floor.item()),
        "inception_score": tuple(inception_score(of.probabilities).score.item() for of in (fake, real)),
        "am_score": tuple(am_score(of.probabilities, reference).score.item() for of in (fake, real)),
        "ms_ssim": tuple(similarities),
    }
    for name, (value, of_real) in expected.items():
        assert (scores[name].value, scores[name].real) == (pytest.approx(value), pytest.approx(of_real)), name
        assert value != pytest.approx(of_real), name  # or the two could be mixed up
    fractions = class_coverage(fake.probabilities, 4)
    assert scores["classes_covered"].value == int((fractions > 0.03).sum())
    shown = " ".join(f"{100 * fraction:.1f}" for fraction in fractions.tolist())
    assert scores["classes_covered"].note == f"{shown} %; the classifier is right on 97.5 % of test"
    assert [*scores] == ["frechet", "classes_covered", "inception_score", "am_score", "ms_ssim"]


def test_what_is_better_and_what_would_be_perfect(scorer: ImageScorer) -> None:
    scores = scorer.scores(images(150, 3), in_turn=True, depth="full")
    assert {score.name: (score.better, score.perfect) for score in scores} == {
        "frechet": ("less", 0),
        "classes_covered": ("more", 4),
        "inception_score": ("more", 4),
        "am_score": ("less", 0),
        "ms_ssim": ("less", None),
        "label_accuracy": ("more", 1),
        **dict.fromkeys(("precision", "recall", "density", "coverage"), ("more", 1)),
    }
    assert scores[0].title == "Frechet distance" and scores[0].unit == "squared feature units"


def test_a_line_is_the_distance_alone(scorer: ImageScorer) -> None:
    samples = images(150, 3)
    (line,) = scorer.scores(samples, depth="line")
    run = scorer.scores(samples)[0]
    assert line == run._replace(real=None)


def test_label_accuracy_is_that_of_classes_in_turn(network: ImageClassifier, scorer: ImageScorer) -> None:
    classes = predict(network, images(150, 3)).probabilities.argmax(1)
    expected = sum(int(label) == index % 4 for index, label in enumerate(classes)) / 150
    score = found(scorer.scores(images(150, 3), in_turn=True))["label_accuracy"]
    assert score.value == pytest.approx(expected)
    assert "label_accuracy" not in found(scorer.scores(images(150, 3)))


def test_images_too_small_for_the_similarity_have_none() -> None:
    torch.manual_seed(0)
    scorer = ImageScorer(ImageClassifier((1, 8, 6), 2, num_features=4), images(30, 1)[:, :48], images(20, 2)[:, :48])
    assert "ms_ssim" not in found(scorer.scores(images(30, 3)[:, :48]))


def test_test_images_may_be_too_few_for_the_similarity(network: ImageClassifier) -> None:
    alike = images(1, 4).expand(10, -1)
    classes = predict(network, images(50, 5)).probabilities.argmax(1)
    two = images(50, 5)[[int((classes == k).nonzero()[0]) for k in classes.unique()[:2]]]  # one of each of two classes
    score = found(ImageScorer(network, images(30, 1), two).scores(alike))["ms_ssim"]
    assert (score.value, score.real) == (pytest.approx(1), None)
    assert " ".join(str(score).split("[")[0].split()) == "MS-SSIM 1 in the class of the most alike images"


def test_of_many_classes_the_rarest_are_told() -> None:
    torch.manual_seed(0)
    many, names = ImageClassifier((1, 8, 8), 30, num_features=4), [f"name {label}" for label in range(30)]
    named = ImageScorer(many, images(30, 1), images(20, 2), class_names=names)
    for scorer, prefix in ((named, "name "), (ImageScorer(many, images(30, 1), images(20, 2)), "")):
        score = found(scorer.scores(images(50, 3)))["classes_covered"]
        order = sorted(range(30), key=score.parts.__getitem__)[:20]
        listed = ", ".join(f"{prefix}{label} {100 * score.parts[label]:.1f}" for label in order)
        assert score.note == f"the rarest: {listed} %"
    few = ImageScorer(
        ImageClassifier((1, 8, 8), 2, num_features=4), images(30, 1), images(20, 2), class_names=["b", "a"]
    )
    score = found(few.scores(images(50, 3)))["classes_covered"]
    assert score.note == "b {:.1f}, a {:.1f} %".format(*(100 * part for part in score.parts))


def test_classes_covered_are_those_above_three_percent(network: ImageClassifier, scorer: ImageScorer) -> None:
    candidates = torch.cat([images(2000, 6, rate) for rate in (0.1, 0.5, 0.9)])
    classes = predict(network, candidates).probabilities.argmax(1)
    first, second, third = (candidates[classes == k] for k in classes.unique()[:3])
    score = found(scorer.scores(torch.cat([first[:91], second[:6], third[:3]])))["classes_covered"]
    assert sorted(score.parts) == [0, 0.03, 0.06, 0.91]
    assert sorted(score.note.split(" %")[0].split()) == ["0.0", "3.0", "6.0", "91.0"]
    assert score.value == 2 and score.unit.startswith("of 4 above 3")


def test_same_images_are_at_no_distance_and_others_beyond_the_floor(scorer: ImageScorer) -> None:
    assert scorer.scores(images(200, 2))[0].value == pytest.approx(0, abs=1e-8)
    distance = scorer.scores(images(150, 3, rate=0.2))[0]
    assert distance.real is not None and distance.value > 3 * distance.real > 0


def test_floor_is_the_distance_of_training_images(network: ImageClassifier, scorer: ImageScorer) -> None:
    floor = scorer.scores(images(300, 4))[0].real
    assert floor == pytest.approx(scorer.scores(images(300, 1))[0].value)  # all 300: the choice has no part
    few = scorer.scores(images(50, 4))[0]
    assert "|floor:50|" in few.protocol
    assert few.real is not None and floor is not None and few.real > floor  # bias at rate 1/N
    assert "n:400|floor:300|" in scorer.scores(images(400, 5))[0].protocol
    other = ImageScorer(network, images(300, 1), images(200, 2), seed=1).scores(images(50, 4))[0]
    assert other.real != few.real
    again = ImageScorer(network, images(300, 1), images(200, 2)).scores(images(50, 4))[0]
    assert again.real == few.real


def test_real_features_are_computed_once(scorer: ImageScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer.scores(images(60, 4), depth="full")
    counts: list[int] = []

    def features(self: ImageClassifier, given: Tensor) -> Tensor:
        counts.append(len(given))
        return self.body(given.unflatten(1, self.image_shape))

    monkeypatch.setattr(ImageClassifier, "features", features)
    scorer.scores(images(60, 5), depth="full")
    assert counts == [60]


def test_global_random_state_is_left_alone(network: ImageClassifier) -> None:
    before = torch.get_rng_state()
    ImageScorer(network, images(30, 1), images(20, 2)).scores(images(10, 3), depth="full")
    assert torch.equal(torch.get_rng_state(), before)


def test_protocol_is_all_that_the_scores_depend_on(scorer: ImageScorer, network: ImageClassifier) -> None:
    scores = scorer.scores(images(150, 3, rate=0.2), in_turn=True, depth="full", protocol="|seed:7")
    features = f"test:200|features:ImageClassifier {fingerprint(network)}|seed:7"
    near = ("precision", "recall", "density", "coverage")
    for score in scores:
        expected = f"k:5|n-each:150|n:150|{features}" if score.name in near else f"n:150|floor:150|{features}"
        assert score.protocol == expected, score.name


def test_intervals_and_neighbors_are_of_a_whole_evaluation(scorer: ImageScorer, network: ImageClassifier) -> None:
    samples = images(150, 3, rate=0.3)
    run, full = found(scorer.scores(samples)), found(scorer.scores(samples, depth="full"))
    assert {name: score.value for name, score in run.items()} == {name: full[name].value for name in run}
    assert all(math.isnan(score.low) and math.isnan(score.high) for score in run.values())
    with_interval = {name for name, score in full.items() if math.isfinite(score.low)}
    near = {"precision", "recall", "density", "coverage"}
    assert with_interval == {"frechet", "inception_score", "am_score", "classes_covered"} | near
    for name in with_interval - {"frechet"}:  # whose bootstrap is of too few images to be unbiased
        assert full[name].low <= full[name].value <= full[name].high, name
    assert full.keys() - run.keys() == near


@pytest.mark.parametrize("count", [150, 250])
def test_neighbors_are_of_as_many_images_on_both_sides(
    count: int, scorer: ImageScorer, network: ImageClassifier
) -> None:
    samples, size = images(count, 3, rate=0.3), min(count, 200)
    full = found(scorer.scores(samples, depth="full"))
    real, fake = (predict(network, of).features[:size] for of in (images(200, 2), samples))
    for name, value in precision_recall(real, fake, k=5)._asdict().items():
        assert full[name].value == pytest.approx(float(value)), name
        assert f"|n-each:{size}|n:{count}|" in full[name].protocol


def test_too_few_images_for_neighbors_are_told(scorer: ImageScorer) -> None:
    for count, told in ((5, True), (6, False)):
        near = scorer.scores(images(count, 3), depth="full")[-4:]
        assert [math.isnan(score.value) for score in near] == [told] * 4
        assert ["more than 5 images" in score.note for score in near] == [told] * 4


def test_wrong_shapes_are_errors(scorer: ImageScorer, network: ImageClassifier) -> None:
    with pytest.raises(ValueError, match="samples: expected shape"):
        scorer.scores(images(1, 0))
    with pytest.raises(ValueError, match="expected shape"):
        scorer.scores(torch.zeros(5, 63))
    with pytest.raises(ValueError, match=r"train_images: expected shape .* at least 2 images"):
        ImageScorer(network, images(1, 0), images(20, 2))
    with pytest.raises(ValueError, match=r"test_images: expected shape .* at least 2 images"):
        ImageScorer(network, images(20, 2), images(1, 0))


def test_any_module_scores() -> None:
    """Without ``features`` and ``head`` the logits are the features; without an image shape there is no MS-SSIM."""
    torch.manual_seed(0)
    classifier = torch.nn.Linear(64, 4)
    train, test, samples = images(50, 0), images(40, 1), images(30, 2, rate=0.3)
    scorer = ImageScorer(classifier, train, test)
    scores = found(scorer.scores(samples))
    logits = [classifier(part).detach() for part in (samples, test)]
    distance = frechet_distance(*gaussian_statistics(logits[0]), *gaussian_statistics(logits[1]))
    assert scores["frechet"].value == pytest.approx(float(distance))
    assert scores["inception_score"].value == pytest.approx(float(inception_score(logits[0].softmax(1)).score))
    assert "ms_ssim" not in scores and "right on" not in scores["classes_covered"].note
    assert scorer.name.startswith("Linear ") and f"features:{scorer.name}" in scores["frechet"].protocol
