"""Image scores: the parts put together, the floor, the two ways out."""

import json

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import (
    ImageClassifier,
    ImageScorer,
    am_score,
    class_coverage,
    frechet_distance,
    gaussian_statistics,
    image_scores,
    inception_score,
    intra_class_ms_ssim,
    predict,
)
from discrete_gan.metrics.classifier import fingerprint


def images(count: int, seed: int, rate: float = 0.5) -> Tensor:
    return (torch.rand(count, 64, generator=torch.Generator().manual_seed(seed)) < rate).float()


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
    scores = scorer(samples)
    fake, real = predict(network, samples), predict(network, images(200, 2))
    expected = frechet_distance(*gaussian_statistics(fake.features), *gaussian_statistics(real.features))
    assert scores.frechet == pytest.approx(expected.item())
    assert scores.class_fractions.tolist() == class_coverage(fake.probabilities, 4).tolist()
    assert scores.classes_covered == int((scores.class_fractions > 0.03).sum())
    assert scores.inception_score == pytest.approx(inception_score(fake.probabilities).score.item())
    assert scores.inception_score_real == pytest.approx(inception_score(real.probabilities).score.item())
    # The order that the floor takes its training images in.
    chosen = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:150]
    reference = predict(network, images(300, 1)[chosen]).probabilities.double().mean(0)
    assert scores.am_score == pytest.approx(am_score(fake.probabilities, reference).score.item())
    assert scores.am_score_real == pytest.approx(am_score(real.probabilities, reference).score.item())
    for given, predictions, found in (
        (samples, fake, scores.ms_ssim),
        (images(200, 2), real, scores.ms_ssim_real),
    ):
        similarity = intra_class_ms_ssim(given.view(-1, 1, 8, 8), predictions.probabilities.argmax(1))
        assert found == pytest.approx(similarity.maximum.item())
    assert scores.label_accuracy is None
    assert (scores.num_samples, scores.num_test, scores.num_floor) == (150, 200, 150)


def test_label_accuracy_is_that_of_classes_in_turn(network: ImageClassifier, scorer: ImageScorer) -> None:
    classes = predict(network, images(150, 3)).probabilities.argmax(1)
    expected = sum(int(label) == index % 4 for index, label in enumerate(classes)) / 150
    scores = scorer(images(150, 3), in_turn=True)
    assert scores.label_accuracy == pytest.approx(expected)
    assert f"labels            {100 * expected:.1f} % of samples are of the class asked for" in scores.lines()
    assert not any(line.startswith("labels") for line in scorer(images(150, 3)).lines())


def test_images_too_small_for_the_similarity_have_none() -> None:
    torch.manual_seed(0)
    scores = ImageScorer(ImageClassifier((1, 8, 6), 2, num_features=4), images(30, 1)[:, :48], images(20, 2)[:, :48])
    found = scores(images(30, 3)[:, :48])
    assert found.ms_ssim is None and found.ms_ssim_real is None
    assert not any("MS-SSIM" in line for line in found.lines())


def test_test_images_may_be_too_few_for_the_similarity(network: ImageClassifier) -> None:
    alike = images(1, 4).expand(10, -1)
    classes = predict(network, images(50, 5)).probabilities.argmax(1)
    two = images(50, 5)[[int((classes == k).nonzero()[0]) for k in classes.unique()[:2]]]  # one of each of two classes
    scores = ImageScorer(network, images(30, 1), two)(alike)
    assert (scores.ms_ssim, scores.ms_ssim_real) == (pytest.approx(1), None)
    assert "MS-SSIM           1.00 in the class of the most alike images" in scores.lines()


def test_classes_covered_are_those_above_three_percent(network: ImageClassifier, scorer: ImageScorer) -> None:
    candidates = torch.cat([images(2000, 6, rate) for rate in (0.1, 0.5, 0.9)])
    classes = predict(network, candidates).probabilities.argmax(1)
    first, second, third = (candidates[classes == k] for k in classes.unique()[:3])
    scores = scorer(torch.cat([first[:91], second[:6], third[:3]]))
    assert sorted(scores.class_fractions.tolist()) == [0, 0.03, 0.06, 0.91]
    assert scores.classes_covered == 2


