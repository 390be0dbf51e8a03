# SPDX-License-Identifier: Apache-2.0
"""Whether samples fit a model's inputs, by their shapes and types."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hil.bench.inputs import Taken, check_data
from hil.core.errors import DataError
from hil.core.records import Dataset, DType, TensorSpec


def data(x: np.ndarray) -> Dataset:
    n = len(x)
    ids = tuple(map(str, range(n)))
    return Dataset("mine", "user", ids, x, np.zeros(n, np.int64), "00" * 32)


def check(given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    spec = TensorSpec(DType.FLOAT32, wanted)
    check_data(data(np.zeros((2, *given), np.float32)), Taken("net.tflite", (spec,)))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((16, 16, 3), (16, 16, 3)),
        ((16, 16), (16, 16, 1)),
        ((1, 16, 16), (16, 16, 1)),
        ((1, 49, 40, 1), (49, 40)),
        ((768,), (16, 16, 3)),
        ((1, 768), (16, 16, 3)),
        ((28, 28, 1), (784,)),
        ((1,), (1, 1)),
    ],
)
def test_shapes_agree_without_axes_of_one_or_if_one_is_flat(
    given: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    check(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((3, 16, 16), (16, 16, 3)),
        ((16, 16, 3), (3, 16, 16)),
        ((40, 49, 1), (49, 40, 1)),
        ((40, 1, 49), (49, 40)),
        ((2, 3, 4, 5), (5, 3, 2, 4)),
    ],
)
def test_a_transposition_is_refused_and_named(
    given: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    with pytest.raises(DataError, match=r"x\.transpose\(0, ") as caught:
        check(given, wanted)
    assert f"a sample has shape {list(given)}, net.tflite takes {list(wanted)}" in caught.value.what
    axes = tuple(map(int, re.findall(r"\d+", caught.value.hint)))
    sizes = np.zeros((2, *given), np.float32).transpose(axes).shape[1:]
    assert [n for n in sizes if n != 1] == [n for n in wanted if n != 1]


@pytest.mark.parametrize(
    ("wanted", "size"),
    [((16, 16, 3), "16x16x3"), ((16, 12, 1), "16x12x1"), ((1, 16, 12), "16x12x1")],
)
def test_pictures_of_another_size_are_told_the_option(wanted: tuple[int, ...], size: str) -> None:
    pictures = data(np.zeros((2, 9, 9, 3), np.uint8))
    with pytest.raises(DataError, match=f"--resize {size}$"):
        check_data(pictures, Taken("net.tflite", (TensorSpec(DType.UINT8, wanted),)))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [((16, 12, 1), (16, 12, 3)), ((16, 12), (16, 12, 3)), ((16, 12, 3), (16, 12, 1))],
)
def test_grey_and_colour_pictures_are_told_how_to_convert_them(
    given: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    x = np.full((2, *given), 100, np.uint8)
    with pytest.raises(DataError) as caught:
        check_data(data(x), Taken("net.tflite", (TensorSpec(DType.UINT8, (1, *wanted)),)))
    code = caught.value.hint.split("save ")[1].split(";")[0]
    found = eval(code, {"x": x, "numpy": np})  # noqa: S307 - the hint is code of ours
    assert (found.shape, found.dtype) == ((2, *wanted), np.uint8)
    assert (found >= 99).all()


def test_channels_move_and_rows_stay_rows() -> None:
    with pytest.raises(DataError, match=re.escape("save x.transpose(0, 2, 3, 1)")):
        check((3, 16, 16), (16, 16, 3))


@pytest.mark.parametrize(
    ("given", "wanted", "says"),
    [
        ((25, 3), (5, 5, 3), "if its values are in that order, save x.reshape(2, 5, 5, 3)"),
        ((4, 4, 9), (12, 12), "save x.reshape(2, 12, 12)"),
        ((27, 28, 1), (28, 28, 1), "a sample has 756 values, net.tflite takes 784 [28, 28, 1]"),
    ],
)
def test_other_shapes_are_refused(
    given: tuple[int, ...], wanted: tuple[int, ...], says: str
) -> None:
    with pytest.raises(DataError) as caught:
        check(given, wanted)
    assert says in str(caught.value)
