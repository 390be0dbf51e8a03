# SPDX-License-Identifier: Apache-2.0
"""Engine ``tflm``: TensorFlow Lite Micro runs the ``.tflite`` file itself."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hil.core.errors import ModelError, ToolMissing
from hil.core.records import ModelInfo
from hil.core.text import c_comment
from hil.engines.image import CompiledModel, ConstantArray
from hil.tflite import Graph
from hil.tflite.graph import INT8, Operator, Tensor

# TFLite's name -> (method Add... of MicroMutableOpResolver, stem of its files in micro/kernels)
OPERATORS: Final = {
    "ADD": ("Add", "add"),
    "AVERAGE_POOL_2D": ("AveragePool2D", "pooling"),
    "CONCATENATION": ("Concatenation", "concatenation"),
    "CONV_2D": ("Conv2D", "conv"),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2D", "depthwise_conv"),
    "DEQUANTIZE": ("Dequantize", "dequantize"),
    "EXPAND_DIMS": ("ExpandDims", "expand_dims"),
    "FULLY_CONNECTED": ("FullyConnected", "fully_connected"),
    "HARD_SWISH": ("HardSwish", "hard_swish"),
    "LEAKY_RELU": ("LeakyRelu", "leaky_relu"),
    "LOGISTIC": ("Logistic", "logistic"),
    "MAX_POOL_2D": ("MaxPool2D", "pooling"),
    "MEAN": ("Mean", "reduce"),
    "MUL": ("Mul", "mul"),
    "PACK": ("Pack", "pack"),
    "PAD": ("Pad", "pad"),
    "PADV2": ("PadV2", "pad"),
    "QUANTIZE": ("Quantize", "quantize"),
    "RELU": ("Relu", "activations"),
    "RELU6": ("Relu6", "activations"),
    "RESHAPE": ("Reshape", "reshape"),
    "SHAPE": ("Shape", "shape"),
    "SOFTMAX": ("Softmax", "softmax"),
    "SQUEEZE": ("Squeeze", "squeeze"),
    "STRIDED_SLICE": ("StridedSlice", "strided_slice"),
    "SUB": ("Sub", "sub"),
    "TANH": ("Tanh", "tanh"),
    "TRANSPOSE": ("Transpose", "transpose"),
}
# operators with a smaller registration, Register_..._INT8, for CMSIS-NN's kernels
_INT8_ONLY: Final = frozenset(
    (
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "MAX_POOL_2D",
        "SOFTMAX",
    )
)


@dataclass(frozen=True, slots=True)
class Registrations:
    """The parts of TFLM that one image needs: resolver calls and kernel stems, sorted, unique."""

    calls: tuple[str, ...]  # e.g. AddConv2D(tflite::Register_CONV_2D_INT8())
    kernels: tuple[str, ...]  # e.g. conv


def check(graph: Graph) -> None:
    """Raise `ModelError` for an operator that this engine does not register."""
    for operator in graph.operators:
        if operator.code not in OPERATORS:
            raise ModelError(
                f"{operator}: the engine tflm does not support it",
                f"supported: {', '.join(OPERATORS)}",
            )


def registrations(graphs: Sequence[Graph]) -> Registrations:
    """Only the operators of ``graphs``, int8-only where every use of one is int8."""
    uses: dict[str, bool] = {}
    for graph in graphs:
        for operator in graph.operators:
            narrow = operator.code in _INT8_ONLY and _is_int8(operator, graph.tensors)
            uses[operator.code] = uses.get(operator.code, True) and narrow
    calls, kernels = [], set()
    for code, narrow in sorted(uses.items()):
        method, stem = OPERATORS[code]
        calls.append(f"Add{method}({f'tflite::Register_{code}_INT8()' if narrow else ''})")
        kernels.add(stem)
    return Registrations(tuple(calls), tuple(sorted(kernels)))


def _is_int8(operator: Operator, tensors: Sequence[Tensor]) -> bool:
    """Whether input, weights and output are int8 (biases are always int32)."""
    return all(t.dtype == INT8 for t in _seen(operator, tensors))


def _seen(operator: Operator, tensors: Sequence[Tensor]) -> Iterable[Tensor]:
    return (tensors[i] for i in (*operator.inputs[:2], *operator.outputs) if i >= 0)


ALIGNMENT = 16  # TFLM aligns every buffer to it
_SMALLEST, _LARGEST = 4096, 64 << 20  # bytes of arena
_TIME_LIMIT_S = 100
_PROBE: Final = """
import sys
from hil.engines.tflm import smallest_arena
sys.stdout.write(f"{smallest_arena(sys.stdin.buffer.read()) or ''}")
"""


def reserve(graph: Graph) -> int:
    """Bytes of arena that an image reserves for ``graph``, before anything runs on the device.

    The device measures its real need (firmware/lib/hil_tflm) and reports that in HELLO; the reserve
    must never be smaller. So the reserve is what TFLM takes on this 64-bit host, where a pointer is
    twice as wide, plus the scratch buffers of CMSIS-NN's kernels. Raises `ToolMissing` without
    the package tflite-micro, `ModelError` when TFLM refuses the model.
    """
    try:
        return measure(graph.data) + scratch(graph)
    except ModelError as problem:
        raise ModelError(f"{graph.where}: {problem.what}", problem.hint) from None


def measure(model: bytes) -> int:
    """The smallest arena, in bytes, in which TFLM on this host allocates the model.

    Runs in a process of its own, because TFLM writes to standard error and may abort. Raises as
    `reserve` does.
    """
    if importlib.util.find_spec("tflite_micro") is None:
        raise ToolMissing(
            "the engine tflm sizes its arena with tflite-micro, which is not installed",
            "pip install tflite-micro (Linux on x86-64 only), or build on such a machine",
        )
    done = subprocess.run(
        [sys.executable, "-c", _PROBE],
        input=model,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_TIME_LIMIT_S,
        check=False,
    )
    if done.returncode or not done.stdout.strip().isdigit():
        raise ModelError(
            "TensorFlow Lite Micro cannot allocate the model",
            "use the engine aot, or fix the model",
        )
    return int(done.stdout)


def _allocates(model: bytes, size: int) -> bool:
    """Whether TFLM can place every tensor of ``model`` in ``size`` bytes."""
    from tflite_micro import runtime  # Linux x86-64 only

    try:
        runtime.Interpreter.from_bytes(model, arena_size=size)
    except RuntimeError:
        return False
    return True


def smallest_arena(model: bytes) -> int:
    """`measure` within this process, by bisection; 0 when no arena is large enough."""
    size = _SMALLEST
    while not _allocates(model, size):
        size *= 2
        if size > _LARGEST:
            return 0
    low, high = size // 2 // ALIGNMENT, size // ALIGNMENT
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _allocates(model, middle * ALIGNMENT) else (middle, high)
    return high * ALIGNMENT


def scratch(graph: Graph) -> int:
    """Bytes of the largest scratch buffer that CMSIS-NN needs (arm_*_get_buffer_size)."""
    most = 0
    for operator in graph.operators:
        x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
        if x.dtype != INT8:
            continue
        if operator.code in ("CONV_2D", "DEPTHWISE_CONV_2D"):  # columns: four of int8, two of int16
            _, height, width, _ = graph.tensors[operator.inputs[1]].shape
            wanted = height * width * x.shape[3]
        elif operator.code in ("AVERAGE_POOL_2D", "FULLY_CONNECTED"):  # sums of int32
            wanted = y.shape[-1]
        else:
            continue
        most = max(most, 4 * math.ceil(wanted / ALIGNMENT) * ALIGNMENT)
    return most


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
    info = ModelInfo(name, "tflm", graph.sha256, graph.input, graph.output, reserve(graph), size)
    return CompiledModel(
        info,
        _header(graph, name, source),
        _functions(name),
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


def _functions(name: str) -> str:
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
"""
