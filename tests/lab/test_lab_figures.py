"""Pictures of the lab: what has no place on a logarithmic axis is left out, and nothing at all is said to be so."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from discrete_gan.lab import Analysis, Curve
from discrete_gan.lab.figures import save_analyses, save_curves

NAN, INF = math.nan, math.inf


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved, coarsely: it is quicker."""
    saved: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: object, **options: object) -> None:
        saved.append(figure)
        save(figure, *args, **options, dpi=30)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def analysis(num_samples: int | None, **figures: float) -> Analysis:
    numbers = {"bias": 0.5, "bias_error": 0.0, "variance": 2.0, "mse": 2.25, "evaluations": 3.0} | figures
    rest = {"method": "enumerated", "num_outcomes": 1, "z_score": NAN, "cosine": 1.0, "seconds": 0.0}
    rest |= {"estimator": "", "problem": "", "target": "log-ratio", "gradient": torch.zeros(1)}
    cosines = {"cosine_kl": 1.0, "cosine_reverse_kl": 1.0}
    return Analysis(num_samples=num_samples, **rest, **cosines, **numbers)  # type: ignore[arg-type]


def points(axes: Axes) -> list[tuple[float, float]]:
    """Of the first line, gaps left out."""
    drawn = np.asarray(axes.get_lines()[0].get_xydata(), dtype=float)
    return [tuple(point) for point in drawn[np.isfinite(drawn).all(axis=1)].tolist()]


def says_nothing(axes: Axes) -> bool:
    return [text.get_text() for text in axes.texts] == ["nothing to draw"]


# Figures over M = 2, 4, 8, three to a picture, and where each is drawn.
FIGURES = [
    {"zeros": ([0.0, 0.0, 0.0], []), "above zero": ([0.5, 0.25, 0.1], [2, 4, 8]), "NaN": ([NAN, NAN, NAN], [])},
    {"negative": ([-1.0, -2.0, -1e-20], []), "infinite": ([INF, -INF, INF], []), "ends": ([1.0, INF, 0.01], [2, 8])},
    {
        "rounding": ([1e-16, 1e-17, 0.0], []),
        "largest": ([1.7e308, 1.7e308, 1.7e308], []),
        "one above zero": ([0.0, 0.3, NAN], [4]),
    },
    {"one": ([-1.0, 0.0, 2.0], [8]), "wide": ([1e-9, 1.0, 1e199], [2, 4, 8]), "equal": ([2.0, 2.0, 2.0], [2, 4, 8])},
]


@pytest.mark.parametrize("cases", FIGURES, ids=lambda cases: ", ".join(cases))
def test_analyses_of_any_figures(
    cases: dict[str, tuple[list[float], list[int]]], figures: list[Figure], tmp_path: Path
) -> None:
    values, drawn = zip(*cases.values(), strict=True)
    found = [
        analysis(num, bias=bias, variance=variance, mse=mse)
        for num, bias, variance, mse in zip((2, 4, 8), *values, strict=True)
    ]
    save_analyses(tmp_path / "lab.png", {"mine": found}, title="")
    assert (tmp_path / "lab.png").stat().st_size > 1000
    for axes, expected in zip(figures[0].axes[:3], drawn, strict=True):
        assert [x for x, _ in points(axes)] == expected
        assert says_nothing(axes) == (not expected)
        assert axes.get_yscale() == ("log" if expected else "linear")
        assert axes.get_xscale() == "log"  # the panels of a row share it, and one of them has points


def test_analyses_without_a_point(figures: list[Figure], tmp_path: Path) -> None:
    nothing = analysis(None, bias=0.0, variance=0.0, mse=0.0, evaluations=0.0)
    save_analyses(tmp_path / "none" / "lab.png", {}, title="none")
    save_analyses(tmp_path / "one.png", {"mine": []}, title="none")
    save_analyses(tmp_path / "two.png", {"mine": [nothing]}, title="none")
    for figure in figures:
        assert all(says_nothing(axes) and axes.get_xscale() == axes.get_yscale() == "linear" for axes in figure.axes)
    save_analyses(tmp_path / "three.png", {"mine": [analysis(None)], "other": [nothing]}, title="one")
    panels = np.array(figures[-1].axes).reshape(2, 3)
    assert all(map(says_nothing, panels[0]))  # no M
    assert [points(axes) for axes in panels[1]] == [[(3.0, 0.5)], [(3.0, 2.0)], [(3.0, 2.25)]]


def test_bias_within_two_standard_errors_is_not_drawn(figures: list[Figure], tmp_path: Path) -> None:
    found = [analysis(2, bias_error=0.24), analysis(4, bias_error=0.26)]
    save_analyses(tmp_path / "lab.png", {"mine": found}, title="")
    bias, variance, *_ = figures[0].axes
    assert points(bias) == [(2.0, 0.5)] and points(variance) == [(2.0, 2.0), (4.0, 2.0)]


# Divergences of every seed, four to a picture, and at which steps their mean is drawn.
CURVES = [
    {
        "zeros": ([[0.0, 0.0, 0.0]], []),
        "above zero": ([[2.0, 1.0, 0.5]], [0, 1, 2]),
        "rounding below zero": ([[1.0, 1e-18, -1e-18]], [0, 1]),
        "NaN": ([[NAN, NAN, NAN]], []),
    },
    {
        "infinite": ([[INF, INF, INF], [1.0, 1.0, 1.0]], []),
        "a seed at zero": ([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]], [0, 1]),
        "a seed below zero": ([[1.0, -3.0, 1.0], [1.0, 1.0, 1.0]], [0, 2]),
        "a seed that is not finite": ([[1.0, NAN, 1.0], [1.0, 1.0, 1.0]], [0, 2]),
    },
    {
        name: ([[value]], [0] if value > 0 else [])
        for name, value in {"one": 0.5, "0": 0.0, "-1": -1.0, "-inf": -INF}.items()
    },
    {f"no step {index}": ([[]], []) for index in range(4)},
]


@pytest.mark.parametrize("cases", CURVES, ids=lambda cases: ", ".join(cases))
def test_curves_of_any_values(
    cases: dict[str, tuple[list[list[float]], list[int]]], figures: list[Figure], tmp_path: Path
) -> None:
    values, drawn = zip(*cases.values(), strict=True)
    divergences = torch.tensor(values, dtype=torch.float64)  # (4, seeds, steps)
    steps = torch.arange(divergences.shape[2])
    runs = [Curve(steps, of.T, of[:2].T, steps, steps.double()) for of in divergences.unbind(1)]
    save_curves(tmp_path / "curves.png", {"mine": runs}, ["even", "odd"], [0.5, 0.5])
    assert (tmp_path / "curves.png").stat().st_size > 1000
    for axes, expected in zip(figures[0].axes[:4], drawn, strict=True):
        assert [x for x, _ in points(axes)] == expected
        assert axes.get_yscale() == ("log" if expected else "linear") and says_nothing(axes) == (not expected)
    means = divergences[:2].mean(dim=1)
    for axes, mean in zip(figures[0].axes[4:6], means, strict=True):  # the mass on both modes
        assert [x for x, _ in points(axes)] == mean.isfinite().nonzero()[:, 0].tolist()
        assert axes.get_yscale() == "linear"
