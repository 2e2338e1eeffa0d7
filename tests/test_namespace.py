"""What ``import discrete_gan as dg`` gives: its parts, imported when they are asked for, with torch and numpy alone."""

import subprocess
import sys
from pathlib import Path

import pytest

import discrete_gan as dg

ROOT = Path(__file__).parents[1]
LIBRARY = ["data", "distributions", "divergences", "estimators", "losses", "metrics", "models", "reweighted", "weights"]
OTHERS = ["lab", "load", "report", "tasks", "training"]

# Nothing is found but the standard library, the package, torch and numpy, and what torch itself cannot do without.
ONLY_TORCH_AND_NUMPY = """
import sys
from importlib.machinery import PathFinder

FOUND = {"discrete_gan", "torch", "torchgen", "functorch", "numpy"}
FOUND |= {"typing_extensions", "sympy", "mpmath", "networkx", "filelock", "fsspec"}

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        first = name.partition(".")[0]
        found = first in FOUND | sys.stdlib_module_names or first.startswith("_sysconfigdata")
        return super().find_spec(name, path, target) if found else None

sys.meta_path = [Bare if finder is PathFinder else finder for finder in sys.meta_path]
"""


def run_python(code: str, *, bare: bool = True) -> list[str]:
    code = ONLY_TORCH_AND_NUMPY * bare + code
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


def test_the_import_alone_imports_nothing() -> None:
    code = """
import sys
import discrete_gan as dg
dir(dg)
print([name for name in sys.modules if name.partition(".")[0] in ("discrete_gan", "torch", "numpy")])
print(dg.__version__)
"""
    modules, version = run_python(code, bare=False)
    assert modules == "['discrete_gan']"
    assert version == dg.__version__


@pytest.mark.slow
def test_completion_offers_the_parts_and_imports_them() -> None:
    assert {*LIBRARY, *OTHERS, "__version__"} == set(dir(dg))
    code = """
import rlcompleter
import discrete_gan as dg
offered = rlcompleter.Completer({"dg": dg})
print(sorted(offered.attr_matches("dg.")))
print("dg.metrics.bleu(" in offered.attr_matches("dg.metrics.b"), offered.attr_matches("dg.metrics.B"))
"""
    alone, all_of_them = run_python(code), run_python(code, bare=False)
    assert alone == [str([f"dg.{name}" for name in LIBRARY]), "True []"]
    offered = sorted(f"dg.{name}{'(' if name == 'load' else ''}" for name in LIBRARY + OTHERS)
    assert all_of_them == [str(offered), "True ['dg.metrics.BLEU(']"]


def test_names_that_are_not_there_are_attribute_errors() -> None:
    for part in (dg, dg.metrics):
        with pytest.raises(AttributeError, match=rf"^module '{part.__name__}' has no attribute 'wieghts'$"):
            part.wieghts  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="wieghts"):
        exec("from discrete_gan import wieghts")


def test_the_library_works_with_torch_and_numpy_alone() -> None:
    code = """
import torch
import discrete_gan as dg

generator, discriminator = dg.models.MLPGenerator(4, 6, hidden=(8,)), dg.models.MLPDiscriminator(6, hidden=(8,))
real, z = torch.zeros(5, 6), generator.latents(5)
g = generator(z)
print(isinstance(g, dg.distributions.FactorizedBernoulli))
dg.divergences.GAN.discriminator_loss(discriminator(real), discriminator(g.sample())).backward()
dg.estimators.BoundarySeeking(num_samples=3)(generator, discriminator, z).mean().backward()
print(all(weight.grad is not None for model in (generator, discriminator) for weight in model.parameters()))
print(dg.weights.normalized_weights(torch.zeros(4, 5)).sum().item())
print(dg.losses.__name__)
import discrete_gan.losses.gan
print(dg.losses.gan.__name__)
print(dg.data.Batches.__name__)
"""
    assert run_python(code) == ["True", "True", "5.0", "discrete_gan.losses", "discrete_gan.losses.gan", "Batches"]


