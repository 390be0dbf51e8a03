# SPDX-License-Identifier: Apache-2.0
"""Convolutions, depthwise convolutions and dense layers as steps, and their tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hil.engines.aot import arithmetic
from hil.engines.aot.arithmetic import NOTHING, Activation
from hil.engines.aot.memory import align
from hil.engines.aot.steps import InPlace, OneToOne, Pool, ctype, first_bytes, item
from hil.tflite import Graph, Operator, Tensor
from hil.tflite.graph import FLOAT32, INT4, INT8, INT32, Axis, refuse, window_axes

# Bounded by registers: float32 kernels have 32, int8 kernels 13.
REAL_POINTS, INT8_POINTS = 4, 2
GATHERED_CHANNELS = 4  # channels at a time in kernels that read widened inputs
QUAD = 4  # points whose inputs share words
MAX_WINDOW = 9  # pooling windows up to this area are computed as one tile
PATCH_REAL, PATCH_INT8 = 20, 32  # values of a patch that is worth keeping in variables


@dataclass(frozen=True, slots=True, eq=False)
class Requantization:
    """How int8 sums become int8: per output channel, with a proven bound of the sums."""

    input_zero: int
    output_zero: int
    multipliers: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int64]
    bias: npt.NDArray[np.int64]  # with -input_zero * (sum of weights) folded in
    bound: int  # of any sum, partial or whole, in absolute value


@dataclass(frozen=True, slots=True, eq=False)
class Conv(OneToOne):
    """Convolution, depthwise convolution or dense layer (a 1x1 convolution over rows).

    ``pre`` acts before the fused ``pool``, ``post`` after it. Weights: (cout, kh, kw, cin),
    depthwise (cout, kh, kw). ``gathered``: widens its inputs in a buffer first (`conv_gather`);
    ``averaged``: and adds up the outputs of all points as they come, for a pooling over all.
    ``shared``: with inputs of four points in three words (`kernels/quads.h`) where the core can.
    ``direct``: widens the inputs of its only point while it sums.
    ``fused``: may round a product and the sum it is added to once (float32 only).
    """

    name: str
    note: str
    rows: Axis
    columns: Axis
    cin: int
    cout: int
    depthwise: bool
    weights: npt.NDArray[np.generic]
    bias: npt.NDArray[np.float32] | None  # float32 only
    quant: Requantization | None  # int8 only
    pre: Activation
    pool: Pool | None = None
    post: Activation = NOTHING
    gathered: bool = False
    averaged: bool = False
    shared: bool = False
    direct: bool = False
    fused: bool = False

    @property
    def padded(self) -> bool:
        return any(
            a.before or (a.count - 1) * a.stride + a.window - a.before > a.size
            for a in (self.rows, self.columns)
        )

    @property
    def real(self) -> bool:
        """float32, else int8."""
        return self.quant is None

    @property
    def ctypes(self) -> tuple[str, str]:
        return ctype(self.real), ctype(self.real)

    @property
    def input_bytes(self) -> int:
        return self.rows.size * self.columns.size * self.cin * item(self.real)

    @property
    def output_bytes(self) -> int:
        rows, columns = (
            (self.pool.rows, self.pool.columns) if self.pool else (self.rows, self.columns)
        )
        return rows.count * columns.count * self.cout * item(self.real)

    @property
    def scratch_bytes(self) -> int:
        if not self.gathered:
            return 0
        totals = 4 * self.cout + 2 * align(self.cout) if self.averaged else 0
        buffer = scratch(self)
        return (buffer.nbytes * 3 // 2 if self.shared else buffer.nbytes) + totals

    @property
    def lead(self) -> int | InPlace | None:
        # all channels of a pixel are written while its window is still read, and of several pixels
        # at a time (a tile) the first is written before the last is computed
        pixel_in = self.cin * item(self.real)
        pixel_out = self.cout * item(self.real)
        first = first_bytes(self.rows, self.columns, pixel_in)
        if self.averaged:
            return 0
        if self.gathered and self.pool is None:
            # a tile's windows are copied before it writes; later ones still read their own
            most = 0
            for points in (tile(self).points, QUAD) if self.shared else (tile(self).points,):
                later = first.reshape(-1)[points::points]
                written = np.arange(1, len(later) + 1) * points * pixel_out
                excess = written - np.minimum.accumulate(later[::-1])[::-1]
                most = max(most, int(excess.max(initial=0)))
            return most
        if self.pool is not None:
            pool = self.pool
            first = first[:: pool.rows.stride, :: pool.columns.stride]
            first = first[: pool.rows.count, : pool.columns.count]
        ends = (np.arange(first.size) + 1).reshape(first.shape) * pixel_out
        if self.pool is None:
            # a tile writes up to its own end while it still reads from its own start
            width = tile(self).columns
            starts = np.minimum(np.arange(0, first.shape[1], width), first.shape[1] - width)
            first = first[:, starts]
            ends = ends[:, starts + width - 1]
        # the largest excess of written bytes over those that this and later windows still read
        still_needed = np.minimum.accumulate(first.reshape(-1)[::-1])[::-1]
        return int((ends.reshape(-1) - still_needed).max())


@dataclass(frozen=True, slots=True)
class Tile:
    """``rows`` x ``columns`` neighbouring output pixels times ``channels``."""

    rows: int
    columns: int
    channels: int
    patch: bool  # the input patch is kept in variables (few taps), not read along memory

    @property
    def points(self) -> int:
        return self.rows * self.columns


def patch_values(conv: Conv, rows: int, columns: int) -> int:
    """Input values below a tile of output pixels."""
    height = (rows - 1) * conv.rows.stride + conv.rows.window
    width = (columns - 1) * conv.columns.stride + conv.columns.window
    return height * width * conv.cin


def tile(conv: Conv) -> Tile:
    """The tile in which the emitted code computes ``conv``."""
    real = conv.quant is None
    if conv.depthwise:
        rows, columns = _grid(conv, 4)
        return Tile(rows, columns, 1, True)
    if conv.direct:
        return Tile(1, 1, GATHERED_CHANNELS, False)
    if conv.gathered:  # without a pooling, the points of all rows follow each other
        every = conv.pool is None or conv.averaged
        width = conv.pool.columns.window if conv.pool and not conv.averaged else 2
        single = width % 2 or (every and conv.rows.count * conv.columns.count == 1)
        return Tile(1, 1 if single else 2, GATHERED_CHANNELS, False)
    taps = conv.rows.window * conv.columns.window * conv.cin
    area = 1
    if conv.pool:
        area = conv.pool.rows.window * conv.pool.columns.window
        rows, columns = conv.pool.rows.window, conv.pool.columns.window
    else:
        rows, columns = 1, _columns(conv.columns.count, 4)
    if area <= MAX_WINDOW:
        few = patch_values(conv, rows, columns) <= PATCH_REAL
        if few if real else conv.cin % 4 and taps <= PATCH_INT8:
            return Tile(rows, columns, 1 if real else 2, True)
    rows, columns = _grid(conv, REAL_POINTS if real else INT8_POINTS)
    points = rows * columns
    channels = {1: 8, 2: 4, 3: 4, 4: 4}[points] if real else {1: 4, 2: 2, 3: 2}[points]
    return Tile(rows, columns, min(channels, conv.cout), False)


@dataclass(frozen=True, slots=True)
class Scratch:
    """The buffer of a gathered convolution: int16 values, ``points`` side by side.

    It holds the input below one window of the pooling, or below one tile without a pooling: for
    each of its ``columns`` tiles ``rows`` input rows, each in ``groups`` of four taps.
    """

    columns: int
    rows: int
    groups: int
    points: int

    @property
    def row(self) -> int:
        """Values from one row to the next."""
        return 4 * self.groups * self.points

    @property
    def nbytes(self) -> int:
        return 2 * self.columns * self.rows * self.row


def scratch(conv: Conv) -> Scratch:
    """The buffer of a gathered convolution."""
    points = tile(conv).columns
    height, width = 1, points
    if conv.pool and not conv.averaged:
        height, width = conv.pool.rows.window, conv.pool.columns.window
    return Scratch(
        columns=width // points,
        rows=(height - 1) * conv.rows.stride + conv.rows.window,
        groups=-(-conv.columns.window * conv.cin // 4),
        points=points,
    )


def _grid(conv: Conv, limit: int) -> tuple[int, int]:
    """Pixels at a time: a divisor of the pooling window, or a piece of a row."""
    if conv.pool is None:
        return 1, _columns(conv.columns.count, limit)
    height, width = conv.pool.rows.window, conv.pool.columns.window
    if height * width <= limit:
        return height, width
    limit = max(limit, 3) if width == 3 else limit
    return 1, max(n for n in range(1, limit + 1) if width % n == 0)


def _columns(count: int, limit: int) -> int:
    """Width of a piece of a row. The last piece overlaps its neighbour, so little is wasted."""
    return max(
        range(1, min(limit, count) + 1),
        key=lambda n: (count / (-(-count // n) * n) * (1 - 0.25 / n), n),
    )


def pools_all(conv: Conv) -> bool:
    """Whether a large pooling averages all outputs of each channel."""
    pool, count = conv.pool, conv.rows.count * conv.columns.count
    if pool is None or not pool.average or count <= MAX_WINDOW:
        return False
    windows = (pool.rows.window, pool.columns.window)
    return windows == (conv.rows.count, conv.columns.count)


def arranged(conv: Conv) -> Conv:
    """The same layer in a shape that is faster to compute: few rows, and long ones."""
    pool = conv.pool
    if pool is not None and not pools_all(conv):
        return conv
    rows, columns = conv.rows, conv.columns
    if (columns.size, columns.window, columns.count) == (1, 1, 1):
        weights = np.ascontiguousarray(np.swapaxes(conv.weights, 1, 2))
        if pool:
            pool = replace(pool, rows=pool.columns, columns=pool.rows)
        return replace(conv, rows=columns, columns=rows, weights=weights, pool=pool)
    if {(a.window, a.stride) for a in (rows, columns)} == {(1, 1)}:
        count = rows.count * columns.count
        if pool:
            pool = replace(pool, rows=_ONE, columns=Axis(count, count, 1, 0, 1))
        return replace(conv, rows=_ONE, columns=_points(count), pool=pool)
    return conv


def plan_conv(operator: Operator, graph: Graph, name: str, note: str) -> Conv:
    """A CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED with all its constants resolved.

    One sample of a batch; windows of a dilated convolution include what they skip, weights have
    the channels of one group. Raises `ModelError` for other types, and int8 sums that might leave
    32 bits (where no reference defines the result).
    """
    tensors = graph.tensors
    x, w, y = (tensors[i] for i in (*operator.inputs[:2], operator.outputs[0]))
    real = x.dtype == FLOAT32
    if w.dtype not in ((FLOAT32,) if real else (INT8, INT4)):
        raise refuse(
            operator,
            f"weights of TensorType {w.dtype} for {'float32' if real else 'int8'} values",
            "export in float32 or with full int8 quantisation",
        )
    if w.data is None:
        raise refuse(operator, "computed weights", "aot takes them in dense layers")
    if w.dtype == INT4 and operator.code == "FULLY_CONNECTED" and len(w.scales) > 1:
        raise refuse(operator, "int4 weights with several scales", "TFLM takes one scale")
    depthwise = operator.code == "DEPTHWISE_CONV_2D"
    cout = y.shape[-1]
    if operator.code == "FULLY_CONNECTED":
        if operator.options["weights_format"] != 0:
            raise refuse(operator, "shuffled weights", "export the model again")
        cin = w.shape[1]
        rows, columns = _ONE, _points(x.elements // cin)
        weights = w.data.reshape(cout, 1, 1, cin)
    else:
        cin = x.shape[3]
        rows, columns = window_axes(operator, tensors)
        weights = w.data[0].transpose(2, 0, 1) if depthwise else w.data
        if depthwise and cin == 1:  # every output channel sees the only input channel
            depthwise, weights = False, weights[..., None]
    if real and not np.isfinite(weights).all():
        raise refuse(operator, "a weight that is not a finite number", "train the model again")
    bias = _bias(operator, tensors, cout, FLOAT32 if real else INT32)
    quant = None
    if not real:
        quant = _requantization(operator, (x, w, y), weights, bias)
        weights, quant = without_constant_sums(weights, quant)
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
        quant=quant,
        pre=arithmetic.fused_activation(operator, y, real),
    )


_ONE = Axis(1, 1, 1, 0, 1)


def _points(count: int) -> Axis:
    return Axis(count, 1, 1, 0, count)


def _bias(
    operator: Operator, tensors: Sequence[Tensor], cout: int, dtype: int
) -> npt.NDArray[np.generic]:
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return np.zeros(cout, np.float32 if dtype == FLOAT32 else np.int32)
    bias = tensors[operator.inputs[2]]
    if bias.dtype != dtype:
        raise refuse(operator, f"a bias of TensorType {bias.dtype}", "export the model again")
    if bias.data is None:
        raise refuse(operator, "a computed bias", "export the model again")
    if not np.isfinite(bias.data).all():
        raise refuse(operator, "a bias that is not a finite number", "train the model again")
    return bias.data.reshape(cout)


def weight_ratios(
    operator: Operator, tensors: tuple[Tensor, Tensor, Tensor], cout: int
) -> list[float]:
    """Per output channel, by how much sums are scaled; tensors: input, weights, output."""
    x, w, y = tensors
    if any(w.zero_points) or not w.scales:
        raise refuse(operator, "weights that are not symmetric", "export the model again")
    axis = 3 if operator.code == "DEPTHWISE_CONV_2D" else 0
    if len(w.scales) > 1 and w.axis != axis:
        raise refuse(operator, f"weights scaled along axis {w.axis}", f"aot wants axis {axis}")
    scales = w.scales if len(w.scales) > 1 else w.scales * cout
    return [x.scale * s / y.scale for s in scales]


def _requantization(
    operator: Operator,
    tensors: tuple[Tensor, Tensor, Tensor],
    weights: npt.NDArray[np.generic],
    bias: npt.NDArray[np.generic],
) -> Requantization:
    x, _, y = tensors
    cout = len(weights)
    ratios = weight_ratios(operator, tensors, cout)
    pairs = [arithmetic.quantize_multiplier(r) for r in ratios]
    wide = weights.astype(np.int64).reshape(cout, -1)
    folded = bias.astype(np.int64) - x.zero_point * wide.sum(axis=1)
    bound = int((np.abs(folded) + 128 * np.abs(wide).sum(axis=1)).max())
    if bound > arithmetic.INT32_MAX:
        raise refuse(operator, "its sums may leave 32 bits", "export with smaller biases")
    return Requantization(
        input_zero=x.zero_point,
        output_zero=y.zero_point,
        multipliers=np.array([m for m, _ in pairs], np.int64),
        shifts=np.array([s for _, s in pairs], np.int64),
        bias=folded,
        bound=bound,
    )


def without_constant_sums(
    weights: npt.NDArray[np.generic], quant: Requantization
) -> tuple[npt.NDArray[np.generic], Requantization]:
    """The same outputs, where channels whose output is the same for every input have no weights.

    Their biases and scales may be extreme, and would keep a layer from the fast kernels.
    """
    flat = weights.astype(np.int64).reshape(len(weights), -1)
    least = quant.bias + np.minimum(127 * flat, -128 * flat).sum(axis=1)
    most = quant.bias + np.maximum(127 * flat, -128 * flat).sum(axis=1)
    weights, bias = weights.copy(), quant.bias.copy()
    multipliers, shifts = quant.multipliers.copy(), quant.shifts.copy()
    zero = quant.output_zero
    for c in range(len(weights)):
        low, high = (
            arithmetic.requantized(int(x[c]), int(multipliers[c]), int(shifts[c]), zero)
            for x in (least, most)
        )
        if low == high:
            # 4 * k, times 1/2, and halved again
            weights[c] = 0
            bias[c], multipliers[c], shifts[c] = 4 * (low - zero), 1 << 30, -1
    wide = np.abs(weights.astype(np.int64)).reshape(len(weights), -1)
    bound = int((np.abs(bias) + 128 * wide.sum(axis=1)).max())
    return weights, replace(quant, bias=bias, multipliers=multipliers, shifts=shifts, bound=bound)
