"""Curves of quality against diversity over temperatures, as they are drawn."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from discrete_gan.report.curves import save_temperature_curves
from discrete_gan.tasks import Score


def point(
    temperature: float, *, real: tuple[float | None, float | None] = (None, None), **values: float
) -> tuple[float, list[Score]]:
    described = {
        "down": Score("down", 0, "less of it", "nats", "less", real=real[0], protocol="n:7"),
        "up": Score("up", 0, "more of it", "", "more", real=real[1], protocol="n:7"),
    }
    return temperature, [described[name]._replace(value=value) for name, value in values.items()]


def curves_of(*, real: tuple[float | None, float | None] = (None, None)) -> dict[str, list[tuple[float, list[Score]]]]:
    return {
        "first run": [point(t, real=real, down=10 * t, up=t * t) for t in (0.5, 1.0, 1.25)],
        "second run": [point(t, real=real, down=7 - t, up=3 * t) for t in (0.75, 2.0)],
    }


AXES = ("down", "up")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    saved: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: object, **options: object) -> None:
        saved.append(figure)
        save(figure, *args, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def drawn_points(plot: Axes) -> dict[str, list[tuple[float, float]]]:
    return {str(line.get_label()): [(x, y) for x, y in np.asarray(line.get_xydata())] for line in plot.get_lines()}


def test_every_curve_and_temperature_is_drawn(figures: list[Figure], tmp_path: Path) -> None:
    path, curves = tmp_path / "curves.png", curves_of(real=(4.0, 2.5))
    save_temperature_curves(path, curves, AXES)
    assert matplotlib.image.imread(path).std() > 0  # a picture, and not a blank one
    (figure,) = figures
    (plot,) = figure.axes
    assert plot.get_title().splitlines() == ["numbers at the points are temperatures", "n:7"]
    assert (plot.get_xlabel(), plot.get_ylabel()) == (
        "less of it, nats (less is better)",
        "more of it (more is better)",
    )
    points = {name: [(scores[0].value, scores[1].value) for _, scores in of] for name, of in curves.items()}
    assert drawn_points(plot) == {**points, "real text": [(4.0, 2.5)]}
    first, second, star = plot.get_lines()
    assert (first.get_marker(), second.get_marker(), star.get_marker()) == ("o", "o", "*")
    assert not same_color(first.get_color(), second.get_color())
    temperatures = [(note.get_text(), note.xy) for note in plot.texts]  # type: ignore[attr-defined]
    names = [name for name in curves for _ in curves[name]]
    assert temperatures == list(zip(["0.5", "1", "1.25", "0.75", "2"], itertools.chain(*points.values()), strict=True))
    lines = {"first run": first, "second run": second}
    assert all(
        same_color(note.get_color(), lines[name].get_color()) for note, name in zip(plot.texts, names, strict=True)
    )
    legend = plot.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["first run", "second run", "real text"]


def test_points_without_a_finite_score_are_left_out(figures: list[Figure], tmp_path: Path) -> None:
    odd = [
        point(0.5, down=math.nan, up=1.0),
        point(1.0, down=2.0, up=-math.inf),
        point(1.5, down=0.0, up=-3.0, real=(4.0, None)),
        point(2.0, down=2.0),
    ]
    curves: dict[str, Sequence[tuple[float, list[Score]]]] = {"odd": odd, "none": odd[:2], "empty": []}
    save_temperature_curves(tmp_path / "curves.png", curves, AXES)
    (plot,) = figures[-1].axes
    assert drawn_points(plot) == {"odd": [(0.0, -3.0)], "none": [], "empty": []}
    assert [note.get_text() for note in plot.texts] == ["1.5"]
    save_temperature_curves(tmp_path / "curves.png", {}, AXES)
    assert not figures[-1].axes[0].get_lines()


def test_no_star_without_real_text(figures: list[Figure], tmp_path: Path) -> None:
    for real in ((None, None), (4.0, None), (None, 2.5)):
        save_temperature_curves(tmp_path / "curves.png", curves_of(real=real), AXES)
        (plot,) = figures[-1].axes
        assert list(drawn_points(plot)) == ["first run", "second run"]
