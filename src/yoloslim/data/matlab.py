"""MATLAB's ``.mat`` files of version 5 (also 6 and 7): numbers, text, cells and structs; all else is refused.

Written from "MAT-File Format" (MathWorks, R2023). Nothing in a file is run, and nothing larger than `MAX_BYTES` is
unpacked. Version 7.3 is HDF5 and another format.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

HEADER_BYTES = 128
MAX_BYTES = 1 << 26
MAX_DEPTH = 32  # of cells and structs in each other

MATRIX, COMPRESSED = 14, 15
NUMBER_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXT_TYPES = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL, STRUCT, CHAR = 1, 2, 4
NUMBER_CLASSES = range(6, 16)  # double, single, and integers of 8 to 64 bits
COMPLEX_FLAG = 0x08


class MatError(ValueError):
    """A file that is no such ``.mat``, is cut short, or holds what is refused; the message says which."""


def read_mat(content: bytes) -> dict[str, Any]:
    """Gives the variables of a ``.mat`` file by name.

    Numbers are arrays of their MATLAB shape (two axes or more), float64 or as stored if they are integers; text is a
    ``str``; a cell array is a list of its values and a struct array a list of dicts, in MATLAB's order (column by
    column).

    Args:
        content: the whole file.

    Raises:
        MatError: see there.
    """
    if content[126:128] not in (b"IM", b"MI"):
        kind = "one of version 7.3 (HDF5)" if content[1:4] == b"HDF" or b"HDF5" in content[:128] else "another file"
        raise MatError(f"expected a MATLAB 5 .mat file, found {kind}")
    order = "<" if content[126:128] == b"IM" else ">"
    variables: dict[str, Any] = {}
    try:
        reader = _Reader(content, order, HEADER_BYTES)
        while reader.position < len(content):
            name, value = _read_variable(reader.next())
            variables[name] = value
    except MatError:
        raise
    except (struct.error, zlib.error, ValueError, OverflowError, IndexError, TypeError) as error:
        raise MatError(f"expected a MATLAB 5 .mat file, found a damaged one ({error})") from error
    return variables


class _Element(NamedTuple):
    """A piece of the file: its type, its bytes, and the byte order they are in."""

    kind: int
    data: bytes
    order: str


@dataclass(slots=True)
class _Reader:
    """Reads the elements of ``data``, one after the other."""

    data: bytes
    order: str
    position: int = 0

    def next(self) -> _Element:
        (word,) = struct.unpack_from(f"{self.order}I", self.data, self.position)
        if word >> 16:  # a small element: its size in the upper half of the first word, its data in the second
            kind, size, start = word & 0xFFFF, word >> 16, self.position + 4
            self.position += 8
        else:
            kind, size = struct.unpack_from(f"{self.order}II", self.data, self.position)
            start = self.position + 8
            padded = size if kind == COMPRESSED else size + -size % 8
            self.position = start + padded
        if start + size > len(self.data) or (word >> 16) > 4:
            raise MatError(f"expected a MATLAB 5 .mat file, found one that is cut short, {len(self.data)} bytes")
        return _Element(kind, self.data[start : start + size], self.order)

    def numbers(self) -> Any:
        """Gives the next element, which must be numbers, as a flat array."""
        return _numbers(self.next())


def _read_variable(element: _Element) -> tuple[str, Any]:
    if element.kind == COMPRESSED:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(element.data, MAX_BYTES)
        if unpacker.unconsumed_tail:
            raise MatError(f"expected variables of at most {MAX_BYTES} bytes, found a larger one: it is refused")
        element = _Reader(data, element.order).next()
    return _read_matrix(element, MAX_DEPTH)


def _read_matrix(element: _Element, depth: int) -> tuple[str, Any]:
    if element.kind != MATRIX or depth == 0:
        what = f"an element of type {element.kind}" if depth else f"more than {MAX_DEPTH} cells in each other"
        raise MatError(f"expected an array in the .mat file, found {what}")
    if not element.data:
        return "", np.zeros((0, 0))
    reader = _Reader(element.data, element.order)
    flags = int(reader.numbers()[0])
    shape = tuple(map(int, reader.numbers()))
    name = reader.next().data.decode("ascii")
    kind, is_complex = flags & 0xFF, bool((flags >> 8) & COMPLEX_FLAG)
    if kind in NUMBER_CLASSES and not is_complex:
        return name, _shaped(reader.numbers(), shape)
    if kind == CHAR:
        return name, _text(reader.next())
    if kind == CELL:
        return name, [_read_matrix(reader.next(), depth - 1)[1] for _ in range(math.prod(shape))]
    if kind == STRUCT:
        return name, _read_struct(reader, math.prod(shape), depth)
    raise MatError(f"expected numbers, text, cells or structs in the .mat file, found an array of class {kind}")


def _read_struct(reader: _Reader, count: int, depth: int) -> list[dict[str, Any]]:
    length = int(reader.numbers()[0])
    text = reader.next().data
    if length < 1 or not text or count > len(reader.data):
        raise MatError(f"expected {count} structs with named fields in the .mat file, found none")
    fields = [text[start : start + length].split(b"\0")[0].decode("ascii") for start in range(0, len(text), length)]
    return [{field: _read_matrix(reader.next(), depth - 1)[1] for field in fields} for _ in range(count)]


def _numbers(element: _Element) -> Any:
    if element.kind not in NUMBER_TYPES:
        raise MatError(f"expected numbers in the .mat file, found an element of type {element.kind}")
    stored = np.dtype(element.order + NUMBER_TYPES[element.kind])
    if len(element.data) % stored.itemsize:
        raise MatError(f"expected whole numbers of {stored.itemsize} bytes in the .mat file, found a part of one")
    return np.frombuffer(element.data, stored).astype(stored.newbyteorder("="))


def _shaped(numbers: Any, shape: tuple[int, ...]) -> Any:
    if math.prod(shape) != len(numbers) or min(shape, default=-1) < 0:
        raise MatError(f"expected an array of shape {shape} in the .mat file, found {len(numbers)} numbers")
    return numbers.reshape(shape, order="F")


def _text(element: _Element) -> str:
    if element.kind in TEXT_TYPES:
        codec = TEXT_TYPES[element.kind]
        suffix = {"<": "-le", ">": "-be"}[element.order] if element.kind != 16 else ""
        return element.data.decode(codec + suffix)
    return "".join(map(chr, _numbers(element)))
