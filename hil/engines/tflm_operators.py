# SPDX-License-Identifier: Apache-2.0
"""The operators of TensorFlow Lite Micro: how to register each one, and the file of its kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hil.tflite import Graph
from hil.tflite.graph import INT8, Operator, Tensor

# TFLite's name -> (method Add... of MicroMutableOpResolver, file of its kernel without suffix, in
# tensorflow/lite/micro/kernels or signal/micro/kernels). From micro_mutable_op_resolver.h of
# tflite-micro 90b983c, without EthosU; python_ops_resolver.cc of the package tflite-micro
# registers the same.
OPERATORS: Final = {
    "ABS": ("Abs", "elementwise"),
    "ADD": ("Add", "add"),
    "ADD_N": ("AddN", "add_n"),
    "ARG_MAX": ("ArgMax", "arg_min_max"),
    "ARG_MIN": ("ArgMin", "arg_min_max"),
    "ASSIGN_VARIABLE": ("AssignVariable", "assign_variable"),
    "AVERAGE_POOL_2D": ("AveragePool2D", "pooling"),
    "BATCH_MATMUL": ("BatchMatMul", "batch_matmul"),
    "BATCH_TO_SPACE_ND": ("BatchToSpaceNd", "batch_to_space_nd"),
    "BROADCAST_ARGS": ("BroadcastArgs", "broadcast_args"),
    "BROADCAST_TO": ("BroadcastTo", "broadcast_to"),
    "CALL_ONCE": ("CallOnce", "call_once"),
    "CAST": ("Cast", "cast"),
    "CEIL": ("Ceil", "ceil"),
    "CONCATENATION": ("Concatenation", "concatenation"),
    "CONV_2D": ("Conv2D", "conv"),
    "COS": ("Cos", "elementwise"),
    "CUMSUM": ("CumSum", "cumsum"),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2D", "depthwise_conv"),
    "DEPTH_TO_SPACE": ("DepthToSpace", "depth_to_space"),
    "DEQUANTIZE": ("Dequantize", "dequantize"),
    "DIV": ("Div", "div"),
    "DYNAMIC_UPDATE_SLICE": ("DynamicUpdateSlice", "dynamic_update_slice"),
    "ELU": ("Elu", "elu"),
    "EMBEDDING_LOOKUP": ("EmbeddingLookup", "embedding_lookup"),
    "EQUAL": ("Equal", "comparisons"),
    "EXP": ("Exp", "exp"),
    "EXPAND_DIMS": ("ExpandDims", "expand_dims"),
    "FILL": ("Fill", "fill"),
    "FLOOR": ("Floor", "floor"),
    "FLOOR_DIV": ("FloorDiv", "floor_div"),
    "FLOOR_MOD": ("FloorMod", "floor_mod"),
    "FULLY_CONNECTED": ("FullyConnected", "fully_connected"),
    "GATHER": ("Gather", "gather"),
    "GATHER_ND": ("GatherNd", "gather_nd"),
    "GREATER": ("Greater", "comparisons"),
    "GREATER_EQUAL": ("GreaterEqual", "comparisons"),
    "HARD_SWISH": ("HardSwish", "hard_swish"),
    "IF": ("If", "if"),
    "L2_NORMALIZATION": ("L2Normalization", "l2norm"),
    "L2_POOL_2D": ("L2Pool2D", "l2_pool_2d"),
    "LEAKY_RELU": ("LeakyRelu", "leaky_relu"),
    "LESS": ("Less", "comparisons"),
    "LESS_EQUAL": ("LessEqual", "comparisons"),
    "LOG": ("Log", "elementwise"),
    "LOGICAL_AND": ("LogicalAnd", "logical"),
    "LOGICAL_NOT": ("LogicalNot", "elementwise"),
    "LOGICAL_OR": ("LogicalOr", "logical"),
    "LOGISTIC": ("Logistic", "logistic"),
    "LOG_SOFTMAX": ("LogSoftmax", "log_softmax"),
    "MAXIMUM": ("Maximum", "maximum_minimum"),
    "MAX_POOL_2D": ("MaxPool2D", "pooling"),
    "MEAN": ("Mean", "reduce"),
    "MINIMUM": ("Minimum", "maximum_minimum"),
    "MIRROR_PAD": ("MirrorPad", "mirror_pad"),
    "MUL": ("Mul", "mul"),
    "NEG": ("Neg", "neg"),
    "NOT_EQUAL": ("NotEqual", "comparisons"),
    "PACK": ("Pack", "pack"),
    "PAD": ("Pad", "pad"),
    "PADV2": ("PadV2", "pad"),
    "PRELU": ("Prelu", "prelu"),
    "QUANTIZE": ("Quantize", "quantize"),
    "READ_VARIABLE": ("ReadVariable", "read_variable"),
    "REDUCE_ALL": ("ReduceAll", "reduce"),
    "REDUCE_MAX": ("ReduceMax", "reduce"),
    "REDUCE_MIN": ("ReduceMin", "reduce"),
    "RELU": ("Relu", "activations"),
    "RELU6": ("Relu6", "activations"),
    "RESHAPE": ("Reshape", "reshape"),
    "RESIZE_BILINEAR": ("ResizeBilinear", "resize_bilinear"),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighbor", "resize_nearest_neighbor"),
    "REVERSE_V2": ("ReverseV2", "reverse"),
    "ROUND": ("Round", "round"),
    "RSQRT": ("Rsqrt", "elementwise"),
    "SELECT_V2": ("SelectV2", "select"),
    "SHAPE": ("Shape", "shape"),
    "SIN": ("Sin", "elementwise"),
    "SLICE": ("Slice", "slice"),
    "SOFTMAX": ("Softmax", "softmax"),
    "SPACE_TO_BATCH_ND": ("SpaceToBatchNd", "space_to_batch_nd"),
    "SPACE_TO_DEPTH": ("SpaceToDepth", "space_to_depth"),
    "SPLIT": ("Split", "split"),
    "SPLIT_V": ("SplitV", "split_v"),
    "SQRT": ("Sqrt", "elementwise"),
    "SQUARE": ("Square", "elementwise"),
    "SQUARED_DIFFERENCE": ("SquaredDifference", "squared_difference"),
    "SQUEEZE": ("Squeeze", "squeeze"),
    "STRIDED_SLICE": ("StridedSlice", "strided_slice"),
    "SUB": ("Sub", "sub"),
    "SUM": ("Sum", "reduce"),
    "SVDF": ("Svdf", "svdf"),
    "TANH": ("Tanh", "tanh"),
    "TRANSPOSE": ("Transpose", "transpose"),
    "TRANSPOSE_CONV": ("TransposeConv", "transpose_conv"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("UnidirectionalSequenceLSTM", "unidirectional_sequence_lstm"),
    "UNPACK": ("Unpack", "unpack"),
    "VAR_HANDLE": ("VarHandle", "var_handle"),
    "WHILE": ("While", "while"),
    "ZEROS_LIKE": ("ZerosLike", "zeros_like"),
    "CUSTOM:CIRCULAR_BUFFER": ("CircularBuffer", "circular_buffer"),
    "CUSTOM:SignalDelay": ("Delay", "signal/delay"),
    "CUSTOM:SignalEnergy": ("Energy", "signal/energy"),
    "CUSTOM:SignalFftAutoScale": ("FftAutoScale", "signal/fft_auto_scale_kernel"),
    "CUSTOM:SignalFilterBank": ("FilterBank", "signal/filter_bank"),
    "CUSTOM:SignalFilterBankLog": ("FilterBankLog", "signal/filter_bank_log"),
    "CUSTOM:SignalFilterBankSpectralSubtraction": (
        "FilterBankSpectralSubtraction",
        "signal/filter_bank_spectral_subtraction",
    ),
    "CUSTOM:SignalFilterBankSquareRoot": ("FilterBankSquareRoot", "signal/filter_bank_square_root"),
    "CUSTOM:SignalFramer": ("Framer", "signal/framer"),
    "CUSTOM:SignalIrfft": ("Irfft", "signal/irfft"),
    "CUSTOM:SignalOverlapAdd": ("OverlapAdd", "signal/overlap_add"),
    "CUSTOM:SignalPCAN": ("PCAN", "signal/pcan"),
    "CUSTOM:SignalRfft": ("Rfft", "signal/rfft"),
    "CUSTOM:SignalStacker": ("Stacker", "signal/stacker"),
    "CUSTOM:SignalWindow": ("Window", "signal/window"),
    "CUSTOM:TFLM_DECODE": ("Decode", "decode"),
    "CUSTOM:TFLite_Detection_PostProcess": ("DetectionPostprocess", "detection_postprocess"),
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
    """The parts of TFLM that one image needs: resolver calls and kernel files, sorted, unique."""

    calls: tuple[str, ...]  # e.g. AddConv2D(tflite::Register_CONV_2D_INT8())
    kernels: tuple[str, ...]  # e.g. conv


def registrations(graphs: Sequence[Graph]) -> Registrations:
    """Only the operators of ``graphs``, int8-only where every use of one is int8."""
    uses: dict[str, bool] = {}
    for graph in graphs:
        for operators, tensors in _parts(graph):
            for operator in operators:
                narrow = operator.code in _INT8_ONLY and _is_int8(operator, tensors)
                uses[operator.code] = uses.get(operator.code, True) and narrow
    calls, kernels = [], set()
    for code, narrow in sorted(uses.items()):
        method, stem = OPERATORS[code]
        calls.append(f"Add{method}({f'tflite::Register_{code}_INT8()' if narrow else ''})")
        kernels.add(stem)
    return Registrations(tuple(calls), tuple(sorted(kernels)))


def variables(graphs: Sequence[Graph]) -> int:
    """At least the number of resource variables of any of ``graphs``."""
    handles = (
        sum(operator.code == "VAR_HANDLE" for operator in operators)
        for graph in graphs
        for operators, _ in _parts(graph)
    )
    return max(handles, default=0)


def missing(graph: Graph) -> tuple[str, ...]:
    """The operators of ``graph`` that TFLM does not have, each once, in order."""
    codes = (operator.code for operators, _ in _parts(graph) for operator in operators)
    return tuple(code for code in dict.fromkeys(codes) if code not in OPERATORS)


def _parts(graph: Graph) -> Iterator[tuple[Sequence[Operator], Sequence[Tensor]]]:
    """Operators and tensors of every subgraph."""
    yield graph.operators, graph.tensors
    for part in graph.others:
        yield part.operators, part.tensors


def _is_int8(operator: Operator, tensors: Sequence[Tensor]) -> bool:
    """Whether input, weights and output are int8 (biases are always int32)."""
    return all(t.dtype == INT8 for t in _seen(operator, tensors))


def _seen(operator: Operator, tensors: Sequence[Tensor]) -> Iterable[Tensor]:
    return (tensors[i] for i in (*operator.inputs[:2], *operator.outputs) if i >= 0)
