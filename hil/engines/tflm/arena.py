"""How much arena an image reserves for a model, before anything runs on the device.

The device measures what it takes itself (firmware/lib/hil_tflm) and says so in HELLO; what is
reserved must only never be less. So: what TFLM takes on this 64-bit host, where every pointer is
twice as wide, and the scratch that CMSIS-NN's kernels want on top.
"""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from pathlib import Path

from hil.errors import ModelError, ToolMissing
from hil.tflite import Graph
from hil.tflite.graph import INT8

ALIGNMENT = 16  # TFLM's own, of every buffer
_TIME_LIMIT_S = 100


def reserve(graph: Graph, path: Path) -> int:
    """Bytes of arena that certainly do for ``graph``, which is the file ``path``.

    Raises `ToolMissing` without the wheel tflite-micro, `ModelError` when TFLM refuses the model.
    """
    return measure(path) + scratch(graph)


def measure(path: Path) -> int:
    """The smallest arena, in bytes, in which TFLM on this host allocates the model.

    In a process of its own: TFLM writes to standard error, and may abort. Raises as `reserve`.
    """
    if importlib.util.find_spec("tflite_micro") is None:
        raise ToolMissing(
            "the engine tflm sizes its arena with tflite-micro, which is not installed",
            "pip install tflite-micro (Linux x86-64 only), or generate on such a machine",
        )
    words = [sys.executable, "-m", "hil.engines.tflm.probe", str(path)]
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=_TIME_LIMIT_S,
        check=False,
    )
    if done.returncode or not done.stdout.strip().isdigit():
        raise ModelError(
            f"{path}: TensorFlow Lite Micro cannot allocate it", "use the engine aot, or fix it"
        )
    return int(done.stdout)


def scratch(graph: Graph) -> int:
    """Bytes of the largest scratch buffer that CMSIS-NN asks for (arm_*_get_buffer_size)."""
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
