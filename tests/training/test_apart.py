"""Weights that are kept by what is set apart: the likeliest, then the last that are about as likely."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.tasks import Batch
from discrete_gan.training import Apart
from discrete_gan.training import apart as module
from tests.training.small import D, make_run


def weights(network: Any) -> list[Tensor]:
    return [value.detach().clone() for value in network.parameters()]


def same(network: Any, values: list[Tensor]) -> bool:
    return all(map(torch.equal, weights(network), values))


@pytest.mark.parametrize(
    ("figures", "kept"),
    [
        # Two steps of likelihood, of which the first is better; then four others.
        ([10.0, 12.0, 10.2, 10.4, 10.6, 10.7], 4),  # the last within a twentieth
        ([10.0, 12.0, 11.0, 12.0, 13.0, 14.0], 1),  # none is: what the likelihood left
        ([10.0, 12.0, 12.0, 9.0, 10.3, 10.1], 6),
    ],
)
def test_what_is_kept(figures: list[float], kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(out=tmp_path / "run", steps=6)
    torch.manual_seed(1)
    g = run.player("generator", MLPGenerator(3, D, hidden=(4,)), lr=0.1, keep=True)
    run.player("discriminator", MLPDiscriminator(D, hidden=(4,)), lr=0.1)
    by_apart = Apart(run, g, Batch(torch.zeros(2, D)), every=1, pretrained=2)
    measured = iter(figures)
    monkeypatch.setattr(module, "negative_log_likelihood", lambda *_: next(measured))
    after: dict[int, list[Tensor]] = {}
    for step in run.steps():
        if step == 2:
            by_apart.take_up()
            assert same(g.network, after[1]) and same(g.best, after[1]) and g.taken_up == 10.0
        g.descend(torch.stack([value.square().sum() for value in g.network.parameters()]).sum())
        after[step + 1] = weights(g.network)
        by_apart.look()
    assert same(g.best, after[kept])


def test_nothing_set_apart_keeps_nothing(tmp_path: Path) -> None:
    run = make_run(out=tmp_path / "run", steps=3)
    g = run.player("generator", MLPGenerator(3, D, hidden=(4,)), lr=0.1)
    run.player("discriminator", MLPDiscriminator(D, hidden=(4,)), lr=0.1)
    by_apart = Apart(run, g, None, every=1, pretrained=1)
    for step in run.steps():
        if step == 1:
            by_apart.take_up()
        by_apart.look()
    assert g.kept_at is None and g.best is g.network


def test_looks_are_as_rare_as_asked_and_at_the_ends_of_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(out=tmp_path / "run", steps=9)
    g = run.player("generator", MLPGenerator(3, D, hidden=(4,)), lr=0.1, keep=True)
    run.player("discriminator", MLPDiscriminator(D, hidden=(4,)), lr=0.1)
    by_apart, looked = Apart(run, g, Batch(torch.zeros(2, D)), every=4, pretrained=5), list[int]()

    def measured(*_: Any) -> float:
        looked.append(run.step)
        return 1.0

    monkeypatch.setattr(module, "negative_log_likelihood", measured)
    for _ in run.steps():
        by_apart.look()
    assert looked == [4, 5, 8, 9]
