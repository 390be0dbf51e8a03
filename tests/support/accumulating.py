# SPDX-License-Identifier: Apache-2.0
"""ADD_N, CUMSUM and L2_NORMALIZATION appended to a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.tflite import Net


def add_n(net: Net, others: Sequence[int], **result: Any) -> Net:
    """The current tensor and ``others``, of its shape and scale."""
    return net.op("ADD_N", net.shape, schema.AddNOptionsT(), "AddNOptions", others, **result)


def cumsum(
    net: Net, axis: int, *, exclusive: bool = False, reverse: bool = False, **result: Any
) -> Net:
    options = schema.CumsumOptionsT()
    options.exclusive, options.reverse = exclusive, reverse
    more = [net.tensor((1,), "int32", np.array([axis], np.int32))]
    return net.op("CUMSUM", net.shape, options, "CumsumOptions", more, **result)


def l2norm(net: Net) -> Net:
    made: dict[str, Any] = {"scale": 1 / 128, "zero": 0} if net.dtype == "int8" else {}
    options = schema.L2NormOptionsT()
    return net.op("L2_NORMALIZATION", net.shape, options, "L2NormOptions", version=2, **made)
