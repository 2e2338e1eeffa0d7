"""The running mean against the mean of all that was, its penalty, and its state."""

import copy

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.losses.historical_averaging import HistoricalAveraging
from tests.problems import assert_exact, seeded_normal


def model() -> nn.Module:
    module = nn.Linear(3, 2).double()
    set_parameters(module, 0)
    return module


def set_parameters(module: nn.Module, seed: int) -> None:
    with torch.no_grad():
        for index, parameter in enumerate(module.parameters()):
            parameter.copy_(seeded_normal(*parameter.shape, seed=10 * seed + index))


def flat(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def test_penalty_is_the_distance_from_the_mean_of_the_past() -> None:
    module = model()
    history = HistoricalAveraging(module.parameters())
    assert history.penalty().item() == 0
    past = []
    for step in range(1, 6):
        set_parameters(module, step)
        past.append(flat(module))
        history.update()
        set_parameters(module, 100 + step)
        assert_exact(history.penalty().detach(), ((flat(module) - torch.stack(past).mean(dim=0)) ** 2).sum())


def test_gradient_is_twice_the_distance() -> None:
    module = model()
    history = HistoricalAveraging(module.parameters())
    mean = flat(module)
    history.update()
    set_parameters(module, 1)
    history.penalty().backward()
    gradient = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
    assert_exact(gradient, 2 * (flat(module) - mean))


def test_parameters_stay_their_modules_own() -> None:
    module = model()
    history = HistoricalAveraging(iter(module.parameters()))
    assert list(history.parameters()) == []
    assert history.state_dict().keys() == {"steps", "mean_0", "mean_1"}
    sizes = [buffer.numel() for buffer in history.buffers()]
    for _ in range(3):
        history.update()
    assert [buffer.numel() for buffer in history.buffers()] == sizes == [1, 6, 2]
    assert not any(buffer.requires_grad for buffer in history.buffers())


def test_saved_history_goes_on() -> None:
    module = model()
    history = HistoricalAveraging(module.parameters())
    for step in range(3):
        set_parameters(module, step)
        history.update()
    resumed_module = copy.deepcopy(module)
    resumed = HistoricalAveraging(resumed_module.parameters())
    resumed.load_state_dict(history.state_dict())
    for each, followed in ((history, module), (resumed, resumed_module)):
        set_parameters(followed, 7)
        each.update()
        set_parameters(followed, 8)
    assert torch.equal(resumed.penalty(), history.penalty())
    assert history.penalty() > 0


def test_needs_parameters() -> None:
    with pytest.raises(ValueError, match=r"^parameters: expected at least one"):
        HistoricalAveraging([])
