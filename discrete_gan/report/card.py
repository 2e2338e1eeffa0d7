"""A model card beside a saved generator: what it is, samples, figures, settings, and what it must not be taken for."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from discrete_gan.report.advice import advice
from discrete_gan.report.page import Block, Code, Picture, Text, format_number
from discrete_gan.report.samples import saved_samples
from discrete_gan.tasks.score import Score
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.records import inside, read_results
from discrete_gan.writing import write_aside

_LINES = 20
_LONGEST = 200
_PICTURE = "samples.png"
_MAIN = 8  # scores that a hub lists
_KINDS = {"text": "text-generation", "oracle_text": "text-generation", "table": "other", "frames": "other"}
_OF_THE_MACHINE = ("out", "resume", "overwrite", "device", "verify_resume")


def write_card(directory: RunDirectory) -> Path:
    """Write RUN/generator/README.md, and the picture of samples beside it, from what the run directory holds.

    Args:
        directory: Of the run.

    Returns:
        The card's path.

    Raises:
        InputError: If something there is damaged.
        OSError: If it cannot be written.
    """
    config = directory.read_config()
    results = read_results(directory.path)
    evaluated = read_results(directory.path, "evaluation.json")
    found = evaluated or results
    scores = [score for score in (found and found.scores) or [] if math.isfinite(score.value)]
    folder = inside(directory.path, "generator/README.md").parent
    recipe = _plain(config["recipe"])
    place, _, name = config["models"]["generator"].rpartition(":")
    drawn = saved_samples(directory.path, alt="Samples", caption="Samples as they come, none picked.", lines=_LINES)
    data = config["data"].get("name", "data")
    parts = [
        f"# {recipe} on {_plain(data)}",
        f"`{name}`, trained by `discrete-gan train {recipe}`" + _cost(results) + ".",
        _use(place, name),
        *_heading("Samples", _samples(drawn, folder)),
        *_heading("Figures", _figures(scores)),
        *_heading("Limits", _limits(scores, config, evaluated is not None)),
        *_heading("Settings", _settings(config)),
    ]
    card = ModelCard(f"---\n{_data(config, scores, str(data))}\n---\n\n" + "\n\n".join(parts) + "\n")
    write_aside(folder / "README.md", lambda file: file.write(str(card).encode()))
    return folder / "README.md"


def _data(config: dict[str, Any], scores: Sequence[Score], data: str) -> ModelCardData:
    """What a hub shows and searches; no licence, which is the owner's to give."""
    kind = _KINDS.get(config["recipe"], "unconditional-image-generation")
    name = f"{config['recipe']} on {data}"
    measured = [
        EvalResult(kind, data, data, score.name, score.value, metric_name=score.title) for score in scores[:_MAIN]
    ]
    about: dict[str, Any] = {"model_name": name, "eval_results": measured} if measured else {}
    return ModelCardData(library_name="discrete-gan", tags=["gan", "discrete-data", config["recipe"]], **about)


def _cost(results: Any) -> str:
    if results is None or results.steps is None:
        return ", which has not finished"
    return f" in {results.steps:,} steps" + (f" and {results.seconds:,.0f} s" if results.seconds else "")


def _use(place: str, name: str) -> str:
    if place.endswith(".py"):
        return f"Its class is in a file of its owner's, `{_plain(place)}`: `discrete-gan sample RUN --trust FILE`."
    return (
        "```python\n"
        f"from discrete_gan.models import {name}\n\n"
        f'generator = {name}.from_pretrained("FOLDER").eval()  # the folder of this file\n'
        "g = generator(generator.latents(16))  # a torch Distribution: g.sample(), g.log_prob(x)\n"
        "```\n\n"
        "Of the whole run, `discrete_gan.load(RUN)` and `discrete-gan sample RUN` make lines, images or rows."
    )


def _heading(title: str, text: str) -> list[str]:
    return [f"## {title}", text] if text else []


def _samples(blocks: Sequence[Block], folder: Path) -> str:
    texts = []
    for block in blocks:
        match block:
            case Picture(source=bytes(content), caption=caption):
                write_aside(folder / _PICTURE, lambda file, content=content: file.write(content))
                texts.append(f"{caption}\n\n![Samples]({_PICTURE})")
            case Code(text=lines):
                fence = "`" * max(3, 1 + max(map(len, re.findall("`+", lines)), default=0))
                texts.append(f"{fence}\n{lines}\n{fence}")
            case Text(text=told):
                texts.append(told)
    return "\n\n".join(texts)


def _figures(scores: Sequence[Score]) -> str:
    if not scores:
        return ""
    rows = [["figure", "value", "95 %", "unit", "better", "real data"]]
    for score in scores:
        low, high, real = (
            "" if each is None or math.isnan(each) else format_number(each)
            for each in (score.low, score.high, score.real)
        )
        between = f"{low} to {high}" if low and high else ""
        rows.append([score.title, format_number(score.value), between, score.unit, score.better or "", real])
    return f"{_table(rows)}\n\nThe protocol of each is in the run's `results.json` or `evaluation.json`."


def _limits(scores: Sequence[Score], config: dict[str, Any], was_evaluated: bool) -> str:
    data = config["data"]
    num = data.get("num_train")
    learnt = f"{num:,} training samples" if isinstance(num, int) else "the training data"
    told = [
        f"It knows {learnt} of {_plain(data.get('name', 'data'))}, and has whatever is missing or too frequent there."
    ]
    told += [f"{score.title}: {score.note}." for score in scores if score.name == "copies" and score.note]
    told += advice(scores, config["args"])
    if not was_evaluated:
        told.append("Likelihood, memorization and calibration were not measured: `discrete-gan evaluate RUN` does.")
    return "\n".join(f"- {_plain(each, 1000)}" for each in told)


def _settings(config: dict[str, Any]) -> str:
    settings = {name: value for name, value in config["args"].items() if name not in _OF_THE_MACHINE}
    rows = [["option", "value"]]
    rows += [[name.replace("_", "-"), _shown(value)] for name, value in settings.items() if value is not None]
    versions = ", ".join(f"{package} {version}" for package, version in config["versions"].items())
    return f"{_table(rows)}\n\nVersions: {_plain(versions, 1000)}."


def _shown(value: Any) -> str:
    """A setting; of a path its last part, as the rest is of the machine."""
    if isinstance(value, str):
        return value.rpartition("/")[2] if value.startswith(("/", "~")) else value
    return ", ".join(map(_shown, value)) if isinstance(value, list) else json.dumps(value)


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _plain(text: object, longest: int = _LONGEST) -> str:
    """In one line, in which nothing is Markdown or HTML."""
    line = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", str(text))[:longest]
    return re.sub(r"([\\|<>\[\]])", r"\\\1", line)
