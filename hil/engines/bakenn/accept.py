"""A ``.tflite`` file as TensorFlow writes it, made into one that bakenn 1.0 takes.

It insists on two things that TensorFlow 2.21 leaves out and that change no value: the options of a
RESHAPE, which repeat its output's shape, and tensors without a signature of dynamic sizes.
"""

from __future__ import annotations

import struct

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from hil.errors import ModelError
from hil.records import Precision
from hil.tflite import Graph

_DYNAMIC = ("SHAPE", "STRIDED_SLICE", "PACK")  # what a batch size that was left open turns into

# of flatbuffers' accessors, which follow whatever offset is there
_DAMAGED = (
    struct.error,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
    UnicodeError,
)


def check(graph: Graph) -> None:
    """Raise `ModelError` for what no patch can help: float32, and a batch that is left open."""
    if graph.precision is not Precision.INT8:
        raise ModelError(
            f"a {graph.precision} model: the engine bakenn computes in int8 only",
            "bench its int8 twin, or use the engine aot",
        )
    if found := next((one for one in graph.operators if one.code in _DYNAMIC), None):
        raise ModelError(
            f"{found}: the engine bakenn takes no sizes that are computed as it runs",
            "export it with a fixed batch, keras.Input(batch_shape=(1, ...)), or use aot",
        )


def acceptable(data: bytes) -> bytes:
    """The same model for bakenn; ``data`` is a file that `hil.tflite.read_model` took.

    ModelError where what that does not look at (signatures, metadata) is damaged.
    """
    try:
        return _rewritten(data)
    except (*_DAMAGED, flatbuffers.builder.BuilderSizeError) as problem:
        raise ModelError(
            f"the model's metadata are damaged ({type(problem).__name__}: {problem})",
            "export the model again",
        ) from None


def _rewritten(data: bytes) -> bytes:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            if code == schema.BuiltinOperator.RESHAPE and operator.builtinOptions is None:
                options = schema.ReshapeOptionsT()
                options.newShape = [int(n) for n in graph.tensors[operator.outputs[0]].shape]
                operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
                operator.builtinOptions = options
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
