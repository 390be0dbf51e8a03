# SPDX-License-Identifier: Apache-2.0
"""Read an untrusted ``.tflite`` file into a `Graph` in which every index and size is checked."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.schema_py_generated import BuiltinOperator

from hil.core.errors import ModelError
from hil.core.files import did_you_mean
from hil.core.records import DType, Precision, TensorSpec
from hil.tflite.check import check_operator, check_order
from hil.tflite.flatbuffer import Table, corrupt
from hil.tflite.graph import (
    INT4,
    INT8,
    INT16,
    NUMPY_TYPES,
    RECURRENT,
    UINT8,
    WEIGHTED,
    Graph,
    Operator,
    Subgraph,
    Tensor,
    count_macs,
    data_input,
    type_name,
)
from hil.tflite.unroll import unrolled

MAX_BYTES = 64 << 20
MAX_ITEMS = 10_000  # tensors, operators, buffers
MAX_RANK = 6
MAX_ELEMENTS = 1 << 28

_CODES = {v: k for k, v in vars(BuiltinOperator).items() if isinstance(v, int)}

# Slot, struct letter and default of each option, as in TensorFlow's schema.fbs.
_CONV = {
    "padding": (0, "b", 0),
    "stride_w": (1, "i", 0),
    "stride_h": (2, "i", 0),
}
_OPTIONS: dict[str, dict[str, tuple[int, str, int]]] = {
    "CONV_2D": _CONV
    | {
        "activation": (3, "b", 0),
        "dilation_w": (4, "i", 1),
        "dilation_h": (5, "i", 1),
        "bias_type": (6, "b", 0),  # of the sums, if there is no bias; 0: not said
    },
    "DEPTHWISE_CONV_2D": _CONV
    | {
        "multiplier": (3, "i", 0),
        "activation": (4, "b", 0),
        "dilation_w": (5, "i", 1),
        "dilation_h": (6, "i", 1),
    },
    "FULLY_CONNECTED": {
        "activation": (0, "b", 0),
        "weights_format": (1, "b", 0),
        "asymmetric": (3, "b", 0),
        "bias_type": (4, "b", 0),
    },
    "AVERAGE_POOL_2D": _CONV
    | {"filter_w": (3, "i", 0), "filter_h": (4, "i", 0), "activation": (5, "b", 0)},
    "BATCH_MATMUL": {"adj_x": (0, "b", 0), "adj_y": (1, "b", 0)},
    "TRANSPOSE_CONV": _CONV | {"activation": (3, "b", 0)},
    "SOFTMAX": {"beta": (0, "f", 0)},
    "L2_NORMALIZATION": {"activation": (0, "b", 0)},
    "CUMSUM": {"exclusive": (0, "?", 0), "reverse": (1, "?", 0)},
    "LEAKY_RELU": {"alpha": (0, "f", 0)},
    "UNIDIRECTIONAL_SEQUENCE_LSTM": {
        "activation": (0, "b", 0),
        "cell_clip": (1, "f", 0),
        "time_major": (3, "b", 0),
    },
    "SVDF": {"rank": (0, "i", 0), "activation": (1, "b", 0)},
    "VAR_HANDLE": {"variable": (1, "s", 0)},  # the number of its name
    "CALL_ONCE": {"subgraph": (0, "i", 0)},
    "WHILE": {"condition": (0, "i", 0), "body": (1, "i", 0)},
    "GELU": {"approximate": (0, "?", 0)},
    "CONCATENATION": {"axis": (0, "i", 0), "activation": (1, "b", 0)},
    "STRIDED_SLICE": {
        "begin": (0, "i", 0),
        "end": (1, "i", 0),
        "ellipsis": (2, "i", 0),
        "new_axis": (3, "i", 0),
        "shrink": (4, "i", 0),
        "offset": (5, "b", 0),
    },
    **{code: {"count": (0, "i", 0), "axis": (1, "i", 0)} for code in ("PACK", "UNPACK")},
    "GATHER": {"axis": (0, "i", 0), "batch_dims": (1, "i", 0)},
    "ONE_HOT": {"axis": (0, "i", 0)},
    "MIRROR_PAD": {"mode": (0, "b", 0)},
    **{code: {"block": (0, "i", 0)} for code in ("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")},
    "RESIZE_NEAREST_NEIGHBOR": {"align_corners": (0, "b", 0), "half_pixel_centers": (1, "b", 0)},
    "RESIZE_BILINEAR": {"align_corners": (2, "b", 0), "half_pixel_centers": (3, "b", 0)},
}
for _code in ("ADD", "SUB", "MUL", "DIV"):
    _OPTIONS[_code] = {"activation": (0, "b", 0)}
_OPTIONS["MAX_POOL_2D"] = _OPTIONS["AVERAGE_POOL_2D"]


def read_model(source: Path | str | bytes) -> Graph:
    """Read and check a model: a path, or the bytes of the file.

    Raises `ModelError` for anything that is not a complete, consistent model. Operators that are
    unknown here are only named: each engine decides which it supports.
    """
    if isinstance(source, bytes):
        return _parse(source)
    try:
        return _parse(_load(Path(source)), Path(source))
    except ModelError as problem:
        if str(source) in problem.what:
            raise
        raise ModelError(f"{source}: {problem.what}", problem.hint) from None


def _parse(data: bytes, path: Path | None = None) -> Graph:
    if len(data) > MAX_BYTES:
        raise ModelError(f"the model has {len(data)} bytes", f"the limit is {MAX_BYTES}")
    if data[4:8] != b"TFL3":
        raise ModelError(
            "not a .tflite file (its identifier is not TFL3)", "give the path of a .tflite model"
        )
    root = Table.root(data, "model")
    if root.integer(0, "I") != 3:
        raise ModelError("not a version 3 .tflite file", "export it with a current converter")
    buffers = root.tables(4, "buffer", MAX_ITEMS)
    codes = [_opcode(t) for t in root.tables(1, "operator code", MAX_ITEMS)]
    tables = root.tables(2, "subgraph", MAX_ITEMS)
    if not tables:
        raise corrupt("model", "it has no subgraph")
    variables: dict[str, int] = {}
    main, *others = (_subgraph(table, buffers, codes, variables) for table in tables)
    tensors = main.tensors
    for what, found in (("inputs", main.inputs), ("outputs", main.outputs)):
        if not found:
            raise ModelError(f"the model has no {what}", "export it with inputs and outputs")
    for operator in main.operators:
        check_operator(operator, tensors)
    check_order(main)
    open_batch = any(
        -1 in table.numbers(7, "<i4", MAX_ITEMS)
        for i, table in enumerate(tables[0].tables(0, "tensor", MAX_ITEMS))
        if i in main.inputs
    )
    names = _signature(root)
    graph = Graph(
        data=data,
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        precision=_precision(main.operators, tensors, main.inputs[0]),
        inputs=tuple(_spec(tensors[i]) for i in main.inputs),
        outputs=tuple(_spec(tensors[i]) for i in main.outputs),
        names_in=tuple(names.get(("in", i), tensors[i].name) for i in main.inputs),
        names_out=tuple(names.get(("out", i), tensors[i].name) for i in main.outputs),
        input_indices=main.inputs,
        output_indices=main.outputs,
        tensors=tensors,
        operators=main.operators,
        others=tuple(others),
        parameters=sum(_parameters(g.operators, g.tensors) for g in (main, *others)),
        macs=sum(count_macs(operator, tensors) for operator in main.operators),
        open_batch=open_batch,
        variables=tuple(variables),
    )
    return _with_loops(graph) if any(o.code == "WHILE" for o in main.operators) else graph


def _with_loops(graph: Graph) -> Graph:
    """With the multiply-accumulates of all rounds, where their number is known."""
    try:
        whole = unrolled(graph)
    except ModelError:
        return graph
    return replace(graph, macs=sum(count_macs(o, whole.tensors) for o in whole.operators))


def _subgraph(
    table: Table,
    buffers: list[Table],
    codes: list[tuple[str, int]],
    variables: dict[str, int],
) -> Subgraph:
    tensors = tuple(
        _tensor(t, i, buffers) for i, t in enumerate(table.tables(0, "tensor", MAX_ITEMS))
    )
    operators = tuple(
        _operator(t, i, codes, len(tensors), variables)
        for i, t in enumerate(table.tables(3, "operator", MAX_ITEMS))
    )
    inputs, outputs = (
        tuple(int(i) for i in table.numbers(slot, "<i4", MAX_ITEMS)) for slot in (1, 2)
    )
    if any(not 0 <= i < len(tensors) for i in (*inputs, *outputs)):
        raise corrupt("inputs or outputs", "a tensor that does not exist")
    return Subgraph(tensors, operators, inputs, outputs)


def _signature(root: Table) -> dict[tuple[str, int], str]:
    """Names of the first subgraph's inputs and outputs, by ("in" or "out", tensor index)."""
    found: dict[tuple[str, int], str] = {}
    for signature in root.tables(7, "signature", MAX_ITEMS):
        if signature.integer(4, "I"):
            continue
        for slot, side in ((0, "in"), (1, "out")):
            for entry in signature.tables(slot, "name", MAX_ITEMS):
                found.setdefault((side, entry.integer(1, "I")), entry.text(0))
    return found


