"""The script that completes: bash itself is asked."""

import shutil
import subprocess
from pathlib import Path

import pytest

from discrete_gan.cli import main
from discrete_gan.cli.completion import verbs
from discrete_gan.cli.main import VERBS
from discrete_gan.cli.recipes import recipe_files

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMPREPLY=()
_tyro_discrete_gan
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_verbs_recipes_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)

    def complete(*words: str) -> set[str]:
        command = ["bash", "-c", ASK, "bash", str(script), "discrete-gan", *words]
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())

    assert complete("tr") == {"train"}
    assert complete("") - {"-h", "--help"} == set(VERBS)
    assert complete("train", "") - {"-h", "--help"} == set(recipe_files())
    assert complete("train", "digits", "--generator-l") == {"--generator-lr"}
    assert complete("sample", "--temp") == {"--temperature"}


def test_every_verb_completes() -> None:
    assert tuple(verbs()) == VERBS


def test_other_shells(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "zsh"])
    assert "compdef" in capsys.readouterr().out
    with pytest.raises(SystemExit) as raised:
        main(["completion", "cmd"])
    error = capsys.readouterr().err.strip()
    assert raised.value.code == 2 and "\n" not in error and "cmd" in error
