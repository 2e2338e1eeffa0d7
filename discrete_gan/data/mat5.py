"""A variable of a MATLAB v5 file: a strict reader of full, real, numeric matrices.

SciPy's reader is native code that a damaged header can crash; this one holds every size against the bytes there are.

References:
    MAT-File Format (The MathWorks), https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf
"""

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .limits import check_size, open_regular
from .pixels import Array

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_SPARSE = 5
_COMPLEX = 0x0800
_NAMES = 1 << 16  # bytes at the start of a matrix that hold its flags, sizes and name


class _DamageError(Exception):
    """What is damaged, to be said of the file."""


class _Element(NamedTuple):
    kind: int
    content: memoryview
    end: int


def read_variable(path: Path, name: str) -> Array:
    """The matrix of that name, at its own precision.

    Raises:
        InputError: If there is none, it is sparse, complex or no numbers, or the file is damaged or over a limit.
        OSError: If it cannot be opened.
    """
    with open_regular(path) as file:
        file.seek(0, 2)
        check_size(str(path), file.tell())
        file.seek(0)
        content = memoryview(file.read())
    found: list[str] = []
    try:
        order = _byte_order(content)
        for kind, packed in _elements(content[_HEADER:], order):
            start = _unpack(packed, _NAMES)[0] if kind == _COMPRESSED else packed
            if kind == _COMPRESSED:
                inner, length = _tag(start, order)
                if inner != _MATRIX:
                    raise _DamageError(f"expected a matrix (type {_MATRIX}), found type {inner}")
                start = start[8:]
            elif kind == _MATRIX:
                length = len(packed)
            else:
                continue
            flags, shape, called, used = _describe(start, order)
            if not called.startswith("__") and called:
                found.append(called)
            if called != name:
                continue
            what = f"{path}: variable {name}"
            if flags & 0xFF == _SPARSE:
                raise InputError(f"{what}: expected a full matrix, found a sparse one: save full({name})")
            dtype = _CLASSES.get(flags & 0xFF)
            if dtype is None or flags & _COMPLEX:
                raise InputError(f"{what}: expected real numbers, found complex ones, text, cells or a structure")
            check_size(what, max(length, math.prod(shape) * np.dtype(dtype).itemsize))
            whole = packed
            if kind == _COMPRESSED:
                check_size(what, length, len(packed))
                whole, ended = _unpack(packed, 8 + length)
                if len(whole) != 8 + length or not ended:
                    raise _DamageError(f"expected {length} bytes of {name}, found {max(0, len(whole) - 8)}")
                whole = whole[8:]
            values = _element(whole, used, order)
            stored = _TYPES.get(values.kind)
            if stored is None or len(values.content) != math.prod(shape) * np.dtype(stored).itemsize:
                raise _DamageError(f"expected {math.prod(shape)} numbers for shape {shape} in {name}")
            array = np.frombuffer(values.content, dtype=np.dtype(f"{order}{stored}"))
            return array.reshape(shape, order="F").astype(np.dtype(dtype), order="C")
    except (_DamageError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as a MATLAB v5 file: {error}") from error
    raise InputError(
        f"{path}: expected a variable {name} of shape (N, D), found variables: {', '.join(found) or 'none'}"
    )


def _byte_order(content: memoryview) -> str:
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:_HEADER]))
    if order is None:
        raise _DamageError("expected its header of 128 bytes")
    return order


def _number(content: memoryview, at: int, order: str) -> int:
    if at + 4 > len(content):
        raise _DamageError("it ends in the middle of a number")
    return int.from_bytes(content[at : at + 4], "little" if order == "<" else "big")


def _tag(content: memoryview, order: str) -> tuple[int, int]:
    return _number(content, 0, order), _number(content, 4, order)


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at < len(content):
        element = _element(content, at, order, padded=False)
        yield element.kind, element.content
        at = element.end


def _element(content: memoryview, at: int, order: str, *, padded: bool = True) -> _Element:
    """The element at a position; up to four bytes stand in the tag itself."""
    kind = _number(content, at, order)
    if kind >> 16:
        size = kind >> 16
        if size > 4 or at + 8 > len(content):
            raise _DamageError(f"a short element of {size} bytes")
        return _Element(kind & 0xFFFF, content[at + 4 : at + 4 + size], at + 8)
    size = _number(content, at + 4, order)
    end = at + 8 + size
    if end > len(content):
        raise _DamageError(f"an element of {size} bytes where {max(0, len(content) - at - 8)} are left")
    return _Element(kind, content[at + 8 : end], end + (-size % 8 if padded else 0))


def _describe(content: memoryview, order: str) -> tuple[int, tuple[int, ...], str, int]:
    """Flags, shape and name of a matrix, and where its values start."""
    flags = _element(content, 0, order)
    sizes = _element(content, flags.end, order)
    name = _element(content, sizes.end, order)
    if len(flags.content) != 8 or len(sizes.content) % 4 or not 8 <= len(sizes.content) <= 128:
        raise _DamageError("flags or sizes of a matrix of another length")
    shape = tuple(_number(sizes.content, at, order) for at in range(0, len(sizes.content), 4))
    called = bytes(name.content).decode("ascii", "backslashreplace")
    return _number(flags.content, 0, order), shape, called, name.end


def _unpack(packed: memoryview, most: int) -> tuple[memoryview, bool]:
    """At most that many bytes, and whether they are all."""
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(packed, most)
    more = b"" if unpacker.eof else unpacker.decompress(unpacker.unconsumed_tail, 1)
    return memoryview(content), unpacker.eof and not more