def _load(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} is larger than {MAX_BYTES} bytes", "give a .tflite model")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror}",
            f"{did_you_mean(path)}give the path of a .tflite model",
        ) from error


def _tensor(table: Table, index: int, buffers: list[Table]) -> Tensor:
    where = table.where
    name = table.text(3)
    shape = tuple(int(n) for n in table.numbers(0, "<i4", MAX_ITEMS))
    if len(shape) > MAX_RANK:
        raise ModelError(f"{where} has {len(shape)} dimensions", f"the limit is {MAX_RANK}")
    # a shape of 0 is legal for a tensor that nothing uses: `_operator` checks those that are used
    if any(n < 0 for n in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise corrupt(where, f"impossible shape {list(shape)}")
    dtype = table.integer(1, "b")
    scales: tuple[float, ...] = ()
    zeros: tuple[int, ...] = ()
    axis = 0
    quantization = table.table(4, where)
    if quantization is not None:
        scales = tuple(float(s) for s in quantization.numbers(2, "<f4", MAX_ITEMS))
        zeros = tuple(int(z) for z in quantization.numbers(3, "<i8", MAX_ITEMS))
        axis = quantization.integer(6, "i")
        _check_quantization(where, scales, zeros)
        zeros = zeros or (0,) * len(scales)
    buffer = table.integer(2, "I")
    if buffer >= len(buffers):
        raise corrupt(where, f"buffer {buffer} does not exist")
    data: npt.NDArray[np.generic] | None = None
    raw = buffers[buffer].numbers(0, "u1")
    if buffers[buffer].integer(1, "Q") > 1 or table.integer(10, "I"):
        raise ModelError(f"{where} is stored outside the model", "export it into one file")
    if raw.size:
        if table.has(6):
            raise ModelError(f"{where} is sparse", "export the model without sparsity")
        if dtype == INT4:
            data = _unpacked(where, raw, shape)
        if dtype in NUMPY_TYPES:  # others are dropped: only unsupported operators use them
            form = np.dtype(NUMPY_TYPES[dtype])
            if raw.size != math.prod(shape) * form.itemsize:
                raise corrupt(where, f"{raw.size} bytes for shape {list(shape)}")
            data = np.frombuffer(raw.tobytes(), form).reshape(shape)
    variable = bool(table.integer(5, "b"))
    return Tensor(index, name, dtype, shape, scales, zeros, axis, data, variable)


def _unpacked(
    where: str, raw: npt.NDArray[np.generic], shape: tuple[int, ...]
) -> npt.NDArray[np.int8]:
    """UnpackDenseInt4IntoInt8: the lower half of a byte is the first value."""
    count = math.prod(shape)
    if raw.size != (count + 1) // 2:
        raise corrupt(where, f"{raw.size} bytes for shape {list(shape)}")
    packed = raw.astype(np.uint8)
    halves = np.stack([packed << 4, packed & 0xF0], axis=1).reshape(-1)[:count]
    return (halves.view(np.int8) >> 4).reshape(shape)


def _check_quantization(where: str, scales: tuple[float, ...], zeros: tuple[int, ...]) -> None:
    # a bias may have a meaningless axis or a scale of 0: those of values are checked later
    if zeros and len(zeros) != len(scales):
        raise corrupt(where, f"{len(scales)} scales but {len(zeros)} zero points")
    if not all(math.isfinite(s) and s >= 0 for s in scales):
        raise corrupt(where, "a scale that is not a positive number")
    if not all(-(2**31) <= z < 2**31 for z in zeros):
        raise corrupt(where, "a zero point beyond 32 bits")


def _opcode(table: Table) -> tuple[str, int]:
    # Codes above 127 are in the newer field; the older one then has a placeholder.
    number = max(table.integer(0, "b"), table.integer(3, "i"))
    name = _CODES.get(number, f"builtin {number}")
    if name == "CUSTOM":
        name = f"CUSTOM:{table.text(1)[:64]}"
    return name, table.integer(2, "i", 1)


def _operator(
    table: Table,
    index: int,
    codes: list[tuple[str, int]],
    count: int,
    variables: dict[str, int],
) -> Operator:
    where = table.where
    opcode = table.integer(0, "I")
    if opcode >= len(codes):
        raise corrupt(where, f"operator code {opcode} does not exist")
    inputs = tuple(int(i) for i in table.numbers(1, "<i4", MAX_ITEMS))
    outputs = tuple(int(i) for i in table.numbers(2, "<i4", MAX_ITEMS))
    if any(not -1 <= i < count for i in inputs) or any(not 0 <= i < count for i in outputs):
        raise corrupt(where, "a tensor that does not exist")
    code, version = codes[opcode]
    fields = _OPTIONS.get(code, {})
    options: dict[str, int | float] = {}
    stored = table.table(4, where)
    for key, (slot, form, default) in fields.items():
        if form == "s":
            name = stored.text(slot) if stored else ""
            options[key] = variables.setdefault(name, len(variables))
        elif stored is None:
            options[key] = default
        else:
            options[key] = stored.real(slot) if form == "f" else stored.integer(slot, form, default)
    return Operator(
        index, code, version, inputs, outputs, options
    )  # no proxy: graphs travel between processes


_CODES_OF = {DType.INT8: (-128, 127), DType.UINT8: (0, 255), DType.INT16: (-32768, 32767)}


def _spec(tensor: Tensor) -> TensorSpec:
    if tensor.dtype not in set(DType):
        raise ModelError(
            f"input or output {tensor.name!r} is {type_name(tensor.dtype)}",
            f"these are supported: {', '.join(t.name.lower() for t in DType)}",
        )
    if not tensor.elements:
        raise ModelError(f"input or output {tensor.name!r} is empty", "export with fixed shapes")
    dtype, shape = DType(tensor.dtype), tensor.shape or (1,)
    if not dtype.quantised or (dtype is DType.INT16 and not tensor.scales):
        return TensorSpec(dtype, shape)
    low, high = _CODES_OF[dtype]
    if len(tensor.scales) != 1 or not tensor.scale or not low <= tensor.zero_point <= high:
        raise ModelError(
            f"input or output {tensor.name!r} is {dtype.name.lower()} without a valid scale",
            "export with full integer quantisation",
        )
    return TensorSpec(dtype, shape, tensor.scale, tensor.zero_point)


def _precision(
    operators: tuple[Operator, ...], tensors: tuple[Tensor, ...], input_index: int
) -> Precision:
    """The type in which the weighted operators compute; without any, that of the input."""
    deciding = [tensors[data_input(op)] for op in operators if op.code in WEIGHTED]
    first = deciding[0] if deciding else tensors[input_index]
    if first.dtype == INT16:
        return Precision.INT16
    return Precision.INT8 if first.dtype in (INT8, UINT8) else Precision.FLOAT32


def _parameters(operators: tuple[Operator, ...], tensors: tuple[Tensor, ...]) -> int:
    # weights in float16 pass a DEQUANTIZE
    stored = {op.outputs[0]: op.inputs[0] for op in operators if op.code == "DEQUANTIZE"}
    codes = (*WEIGHTED, *RECURRENT)
    used = {stored.get(i, i) for op in operators if op.code in codes for i in op.inputs[1:]}
    return sum(tensors[i].elements for i in used if i >= 0 and tensors[i].data is not None)
