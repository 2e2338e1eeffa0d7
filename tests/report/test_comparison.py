import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discrete_gan.errors import InputError
from discrete_gan.metrics.bootstrap import Interval
from discrete_gan.report.comparison import (
    Spread,
    as_json,
    curve,
    described,
    interval_text,
    logged_figures,
    shown_scores,
    table,
    verdict,
)
from discrete_gan.report.comparison_page import write_comparison_page
from discrete_gan.report.names import titled
from discrete_gan.report.trials import Group, Trial, grouped, read_trials
from discrete_gan.tasks import Score
from discrete_gan.tasks.score import as_json as scores_as_json
from tests.report.elements import Elements

# What scores are called in these tests, and which way they are better.
KNOWN = {
    "frechet": Score("frechet", 0, "Frechet distance", "squared feature units", "less", 0, 0.25),
    "valid": Score("valid", 0, better="more", perfect=1),
    "odd": Score("odd", 0),
}


def scored(**values: float) -> dict[str, Score]:
    return {name: KNOWN[name]._replace(value=value) for name, value in values.items()}


def write_run(path: Path, *, results: dict[str, Any] | None = None, data: str = "abc", **args: Any) -> Path:
    """A run directory without models; the last line of its log is at 20 evaluations and 4 seconds."""
    path.mkdir(parents=True)
    args = {"seed": 0, "estimator": "reinforce", "steps": 2, "out": str(path), "log_every": len(path.name), **args}
    config = {"recipe": "digits", "args": args, "data": {"fingerprint": data}, "versions": {}, "commit": None}
    (path / "config.json").write_text(json.dumps(config))
    lines = [{"step": step, "evaluations": 10 * step, "seconds": 2.0 * step, "loss": 0.5} for step in (1, 2)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if results is None:
        results = finished(*scored(frechet=1.0).values())
    (path / "results.json").write_text(json.dumps(results))
    return path


def finished(*scores: Score) -> dict[str, Any]:
    """What a run leaves in results.json."""
    return {"steps": 2, "evaluations": 20, "seconds": 9.0, "scores": scores_as_json(scores)}


def evaluated(path: Path, *scores: Score) -> None:
    (path / "evaluation.json").write_text(json.dumps({"steps": 2, "scores": scores_as_json(scores)}))


def group(name: str, **scores: list[float]) -> Group:
    """Seeds from 0, each with one value of every score."""
    count = len(next(iter(scores.values())))
    trials = [
        Trial(Path(name), seed, scores=scored(**{k: v[seed] for k, v in scores.items()})) for seed in range(count)
    ]
    return Group(name, trials)


def logged(name: str, *runs: list[dict[str, float]]) -> Group:
    return Group(name, [Trial(Path(name), seed, rows=rows) for seed, rows in enumerate(runs)])


def test_scores_are_those_that_could_be_measured(tmp_path: Path) -> None:
    scores = (
        KNOWN["frechet"]._replace(value=1.5),
        Score("ms_ssim", math.nan, "MS-SSIM", note="too small"),
        Score("classes_covered", 3, better="more", protocol="n:20"),
        Score("broken", math.inf),
    )
    (trial,) = read_trials([write_run(tmp_path / "a", results=finished(*scores))])
    assert [(name, score.value) for name, score in trial.scores.items()] == [("frechet", 1.5), ("classes_covered", 3)]
    found = trial.scores["frechet"]
    assert (found.title, found.better, found.unit, found.real) == (
        "Frechet distance",
        "less",
        "squared feature units",
        0.25,
    )
    assert trial.cost == {"steps": 2, "evaluations": 20, "seconds": 4.0}, "seconds without those of the scoring"
    assert trial.apart == ()


def test_runs_of_another_version_are_told(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", results={"steps": 2, "evaluations": 20, "seconds": 9.0, "frechet": 1.0})
    with pytest.raises(InputError, match=r"a: its results\.json is of discrete-gan") as raised:
        read_trials([path])
    assert "\n" not in str(raised.value)


def test_evaluations_count_where_every_run_has_them(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    likelihood = Score("log_likelihood", -2.0, better="more", low=-3.0, high=-1.0, protocol="same")
    evaluated(paths[0], likelihood, Score("only_first", 1.0), KNOWN["frechet"]._replace(value=8.0))
    assert [[*trial.scores] for trial in read_trials(paths)] == [["frechet"]] * 2
    evaluated(paths[1], likelihood._replace(value=-2.5), KNOWN["frechet"]._replace(value=9.0))
    found = [{name: score.value for name, score in trial.scores.items()} for trial in read_trials(paths)]
    # An evaluation says more than the end of the training of the same name.
    assert found == [{"frechet": 8.0, "log_likelihood": -2.0}, {"frechet": 9.0, "log_likelihood": -2.5}]
    assert [trial.apart for trial in read_trials(paths)] == [()] * 2


def test_scores_of_different_protocols_are_not_compared_and_named(tmp_path: Path) -> None:
    """Neither those of the training nor those of evaluations, whichever runs are side by side."""
    first = (KNOWN["frechet"]._replace(value=1.0, protocol="n:5"), Score("am_score", 1.0, "AM Score", better="less"))
    other = (KNOWN["frechet"]._replace(value=2.0, protocol="n:6"), Score("am_score", 2.0, "AM Score", better="less"))
    paths = [
        write_run(tmp_path / name, results=finished(*scores), seed=seed)
        for seed, (name, scores) in enumerate({"a": first, "b": other, "c": other}.items())
    ]
    for path, protocol in zip(paths, ("n:7", "n:8", "n:7"), strict=True):
        evaluated(path, Score("recall", 0.5, "recall", protocol=protocol), Score("density", 0.5, "density"))
    trials = read_trials(paths)
    assert [[*trial.scores] for trial in trials] == [["am_score", "density"]] * 3
    assert {trial.apart for trial in trials} == {("Frechet distance", "recall")}
    (sentence,) = (each for each in verdict(grouped(trials)) if "protocol" in each)
    assert "Not compared" in sentence and "Frechet distance, recall." in sentence
    assert "AM Score" not in sentence
    alike = read_trials(paths[1:])
    assert [*alike[0].scores] == ["frechet", "am_score", "density"] and alike[0].apart == ("recall",)
    alone = read_trials(paths[2:])
    assert [*alone[0].scores] == ["frechet", "am_score", "recall", "density"] and alone[0].apart == ()
    assert not any("protocol" in each for each in verdict(grouped(alone)))


def test_seeds_that_split_the_data_compare(tmp_path: Path) -> None:
    """Each seed has a split of its own, which protocols name; what differs on one split, or in more, does not."""
    splits = [f"{seed:x}0123456789abcde" for seed in (1, 2)]
    assert all(len(split) == 16 for split in splits)

    def protocols_of(*of_runs: str) -> list[Trial]:
        """Two estimators on two seeds."""
        paths = []
        for (estimator, seed), protocol in zip(((e, s) for e in "xy" for s in (0, 1)), of_runs, strict=True):
            folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
            score = KNOWN["valid"]._replace(value=0.5, protocol=protocol)
            paths.append(write_run(folder, results=finished(score), data=splits[seed], estimator=estimator, seed=seed))
        return read_trials(paths)

    first, second = (f"n:5|split:{split}|v:1" for split in splits)
    for trial in protocols_of(first, second, first, second):
        assert [*trial.scores] == ["valid"] and trial.apart == ()
    for others in (
        (first, second, first, second.replace("n:5", "n:6")),  # other numbers of samples
        (first, first.replace("v:1", "v:2"), first, second),
        (first, second, first, first),  # one estimator judged by data that are not its seed's
    ):
        assert {trial.apart for trial in protocols_of(*others)} == {("valid",)}


def test_runs_are_grouped_by_what_differs(tmp_path: Path) -> None:
    arguments = [("reinforce", 1), ("exact", 0), ("reinforce", 0)]
    paths = [write_run(tmp_path / f"{name}-{seed}", estimator=name, seed=seed) for name, seed in arguments]
    groups = grouped(read_trials(paths))
    assert [(of.name, [trial.seed for trial in of.trials]) for of in groups] == [("reinforce", [0, 1]), ("exact", [0])]
    rates = [write_run(tmp_path / f"rate-{rate}", estimator="reinforce", lr=rate) for rate in (0.1, 0.2)]
    assert [of.name for of in grouped(read_trials(rates))] == ["lr 0.1", "lr 0.2"]
    both = [*rates, write_run(tmp_path / "other", estimator="exact", lr=0.2)]
    names = [of.name for of in grouped(read_trials(both))]
    assert names == ["estimator reinforce, lr 0.1", "estimator reinforce, lr 0.2", "estimator exact, lr 0.2"]
    # Steps that follow from the budget do not spoil the names.
    steps = [write_run(tmp_path / name, estimator=name, steps=len(name)) for name in ("arm", "disarm")]
    assert [of.name for of in grouped(read_trials(steps))] == ["arm", "disarm"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data": "xyz", "seed": 0, "estimator": "arm"}, "b: expected fingerprint abc, as "),
        ({"seed": 0}, "expected runs that differ, both have seed 0"),
    ],
)
def test_runs_that_do_not_compare(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    paths = [write_run(tmp_path / "a"), write_run(tmp_path / "b", **{"seed": 1, **change})]
    with pytest.raises(InputError, match=expected) as raised:
        grouped(read_trials(paths))
    assert "\n" not in str(raised.value)


def test_run_that_has_not_finished(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a")
    (path / "results.json").unlink()
    with pytest.raises(InputError, match=r"a: the run has not finished, expected a results.json"):
        read_trials([path])


def test_table_has_mean_deviation_and_paired_differences() -> None:
    first, second = group("a", frechet=[1.0, 2.0, 6.0]), group("b", frechet=[2.0, 4.0, 9.0])
    # Only seeds 1 and 2 are in both: paired, the differences are 2 and 3.
    second.trials[0] = Trial(Path("b"), 0, failure="failed: broken")
    rows = table([first, second])
    spread = rows[0].scores["frechet"]
    assert spread.mean == 3.0 and spread.num_seeds == 3
    assert spread.deviation == pytest.approx(math.sqrt((4 + 1 + 9) / 2), rel=1e-12)  # rounding of float64
    assert str(spread) == "3.0 ± 2.6"
    assert rows[0].differences == {} and rows[1].failures == {0: "failed: broken"} and rows[1].num_finished == 2
    difference = rows[1].differences["frechet"]
    assert difference.value == 2.5 and (difference.low, difference.high) == (2.0, 3.0)
    assert interval_text(difference) == "+2.5 (+2 to +3)" and interval_text(None) == ""
    assert interval_text(Interval(-1.5, math.nan, math.nan)) == "-1.5"


def test_verdict_says_whether_a_difference_is_more_than_seeds_make() -> None:
    near = verdict([group("a", frechet=[1.0, 3.0, 2.0]), group("b", frechet=[2.0, 2.0, 2.5])])
    assert near[0].startswith("Best by Frechet distance, of which less is better: a with 2.0 ± 1.0")
    assert "0.167, is not more than the spread over seeds, 1" in near[1] and "only a hint with 3 seeds" in near[1]
    far = verdict([group("a", valid=[0.1, 0.2]), group("b", valid=[0.8, 0.9])])
    assert far[0].startswith("Best by valid, of which more is better: b with 0.850 ± 0.071")
    assert "0.7, is more than the spread" in far[1]
    alone = verdict([group("a", frechet=[1.0]), group("b", frechet=[2.0])])
    assert alone[1] == "Their difference is 1; one seed tells no spread."


def test_the_main_score_is_the_first_that_is_judged() -> None:
    """Of the runs' own scores, in their order, and which way is better is what the score says."""
    first = [group("a", odd=[1.0], valid=[0.9], frechet=[9.0]), group("b", odd=[2.0], valid=[0.2], frechet=[1.0])]
    assert verdict(first)[0].startswith("Best by valid, of which more is better: a with 0.9")
    assert shown_scores(table(first)) == ["valid", "frechet"]
    turned = [group("a", frechet=[9.0], valid=[0.9]), group("b", frechet=[1.0], valid=[0.2])]
    assert verdict(turned)[0].startswith("Best by Frechet distance, of which less is better: b with 1")
    other_way = [Group(of.name, [Trial(t.path, t.seed, scores=other(t.scores)) for t in of.trials]) for of in turned]
    assert verdict(other_way)[0].startswith("Best by Frechet distance, of which more is better: a with 9")
    # A score that one group lacks decides nothing.
    lacking = [turned[0], group("b", valid=[0.2])]
    assert verdict(lacking)[0].startswith("Best by valid, of which more is better: a with 0.9")
    assert not any("Best" in each for each in verdict([group("a", odd=[1.0]), group("b", odd=[2.0])]))


def test_scores_called_the_same_are_told_apart_by_their_units(tmp_path: Path) -> None:
    """Likelihood per token and per sequence, say: in the verdict, in the short table and above curves."""
    every = {
        "nll_token": Score("nll_token", 1.0, "held-out NLL", "nats per token", "less"),
        "nll_sequence": Score("nll_sequence", 9.0, "held-out NLL", "nats per sequence", "less"),
        "bleu2": Score("bleu2", 0.5, "BLEU-2", "of bigrams", "more"),
    }
    assert [titled(name, every) for name in every] == [
        "held-out NLL, nats per token",
        "held-out NLL, nats per sequence",
        "BLEU-2",
    ]
    assert titled("d_loss", every) == "d loss"
    groups = [Group(name, [Trial(Path(name), 0, scores=every)]) for name in "ab"]
    assert verdict(groups)[0].startswith("Best by held-out NLL, nats per token, of which less is better")
    assert "held-out NLL, nats per sequence" in compared_page(tmp_path, groups).texts("th")


def test_scores_come_in_the_order_of_the_first_run_and_then_of_others() -> None:
    parts = [scored(frechet=1.0, odd=2.0), scored(valid=0.5, frechet=3.0)]
    runs = Group("a", [Trial(Path("a"), seed, scores=scores) for seed, scores in enumerate(parts)])
    (row,) = table([runs])
    assert [*row.scores] == [*row.described] == ["frechet", "odd", "valid"]
    assert row.described["frechet"].value == 1.0  # as the first one says
    groups = [Group(name, [Trial(Path(name), 0, scores=scores)]) for name, scores in zip("ab", parts, strict=True)]
    assert [*described(table(groups))] == ["frechet", "odd", "valid"]


def other(scores: dict[str, Score]) -> dict[str, Score]:
    return {name: score._replace(better="less" if score.better == "more" else "more") for name, score in scores.items()}


def test_verdict_tells_failures_and_unequal_cost() -> None:
    costs = {"a": {"evaluations": 100, "seconds": 10.0}, "b": {"evaluations": 101, "seconds": 20.0}}
    groups = [Group(name, [Trial(Path(name), 0, cost=cost)]) for name, cost in costs.items()]
    groups[1].trials.append(Trial(Path("b"), 1, failure="failed"))
    sentences = verdict(groups)
    assert "1 of 3 runs failed." in sentences
    assert "Equal discriminator evaluations, to 1.0 %." in sentences
    assert "The wall seconds of training differ by a factor of 2." in sentences


def test_curves_at_equal_points_are_not_interpolated() -> None:
    runs = [[{"step": s, "loss": a * s} for s in (10, 20, 40)] for a in (1.0, 3.0)]
    of = curve(logged("a", *runs), "loss", "step")
    assert of is not None and of.x == [10, 20, 40] and of.mean == [20, 40, 80]
    deviations = [math.sqrt(2) * s for s in (10, 20, 40)]
    assert of.low is not None and of.high is not None
    np.testing.assert_allclose(np.subtract(of.high, of.mean), deviations, rtol=1e-12)  # rounding of float64
    np.testing.assert_allclose(np.subtract(of.mean, of.low), deviations, rtol=1e-12)


def test_curves_are_interpolated_where_all_seeds_have_some() -> None:
    slow = [{"seconds": s, "loss": 10 * s} for s in (2.0, 6.0)]
    fast = [{"seconds": s, "loss": 10 * s} for s in (1.0, 3.0, 5.0)]
    of = curve(logged("a", slow, fast), "loss", "seconds")
    assert of is not None and of.x == [2, 3, 5] and of.mean == [20, 30, 50]
    assert of.low == of.mean == of.high


def test_curves_of_one_seed_of_gaps_and_of_nothing() -> None:
    rows = [
        {"step": 1, "loss": 1.0},
        {"step": 2, "loss": math.nan},
        {"step": 3, "other": 2.0},
        {"step": 4, "loss": 3.0},
    ]
    of = curve(logged("a", rows), "loss", "step")
    assert of is not None and of.x == [1, 4] and of.mean == [1, 3] and of.low is of.high is None
    assert curve(logged("a", rows), "nothing", "step") is None
    apart = [[{"step": 1, "loss": 1.0}], [{"step": 2, "loss": 1.0}]]
    assert curve(logged("a", *apart), "loss", "step") is None
    many = curve(logged("a", [{"step": s, "loss": float(s)} for s in range(1001)]), "loss", "step")
    assert many is not None and len(many.x) == 200 and many.x[0] == 0 and many.x[-1] == 1000 and many.x == many.mean


def test_rows_that_hold_no_number_are_no_points() -> None:
    rows: list[Any] = [{"step": 1, "loss": None}, {"step": None, "loss": 1.0}, {"step": 2, "loss": 2.0}]
    of = curve(logged("a", [*rows, {"step": math.nan, "loss": 1.0}, {"loss": 1.0}]), "loss", "step")
    assert of is not None and (of.x, of.mean) == ([2], [2])


def test_page_of_figures_that_no_axis_can_take(tmp_path: Path) -> None:
    """Distances on a logarithmic axis that are zero, negative, not finite or missing; probes without variance."""
    values = {"zero": [0.0, 0.0], "negative": [-1.0, 2.0], "gone": [math.nan, math.inf], "one": [5.0]}
    groups = [
        logged(name, [{"step": s, "frechet": v, "probe/all/variance": 0.0} for s, v in enumerate(of)])
        for name, of in values.items()
    ]
    config = {"versions": {}, "commit": None, "data": {}}
    groups = [Group(of.name, [Trial(t.path, t.seed, config, t.rows) for t in of.trials]) for of in groups]
    write_comparison_page(tmp_path / "page.html", groups, title="t", command="c", settings={})
    page = (tmp_path / "page.html").read_text()
    assert "At the end: zero 0, negative 2, one 5." in page
    assert ">no data<" in page  # of the variances
    write_comparison_page(tmp_path / "page.html", groups[2:3], title="t", command="c", settings={})


@pytest.mark.parametrize(
    ("deviation", "text"), [(math.nan, "1"), (0.0, "1 ± 0"), (math.inf, "1 ± inf"), (0.25, "1.00 ± 0.25")]
)
def test_spread_of_any_deviation(deviation: float, text: str) -> None:
    assert str(Spread(1.0, deviation, 2)) == text


def test_figures_that_every_group_logged() -> None:
    """The runs' own scores first, in their order; what a training cost is no figure."""
    rows = {"step": 1.0, "seconds": 1.0, "evaluations": 1.0, "loss": 1.0, "valid": 1.0, "frechet": 1.0}
    rows |= {"probe/all/snr": 1.0}
    scores = scored(frechet=1.0, valid=0.5)
    groups = [
        Group(name, [Trial(Path(name), 0, rows=of, scores=scores)])
        for name, of in {"a": [{**rows, "own": 1.0}], "b": [{"step": 1.0}, rows]}.items()
    ]
    assert logged_figures(groups) == ["frechet", "valid", "loss"]
    assert logged_figures([logged(of.name, of.trials[0].rows) for of in groups]) == ["loss", "valid", "frechet"]


def test_short_table_and_json() -> None:
    groups = [group("a", frechet=[1.0, 2.0], odd=[1.0, 1.0]), group("b", frechet=[2.0, 4.0], odd=[0.0, 1.0])]
    assert shown_scores(table(groups)) == ["frechet"]
    assert shown_scores(table([group("a", odd=[1.0])])) == []
    content = json.loads(json.dumps(as_json([*groups, group("c", frechet=[1.0])]), allow_nan=False))
    assert content["groups"][1]["differences_to_first"]["frechet"] == {"value": 1.5, "low": 1.0, "high": 2.0}
    assert content["groups"][2]["scores"]["frechet"] == {"mean": 1.0, "deviation": None, "num_seeds": 1}
    of_run = content["groups"][0]["runs"][1]["scores"]
    assert {name: score["value"] for name, score in of_run.items()} == {"frechet": 2.0, "odd": 1.0}
    assert (of_run["frechet"]["label"], of_run["frechet"]["better"]) == ("Frechet distance", "less")


def compared_page(tmp_path: Path, groups: list[Group]) -> Elements:
    config = {"versions": {}, "commit": None, "data": {}}
    groups = [
        Group(of.name, [Trial(tmp_path, t.seed, config, t.rows, t.cost, t.scores, t.apart) for t in of.trials])
        for of in groups
    ]
    write_comparison_page(tmp_path / "page.html", groups, title="t", command="c", settings={})
    return Elements((tmp_path / "page.html").read_text(encoding="utf-8"))


def test_page_says_what_scores_are_called_and_which_way_is_better(tmp_path: Path) -> None:
    groups = [group("a", frechet=[1.0, 2.0], odd=[1.0, 1.0]), group("b", frechet=[4.0, 6.0], odd=[2.0, 2.0])]
    for of in groups:
        for trial in of.trials:
            trial.rows.extend({"step": s, "frechet": 3.0 * s, "seconds": 1.0 * s, "evaluations": s} for s in (1, 2))
    found = compared_page(tmp_path, groups)
    text = " ".join(element.text for element in found.all("main"))
    assert "frechet" not in text and "Best by Frechet distance, of which less is better: a" in text
    rows = [row.text.strip().split("\n") for row in found.all("tr")]
    assert ["score", "a", "b", "unit", "better"] in rows
    assert ["Frechet distance", "1.50 ± 0.71", "5.0 ± 1.4", "squared feature units", "less"] in rows
    assert ["odd", "1 ± 0", "2 ± 0"] in rows
    # The axes: steps, discriminator evaluations and seconds, abreast, and none of them is a figure of its own.
    labels = [str(label) for label in found.values("svg", "aria-label")]
    axes = ("steps", "discriminator evaluations", "seconds of training")
    assert labels == [f"Frechet distance against {axis}" for axis in axes]
    (abreast,) = (element for element in found.all("div") if element.attributes.get("class") == "abreast")
    assert all(axis in abreast.text for axis in axes)
    assert "Frechet distance, less is better. At the end: a 6, b 6." in found.texts("figcaption")


def test_differences_of_what_belongs_to_the_data_are_left_out(tmp_path: Path) -> None:
    groups = [group(name, frechet=[value, value + 1], odd=[0.25, 0.25]) for name, value in (("a", 1.0), ("b", 4.0))]
    rows = [row.text.split() for row in compared_page(tmp_path, groups).all("tr")]
    assert ["odd", "0.25", "±", "0", "0.25", "±", "0"] in rows
    assert ["Frechet", "distance", "+3", "(+3", "to", "+3)", "squared", "feature", "units", "less"] in rows
    assert [row[0] for row in rows if row].count("odd") == 1


def test_an_evaluation_of_fewer_steps_than_the_results_is_left_out(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1)]
    for path in paths:
        evaluated(path, *scored(frechet=7.0).values())
    assert [trial.scores["frechet"].value for trial in read_trials(paths)] == [7.0, 7.0]
    content = json.loads((paths[0] / "evaluation.json").read_text())
    (paths[0] / "evaluation.json").write_text(json.dumps({**content, "steps": 1}))
    assert [trial.scores["frechet"].value for trial in read_trials(paths)] == [1.0, 1.0]