def test_same_images_are_at_no_distance_and_others_beyond_the_floor(scorer: ImageScorer) -> None:
    assert scorer(images(200, 2)).frechet == pytest.approx(0, abs=1e-8)
    scores = scorer(images(150, 3, rate=0.2))
    assert scores.frechet > 3 * scores.frechet_floor > 0


def test_floor_is_the_distance_of_training_images(network: ImageClassifier, scorer: ImageScorer) -> None:
    floor = scorer(images(300, 4)).frechet_floor
    assert floor == pytest.approx(scorer(images(300, 1)).frechet)  # all 300: the choice has no part
    few = scorer(images(50, 4))
    assert few.num_floor == 50
    assert few.frechet_floor > floor  # bias at rate 1/N
    assert scorer(images(400, 5)).num_floor == 300
    other = ImageScorer(network, images(300, 1), images(200, 2), seed=1)(images(50, 4))
    assert other.frechet_floor != few.frechet_floor
    again = image_scores(images(50, 4), images(200, 2), images(300, 1), network)
    assert again.frechet_floor == few.frechet_floor


def test_real_features_are_computed_once(scorer: ImageScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer(images(60, 4))
    counts: list[int] = []

    def features(self: ImageClassifier, given: Tensor) -> Tensor:
        counts.append(len(given))
        return self.body(given.unflatten(1, self.image_shape))

    monkeypatch.setattr(ImageClassifier, "features", features)
    scorer(images(60, 5))
    assert counts == [60]


def test_global_random_state_is_left_alone(network: ImageClassifier) -> None:
    before = torch.get_rng_state()
    ImageScorer(network, images(30, 1), images(20, 2))(images(10, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_lines_and_dict(scorer: ImageScorer, network: ImageClassifier) -> None:
    scores = scorer(images(150, 3, rate=0.2))
    text = "\n".join(scores.lines())
    assert f"{scores.frechet:.3f} squared feature units (150 training images: {scores.frechet_floor:.3f})" in text
    assert f"{scores.classes_covered} of 4 above 3 %" in text
    assert f"AM Score          {scores.am_score:.3f} nats (test images: {scores.am_score_real:.3f})" in text
    assert f"MS-SSIM           {scores.ms_ssim:.2f} in the class" in text
    assert "150 samples against 200 test images" in text
    assert "97.5 % accurate" in text
    content = json.loads(json.dumps(scores.as_dict()))
    assert content["class_fractions"] == scores.class_fractions.tolist()
    assert content["protocol"] == {
        "feature_network": f"ImageClassifier {fingerprint(network)}",
        "feature_network_accuracy": 0.975,
        "num_samples": 150,
        "num_test": 200,
        "num_floor": 150,
        "coverage_threshold": 0.03,
    }


def test_wrong_shapes_are_errors(scorer: ImageScorer) -> None:
    with pytest.raises(ValueError, match="samples: expected shape"):
        scorer(images(1, 0))
    with pytest.raises(ValueError, match="expected shape"):
        scorer(torch.zeros(5, 63))


def test_any_module_scores() -> None:
    """Without ``features`` and ``head`` the logits are the features; without an image shape there is no MS-SSIM."""
    torch.manual_seed(0)
    classifier = torch.nn.Linear(64, 4)
    train, test, samples = images(50, 0), images(40, 1), images(30, 2, rate=0.3)
    scorer = ImageScorer(classifier, train, test)
    scores = scorer(samples)
    logits = [classifier(part).detach() for part in (samples, test)]
    distance = frechet_distance(*gaussian_statistics(logits[0]), *gaussian_statistics(logits[1]))
    assert scores.frechet == pytest.approx(float(distance)) == scorer.frechet(samples)
    assert scores.inception_score == pytest.approx(float(inception_score(logits[0].softmax(1)).score))
    assert scores.class_fractions.shape == (4,) and scores.ms_ssim is None
    assert scores.feature_network.startswith("Linear ") and "features of Linear " in scores.lines()[-1]
