"""What a command imports before it has work to do: a verb, an option or a path may be mistyped."""

import json
import subprocess
import sys

# Each takes a tenth of a second to two seconds to load.
HEAVY = {
    "PIL",
    "datasets",
    "jinja2",
    "lightning_fabric",
    "matplotlib",
    "pandas",
    "pyarrow",
    "sacrebleu",
    "scipy",
    "sklearn",
    "tokenizers",
    "torch._dynamo",
    "torchmetrics",
}
MISTAKES = [
    ["train", "digits", "--nosuch", "1"],
    ["train", "digits", "--data", "nosuch"],
    ["train", "text", "--nosuch"],
    ["train", "table", "--nosuch"],
    ["train", "am_gan", "--nosuch"],
    ["train", "nosuch"],
    ["train", "digits", "--help"],
    ["sample", "nosuch"],
    ["evaluate", "nosuch"],
    ["refine", "nosuch"],
    ["card", "nosuch"],
    ["compare", "nosuch"],
    ["compare", "digits", "--nosuch"],
    ["lab", "--nosuch"],
    ["weigh", "--nosuch"],
    ["check", "nosuch"],
]
SCRIPT = """
import contextlib, io, json, sys
from discrete_gan.cli.main import main

found = {}
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main(words)
    found[" ".join(words)] = sorted(set(sys.modules) & set(json.loads(sys.argv[2])))
print(json.dumps(found))
"""


def imported(commands: list[list[str]], modules: set[str]) -> dict[str, list[str]]:
    words = [sys.executable, "-c", SCRIPT, json.dumps(commands), json.dumps(sorted(modules))]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def test_a_mistake_is_told_before_heavy_libraries_are_loaded() -> None:
    assert imported(MISTAKES, HEAVY) == {" ".join(words): [] for words in MISTAKES}


def test_usage_and_the_list_of_recipes_need_no_torch() -> None:
    commands = [[], ["--help"], ["nosuch"], ["recipes"], ["recipes", "copy", "nosuch", "file.py"], ["train"]]
    assert imported(commands[:-1], {"torch"}) == {" ".join(words): [] for words in commands[:-1]}
    assert imported(commands[-1:], {"torch"}) == {"train": ["torch"]}, "what is looked for can be found"
