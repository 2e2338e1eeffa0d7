"""Minibatch discrimination and virtual batch norm against their formulas, sample by sample."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from discrete_gan.models import MinibatchDiscrimination, VirtualBatchNorm
from tests.problems import assert_exact, seeded_normal

B, A, KERNELS, DIM = 4, 3, 2, 5
EVENTS = pytest.mark.parametrize("event", [(A,), (A, 2, 3)], ids=["vectors", "images"])


def minibatch() -> MinibatchDiscrimination:
    layer = MinibatchDiscrimination(A, KERNELS, DIM).double()
    with torch.no_grad():
        layer.kernels.copy_(seeded_normal(A, KERNELS, DIM, scale=0.3))
    return layer


def norm(**options: bool) -> VirtualBatchNorm:
    layer = VirtualBatchNorm(A, **options).double()
    if layer.weight is not None and layer.bias is not None:
        with torch.no_grad():
            layer.weight.copy_(seeded_normal(A, seed=8))
            layer.bias.copy_(seeded_normal(A, seed=9))
    return layer


def test_closeness_sums_over_the_other_samples() -> None:
    layer, x = minibatch(), seeded_normal(B, A, seed=1)
    found = layer(x).detach()
    assert found.shape == (B, A + KERNELS)
    assert torch.equal(found[:, :A], x)
    rows = [torch.stack([x[i, a] * layer.kernels.detach()[a] for a in range(A)]).sum(dim=0) for i in range(B)]  # M_i
    for i in range(B):
        for k in range(KERNELS):
            others = [(-(rows[i][k] - rows[j][k]).abs().sum()).exp() for j in range(B) if j != i]
            assert_exact(found[i, A + k], torch.stack(others).sum())


def test_closeness_of_equal_and_of_distant_samples() -> None:
    layer = MinibatchDiscrimination(A, KERNELS, DIM)
    x = torch.ones(B, A, requires_grad=True)
    closeness = layer(x)[:, A:]
    assert closeness.tolist() == [[B - 1] * KERNELS] * B
    closeness.sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())
    far = layer(1e4 * seeded_normal(B, A).float())[:, A:]
    assert far.tolist() == [[0] * KERNELS] * B  # the sample itself would make it 1
    assert layer(torch.ones(1, A))[:, A:].tolist() == [[0] * KERNELS]


def test_order_does_not_matter() -> None:
    layer, x = minibatch(), seeded_normal(B, A, seed=1)
    assert_exact(layer(x.flip(0)), layer(x).flip(0))


def test_each_leading_index_is_a_minibatch_of_its_own() -> None:
    layer, x = minibatch(), seeded_normal(2, B, A, seed=1)
    assert_exact(layer(x), torch.stack([layer(x[0]), layer(x[1])]))


def test_minibatch_gradients() -> None:
    layer, x = minibatch(), seeded_normal(B, A, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))
    layer(x).sum().backward()
    assert layer.kernels.grad is not None and bool((layer.kernels.grad != 0).all())


def test_kernels_start_at_unit_norm() -> None:
    torch.manual_seed(0)
    norms = MinibatchDiscrimination(400, 50, 4).kernels.square().sum(dim=0)
    assert abs(norms.mean().item() - 1) < 5 * (2 / 400 / norms.numel()) ** 0.5


def batch_norm(x: Tensor, batch: Tensor, layer: VirtualBatchNorm) -> Tensor:
    """Normalized by the mean and variance of each channel of a batch, then weight and bias of the layer."""
    axes = (0, *range(2, x.dim()))
    mean = batch.mean(axes, keepdim=True)
    variance = (batch - mean).square().mean(axes, keepdim=True)
    y = (x - mean) / (variance + layer.eps).sqrt()
    if layer.weight is None or layer.bias is None:
        return y
    shape = (A, *[1] * (x.dim() - 2))
    return layer.weight.view(shape) * y + layer.bias.view(shape)


def by_hand(x: Tensor, reference: Tensor, layer: VirtualBatchNorm) -> Tensor:
    """Each sample is normalized by the batch of the reference samples and itself."""
    return torch.cat([batch_norm(one[None], torch.cat([reference, one[None]]), layer) for one in x])


def test_batch_norm_of_a_batch_is_torchs() -> None:
    x = seeded_normal(6, A, 2, 3)
    assert_exact(norm(affine=False)(x), nn.functional.batch_norm(x, None, None, training=True))


@EVENTS
@pytest.mark.parametrize("affine", [True, False])
def test_first_batch_is_the_reference(event: tuple[int, ...], affine: bool) -> None:
    layer = norm(affine=affine)
    reference, x = seeded_normal(6, *event, scale=2) + 1, seeded_normal(B, *event, seed=1)
    assert_exact(layer(reference), batch_norm(reference, reference, layer))
    assert_exact(layer(x), by_hand(x, reference, layer))
    assert_exact(layer(reference), by_hand(reference, reference, layer))  # a sample now, beside the reference
    assert_exact(layer(x[:1]), layer(x)[:1])


@EVENTS
def test_given_reference_carries_gradient(event: tuple[int, ...]) -> None:
    layer = norm()
    reference, x = seeded_normal(6, *event).requires_grad_(), seeded_normal(B, *event, seed=1).requires_grad_()
    weights = seeded_normal(B, *event, seed=2)
    inputs = (x, reference, layer.weight, layer.bias)
    found = layer(x, reference=reference)
    expected = by_hand(x, reference, layer)
    assert_exact(found, expected)
    for ours, theirs in zip(gradients(found, weights, inputs), gradients(expected, weights, inputs), strict=True):
        assert_exact(ours, theirs)
    assert_exact(layer.normalize_reference(reference), batch_norm(reference, reference, layer))
    assert layer.count == 0  # not kept


def gradients(output: Tensor, weights: Tensor, inputs: tuple) -> tuple[Tensor, ...]:
    return torch.autograd.grad((output * weights).sum(), inputs)


@EVENTS
def test_norm_gradients(event: tuple[int, ...]) -> None:
    layer = norm()
    layer(seeded_normal(6, *event))
    x = seeded_normal(2, *event, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))
    first = norm()
    first(x).sum().backward()
    assert first.weight is not None and first.weight.grad is not None
    assert not any(buffer.requires_grad for buffer in first.buffers())


def test_samples_do_not_see_each_other() -> None:
    layer = norm()
    layer(seeded_normal(6, A))
    x = seeded_normal(B, A, seed=1).requires_grad_()
    slopes = torch.autograd.functional.jacobian(lambda x: layer(x).sum(dim=1), x)
    assert bool((slopes[~torch.eye(B, dtype=torch.bool)] == 0).all())


def test_variance_far_from_zero_does_not_cancel() -> None:
    layer = VirtualBatchNorm(1)
    reference = torch.tensor([[-1.0], [1.0]]) + 1e4
    assert layer(reference).flatten().tolist() == pytest.approx([-1, 1], rel=1e-5)
    assert layer(torch.tensor([[1e4]])).item() == 0
    assert layer(torch.tensor([[1e4 + 3]])).item() == pytest.approx(2 / (8 / 3) ** 0.5, rel=1e-5)


def test_saved_reference_is_found_again() -> None:
    layer = norm()
    reference, x = seeded_normal(6, A), seeded_normal(B, A, seed=1)
    layer(reference)
    loaded = norm()
    loaded.load_state_dict(layer.state_dict())
    for other in (loaded, copy.deepcopy(layer)):
        assert_exact(other(x), layer(x))
    averaged = AveragedModel(norm(), use_buffers=True)
    averaged.update_parameters(layer)
    averaged.update_parameters(layer)
    assert_exact(averaged(x), layer(x))
    fresh = norm()
    fresh.load_state_dict(norm().state_dict())
    assert_exact(fresh(x), batch_norm(x, x, fresh))


@pytest.mark.parametrize("shape", [(4,), (4, A + 1), (4, A, 2), (4, 2, A, A)])
def test_channels_must_agree(shape: tuple[int, ...]) -> None:
    calls: dict[str, Callable[[Tensor], Tensor]] = {
        "x": norm(),
        "reference": lambda value: norm()(seeded_normal(B, A), reference=value),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=rf"^{name}: expected shape \(B, {A}\) or \(B, {A}, H, W\), got"):
            call(torch.zeros(shape).double())
    with pytest.raises(ValueError, match=r"^reference: expected shape"):
        norm().normalize_reference(torch.zeros(shape).double())
