"""Weights, biases and multipliers of a weighted operator, folded and bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hil.engines.aot import activation, quant
from hil.engines.aot.steps import Conv, Requantization
from hil.tflite import Operator, Tensor
from hil.tflite.geometry import Axis, refuse, window_axes
from hil.tflite.graph import FLOAT32, INT8, INT32


def resolve_weights(operator: Operator, tensors: Sequence[Tensor], name: str, note: str) -> Conv:
    """A CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED with all its constants resolved.

    Raises `ModelError` for dilation, groups, batches, other types, and int8 sums that might
    leave 32 bits (where no reference defines the result).
    """
    x, w, y = (tensors[i] for i in (*operator.inputs[:2], operator.outputs[0]))
    real = x.dtype == FLOAT32
    if w.dtype != (FLOAT32 if real else INT8):
        raise refuse(
            operator,
            f"weights of TensorType {w.dtype} for {'float32' if real else 'int8'} values",
            "export in float32 or with full int8 quantisation",
        )
    assert w.data is not None  # the chain was checked
    depthwise = operator.code == "DEPTHWISE_CONV_2D"
    cout = y.shape[-1]
    if operator.code == "FULLY_CONNECTED":
        if operator.options["weights_format"] != 0:
            raise refuse(operator, "shuffled weights", "export the model again")
        cin = w.shape[1]
        rows, columns = Axis(1, 1, 1, 0, 1), _points(x.elements // cin)
        weights = w.data.reshape(cout, 1, 1, cin)
    else:
        _check_convolution(operator, x, w)
        cin = x.shape[3]
        rows, columns = window_axes(operator, tensors)
        weights = w.data[0].transpose(2, 0, 1) if depthwise else w.data
    if real and not np.isfinite(weights).all():
        raise refuse(operator, "a weight that is not a finite number", "train the model again")
    bias = _bias(operator, tensors, cout, FLOAT32 if real else INT32)
    return Conv(
        name=name,
        note=note,
        rows=rows,
        columns=columns,
        cin=cin,
        cout=cout,
        depthwise=depthwise,
        weights=np.ascontiguousarray(weights),
        bias=bias.astype(np.float32) if real else None,
        quant=None if real else _requantization(operator, (x, w, y), weights, bias),
        pre=activation.fused(operator, y, real),
    )


def _points(count: int) -> Axis:
    return Axis(count, 1, 1, 0, count)


def _check_convolution(operator: Operator, x: Tensor, w: Tensor) -> None:
    if (operator.options["dilation_h"], operator.options["dilation_w"]) != (1, 1):
        raise refuse(operator, "dilation", "aot runs dilation 1")
    if x.shape[0] != 1:
        raise refuse(operator, f"a batch of {x.shape[0]}", "export with a batch of 1")
    if operator.code == "CONV_2D" and w.shape[3] != x.shape[3]:
        raise refuse(operator, "groups", "aot runs convolutions of one group, and depthwise ones")


def _bias(
    operator: Operator, tensors: Sequence[Tensor], cout: int, dtype: int
) -> npt.NDArray[np.generic]:
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return np.zeros(cout, np.float32 if dtype == FLOAT32 else np.int32)
    bias = tensors[operator.inputs[2]]
    if bias.dtype != dtype:
        raise refuse(operator, f"a bias of TensorType {bias.dtype}", "export the model again")
    assert bias.data is not None  # the chain was checked
    if not np.isfinite(bias.data).all():
        raise refuse(operator, "a bias that is not a finite number", "train the model again")
    return bias.data.reshape(cout)


def _requantization(
    operator: Operator,
    tensors: tuple[Tensor, Tensor, Tensor],
    weights: npt.NDArray[np.generic],
    bias: npt.NDArray[np.generic],
) -> Requantization:
    x, w, y = tensors
    cout = len(weights)
    if any(w.zero_points) or not w.scales:
        raise refuse(operator, "weights that are not symmetric", "export the model again")
    axis = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "DEPTHWISE_CONV_2D": 3}[operator.code]
    if len(w.scales) > 1 and w.axis != axis:
        raise refuse(operator, f"weights scaled along axis {w.axis}", f"aot wants axis {axis}")
    if operator.code == "FULLY_CONNECTED" and len(w.scales) == 1:
        # TFLM multiplies these two in float32 (GetQuantizedConvolutionMultipler)
        ratios = [quant.float32_ratio(x.scale, w.scale) / y.scale] * cout
    else:
        scales = w.scales if len(w.scales) > 1 else w.scales * cout
        ratios = [x.scale * s / y.scale for s in scales]
    pairs = [quant.quantize_multiplier(r) for r in ratios]
    wide = weights.astype(np.int64).reshape(cout, -1)
    folded = bias.astype(np.int64) - x.zero_point * wide.sum(axis=1)
    bound = int((np.abs(folded) + 128 * np.abs(wide).sum(axis=1)).max())
    if bound > quant.INT32_MAX:
        raise refuse(operator, "its sums may leave 32 bits", "export with smaller biases")
    return Requantization(
        input_zero=x.zero_point,
        output_zero=y.zero_point,
        multipliers=np.array([m for m, _ in pairs], np.int64),
        shifts=np.array([s for _, s in pairs], np.int64),
        bias=folded,
        bound=bound,
    )
