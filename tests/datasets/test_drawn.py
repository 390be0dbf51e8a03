# SPDX-License-Identifier: Apache-2.0
"""Random inputs: their ranges, types and shapes, and that a seed repeats them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from hil.core.errors import UsageError
from hil.core.records import Dataset, DType, TensorSpec
from hil.datasets.drawn import Drawing, Inputs, draw, parse

SHAPE = (1, 4, 3)
FLOAT = {"a": TensorSpec(DType.FLOAT32, SHAPE)}
INT8 = {"image": TensorSpec(DType.INT8, SHAPE, 0.5, -28)}  # -50 to 77.5


def drawn(*takers: Inputs, n: int = 400, seed: int = 0) -> Dataset:
    return draw(Drawing(n, seed), takers)[0]


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (DType.INT8, -128, 127),
        (DType.UINT8, 0, 255),
        (DType.INT16, -32768, 32767),
        (DType.FLOAT32, -1, 1),
        (DType.INT32, 0, 1),
        (DType.INT64, 0, 1),
        (DType.BOOL, 0, 1),
    ],
)
def test_values_are_uniform_over_what_the_input_takes(dtype: DType, low: int, high: int) -> None:
    found = drawn({"a": TensorSpec(dtype, SHAPE, 0.1, 3)}, n=2000)
    assert found.x.dtype == dtype.numpy
    assert found.x.shape == (2000, 4, 3)
    values = found.x.ravel().astype(float)
    assert low <= values.min() < values.max() <= high
    if high - low > 1:
        step = 0 if dtype is DType.FLOAT32 else 1
        shares = (values - low + step / 2) / (high - low + step)
        assert stats.kstest(shares, "uniform").pvalue > 0.001  # deterministic: the seed is fixed
        codes = high - low + 1
        assert dtype in (DType.FLOAT32, DType.INT16) or len(np.unique(values)) == codes
    assert not found.labelled


def test_float32_and_int8_networks_share_real_values() -> None:
    found, note = draw(Drawing(2000), [FLOAT, INT8])
    assert found.x.dtype == np.dtype(np.float32)
    assert -50 <= found.x.min() < -49
    assert 77 < found.x.max() <= 77.5
    assert note == "random inputs (seed 0), uniform: x is float32, -50 to 77.5"


def test_a_seed_repeats_and_a_longer_drawing_continues() -> None:
    some, more = drawn(INT8, n=5), drawn(INT8, n=50)
    np.testing.assert_array_equal(some.x, more.x[:5])
    assert some.ids == more.ids[:5]
    assert (some.split, drawn(INT8, seed=7).split) == ("seed 0", "seed 7")
    assert drawn(INT8, n=5).fingerprint == some.fingerprint
    assert drawn(INT8, n=5, seed=7).fingerprint != some.fingerprint


def test_several_inputs_get_an_array_each() -> None:
    both: Inputs = {"ids": TensorSpec(DType.INT32, (1, 9)), **FLOAT}
    found, note = draw(Drawing(7), [both, both])
    assert {name: (x.shape, x.dtype.name) for name, x in found.named.items()} == {
        "ids": ((7, 9), "int32"),
        "a": ((7, 4, 3), "float32"),
    }
    assert found.x is found.named["ids"]
    assert "ids is int32, 0 to 1; a is float32, -1 to 1" in note


@pytest.mark.parametrize(
    ("takers", "says"),
    [
        ([], "need a network"),
        ([FLOAT, {"a": TensorSpec(DType.FLOAT32, (1, 5))}], "different names or sizes"),
        ([{**FLOAT, "b": FLOAT["a"]}, FLOAT], "different names or sizes"),
        ([FLOAT, {"a": TensorSpec(DType.INT32, SHAPE)}], "take float32 and int32 as x"),
        ([{"a": TensorSpec(DType.FLOAT32, (1, 1 << 30))}], "do not fit in memory"),
    ],
)
def test_networks_that_cannot_share_inputs(takers: Sequence[Inputs], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        draw(Drawing(), takers)


def test_the_words_of_the_option() -> None:
    assert parse("random") == Drawing(100, 0)
    assert parse("random:20") == Drawing(20, 0)
    assert parse("random:20:4294967295") == Drawing(20, (1 << 32) - 1)
    for wrong in (
        "random:",
        "random:0",
        "random:x",
        "random:1:",
        "random:1:4294967296",
        "randomly",
    ):
        with pytest.raises(UsageError, match=r"is not random\[:N\[:SEED\]\]"):
            parse(wrong)
