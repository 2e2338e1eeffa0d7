"""How good a trained generator of images is: fidelity, diversity, likelihood, memorization, its discriminator."""

import inspect
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from discrete_gan.data import ImageData, to_range
from discrete_gan.data.palette import to_indices
from discrete_gan.metrics import am_score, class_coverage, frechet_distance, gaussian_statistics, inception_score
from discrete_gan.metrics.bootstrap import bootstrap_interval, mean_interval
from discrete_gan.metrics.classifier import Predictions, predict
from discrete_gan.metrics.coverage import num_classes_covered
from discrete_gan.metrics.image_scores import COVERAGE_THRESHOLD, ImageScorer
from discrete_gan.metrics.memorization import memorization
from discrete_gan.metrics.nearest import nearest_hamming
from discrete_gan.metrics.precision_recall import memberships
from discrete_gan.metrics.two_sample import classifier_two_sample_test
from discrete_gan.report.evaluation import Evaluation, raw_outputs, weight_rows
from discrete_gan.report.images import ImageReport, generate_pixels, prepared
from discrete_gan.report.likelihood import LikelihoodOptions, held_out_log_likelihood
from discrete_gan.training import generate, num_classes_of, seeded

_RESAMPLES = 100  # of the scores that take a matrix root each
_COMPARED = 2000  # samples, and held-out images, of everything that is not scored by features
_NEIGHBOR = 5  # whose distance is the radius of precision and recall


class NearestImages(NamedTuple):
    """The samples that come closest to training images, beside these; pixels in [0, 1], shape (N, D) each."""

    samples: Tensor
    training: Tensor


def evaluate_images(
    report: ImageReport,
    generator: nn.Module,
    discriminator: nn.Module | None,
    *,
    num: int = 10_000,
    num_likelihood: int = 200,
    likelihood: LikelihoodOptions | None = None,
    test: ImageData | None = None,
    seed: int = 0,
) -> tuple[Evaluation, NearestImages]:
    """Every figure there is of a generator of images.

    Args:
        report: Of the run's data, moved to the device.
        generator: On the same device.
        discriminator: As the run left it; None for none.
        num: Samples that are scored.
        num_likelihood: Held-out images whose likelihood is computed.
        likelihood: How.
        test: Images to take the likelihood of, where these are not the run's own test images.
        seed: Of latents and samples.
    """
    found = Evaluation()
    samples = generate_pixels(generator, num, seed=seed)
    if report.scorer is None:
        found.verdicts.append("no scores by features: the recipe has no labeled images for them")
    else:
        _add_scores(found, report.scorer, samples, report.test, seed)
    nearest = _add_copies(found, report, generator, samples, seed)
    options = (likelihood or LikelihoodOptions())._replace(seed=seed)
    held_out, labels = native(test or report.data, report, generator)
    bounded = held_out_log_likelihood(
        generator,
        held_out[:num_likelihood],
        None if labels is None or not num_classes_of(generator) else labels[:num_likelihood],
        options=options,
    )
    if bounded is None:
        found.verdicts.append(
            "no log-likelihood: " + ("not asked for" if options.method == "none" else "x(z) is a point")
        )
    else:
        found.add_likelihood(bounded, f"data:{(test or report.data).fingerprint()}")
    if discriminator is not None:
        _add_discriminator(found, report, generator, discriminator, seed)
    return found, nearest


