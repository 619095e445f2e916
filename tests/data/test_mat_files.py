from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from yoloslim.data import matlab
from yoloslim.data.matlab import MatError, read_mat

NUMBERS = st.sampled_from("f8 f4 i1 u1 i2 u2 i4 u4 i8 u8".split()).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=2, max_dims=3, max_side=3))
)
FIELDS = st.text(alphabet="abcdef", min_size=1, max_size=6)
VALUES = st.recursive(
    NUMBERS | st.text(alphabet="abz xyżół猫", min_size=1, max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, min_size=1, max_size=3),
    max_leaves=8,
)


def saved(**variables: Any) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, variables)
    return file.getvalue()


def for_scipy(value: Any) -> Any:
    """Gives a value as scipy wants it: a list as an object array, which becomes a cell array."""
    if isinstance(value, list):
        cells = np.empty((1, len(value)), object)
        for number, item in enumerate(value):
            cells[0, number] = for_scipy(item)
        return cells
    return {name: for_scipy(item) for name, item in value.items()} if isinstance(value, dict) else value


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert isinstance(found, list)
        assert len(found) == 1
        assert found[0].keys() == expected.keys()
        for name, item in expected.items():
            assert_same(found[0][name], item)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, str):
        assert found == expected
    else:
        np.testing.assert_array_equal(found, expected, strict=True)


@given(VALUES, st.booleans())
def test_what_scipy_saves_is_read(value: Any, packed: bool) -> None:
    file = io.BytesIO()
    scipy.io.savemat(file, {"first": for_scipy(value), "second": np.eye(2)}, do_compression=packed)

    variables = read_mat(file.getvalue())

    assert list(variables) == ["first", "second"]
    assert_same(variables["first"], value)
    assert_same(variables["second"], np.eye(2))


def test_numbers_in_the_other_byte_order_are_read() -> None:
    """As a big-endian machine writes ``x = [1 2]``, by hand: scipy writes the order of its machine."""
    flags = struct.pack(">IIII", 6, 8, 6, 0)
    shape, name = struct.pack(">IIii", 5, 8, 1, 2), struct.pack(">HHcxxx", 1, 1, b"x")
    matrix = flags + shape + name + struct.pack(">IIdd", 9, 16, 1, 2)
    content = b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(matrix)) + matrix

    np.testing.assert_array_equal(read_mat(content)["x"], [[1.0, 2.0]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a MATLAB 5 .mat file, found another file"),
        (b"\x89HDF\r\n", "found one of version 7.3"),
        (saved(x=np.eye(3))[:-9], "found one that is cut short"),
        (saved(x=np.eye(3))[:140], "found one that is cut short"),
        (saved(x=np.eye(3))[:130], "found a damaged one"),
        (
            saved(x=np.array([1j])),
            "expected numbers, text, cells or structs",
        ),
        (saved(x=np.eye(3))[:128] + struct.pack("<II", 15, 4) + b"zlib", "found a damaged one"),
        (saved(x=np.eye(3))[:128] + struct.pack("<IIII", 14, 8, 99, 0), "expected numbers"),
    ],
)
def test_a_file_that_is_no_mat_or_is_damaged_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(MatError, match=message):
        read_mat(content)


def test_a_variable_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab, "MAX_BYTES", 1000)
    file = io.BytesIO()
    scipy.io.savemat(file, {"x": np.zeros((100, 100))}, do_compression=True)

    with pytest.raises(MatError, match="expected variables of at most 1000 bytes, found a larger one"):
        read_mat(file.getvalue())


def test_cells_in_each_other_without_end_are_refused() -> None:
    nested: Any = np.eye(2)
    for _ in range(40):
        nested = for_scipy([nested])

    with pytest.raises(MatError, match="found more than 32 cells in each other"):
        read_mat(saved(x=nested))


@given(st.integers(128, 700), st.integers(0, 255), st.booleans())
def test_a_changed_byte_is_read_or_refused_and_never_makes_the_reader_fail(place: int, byte: int, packed: bool) -> None:
    content = bytearray(saved(x=for_scipy([{"a": np.ones((1, 2)), "b": "text"}])))
    content[min(place, len(content) - 1)] = byte
    if packed:
        data = zlib.compress(bytes(content[128:]))
        content = content[:128] + struct.pack("<II", 15, len(data)) + data

    try:
        outcome: object = read_mat(bytes(content))
    except MatError as error:
        outcome = error

    assert isinstance(outcome, dict | MatError)
