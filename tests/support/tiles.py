# SPDX-License-Identifier: Apache-2.0
"""TILE for references that do not have it: as a CONCATENATION of a tensor with itself."""

from __future__ import annotations

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from hil.tflite import Graph, Operator


def without_tile(graph: Graph) -> bytes:
    """The file with every TILE replaced; as it is if there is none, or one along several axes."""
    tiles = [operator for operator in graph.operators if operator.code == "TILE"]
    repeated = [_times(graph, tile) for tile in tiles]
    if not tiles or any(np.count_nonzero(times != 1) > 1 for times in repeated):
        return graph.data
    model = schema.ModelT.InitFromPackedBuf(graph.data, 0)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONCATENATION
    code.version = 2
    model.operatorCodes.append(code)
    for tile, times in zip(tiles, repeated, strict=True):
        axis = int(np.argmax(times))
        operator = model.subgraphs[0].operators[tile.index]
        operator.opcodeIndex = len(model.operatorCodes) - 1
        operator.inputs = [tile.inputs[0]] * int(times[axis])
        operator.builtinOptionsType = schema.BuiltinOptions.ConcatenationOptions
        operator.builtinOptions = schema.ConcatenationOptionsT()
        operator.builtinOptions.axis = axis
    builder = flatbuffers.Builder(len(graph.data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _times(graph: Graph, tile: Operator) -> npt.NDArray[np.generic]:
    times = graph.tensors[tile.inputs[1]].data
    assert times is not None
    return times