def native(data: ImageData, report: ImageReport, generator: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Test images as the generator's samples are, shape (N, *event), on its device, and their labels.

    Bits are drawn under a fixed seed where the run draws them; colors are one-hot; intensities in the pixel range.
    """
    device = next(generator.parameters()).device
    images, labels = data.test_images.to(device), data.test_labels
    if hasattr(generator, "palette"):
        palette = cast(Tensor, generator.palette)
        indices = to_indices(images.cpu(), palette.cpu(), data.maximum).long().to(device)
        x = one_hot(indices, len(palette)).float()
    elif hasattr(generator, "pixel_range"):
        x = to_range(images, cast(tuple[float, float], generator.pixel_range), data.maximum)
    else:
        with seeded("report", "binarization"):
            x = prepared(images, report.pixels, data.maximum)
    return x, None if labels is None else labels.to(device)


def _add_scores(found: Evaluation, scorer: ImageScorer, samples: Tensor, test: Tensor, seed: int) -> None:
    of_test, of_samples = predict(scorer.classifier, test), predict(scorer.classifier, samples)
    of_train = scorer.train_predictions(len(samples))
    num_classes = of_samples.probabilities.shape[1]
    rest = f"test:{len(test)}|features:{scorer.name}|seed:{seed}"
    statistics = gaussian_statistics(of_test.features)

    def frechet(features: Tensor) -> Tensor:
        return frechet_distance(*gaussian_statistics(features), *statistics)

    def quick(name: str, statistic: object, values: Tensor, meaning: str) -> None:
        interval = bootstrap_interval(statistic, values, num_resamples=_RESAMPLES, seed=seed)  # type: ignore[arg-type]
        found.add(name, interval, f"n:{len(values)}|{rest}", meaning)

    quick("frechet", frechet, of_samples.features, "Frechet distance to the test images, squared feature units; 0")
    quick("frechet_floor", frechet, of_train.features, "Frechet distance of as many training images")
    reference = of_train.probabilities.double().mean(0)
    classes = of_samples.probabilities
    quick("inception_score", lambda p: inception_score(p).score, classes, f"Inception Score; at most {num_classes}")
    quick("am_score", lambda p: am_score(p, reference).score, classes, "AM Score, nats; 0")
    quick(
        "classes_covered",
        lambda p: float(num_classes_covered(class_coverage(p, num_classes), threshold=COVERAGE_THRESHOLD)),
        classes,
        f"classes with more than {COVERAGE_THRESHOLD:.0%} of the samples; {num_classes}",
    )
    _add_neighbors(found, of_test, of_samples, f"n:{len(samples)}|{rest}")


def _add_neighbors(found: Evaluation, of_test: Predictions, of_samples: Predictions, protocol: str) -> None:
    size = min(len(of_test.features), len(of_samples.features))  # only values at equal numbers compare
    if size <= _NEIGHBOR:
        found.verdicts.append(f"no precision and recall: these need more than {_NEIGHBOR} images a side")
        return
    inside = memberships(of_test.features[:size], of_samples.features[:size], k=_NEIGHBOR)
    protocol = f"k:{_NEIGHBOR}|n-each:{size}|{protocol}"
    balls = inside.balls.double()
    found.add("precision", mean_interval((balls > 0).double()), protocol, "samples inside a real ball; 1")
    found.add("recall", mean_interval(inside.recalled.double()), protocol, "test images inside a generated ball; 1")
    found.add("density", mean_interval(balls / _NEIGHBOR), protocol, "real balls around a sample, by k; 1")
    found.add("coverage", mean_interval(inside.covered.double()), protocol, "real balls with a sample inside; 1")


def _add_copies(
    found: Evaluation, report: ImageReport, generator: nn.Module, samples: Tensor, seed: int
) -> NearestImages:
    """Distinct samples and nearest training images, of bits or of colors as numbers."""
    palette = getattr(generator, "palette", None)

    def values(images: Tensor) -> Tensor:
        if palette is not None:
            return to_indices((255 * images).round().byte().cpu(), palette.cpu(), 255)
        return (images > 0.5).to(torch.uint8).cpu()

    drawn = values(samples)
    _, which, times = drawn.unique(dim=0, return_inverse=True, return_counts=True)
    protocol = f"n:{len(drawn)}|seed:{seed}"
    found.add("distinct", mean_interval(1 / times[which].double()), protocol, "distinct samples a sample; 1")
    train, test = values(report.train), values(report.test[:_COMPARED])
    compared, nearest_test = nearest_hamming(drawn[:_COMPARED], train), nearest_hamming(test, train)
    protocol = f"n:{len(compared.distance)}|test:{len(test)}|train:{len(train)}|data:{report.data.fingerprint()}"
    unit = "Hamming" if palette is not None or not hasattr(generator, "pixel_range") else "Hamming (pixels above half)"
    found.add_memorization(memorization(compared.distance, nearest_test.distance), protocol, unit)
    if len(drawn) >= 20 and len(test) >= 20:
        tested = classifier_two_sample_test(test.float(), drawn[: len(test)].float(), seed=seed)
        found.add_two_sample(tested, protocol)
    closest = compared.distance.argsort(stable=True)[:10]
    return NearestImages(
        samples[closest.to(samples.device)], report.train[compared.index[closest].to(report.train.device)]
    )


def _add_discriminator(
    found: Evaluation, report: ImageReport, generator: nn.Module, discriminator: nn.Module, seed: int
) -> None:
    num_classes = num_classes_of(generator)
    real, labels = native(report.data, report, generator)
    real = real[:_COMPARED]
    fake = generate(generator, _COMPARED, seed=seed)
    takes_labels = "labels" in inspect.signature(discriminator.forward).parameters
    if num_classes and labels is not None and takes_labels:
        of_real, of_fake = labels[: len(real)], torch.arange(len(fake), device=fake.device) % num_classes
    else:
        of_real = of_fake = None
    raw_real, raw_fake = raw_outputs(discriminator, real, of_real), raw_outputs(discriminator, fake, of_fake)
    if raw_real is None or raw_fake is None:
        found.verdicts.append("no calibration: the discriminator has more than one output a sample")
        return
    protocol = f"n:{len(fake)}|test:{len(real)}|data:{report.data.fingerprint()}|seed:{seed}"
    found.add_discriminator(raw_real.cpu(), raw_fake.cpu(), protocol)
    found.weights = weight_rows(generator, discriminator, num_classes=num_classes, seed=seed)
