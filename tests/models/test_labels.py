"""Labels into generators and discriminators: what they change, what they leave, and how estimators see them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from discrete_gan.estimators import BoundarySeeking
from discrete_gan.models import (
    AMGANGenerator,
    ClassProjection,
    ConvDiscriminator,
    ConvGenerator,
    MLPDiscriminator,
    MLPGenerator,
    MLPImageGenerator,
    PaletteGenerator,
    append_labels,
    labeled,
)
from tests.problems import assert_exact, seeded_normal

K = 3
LABELS = torch.tensor([2, 0, 1, 2])


def generators() -> dict[str, Any]:
    torch.manual_seed(0)
    colors = [[0.0], [0.5], [1.0]]
    return {
        "mlp": MLPGenerator(5, 64, hidden=(8,), num_classes=K),
        "conv": ConvGenerator(5, (1, 8, 8), width=2, hidden=8, num_classes=K),
        "palette": PaletteGenerator(colors, 5, (1, 8, 8), width=2, hidden=8, num_classes=K),
        "am-gan": AMGANGenerator(5, (1, 16, 16), width=2, num_classes=K),
        "mlp-images": MLPImageGenerator(5, 64, hidden=(8,), num_classes=K),
    }


def discriminators() -> dict[str, Any]:
    torch.manual_seed(1)
    models = {
        "mlp": MLPDiscriminator(64, hidden=(8, 6), num_classes=K),
        "conv": ConvDiscriminator((1, 8, 8), width=2, hidden=6, num_classes=K),
    }
    for model in models.values():
        torch.nn.init.normal_(model.classes.directions)
    return models


def test_labels_come_after_the_latents() -> None:
    z = seeded_normal(4, 2).requires_grad_()
    together = append_labels(z, LABELS, K)
    expected = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    assert_exact(together, torch.cat([z, expected], dim=1))
    together.sum().backward()
    assert z.grad is not None and (z.grad == 1).all()
    assert append_labels(z, None, 0) is z


def test_class_term_is_an_inner_product() -> None:
    term = ClassProjection(K, 5).double()
    assert term.directions is not None
    assert not term.directions.any()  # a discriminator begins without
    torch.nn.init.normal_(term.directions)
    features = seeded_normal(2, 4, 5)
    by_hand = [torch.stack([features[m, b] @ term.directions[LABELS[b]] for b in range(4)]) for m in range(2)]
    assert_exact(term(features, LABELS), torch.stack(by_hand))
    assert ClassProjection(0, 5)(features, None) == 0
    assert not list(ClassProjection(0, 5).parameters())


@pytest.mark.parametrize("kind", generators())
def test_a_generators_samples_depend_on_their_labels(kind: str, tmp_path: Path) -> None:
    generator = generators()[kind].eval()
    z = generator.latents(4)
    values = {label: _parameters(generator(z, torch.full((4,), label))) for label in range(K)}
    mixed = _parameters(generator(z, LABELS))
    for index, label in enumerate(LABELS.tolist()):
        torch.testing.assert_close(mixed[index], values[label][index])
        assert (mixed[index] - values[(label + 1) % K][index]).abs().max() > 1e-4
    generator.save_pretrained(tmp_path)
    again = type(generator).from_pretrained(tmp_path).eval()
    assert torch.equal(_parameters(again(z, LABELS)), mixed)


@pytest.mark.parametrize("kind", discriminators())
def test_a_discriminators_output_has_its_class_term(kind: str) -> None:
    discriminator = discriminators()[kind]
    x = torch.rand(2, 4, 64).round()
    features = discriminator.features(x)
    plain = discriminator.output(features)[..., 0]
    expected = plain + (discriminator.classes.directions[LABELS] * features).sum(-1)
    torch.testing.assert_close(discriminator(x, LABELS), expected)
    assert (discriminator(x, LABELS) - discriminator(x, LABELS.roll(1))).abs().max() > 1e-4


def test_an_estimator_trains_both_with_the_labels_of_the_batch() -> None:
    """The loss of labeled networks is the weighted one with every call's labels written out."""
    generator, discriminator = generators()["mlp"].double(), discriminators()["mlp"].double()
    z = generator.latents(4).double()
    networks = labeled(generator, LABELS), labeled(discriminator, LABELS)
    assert [id(each) for each in networks[0].parameters()] == [id(each) for each in generator.parameters()]
    torch.manual_seed(3)
    loss = BoundarySeeking(num_samples=6)(*networks, z)
    torch.manual_seed(3)
    g = generator(z, LABELS)
    x = g.sample((6,))
    weights = discriminator(x, LABELS).softmax(dim=0).detach()
    expected = -((weights - 1 / 6) * g.log_prob(x)).sum(dim=0)
    assert_exact(_gradient(loss.sum(), generator), _gradient(expected.sum(), generator), rtol=1e-10, atol=1e-12)
    assert labeled(generator, None) is generator


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_labels_and_classes_go_together(kind: str) -> None:
    x = torch.rand(4, 64)
    for model, given in ((generators()[kind], torch.randn(4, 5)), (discriminators()[kind], x)):
        with pytest.raises(ValueError, match=r"labels: expected classes of 0 to 2, shape \(B,\), got None"):
            model(given)
    with pytest.raises(ValueError, match=r"labels: expected none, the model has no classes, got \(4,\)"):
        MLPDiscriminator(64, hidden=(8, 6))(x, LABELS)
    with pytest.raises(ValueError, match="the model has no classes"):
        MLPGenerator(5, 64, hidden=(8,))(torch.randn(4, 5), LABELS)


def _parameters(distribution: Any) -> Tensor:
    """What tells two distributions apart: points, or means."""
    return distribution.mean.detach()


def _gradient(loss: Tensor, generator: torch.nn.Module) -> Tensor:
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(generator.parameters()))])
