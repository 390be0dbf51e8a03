"""A checked graph to steps: refuse what is unknown, fuse what is exact to fuse."""

from __future__ import annotations

from dataclasses import replace

from hil.engines.aot import activation
from hil.engines.aot.gather import choose_gathered
from hil.engines.aot.quant import softmax_table
from hil.engines.aot.resolve import resolve_weights
from hil.engines.aot.steps import Conv, Map, Pool, Pooling, Softmax, Step
from hil.errors import ModelError
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.geometry import POOLS, WEIGHTED, refuse, window_axes
from hil.tflite.graph import FLOAT32, INT8

SUPPORTED = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "MAX_POOL_2D",
    "AVERAGE_POOL_2D",
    "RELU",
    "RELU6",
    "LEAKY_RELU",
    "RESHAPE",
    "SOFTMAX",
    "QUANTIZE",
    "DEQUANTIZE",
)
MAX_ELEMENTS = 1 << 22  # of an activation: more than any microcontroller holds
_DYNAMIC = ("SHAPE", "STRIDED_SLICE", "PACK")


def plan(graph: Graph) -> tuple[Step, ...]:
    """The steps from the model's input to its output; none when it only reshapes.

    Raises `ModelError` that names the first operator, type or structure aot cannot run exactly.
    """
    return tuple(step for step, _ in plan_with_operators(graph))


def plan_with_operators(graph: Graph) -> tuple[tuple[Step, tuple[Operator, ...]], ...]:
    """The same, each step with the operators that it carries out; its output is the last one's."""
    _check_chain(graph)
    steps: list[tuple[Step, tuple[Operator, ...]]] = []
    for operator in graph.operators:
        if operator.code == "RESHAPE":
            continue
        step = _step(operator, graph)
        merged = _merge(steps[-1][0], step) if steps else None
        if merged is None:
            steps.append((step, (operator,)))
        else:
            steps[-1] = (merged, (*steps[-1][1], operator))
    chosen = choose_gathered([step for step, _ in steps])
    return tuple((step, operators) for step, (_, operators) in zip(chosen, steps, strict=True))


def _check_chain(graph: Graph) -> None:
    """Every operator takes the result of the one before, and constants."""
    current = graph.input_index
    for operator in graph.operators:
        if operator.code not in SUPPORTED:
            hint = f"aot knows {', '.join(SUPPORTED)}"
            if operator.code in _DYNAMIC:
                hint = "export with a fixed batch: keras.Input(batch_shape=(1, ...))"
            raise refuse(operator, "not supported by engine aot", hint)
        data = operator.inputs[0]
        others = [graph.tensors[i] for i in operator.inputs[1:] if i >= 0]
        if data != current or any(t.data is None for t in others):
            raise refuse(
                operator,
                "it does not follow the operator before it",
                "aot runs chains of operators, without branches or stored float16 weights",
            )
        for tensor in (graph.tensors[data], graph.tensors[operator.outputs[0]]):
            _check_type(operator, tensor)
        current = operator.outputs[0]
    if current != graph.output_index:
        raise ModelError(
            "the output is not the last operator's result", "aot runs chains of operators"
        )


def _check_type(operator: Operator, tensor: Tensor) -> None:
    if tensor.dtype not in (FLOAT32, INT8):
        raise refuse(operator, f"TensorType {tensor.dtype}", "aot computes in float32 and int8")
    if tensor.elements > MAX_ELEMENTS:
        shape = list(tensor.shape)
        raise refuse(operator, f"a tensor of shape {shape}", f"{MAX_ELEMENTS} values are the limit")
    if tensor.data is not None:
        raise refuse(operator, "it works on a constant", "export the model again")
    if tensor.dtype == INT8 and (len(tensor.scales) != 1 or not -128 <= tensor.zero_point <= 127):
        raise refuse(operator, "an int8 tensor without one valid scale", "export the model again")