def test_functions_of_the_metrics_work_with_torch_and_numpy_alone() -> None:
    code = """
import torch
import discrete_gan as dg

metrics = dg.metrics
features, tokens = torch.eye(4).repeat(5, 1), torch.eye(5).long()
probabilities = torch.eye(4).repeat(2, 1)
metrics.frechet_distance(*metrics.gaussian_statistics(features), *metrics.gaussian_statistics(features))
metrics.precision_recall(features, features + 0.1, k=5)
metrics.am_score(probabilities, torch.full((4,), 0.25)), metrics.mode_score(probabilities, torch.full((4,), 0.25))
metrics.class_coverage(probabilities, 4), metrics.inception_score(probabilities)
metrics.bleu(tokens, tokens, end=None), metrics.self_bleu(tokens, end=None), metrics.ngram_js(tokens, tokens, end=None)
metrics.distinct_n(tokens, end=None), metrics.distinct_samples(tokens, end=None)
metrics.copied_fraction(tokens, tokens, end=None), metrics.importance_weighted_bound(torch.zeros(3, 2))
images, labels = torch.rand(40, 64), torch.arange(40) % 2
metrics.predict(metrics.train_classifier(images, labels, (1, 8, 8), 2, epochs=1), images)

from discrete_gan.metrics import annealed, bootstrap, calibration, memorization, nearest, two_sample
calibration.mean_weight(torch.zeros(5)), nearest.nearest_hamming(tokens, tokens)
print("reached")
"""
    assert run_python(code) == ["reached"]


def test_what_needs_another_library_says_so_in_one_line() -> None:
    code = """
from pathlib import Path
import torch
import discrete_gan as dg
from discrete_gan.metrics import calibration, nearest, two_sample

images, labels = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.long)
flat = images.flatten(1).byte()
for action in (
    *(lambda name=name: getattr(dg.metrics, name) for name in ("FrechetDistance", "AMScore", "BLEU")),
    lambda: exec("from discrete_gan.metrics import BLEU"),
    lambda: dg.metrics.intra_class_ms_ssim(images, labels),
    lambda: dg.metrics.load_or_train_classifier(
        flat, labels, flat, labels, (1, 8, 8), 2, binarizer=lambda x: x, key="", cache_dir=Path("nowhere")
    ),
    lambda: calibration.reliability(torch.zeros(5), torch.zeros(5)),
    lambda: calibration.fit_calibration(torch.zeros(5), torch.zeros(5)),
    lambda: nearest.nearest_edit(["a"], ["b"]),
    lambda: two_sample.classifier_two_sample_test(torch.zeros(20, 1), torch.zeros(20, 1)),
    lambda: dg.metrics.fit_log_ratio(torch.zeros(20, 1), torch.zeros(20, 1), max_steps=10**9),
    lambda: dg.training,
    lambda: exec("from discrete_gan import training"),
):
    try:
        action()
    except ImportError as error:
        print(error)
"""
    remedy = "pip install 'discrete-gan[train]'"
    metrics = [
        f"{what}: {remedy}"
        for what in (
            "discrete_gan.metrics.FrechetDistance needs torchmetrics",
            "discrete_gan.metrics.AMScore needs torchmetrics",
            "discrete_gan.metrics.BLEU needs torchmetrics",
            "discrete_gan.metrics.BLEU needs torchmetrics",
            "intra_class_ms_ssim needs torchmetrics",
            "load_or_train_classifier needs safetensors",
            "reliability needs scipy",
            "fit_calibration needs sklearn",
            "nearest_edit needs rapidfuzz",
            "classifier_two_sample_test needs scipy",
            "fit_log_ratio needs sklearn",
        )
    ]
    *found, first, second = run_python(code)
    assert found == metrics
    assert first == second and first.startswith("discrete_gan.training needs ") and first.endswith(f": {remedy}")
