# SPDX-License-Identifier: Apache-2.0
"""Networks of one reduction: MEAN, SUM, REDUCE_MAX and others, ARG_MAX or ARG_MIN."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.tflite import Net

REDUCERS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")


def reduced(net: Net, code: str, axes: list[int], *, keep: bool = False, **result: Any) -> Net:
    """Append a reduction of the current tensor, or with ``ARG_`` a search along one axis."""
    found = {i % max(len(net.shape), 1) for i in axes}
    kept = [1 if i in found else n for i, n in enumerate(net.shape)]
    if not keep or code.startswith("ARG"):
        kept = [n for i, n in enumerate(net.shape) if i not in found]
    axis = net.tensor([len(axes)], "int32", np.array(axes, np.int32))
    if code.startswith("ARG"):
        options: Any = schema.ArgMaxOptionsT() if code == "ARG_MAX" else schema.ArgMinOptionsT()
        wide = result.get("dtype") == "int64"
        options.outputType = schema.TensorType.INT64 if wide else schema.TensorType.INT32
        kind = "ArgMaxOptions" if code == "ARG_MAX" else "ArgMinOptions"
        return net.op(code, kept, options, kind, [axis], dtype=result.get("dtype", "int32"))
    options = schema.ReducerOptionsT()
    options.keepDims = keep
    version = 1 if code in ("REDUCE_ALL", "REDUCE_ANY") else 2
    return net.op(code, kept, options, "ReducerOptions", [axis], version=version, **result)


def drawn(seed: int, dtype: str) -> bytes:
    """A reduction of a random shape over random axes."""
    random = np.random.default_rng(seed)
    rank = int(random.integers(1, 5))
    shape = [int(n) for n in random.choice(np.array([1, 2, 3, 4, 5, 7, 8, 12, 33]), rank)]
    codes = [*REDUCERS, *(["ARG_MAX", "ARG_MIN"] * (dtype != "int16"))]
    code = codes[int(random.integers(len(codes)))]
    chosen = random.choice(rank, random.integers(1, rank + 1), replace=False)
    axes = [int(i) - rank * int(random.integers(2)) for i in chosen]
    zero = 0 if dtype == "int16" else int(random.choice(np.array([-128, 127, 3, -40])))
    scale = 2.0 ** random.uniform(-12, 6)
    net = Net().input(shape, dtype, 0 if dtype == "float32" else scale, zero)
    if code.startswith("ARG"):
        return reduced(net, code, axes[:1]).finish()
    result = {}
    if dtype != "float32" and code in ("MEAN", "SUM"):
        result = {
            "scale": scale * 2.0 ** random.uniform(-6, 6),
            "zero": zero and int(random.integers(-128, 128)),
        }
    return reduced(net, code, axes, keep=bool(random.integers(2)), **result).finish()


def several(dtype: str) -> bytes:
    """One reduction of each kind, one after the other."""
    scale = 0 if dtype == "float32" else 0.01
    net = Net().input((3, 2, 5, 3, 13), dtype, scale)
    net = reduced(net, "SUM", [0, 2], scale=0.1)
    net = reduced(net, "MEAN", [1], keep=True, scale=0.02)
    net = reduced(net, "REDUCE_MAX", [0])
    if dtype == "int16":
        return net.finish()
    return reduced(net, "ARG_MIN", [1]).finish()
