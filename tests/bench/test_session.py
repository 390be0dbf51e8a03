# SPDX-License-Identifier: Apache-2.0
"""How samples travel to a board."""

from __future__ import annotations

import numpy as np
import pytest

from hil.bench.session import Inputs
from hil.core.records import Dataset, Encoding


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [("u1", Encoding.PIXELS), ("i1", Encoding.INT8), ("<f4", Encoding.FLOAT32)],
)
def test_samples_travel_as_they_are(kind: str, encoding: Encoding) -> None:
    x = np.arange(24).reshape(4, 2, 3, 1).astype(kind)
    inputs = Inputs(Dataset("d", "test", tuple("abcd"), x, np.zeros(4, np.int64), ""))
    assert (inputs.encoding, len(inputs)) == (encoding, 4)
    assert [inputs[i] for i in range(4)] == [sample.tobytes() for sample in x]


def test_floats_travel_little_endian() -> None:
    x = np.array([[1.0, 2.0]], ">f4")
    inputs = Inputs(Dataset("d", "test", ("a",), x, np.zeros(1, np.int64), ""))
    assert (inputs.encoding, inputs[0].hex()) == (Encoding.FLOAT32, "0000803f00000040")
