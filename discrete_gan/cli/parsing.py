"""Command line of a flat dataclass of options, its help under headings: the recipe's own first, then what it shares."""

import dataclasses
import functools
import inspect
import io
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from discrete_gan.cli.terminal import help_texts
from discrete_gan.data import IMAGE_FORMATS, TEXT_FORMATS
from discrete_gan.data.frame_files import FRAME_FORMATS
from discrete_gan.data.table_files import TABLE_FORMATS
from discrete_gan.distributed import is_first_process
from discrete_gan.errors import InputError

_MOMENT = 5.0  # seconds
T = TypeVar("T")
_ORDER = ("Data", "Network", "Optimization", "Run")


def parse(kind: type[T], words: list[str], *, default: T | None = None, prog: str, description: str) -> T:
    """Parse options into ``kind``, a flat dataclass.

    An option stands under the heading of the class that first declares it, the first line of that class' docstring; a
    subclass that gives it another default leaves it there. Those that ``kind`` itself declares come first.

    Args:
        kind: The dataclass.
        words: Of the command line.
        default: Values of options that are not given.
        prog: The command, for the help.
        description: What the help opens with.

    Raises:
        InputError: If an option is unknown or a value none of its type.
    """
    # The fields as tyro reads them from the flat class: types, defaults, help texts along the classes.
    flat = ConstructorRegistry.get_struct_spec(
        StructTypeInfo.make(kind, tyro.MISSING_NONPROP if default is None else default, in_union_context=False)
    )
    assert isinstance(flat, StructConstructorSpec)
    owner = {name: base for base in kind.__mro__ for name in inspect.get_annotations(base)}  # the last one wins
    own: list[StructFieldSpec] = []
    groups: dict[str, list[StructFieldSpec]] = {heading: [] for heading in _ORDER}
    for field in flat.fields:
        base = owner[field.name]
        field = dataclasses.replace(field, helptext=functools.partial(_joined, field.helptext))
        heading = (inspect.getdoc(base) or base.__name__).partition("\n")[0].rstrip(".")
        (own if base is kind else groups.setdefault(heading, [])).append(field)
    # tyro makes a group of a nested class: one that stands for each heading here.
    nested = {heading: type(heading, (), {"__doc__": ""}) for heading, fields in groups.items() if fields}
    sections = [
        StructFieldSpec(
            name=heading,
            type=cast(type, Annotated[section, tyro.conf.arg(name=heading.lower())]),
            default=tyro.MISSING_NONPROP,
            helptext="",
        )
        for heading, section in nested.items()
    ]

    def build(**values: Any) -> T:
        for heading in nested:
            values |= values.pop(heading)
        return flat.instantiate(**values)

    specs: dict[Any, Any] = {
        section: StructConstructorSpec(dict, tuple(groups[heading])) for heading, section in nested.items()
    }
    specs[kind] = StructConstructorSpec(build, (*own, *sections))
    registry = ConstructorRegistry()
    registry.struct_rule(lambda info: specs.get(info.type) if isinstance(info.type, type) else None)
    about, markers = _paragraphs(description), (tyro.conf.OmitArgPrefixes,)
    with _said_once(), _in_a_line(prog):
        found = tyro.cli(kind, args=words, prog=prog, description=about, config=markers, registry=registry)
    return _at_home(found)


def parse_plain(kind: type[T], words: list[str], prog: str) -> T:
    """Parse options into a dataclass under no headings, as those of most verbs are; raises as :func:`parse` does."""
    with _in_a_line(prog):
        found = tyro.cli(kind, args=words, prog=prog)
    return _at_home(found)


@contextmanager
def _in_a_line(prog: str) -> Iterator[None]:
    """What tyro refuses in a box of several lines is told in one, as every mistake is."""
    box = io.StringIO()
    try:
        with redirect_stderr(box), help_texts():
            yield
    except SystemExit as ended:
        if ended.code != 2:
            raise
        # Of the parts that lines divide, the first says what is wrong, and another one which option is nearest.
        text = re.sub(r"\x1b\[[\d;]*m", "", box.getvalue())
        text = re.sub(r"(?m)^[ │]+|[ │]+$|^╰─*╯$", "", text[text.find("\n") :])
        first, *parts = filter(str.strip, re.split(r"(?m)^[-─]{8,}$", text))
        told = " ".join(first.split())
        if near := re.search(r"Perhaps you meant:?\W*(--[\w-]+)", "".join(parts)):
            told += f": did you mean {near[1]}?"
        raise InputError(f"{told} (see {prog} --help)") from None
    sys.stderr.write(box.getvalue())


@contextmanager
def _said_once() -> Iterator[None]:
    """Of several processes, which are all told the same, the first one alone prints help or what is wrong."""
    if is_first_process():
        yield
        return
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            yield
        except SystemExit:
            time.sleep(_MOMENT)  # torchrun ends all once one has ended
            raise


def _at_home(options: T) -> T:
    """Paths with the home folder for a ``~`` that no shell has seen, as where it stood in quotes."""

    def expanded(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(map(expanded, value))
        if not isinstance(value, Path):
            return value
        try:
            return value.expanduser()
        except RuntimeError:  # nobody's home is known
            raise InputError(f"{value}: expected a path without ~, as there is no home folder") from None

    fields: Any = options
    values = {field.name: expanded(getattr(options, field.name)) for field in dataclasses.fields(fields)}
    return dataclasses.replace(fields, **values)


def _joined(text: str | Callable[[], str | None] | None) -> str | None:
    """On one line, for tyro to wrap, which leaves line breaks of the source in; with what data are read filled in."""
    text = text() if callable(text) else text
    formats_of = {"{IMAGE_FORMATS}": IMAGE_FORMATS, "{TEXT_FORMATS}": TEXT_FORMATS, "{TABLE_FORMATS}": TABLE_FORMATS}
    formats_of["{FRAME_FORMATS}"] = FRAME_FORMATS
    for name, formats in formats_of.items():
        text = text and text.replace(name, formats)
    return text and " ".join(text.split())


def _paragraphs(text: str) -> str:
    """Wrapped: tyro leaves lines alone that begin with a space, but joins others and never wraps them."""
    width = min(100, shutil.get_terminal_size().columns)
    wrapper = textwrap.TextWrapper(width, initial_indent=" ", subsequent_indent=" ", break_on_hyphens=False)
    return "\n".join(wrapper.fill(part) for part in text.split("\n\n"))