def _step(operator: Operator, graph: Graph) -> Step:
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    real = x.dtype == FLOAT32
    name = f"{operator.code.lower()}_{operator.index}"
    note = f"{operator.code} {_shape(x)} -> {_shape(y)}"
    if operator.code == "QUANTIZE" and real:
        if y.dtype != INT8:
            raise refuse(operator, "its output is not int8", "aot quantises float32 to int8")
        return Map(name, note, "quantize", real, x.elements, scale=y.scale, zero=y.zero_point)
    if operator.code == "DEQUANTIZE":
        if real or y.dtype != FLOAT32:
            raise refuse(operator, "it does not turn int8 into float32", "export the model again")
        return Map(name, note, "dequantize", real, x.elements, scale=x.scale, zero=x.zero_point)
    if x.dtype != y.dtype:
        raise refuse(operator, "its input and output differ in type", "export the model again")
    if operator.code in WEIGHTED:
        return resolve_weights(operator, graph.tensors, name, note)
    if operator.code in POOLS:
        return _pooling(operator, graph, name, note, real)
    if operator.code == "SOFTMAX":
        return _softmax(operator, x, y, name, note)
    does = activation.standalone(operator, x, y, real)
    return Map(name, note, "activation", real, x.elements, does)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _pooling(operator: Operator, graph: Graph, name: str, note: str, real: bool) -> Pooling:
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    if x.shape[0] != 1:
        raise refuse(operator, f"a batch of {x.shape[0]}", "export with a batch of 1")
    rows, columns = window_axes(operator, graph.tensors)
    for axis in (rows, columns):
        last = (axis.count - 1) * axis.stride - axis.before
        if axis.before >= axis.window or last >= axis.size:
            raise refuse(operator, "a window that lies in the padding", "export the model again")
    post = activation.fused(operator, y, real)
    pool = Pool(operator.code == "AVERAGE_POOL_2D", rows, columns)
    return Pooling(name, note, real, pool, x.shape[3], post)


def _softmax(operator: Operator, x: Tensor, y: Tensor, name: str, note: str) -> Softmax:
    depth = x.shape[-1] if x.shape else 1
    beta = float(operator.options["beta"])
    rows = x.elements // depth
    if x.dtype == FLOAT32:
        return Softmax(name, note, True, rows, depth, beta)
    if (y.scale, y.zero_point) != (1 / 256, -128):
        raise refuse(operator, "its output scale is not 1/256", "export the model again")
    if depth > 511:
        raise refuse(operator, f"{depth} classes", "511 is what TFLM's int8 sums can hold")
    return Softmax(name, note, False, rows, depth, beta, tuple(softmax_table(x.scale, beta)))


def _merge(before: Step, step: Step) -> Step | None:
    """Both steps as one, or None when that would not be exact or would compute twice."""
    if isinstance(step, Map) and step.kind == "activation":
        does = step.activation
        if isinstance(before, Conv) and before.pool is None:
            return _noted(replace(before, pre=before.pre.then(does)), step)
        if isinstance(before, Conv | Pooling):
            return _noted(replace(before, post=before.post.then(does)), step)
        if isinstance(before, Map) and before.kind == "activation":
            return replace(
                before,
                note=f"{before.note}, {step.note}",
                activation=before.activation.then(does),
            )
    if isinstance(step, Pooling) and isinstance(before, Conv) and _fusable(before, step.pool):
        merged = replace(before, pool=step.pool, post=step.post)
        return _noted(merged, step)
    return None


def _noted(merged: Conv | Pooling, step: Step) -> Conv | Pooling:
    return replace(merged, note=f"{merged.note}, {step.note}")


def _fusable(conv: Conv, pool: Pool) -> bool:
    """Whole windows that do not overlap: each sum is computed once, or not at all."""
    # a dense layer over many points lays them out in one row, whatever its output's shape
    sizes = (pool.rows.size, pool.columns.size)
    if conv.pool is not None or sizes != (conv.rows.count, conv.columns.count):
        return False
    return all(
        axis.before == 0
        and axis.stride >= axis.window
        and (axis.count - 1) * axis.stride + axis.window <= axis.size
        for axis in (pool.rows, pool.columns)
    )
