# SPDX-License-Identifier: Apache-2.0
"""The table by which TFLM computes logistic and tanh of int16 values (`kernels/curves.h`).

Its entry u is the logistic of u / 24 in units of 2^-16. In TFLM (`sigmoid_table_uint16` of
tensorflow/lite/kernels/internal/common.h) some entries are one larger than the rounded value, so
that lines between them are closer to the curve.
"""

from __future__ import annotations

import math

import numpy as np

from hil.engines.aot.source import Array

_ENTRIES = 256
_BELOW = 1 << 15  # subtracted, so that entries fit int16
_LARGER = frozenset(
    (
        *(4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39),
        *(40, 41, 43, 44, 45, 46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116),
        *(135, 255),
    )
)


def logistic_entries() -> list[int]:
    """The table: 32768 for 0, up to 65535."""
    rounded = (math.floor(65536 / (1 + math.exp(-u / 24)) + 0.5) for u in range(_ENTRIES))
    return [value + (u in _LARGER) for u, value in enumerate(rounded)]


def logistic_array(name: str) -> Array:
    """The table as `hil_logistic16` and `hil_tanh16` read it."""
    values = np.array(logistic_entries()) - _BELOW
    return Array(name, values.astype("<i2"), "logistic(u / 24) for u = 0, 1, ..., in 2^-16, - 2^15")
