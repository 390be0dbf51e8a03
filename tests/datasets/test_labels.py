# SPDX-License-Identifier: Apache-2.0
"""Which right answers an array y stands for; scikit-learn is the reference for encodings."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.preprocessing import LabelEncoder, label_binarize

from hil.core.errors import DataError
from hil.datasets.labels import Answers, answers

LABELS = np.array([2, 0, 1, 2, 0, 1])


def of(y: npt.ArrayLike, names: npt.ArrayLike | None = None) -> Answers:
    y = np.asarray(y)
    return answers(y, len(y), "y in my.npz", None if names is None else np.asarray(names))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_integers_are_labels(dtype: str, shape: tuple[int, ...]) -> None:
    found = of(LABELS.astype(dtype).reshape(shape))
    assert found.y.tolist() == LABELS.tolist()
    assert found.y.dtype == np.dtype(np.int64)
    assert (found.targets, found.classes, found.note) == (None, (), "")


@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8", "bool"])
def test_one_hot_rows_are_labels(dtype: str) -> None:
    y = label_binarize(LABELS, classes=range(3)).astype(dtype)
    found = of(y)
    assert (found.y.tolist(), found.targets) == (LABELS.tolist(), None)


@pytest.mark.parametrize("kind", ["U", "S"])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_strings_are_labels_in_alphabetical_order(kind: str, shape: tuple[int, ...]) -> None:
    words = np.array(["no", "up", "go", "no", "up", "no"])
    encoder = LabelEncoder().fit(words)
    found = of(words.astype(kind).reshape(shape))
    assert found.y.tolist() == encoder.transform(words).tolist()
    assert list(found.classes) == encoder.classes_.tolist()
    assert found.note == "y in my.npz: classes in alphabetical order: 0 = go, 1 = no, 2 = up"


def test_a_class_list_gives_the_order() -> None:
    found = of(["no", "up", "no"], ["up", "no", "go"])
    assert (found.y.tolist(), found.classes, found.note) == ([1, 0, 1], ("up", "no", "go"), "")
    assert of([0, 2, 1], ["a", "b", "c"]).classes == ("a", "b", "c")
    one_hot = of([[0, 1], [1, 0]], ["a", "b"])
    assert (one_hot.y.tolist(), one_hot.classes) == ([1, 0], ("a", "b"))


def test_booleans_are_labels() -> None:
    assert of([True, False, True]).y.tolist() == [1, 0, 1]


def test_minus_one_and_one_are_two_classes() -> None:
    found = of([-1, 1, 1, -1])
    assert (found.y.tolist(), found.classes) == ([0, 1, 1, 0], ("-1", "1"))
    assert "-1 and 1 are taken as the classes 0 and 1" in found.note


@pytest.mark.parametrize(
    "y",
    [
        np.array([0.0, 1.0, 2.0]),
        np.array([[0.5], [1.5], [0.0]]),
        np.array([[0.0, 0.5], [1.0, 0.0], [0.0, 1.0]]),  # one row is not one-hot
        np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]]),  # several classes at once
        np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1),  # pictures to reconstruct
    ],
)
def test_all_other_numbers_are_targets(y: npt.NDArray[np.generic]) -> None:
    found = of(y)
    assert found.targets is not None
    np.testing.assert_array_equal(found.targets, y.astype(np.float32))
    assert found.targets.dtype == np.dtype(np.float32)
    assert found.y.tolist() == [-1] * 3


@pytest.mark.parametrize(
    ("y", "names", "says"),
    [
        ([0, -1, 3], None, "range from -1 to 3"),
        ([-1, -1], None, "range from -1 to -1"),
        ([0, 1 << 40], None, "range from 0 to"),
        ([0.5, np.nan], None, "NaN"),
        ([1e39, 0.0], None, "infinity"),
        ([1j, 0], None, "complex128"),
        (np.zeros((2, 0)), None, "shape"),
        ([0, 3], ["a", "b"], "a label is 3, but there are 2 classes"),
        (["a", "x"], ["a", "b"], "'x' is not one of the 2 classes"),
        ([0, 1], ["a", "a"], "a name twice"),
        ([0, 1], [["a", "b"]], "one name for each class"),
        ([str(i) for i in range(10_001)], None, "10,001 different strings"),
        ([["a"] * 3] * 2, None, "of shape"),
        (["a" * 2000, "b"], None, "short names"),
    ],
)
def test_other_values_are_refused(y: Any, names: Any, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        of(y, names)
    assert "y in my.npz" in caught.value.what
    assert caught.value.hint


def test_another_length_is_refused() -> None:
    with pytest.raises(DataError, match="3 samples, but 2 labels"):
        answers(np.array([0, 1]), 3, "y")
    with pytest.raises(DataError, match="3 samples, but no labels"):
        answers(np.array(1), 3, "y")


def test_names_of_classes_are_safe_to_show() -> None:
    found = of(["a\x1b[31m", "b\nc", " d "])
    assert found.classes == ("a[31m", "b c", "d")
    assert of(np.array([b"\xff", b"a"])).classes == ("a", "�")


DTYPES = st.one_of(
    arrays.integer_dtypes(),
    arrays.unsigned_integer_dtypes(),
    arrays.floating_dtypes(),
    arrays.boolean_dtypes(),
    arrays.complex_number_dtypes(),
    arrays.unicode_string_dtypes(max_len=3),
    arrays.byte_string_dtypes(max_len=3),
    arrays.datetime64_dtypes(),
)


@given(
    DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(max_dims=4, max_side=4)))
)
def test_every_array_is_labels_or_targets_or_refused(y: npt.NDArray[np.generic]) -> None:
    try:
        found = of(y)
    except DataError:
        return
    assert found.y.shape == (len(y),)
    assert found.y.dtype == np.dtype(np.int64)
    if found.targets is None:
        assert found.y.min() >= 0
        assert not found.classes or found.y.max() < len(found.classes)
    else:
        assert (found.y == -1).all()
        assert found.targets.dtype == np.dtype(np.float32)
        assert found.targets.shape == y.shape
        assert np.isfinite(found.targets).all()
