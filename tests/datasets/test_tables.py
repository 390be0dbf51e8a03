# SPDX-License-Identifier: Apache-2.0
"""A user's own table; NumPy's and csv's own readers are the references."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import DataError, UsageError
from hil.datasets import tables
from hil.datasets.tables import read_csv

FLOWERS = "length,width,kind,price\n1,0.5,rose,3\n2.25,4e-2,iris,1\n-3,7,rose,2\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flowers.csv"


def test_columns_of_numbers_are_samples(path: Path) -> None:
    path.write_text("a,b\n1,2.5\n-3,4e2\n")
    found, note = read_csv(path)
    np.testing.assert_array_equal(found.x, np.loadtxt(path, np.float32, delimiter=",", skiprows=1))
    assert found.x.dtype == np.dtype(np.float32)
    assert (found.name, found.ids[1]) == ("flowers", "flowers-00001")
    assert (found.labelled, found.targets, note) == (False, None, "")
    assert found.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not found.x.flags.writeable


def test_a_column_of_strings_has_labels(path: Path) -> None:
    path.write_text(FLOWERS)
    found, note = read_csv(path, "kind")
    rows = list(csv.DictReader(io.StringIO(FLOWERS)))
    assert [found.classes[label] for label in found.y] == [row["kind"] for row in rows]
    assert found.classes == ("iris", "rose")
    assert found.x.tolist() == [[1, 0.5, 3], [2.25, np.float32(4e-2), 1], [-3, 7, 2]]
    assert "classes in alphabetical order: 0 = iris, 1 = rose" in note


def test_integers_are_labels_and_other_numbers_targets(path: Path) -> None:
    path.write_text(FLOWERS)
    labelled, note = read_csv(path, "price")
    assert (labelled.y.tolist(), labelled.targets) == ([3, 1, 2], None)
    assert note.endswith("columns of text are left out: 'kind'")
    found, _ = read_csv(path, "width")
    assert found.targets is not None
    assert found.targets.tolist() == np.array([0.5, 4e-2, 7], np.float32).tolist()
    assert found.x[:, 1].tolist() == [3, 1, 2]
    prints = {read_csv(path, one)[0].fingerprint for one in (None, "kind", "price", "width")}
    assert len(prints) == 4  # the samples differ


def test_quotes_byte_order_marks_and_empty_lines(path: Path) -> None:
    path.write_bytes('\ufeff"a, b",kind\r\n1,"no\nway"\r\n\r\n 2, up\r\n'.encode())
    found, _ = read_csv(path, "kind")
    assert found.x.tolist() == [[1], [2]]
    assert found.classes == ("no way", "up")


@pytest.mark.parametrize(
    ("text", "target", "says"),
    [
        ("", None, "no header"),
        ("\n1,2\n", None, "no header"),
        ("a,b\n", None, "no samples"),
        ("1,2\n3,4\n", None, "numbers, not names"),
        (",a\n0,1\n", None, "column 1 of .* has no name; .* index=False"),
        ("a,b,a\n0,1,2\n", None, "two columns 'a'"),
        ("a;b\n1;2\n", None, "separates its columns by ';'"),
        ("a\tb\n1\t2\n", None, "separates its columns by"),
        ("a,b\n1,2,3\n4,5,6\n", None, "more cells than its header"),
        ("a,b\n1,2\n4,5,6\n", None, r"Expected 2 fields in line 3, saw 3\)"),
        ("a,b\n1,2\n4\n", None, "column 'b': sample 1 has no number"),
        ("a,b\n1,2\n4,x\n", None, "column 'b': sample 1 has 'x', which is not a number"),
        ("a,b\n1,2\n4,nan\n", None, "'nan', which is not a number"),
        ("a,b\n1,inf\n4,1\n", None, "infinity"),
        ("a,b\n1,1e39\n4,1\n", None, "infinity"),
        ("a,b\nx,y\nz,w\n", None, "no column of numbers"),
        ("a,b\nx,0\nz,1\n", "b", "no column of numbers"),
        ("a,b\n1,\n2,3\n", "b", "column 'b' of .*: sample 0 has no value"),
        ("a,b\n1,-3\n2,3\n", "b", "labels range from -3 to 3"),
        ('a,b\n1,"2\n', None, "not a table"),
        ("a,b\n1,2\n", "c", "no column 'c'; choose from 'a', 'b'"),
    ],
)
def test_other_tables_are_refused(path: Path, text: str, target: str | None, says: str) -> None:
    path.write_text(text)
    with pytest.raises(DataError if target != "c" else UsageError, match=says) as caught:
        read_csv(path, target)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_million_columns_are_refused(path: Path) -> None:
    path.write_text(",".join(f"c{i}" for i in range(300_000)) + "\n")
    with pytest.raises(DataError, match="300,000 columns"):
        read_csv(path)
    path.write_text(",".join(f"column{i}" for i in range(1_000_000)) + "\n")
    with pytest.raises(DataError, match="first line of .* is too long"):
        read_csv(path)


def test_sizes_are_checked_before_reading(path: Path) -> None:
    path.write_bytes(b"a\n1\n")
    os.truncate(path, tables.LARGEST + 1)  # a hole, which takes no space
    with pytest.raises(DataError, match="1,073,741,825 bytes; 1,073,741,824 is the limit"):
        read_csv(path)


@pytest.mark.parametrize("content", [b"\xff\xfe1\n", b"a,b\n1,\xff\n"])
def test_bytes_that_are_not_utf8_text(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_csv(path)


def test_too_many_different_strings_are_not_classes(path: Path) -> None:
    path.write_text("a,b\n" + "".join(f"{i},n{i}\n" for i in range(10_001)))
    with pytest.raises(DataError, match="10,001 different strings"):
        read_csv(path, "b")


@given(
    st.lists(
        st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=3, max_size=3),
        min_size=1,
        max_size=9,
    )
)
def test_values_are_exact(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]]
) -> None:
    """float32 values come back as they were written."""
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_text("a,b,c\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows))
    np.testing.assert_array_equal(read_csv(path)[0].x, np.array(rows, np.float32))
