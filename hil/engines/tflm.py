# SPDX-License-Identifier: Apache-2.0
"""Engine ``tflm``: TensorFlow Lite Micro runs the ``.tflite`` file itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from hil.core.errors import ModelError
from hil.core.records import ModelInfo
from hil.core.text import c_comment
from hil.engines.image import CompiledModel, ConstantArray
from hil.engines.tflm_arena import ALIGNMENT, estimate, measure
from hil.engines.tflm_operators import missing, registrations, variables
from hil.tflite import Graph
from hil.tflite.graph import INT8

Shape: TypeAlias = tuple[int, ...]
_VARIABLE: Final = 24  # bytes of one of TFLM's resource variables where a pointer has 32 bits
_INT16: Final = 7  # TFLite's TensorType


def check(graph: Graph) -> None:
    """Raise `ModelError` that names all operators which TFLM does not have, or in TFLM's words.

    Raises `ToolMissing` without the package tflite-micro.
    """
    if found := missing(graph):
        raise ModelError(
            f"{graph.where}: TensorFlow Lite Micro does not have {', '.join(found)}",
            "use a network without it",
        )
    reserve(graph)


def prepare(graphs: Sequence[Graph]) -> None:
    """Estimate the arenas of many small models, which is faster than measuring each."""
    estimate(graph.data for graph in graphs if not missing(graph))


def reserve(graph: Graph) -> int:
    """Bytes of arena that an image reserves for ``graph``, before anything runs on the device.

    The device measures its real need (firmware/lib/hil_tflm) and reports that in HELLO; the reserve
    must never be smaller. So the reserve is what TFLM takes on this 64-bit host, where a pointer is
    twice as wide, plus the scratch buffers of CMSIS-NN's kernels, and the places of variables that
    two names may share. Raises `ToolMissing` without
    the package tflite-micro, `ModelError` when TFLM refuses the model.
    """
    try:
        return measure(graph.data) + scratch(graph) + _VARIABLE * variables([graph])
    except ModelError as problem:
        raise ModelError(f"{graph.where}: {problem.what}", problem.hint) from None


def scratch(graph: Graph) -> int:
    """Bytes that the vendors' kernels need beyond TFLM's reference kernels, which `measure` ran.

    That is the largest scratch buffer of CMSIS-NN (arm_*_get_buffer_size) among the operators,
    rounded up to TFLM's alignment, and the biases that its LSTM keeps.
    """
    most = kept = 0
    for operator in graph.operators:
        if operator.code not in _SCRATCH:
            continue
        data, wanted = _SCRATCH[operator.code]
        x, weights = (
            graph.tensors[operator.inputs[i]] for i in (data, 1 if len(operator.inputs) > 1 else 0)
        )
        y = graph.tensors[operator.outputs[0]]
        if x.dtype in (INT8, _INT16):
            size = wanted(x.shape, weights.shape, y.shape)
            most = max(most, math.ceil(size / ALIGNMENT) * ALIGNMENT)
            if operator.code == "UNIDIRECTIONAL_SEQUENCE_LSTM":
                kept += _LSTM_BIASES * y.shape[-1] * 8
    return most + kept


def _columns(x: Shape, weights: Shape, _: Shape) -> int:
    """Four columns of int8, or two of int16."""
    return 4 * weights[1] * weights[2] * x[3]


def _transposed(x: Shape, weights: Shape, y: Shape) -> int:
    """Sums of int32 for some rows, or columns; and a copy of the weights."""
    _, height, width, _ = weights
    stride = math.ceil(y[1] / x[1])
    sums = 4 * y[3] * (y[2] + width + stride) * max(height, stride)
    return max(sums, _columns(x, weights, y)) + math.prod(weights)


def _sums(_x: Shape, _weights: Shape, y: Shape) -> int:
    """A row of int32."""
    return 4 * y[-1]


def _filters(_x: Shape, weights: Shape, _y: Shape) -> int:
    return 4 * weights[0]


_LSTM_BIASES: Final = 8  # of four gates, for the input and for the state
# code -> (index of its data among its inputs, function of the shapes of data, weights, output)
_SCRATCH: Final[Mapping[str, tuple[int, Callable[[Shape, Shape, Shape], int]]]] = {
    "AVERAGE_POOL_2D": (0, _sums),
    "BATCH_MATMUL": (0, _sums),
    "CONV_2D": (0, _columns),
    "DEPTHWISE_CONV_2D": (0, _columns),
    "FULLY_CONNECTED": (0, _sums),
    "SVDF": (0, _filters),
    "TRANSPOSE_CONV": (2, _transposed),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (0, _sums),
}


OPS_FILE = "hil_tflm_ops.h"
KERNELS_FILE = "hil_tflm_kernels.txt"
_BYTES_PER_LINE = 20


def compile_model(graph: Graph, name: str, source: str) -> CompiledModel:
    """The file of ``graph`` as a byte array, and the two functions that pass it to the adapter.

    ``source`` names the file in a comment. ``arena`` of the result is the size to reserve (see
    `reserve`); the firmware reports in HELLO how much it uses. Raises `ModelError` for an operator
    that is not supported, and the errors of `reserve`.
    """
    check(graph)
    size = len(graph.data)
    info = ModelInfo(
        name,
        "tflm",
        graph.sha256,
        graph.input,
        graph.output,
        reserve(graph),
        size,
        graph.inputs[1:],
        graph.outputs[1:],
        graph.stateful,
    )
    return CompiledModel(
        info,
        _header(graph, name, source),
        _functions(name, stateful=graph.stateful),
        arrays=(ConstantArray(f"{name}_tflite", "uint8_t", size),),
        probabilities=graph.ends_in_probabilities,
    )


def shared_files(graphs: Sequence[Graph]) -> dict[str, str]:
    """Files of an image for the adapter and its build script, by name."""
    needs = registrations(graphs)
    calls = " && \\\n   ".join(f"(resolver).{call} == kTfLiteOk" for call in needs.calls)
    header = f"""/* Generated by tinyml-hil. Do not edit. The operators of this image only. */
