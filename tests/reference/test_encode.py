# SPDX-License-Identifier: Apache-2.0
"""Encoding, compared with exact rational arithmetic on the float32 quotient."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import DataError
from hil.core.records import DType, TensorSpec, offsets_of, pack_rows, packed_bytes, unpack_rows
from hil.reference import convert_outputs, encode_inputs

REAL = TensorSpec(DType.FLOAT32, (1, 2, 2, 1))


def int8_spec(scale: float, zero: int, n: int = 1) -> TensorSpec:
    return TensorSpec(DType.INT8, (1, n), float(np.float32(scale)), zero)


def rounded(quotient: float, zero: int) -> int:
    """roundf(quotient) + zero, clamped, in exact arithmetic."""
    exact = Fraction(quotient)
    whole = (abs(exact) + Fraction(1, 2)).__floor__()
    return max(-128, min(127, (whole if exact >= 0 else -whole) + zero))


def test_values_at_any_address_become_aligned() -> None:
    """Arrays that are mapped from a file start where the file has them."""
    raw = b"?" + np.arange(3, dtype="<f4").tobytes()
    x = np.frombuffer(raw, np.float32, offset=1).reshape(1, 3)
    assert not x.flags.aligned
    found = encode_inputs(x, TensorSpec(DType.FLOAT32, (1, 3)))
    assert found.flags.aligned
    assert found.tolist() == [[[0, 1, 2]]]


def test_pixels_become_real_values() -> None:
    x = np.array([0, 1, 128, 255], np.uint8).reshape(1, 2, 2, 1)
    encoded = encode_inputs(x, REAL)
    assert encoded.shape == (1, 1, 2, 2, 1)
    assert encoded.dtype == np.float32
    unit = np.float32(255)
    expected = [np.float32(0), np.float32(1) / unit, np.float32(128) / unit, np.float32(1)]
    assert encoded.reshape(-1).tolist() == [float(v) for v in expected]


def test_the_usual_quantisation_of_pixels_is_a_shift_by_128() -> None:
    x = np.arange(256, dtype=np.uint8).reshape(256, 1)
    encoded = encode_inputs(x, int8_spec(1 / 255, -128))
    np.testing.assert_array_equal(encoded.reshape(-1), np.arange(256) - 128)


@given(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(2**-20, 2**10, width=32),
    st.integers(-128, 127),
)
def test_quantising_rounds_halves_away_from_zero(value: float, scale: float, zero: int) -> None:
    x = np.array([[value]], np.float32)
    with np.errstate(over="ignore"):
        quotient = float(np.divide(value, scale, dtype=np.float32))
    got = int(encode_inputs(x, int8_spec(scale, zero)).item())
    if np.isinf(quotient):
        assert got == (127 if value > 0 else -128)
    else:
        assert got == rounded(quotient, zero)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0.5, 1),
        (-0.5, -1),
        (1.5, 2),
        (2.5, 3),
        (-2.5, -3),
        (0.49999997, 0),
        (1e30, 127),
        (-1e30, -128),
    ],
)
def test_ties_and_limits(value: float, code: int) -> None:
    x = np.array([[value]], np.float32)
    assert encode_inputs(x, int8_spec(1.0, 0)).item() == code


def test_int8_samples_are_unchanged() -> None:
    x = np.array([[-128], [5]], np.int8)
    np.testing.assert_array_equal(encode_inputs(x, int8_spec(0.1, 3)).reshape(-1), [-128, 5])


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros((2, 3), np.float32), "a sample has 3 values"),
        (np.zeros((0, 4), np.float32), "no samples"),
        (np.zeros((1, 4), np.int8), "int8 samples for a float32 model"),
        (np.zeros((1, 4), np.float64), "float64 samples for a float32 model"),
    ],
)
def test_samples_that_do_not_fit(x: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        encode_inputs(x, REAL)


BYTES = st.lists(st.integers(-128, 127), min_size=1, max_size=8)
SCALES = st.floats(2.0**-10, 4.0, width=32)
ZEROS = st.integers(-128, 127)


@given(BYTES, SCALES, ZEROS)
def test_int8_outputs_as_real_values(values: list[int], scale: float, zero: int) -> None:
    outputs = np.array([values], np.int8)
    spec = int8_spec(scale, zero, len(values))
    found = convert_outputs(outputs, spec, TensorSpec(DType.FLOAT32, (len(values),)))
    # one product of two float32 numbers, rounded once: the same as in float64, rounded after
    exact = (outputs.astype(np.float64) - zero) * np.float64(np.float32(scale))
    np.testing.assert_array_equal(found, exact.astype(np.float32))
    assert found.dtype == np.float32


@given(BYTES, SCALES, ZEROS, st.integers(0, 255))
def test_int8_outputs_as_uint8_of_the_same_scale(
    values: list[int], scale: float, zero: int, other: int
) -> None:
    outputs = np.array([values], np.int8)
    wanted = TensorSpec(DType.UINT8, (len(values),), float(np.float32(scale)), other)
    found = convert_outputs(outputs, int8_spec(scale, zero, len(values)), wanted)
    moved = np.clip(outputs.astype(np.int32) - zero + other, 0, 255)
    np.testing.assert_array_equal(found, moved.astype(np.uint8))
    assert found.dtype == np.uint8


def test_real_outputs_as_int8_of_the_sketch() -> None:
    spec = TensorSpec(DType.FLOAT32, (6,))
    outputs = np.array([[0.0, 0.25, -0.375, 1e9, -1e9, 0.1]], np.float32)
    found = convert_outputs(outputs, spec, int8_spec(0.25, 3, 6))
    np.testing.assert_array_equal(found, np.array([[3, 4, 1, 127, -128, 3]], np.int8))


def test_outputs_of_one_type_are_not_touched() -> None:
    outputs = np.array([[-128, 7]], np.int8)
    assert convert_outputs(outputs, int8_spec(0.5, 1, 2), int8_spec(0.0, 0, 2)) is outputs


def test_samples_of_the_inputs_own_type_are_unchanged() -> None:
    for kind in DType:
        spec = TensorSpec(kind, (1, 3), 0.5, 1)
        x = np.array([[0, 1, 1]]).astype(kind.numpy)
        assert encode_inputs(x, spec).tobytes() == x.tobytes()
        assert encode_inputs(x, spec).shape == (1, 1, 3)


def test_real_values_for_wider_or_unsigned_inputs() -> None:
    x = np.array([[-2.0, 0.25, 0.75, 1e9]], np.float32)
    wide = encode_inputs(x, TensorSpec(DType.INT16, (4,), 0.5, 0))
    assert wide.tolist() == [[-4, 1, 2, 32767]]  # halves away from zero
    unsigned = encode_inputs(x, TensorSpec(DType.UINT8, (4,), 0.5, 3))
    assert unsigned.tolist() == [[0, 4, 5, 255]]
    for kind in (DType.INT32, DType.INT64, DType.BOOL):
        with pytest.raises(DataError, match=f"give {kind.name.lower()}$"):
            encode_inputs(x, TensorSpec(kind, (4,)))


def test_rows_have_each_tensor_at_a_multiple_of_four() -> None:
    specs = [
        TensorSpec(DType.INT8, (1, 3)),
        TensorSpec(DType.INT16, (1,)),
        TensorSpec(DType.BOOL, (2,)),
    ]
    assert (offsets_of(specs), packed_bytes(specs)) == ((0, 4, 8), 10)
    arrays: list[npt.NDArray[np.generic]] = [
        np.array([[1, -1, 2], [3, 4, 5]], np.int8),
        np.array([[258], [-2]], np.int16),
        np.array([[True, False], [False, True]]),
    ]
    rows = pack_rows(specs, arrays)
    assert rows[0].tolist() == [1, 255, 2, 0, 2, 1, 0, 0, 1, 0]
    for one, found in zip(arrays, unpack_rows(specs, rows), strict=True):
        np.testing.assert_array_equal(one, found)
        assert one.dtype == found.dtype
