# SPDX-License-Identifier: Apache-2.0
"""--input: what a network gets for each rule, and what is said about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hil import datasets
from hil.bench import Request, make_plan, preprocessing
from hil.bench.inputs import Inputs, Taken, taken_by
from hil.bench.preprocessing import Rule, in_words, parse_rule, preprocessed
from hil.bench.store import dataset_used
from hil.core.errors import DataError, UsageError
from hil.core.records import Dataset, DType, Encoding, TensorSpec
from hil.datasets import from_arrays
from hil.reference import encode_inputs

PROJECT = Path(__file__).parents[2]
STUDENT = PROJECT / "models" / "digits" / "student_int8.tflite"
INT8 = TensorSpec(DType.INT8, (1, 4), 1 / 255, -128)  # 0 to 1
FLOAT = TensorSpec(DType.FLOAT32, (1, 4))
UINT8 = TensorSpec(DType.UINT8, (1, 4), 1.0, 0)
X = np.array([[0, 1, 128, 255], [7, 254, 3, 100]], np.uint8)


def net(*specs: TensorSpec, names: tuple[str, ...] = ("in",)) -> Taken:
    return Taken("net.tflite", specs, names)


def fed(x: npt.ArrayLike, rule: str | None, *takers: Taken) -> Dataset:
    given = parse_rule(rule) if rule else None
    return preprocessed(from_arrays(np.asarray(x)), given, takers or (net(INT8),))


def same(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rule", [None, "pixels"])
def test_uint8_are_pixels(rule: str | None) -> None:
    found = fed(X, rule)
    same(found.x, X)
    assert found.input == "pixels"
    assert found.fingerprint == from_arrays(X).fingerprint


@pytest.mark.parametrize("dtype", ["float32", "int32", "int16"])
def test_whole_numbers_become_pixels_when_asked(dtype: str) -> None:
    same(fed(X.astype(dtype), "pixels").x, X)
    if dtype == "float32":
        same(fed(X.astype(dtype), None).x, X.astype(dtype))


@pytest.mark.parametrize(
    ("x", "low", "high"),
    [
        (X, 0, 255),
        (X.astype(np.float32), 0, 255),
        (X.astype(np.int32), 0, 255),
        ((X.astype(np.int16) - 128).astype(np.int8), -128, 127),
        (X.astype(np.int16) * 100 - 9000, -32768, 32767),
    ],
)
@pytest.mark.parametrize(("rule", "ends"), [("scaled", (0, 1)), ("scaled:-1:1", (-1, 1))])
def test_scaled_maps_the_range_of_the_type(
    x: npt.NDArray[Any], low: int, high: int, rule: str, ends: tuple[float, float]
) -> None:
    found = fed(x, rule)
    assert found.x.dtype == np.dtype(np.float32)
    expected = np.interp(x.astype(np.float64), (low, high), ends)
    np.testing.assert_allclose(found.x.astype(np.float64), expected, atol=1e-6)
    assert found.input == ("scaled:0:1" if rule == "scaled" else rule)
    assert found.fingerprint != from_arrays(x).fingerprint


def test_scaled_to_0_1_gives_a_network_what_pixels_give() -> None:
    for spec in (INT8, FLOAT):
        np.testing.assert_allclose(
            encode_inputs(fed(X, "scaled").x, spec).astype(float),
            encode_inputs(fed(X, "pixels").x, spec).astype(float),
            atol=1e-7,
        )


def test_as_is_feeds_the_numbers() -> None:
    same(fed(X, "as-is").x, X.astype(np.float32))
    same(fed(X, "as-is", net(FLOAT), net(INT8)).x, X.astype(np.float32))
    same(fed(X, "as-is", net(UINT8)).x, X)  # codes, as this input takes them
    codes = (X.astype(int) - 128).astype(np.int8)
    same(fed(codes, "as-is").x, codes)
    same(fed(codes, "as-is", net(FLOAT)).x, codes.astype(np.float32))
    with pytest.raises(DataError, match="uint8 values are codes of one network and numbers for"):
        fed(X, "as-is", net(UINT8), net(FLOAT))


def test_of_several_inputs_the_pictures_change() -> None:
    angle = np.array([[300.5], [-1]], np.float32)
    both = datasets.npz.dataset(
        "two", X, datasets.labels.unlabelled(2), "00", {"image": X, "angle": angle}
    )
    takers = [net(INT8, TensorSpec(DType.FLOAT32, (1, 1)), names=("image", "angle"))]
    found = preprocessed(both, parse_rule("scaled"), takers)
    same(found.named["angle"], angle)
    assert found.named["image"].max() == 1
    assert found.x is found.named["image"]
    assert preprocessed(both, None, takers).input == ""
    assert in_words(preprocessed(both, None, takers), None, takers) == (
        "image is uint8, taken as pixels and divided by 255 by default (see --input): 0 to 1; "
        "net.tflite takes 0 to 1 as int8 and gets codes -128 to 127; "
        "angle is float32, taken as it is by default (see --input): -1 to 300.5"
    )


def test_targets_that_are_the_samples_stay_so() -> None:
    autoencoder = from_arrays(X, X)
    assert autoencoder.targets is not None
    found = preprocessed(autoencoder, parse_rule("scaled"), [net(FLOAT)])
    assert found.targets is not None
    same(found.targets, found.x)
    other = preprocessed(from_arrays(X, X + np.float32(0.5)), parse_rule("scaled"), [net(FLOAT)])
    assert other.targets is not None
    same(other.targets, X + np.float32(0.5))


@given(
    st.sampled_from(["uint8", "int8", "int16"]).flatmap(
        lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=2, max_dims=2, max_side=5))
    ),
    st.floats(-1e6, 1e6, width=32),
    st.floats(0.125, 1e6, width=32),
)
def test_scaled_values_keep_their_order_and_stay_inside(
    x: npt.NDArray[Any], low: float, width: float
) -> None:
    found = preprocessed(from_arrays(x), Rule("scaled", low, low + width), [net(FLOAT)]).x
    room = 1e-6 * max(abs(low), abs(low + width))  # float32 rounds
    assert low - room <= float(np.asarray(found, float).min())
    assert float(np.asarray(found, float).max()) <= low + width + room
    order = np.argsort(x, axis=None, kind="stable")
    assert (np.diff(np.asarray(found, float).ravel()[order]) >= 0).all()


def test_it_happens_once() -> None:
    once = fed(X, "scaled")
    assert preprocessed(once, parse_rule("scaled"), [net(INT8)]) is once


@pytest.mark.parametrize(
    ("x", "rule", "says"),
    [
        ([[0.5, 3]], "pixels", "values from 0.5 to 3 are not pixels"),
        ([[-1.0, 3]], "pixels", "values from -1 to 3 are not pixels"),
        ([[1.0, 256]], "pixels", "values from 1 to 256 are not pixels"),
        ([[-0.5, 1]], "scaled", "values from -0.5 to 1, scaled maps 0 to 255"),
        ([[0.0, 300]], "scaled:-1:1", "values from 0 to 300, scaled maps 0 to 255"),
    ],
)
def test_values_that_a_rule_does_not_take(x: list[list[float]], rule: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fed(np.array(x, np.float32), rule)


def test_samples_that_would_not_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocessing, "LARGEST", 4 * X.size - 1)
    with pytest.raises(DataError, match="would take 32 bytes; 31 is the limit: pass --limit"):
        fed(X, "scaled")
    assert fed(X, None).input == "pixels"  # nothing is converted


def test_the_words_of_the_option() -> None:
    assert parse_rule("scaled:-1:1") == Rule("scaled", -1, 1)
    assert parse_rule("scaled:0.5:2e2") == Rule("scaled", 0.5, 200)
    assert str(parse_rule("scaled")) == "scaled:0:1"
    for wrong in ("", "pixel", "pixels:0:1", "as-is:0:1", "scaled:1", "scaled:nan:1", "asis"):
        with pytest.raises(UsageError, match="is unknown; pixels, as-is, scaled"):
            parse_rule(wrong)
    for wrong in ("scaled:1:1", "scaled:1:0", "scaled:0:1e99"):
        with pytest.raises(UsageError, match="is not below"):
            parse_rule(wrong)


@pytest.mark.parametrize(
    ("x", "rule", "spec", "says"),
    [
        (X, None, INT8, "0 to 1; net.tflite takes 0 to 1 as int8 and gets codes -128 to 127"),
        (
            X,
            None,
            TensorSpec(DType.INT8, (1, 4), 1.0, -128),
            "net.tflite takes 0 to 255 as int8 and gets codes -128 to -127",
        ),
        (
            X.astype(np.float32),
            None,
            INT8,
            "x is float32, taken as it is by default (see --input): 0 to 255; net.tflite takes 0 "
            "to 1 as int8 and gets codes -128 to 127; 75.0% of the values lie outside",
        ),
        (
            X.view(np.int8),
            "as-is",
            INT8,
            "taken as it is by --input: -128 to 100; net.tflite takes 0 to 1 as int8, and these "
            "are its codes",
        ),
        (
            X,
            None,
            UINT8,
            "x is uint8, taken as it is by default (see --input): 0 to 255; net.tflite takes 0 to "
            "255 as uint8, and these are its codes",
        ),
        (X, "scaled:0:2", FLOAT, "x is float32, scaled by --input: 0 to 2"),
    ],
)
def test_what_is_said(x: npt.NDArray[Any], rule: str | None, spec: TensorSpec, says: str) -> None:
    given = parse_rule(rule) if rule else None
    said = in_words(fed(x, rule, net(spec)), given, [net(spec), net(spec)])
    assert said.endswith(says) or said == says


def planned(folder: Path, x: npt.NDArray[Any], rule: str | None) -> tuple[Inputs, Any]:
    np.savez(folder / "my.npz", x=x)
    plan = make_plan(
        Request(PROJECT, models=(str(STUDENT),), data=folder / "my.npz", input=rule, limit=20)
    )
    return Inputs(plan.data, taken_by(plan.networks[0])), plan


def test_one_picture_in_three_ways_is_one_input(tmp_path: Path) -> None:
    """The same digits as uint8, as floats of 0..255 and as 0..1 send the network the same."""
    digits = datasets.load("digits").x
    pixels, plan = planned(tmp_path, digits, None)
    assert pixels.encoding is Encoding.PIXELS
    assert plan.fed.startswith("x is uint8, taken as pixels and divided by 255 by default")
    assert dataset_used(plan.data, 500, "").input == "pixels"
    floats, _ = planned(tmp_path, digits.astype(np.float32), "pixels")
    scaled, other = planned(tmp_path, digits, "scaled")
    assert scaled.encoding is Encoding.FLOAT32
    assert dataset_used(other.data, 500, "").input == "scaled:0:1"
    for i in range(20):
        assert pixels[i] == floats[i]
        share = np.frombuffer(scaled[i], "<f4") * 255
        np.testing.assert_allclose(share, np.frombuffer(pixels[i], np.uint8), atol=1e-4)


def test_random_inputs_need_no_rule() -> None:
    request = Request(PROJECT, models=(str(STUDENT),), data="random:3", input="as-is")
    with pytest.raises(UsageError, match="--input and --data random contradict"):
        make_plan(request)
    assert make_plan(Request(PROJECT, models=(str(STUDENT),), data="random:3")).fed == ""