#ifndef HIL_TFLM_OPS_H
#define HIL_TFLM_OPS_H

#define HIL_TFLM_OP_COUNT {max(1, len(needs.calls))}
#define HIL_TFLM_VARIABLES {variables(graphs)}
#define HIL_TFLM_ADD_OPS(resolver) \\
  ({calls or "true"})

#endif
"""
    return {OPS_FILE: header, KERNELS_FILE: "".join(f"{stem}\n" for stem in needs.kernels)}


def _header(graph: Graph, name: str, source: str) -> str:
    data = graph.data
    lines = (data[i : i + _BYTES_PER_LINE] for i in range(0, len(data), _BYTES_PER_LINE))
    body = "\n".join("".join(f"{byte}," for byte in line) for line in lines)
    return f"""/* {name}: a .tflite file as it is, for TensorFlow Lite Micro.
 *
 * source   {c_comment(source)}
 * sha256   {graph.sha256}
 * network  {graph.parameters} parameters, {graph.macs} multiply-accumulates
 */
#ifndef HIL_TFLM_{name.upper()}_H
#define HIL_TFLM_{name.upper()}_H

#include <stdint.h>

static const uint8_t {name}_tflite[{len(data)}] __attribute__((aligned(16))) = {{
{body}
}};

#endif
"""


def _functions(name: str, *, stateful: bool) -> str:
    reset = f"""
static void {name}_reset(void *arena) {{ hil_tflm_reset({name}_tflite, arena); }}
"""
    return f"""#include "hil_tflm.h"

static hil_engine_status_t {name}_prepare(const hil_model_t *self, void *arena,
    uint32_t arena_size, uint32_t *needed) {{
  return hil_tflm_prepare(self, {name}_tflite, arena, arena_size, needed);
}}

static hil_engine_status_t {name}_run(const hil_model_t *self, const void *input, void *output,
    void *arena, uint32_t *needed) {{
  (void)arena;
  return hil_tflm_run(self, input, output, needed);
}}
""" + (reset if stateful else "")
