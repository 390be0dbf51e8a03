"""What every layer of a network should make of one sample, by the host's interpreters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.errors import ModelError, ToolMissing
from hil.records import Precision
from hil.reference.interpreters import arena_bytes, read
from hil.tflite import Graph


def layer_tensors(
    path: Path, x: npt.NDArray[np.generic], tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    """The values of ``tensors`` (indices in the graph) after ``x``, (1, *input shape), went in.

    By TFLM for an int8 network, whose bytes are what a device must make; by LiteRT's reference
    kernels for float32. Raises `ToolMissing` without TFLM's package, `ModelError` when the
    interpreter cannot run the model.
    """
    data, graph = read(path)
    if graph.precision is Precision.INT8:
        return _tflm(data, graph, x[0], tensors)
    return _litert(data, x[0], tensors)


def _tflm(
    data: bytes, graph: Graph, x: npt.NDArray[np.generic], tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    try:
        from tflite_micro import runtime
    except ImportError as error:
        raise ToolMissing(
            "the byte oracle (PyPI tflite-micro) is not installed",
            "its wheels exist for Linux on x86-64 only",
        ) from error
    try:
        interpreter = runtime.Interpreter.from_bytes(
            data,
            arena_size=arena_bytes(graph),
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
        )
        interpreter.set_input(x, 0)
        interpreter.invoke()
        found = [interpreter.GetTensor(index, 0)["tensor_data"] for index in tensors]
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"TFLM cannot show its layers: {error}") from error
    return tuple(
        _shaped(graph, index, values) for index, values in zip(tensors, found, strict=True)
    )


def _shaped(graph: Graph, index: int, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return np.asarray(values).reshape(graph.tensors[index].shape)


def _litert(
    data: bytes, x: npt.NDArray[np.generic], tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=data,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        return tuple(np.array(interpreter.get_tensor(index)) for index in tensors)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT cannot show its layers: {error}") from error
