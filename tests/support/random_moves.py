# SPDX-License-Identifier: Apache-2.0
"""Random operators that move values, appended to a graph that `GraphMaker` makes.

Each draw works on the current value, whatever its shape and type, or does nothing where that does
not suit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

if TYPE_CHECKING:
    from tests.support.random_graphs import GraphMaker

_LIMIT = 3000  # elements of a result


def _numbers(maker: GraphMaker, values: npt.ArrayLike) -> int:
    """A constant tensor of int32."""
    array = np.array(values, np.int32)
    return maker.net.tensor(array.shape, "int32", array)


def _more_outputs(maker: GraphMaker, shapes: Sequence[Sequence[int]]) -> None:
    """Further outputs of the last operator; the current value becomes a random one of them."""
    net = maker.net
    found = list(net.graph.operators[-1].outputs)
    kept = [(net.current, net.shape)]
    for shape in shapes:
        index = net.activation(shape, net.dtype, net.scale, net.zero)
        found.append(index)
        kept.append((index, tuple(shape)))
    net.graph.operators[-1].outputs = found
    for index, shape in kept:
        net._now(index, shape, net.dtype, net.scale, net.zero)
        maker.keep()
    index, shape = kept[maker._int(0, len(kept) - 1)]
    net._now(index, shape, net.dtype, net.scale, net.zero)


def _pads(maker: GraphMaker, most: Sequence[int]) -> np.ndarray[Any, Any] | None:
    net = maker.net
    pads = np.array([[maker._int(0, m) for _ in range(2)] for m in most])
    if maker.random.random() < 0.5:  # rows and columns only
        pads[[0, -1]] = 0
    shape = np.array(net.shape) + pads.sum(axis=1)
    return pads if int(np.prod(shape)) <= _LIMIT else None


def _pad(maker: GraphMaker) -> None:
    net = maker.net
    if not 1 <= len(net.shape) <= 4:
        return
    pads = _pads(maker, [2] * len(net.shape))
    if pads is None:
        return
    shape = (np.array(net.shape) + pads.sum(axis=1)).tolist()
    more = [_numbers(maker, pads)]
    if maker.random.random() < 0.5:
        net.op("PAD", shape, schema.PadOptionsT(), "PadOptions", more)
        return
    value = net.activation((), net.dtype, net.scale, net.zero)
    data = np.array(maker._int(0, 1) if net.dtype == "bool" else maker._int(-9, 99))
    net.fill_in(value, data)
    net.op("PADV2", shape, schema.PadV2OptionsT(), "PadV2Options", [*more, value])


def _mirror_pad(maker: GraphMaker) -> None:
    net = maker.net
    if not net.shape or net.dtype not in ("float32", "int8"):
        return
    options = schema.MirrorPadOptionsT()
    options.mode = maker._int(0, 1)
    pads = _pads(maker, [min(3, n - 1 + options.mode) for n in net.shape])
    if pads is not None:
        shape = (np.array(net.shape) + pads.sum(axis=1)).tolist()
        net.op("MIRROR_PAD", shape, options, "MirrorPadOptions", [_numbers(maker, pads)])


def _concatenation(maker: GraphMaker) -> None:
    net = maker.net
    if not net.shape:
        return
    fits = [
        v for v in maker.values if (v.dtype, v.scale, v.zero) == (net.dtype, net.scale, net.zero)
    ]
    axis = maker._int(0, len(net.shape) - 1)
    rest = net.shape[:axis] + net.shape[axis + 1 :]
    fits = [v for v in fits if v.shape and v.shape[:axis] + v.shape[axis + 1 :] == rest]
    fits = [v for v in fits if len(v.shape) == len(net.shape)]
    shapes = [net.shape]
    more = []
    for _ in range(maker._int(0, 3)):
        if fits and maker.random.random() < 0.7:
            value = fits[maker._int(0, len(fits) - 1)]
            more.append(value.index)
            shapes.append(value.shape)
        elif net.dtype != "bool":
            shape = (*net.shape[:axis], maker._int(1, 3), *net.shape[axis + 1 :])
            index = net.activation(shape, net.dtype, net.scale, net.zero)
            net.fill_in(index, maker.random.integers(-99, 99, shape))
            more.append(index)
            shapes.append(shape)
    shape = (*net.shape[:axis], sum(s[axis] for s in shapes), *net.shape[axis + 1 :])
    if int(np.prod(shape)) > _LIMIT:
        return
    options = schema.ConcatenationOptionsT()
    options.axis = axis if maker.random.random() < 0.5 else axis - len(shape)
    if more and maker.random.random() < 0.5:  # the current value is not the first input
        now = (net.current, net.shape)
        net._now(more[0], shapes[1], net.dtype, net.scale, net.zero)
        more = [*more[1:], now[0]]
    net.op("CONCATENATION", shape, options, "ConcatenationOptions", more)


def _split(maker: GraphMaker) -> None:
    net = maker.net
    if not net.shape or net.dtype == "bool":
        return
    axis = maker._int(0, len(net.shape) - 1)
    size = net.shape[axis]
    count = int(maker.random.choice([n for n in range(1, size + 1) if size % n == 0]))
    shape = (*net.shape[:axis], size // count, *net.shape[axis + 1 :])
    options = schema.SplitOptionsT()
    options.numSplits = count
    net.op("SPLIT", shape, options, "SplitOptions")
    operator = net.graph.operators[-1]
    given = axis if maker.random.random() < 0.5 else axis - len(shape)
    operator.inputs = [_numbers(maker, given), *operator.inputs]
    _more_outputs(maker, [shape] * (count - 1))


def _split_v(maker: GraphMaker) -> None:
    net = maker.net
    if not net.shape or net.dtype == "bool":
        return
    axis = maker._int(0, len(net.shape) - 1)
    size = net.shape[axis]
    cuts = sorted({0, size, *(maker._int(0, size) for _ in range(maker._int(0, 2)))})
    sizes = np.diff(cuts).tolist()
    shapes = [(*net.shape[:axis], n, *net.shape[axis + 1 :]) for n in sizes]
    options = schema.SplitVOptionsT()
    options.numSplits = len(sizes)
    net.op(
        "SPLIT_V",
        shapes[0],
        options,
        "SplitVOptions",
        [_numbers(maker, sizes), _numbers(maker, axis)],
    )
    _more_outputs(maker, shapes[1:])


def _strided_slice(maker: GraphMaker) -> None:
    net = maker.net
    if not 1 <= len(net.shape) <= 4:
        return
    begins, ends, strides, sizes = [], [], [], []
    options = schema.StridedSliceOptionsT()
    for axis, size in enumerate(net.shape):
        stride = int(maker.random.choice([1, 1, 1, 2, 3, -1, -2]))
        first, second = sorted((maker._int(0, size), maker._int(0, size)))
        begin, end = (first, second) if stride > 0 else (second, first - 1)
        if maker.random.random() < 0.4:
            options.beginMask |= 1 << axis
        if maker.random.random() < 0.4:
            options.endMask |= 1 << axis
        if maker.random.random() < 0.2:
            options.shrinkAxisMask |= 1 << axis
            options.beginMask &= ~(1 << axis)
            begin, stride = maker._int(0, size - 1), 1
        elif maker.random.random() < 0.3:
            begin, end = begin + maker._int(0, 3) * (stride > 0), end + maker._int(0, 9)
        if maker.random.random() < 0.3 and 0 <= begin < size:
            begin -= size
        begins.append(begin)
        ends.append(end)
        strides.append(stride)
        start, stop, step = slice(
            None if options.beginMask >> axis & 1 else begin if begin >= -size else None,
            None if options.endMask >> axis & 1 or (stride < 0 and end == -1 - size) else end,
            stride,
        ).indices(size)
        if not options.shrinkAxisMask >> axis & 1:
            sizes.append(len(range(start, stop, step)))
    if 0 in sizes:
        return
    more = [_numbers(maker, v) for v in (begins, ends, strides)]
    net.op("STRIDED_SLICE", sizes, options, "StridedSliceOptions", more)


def _slice(maker: GraphMaker) -> None:
    net = maker.net
    if not net.shape or len(net.shape) > 5:
        return
    begins = [maker._int(0, n - 1) for n in net.shape]
    sizes = [maker._int(1, n - b) for n, b in zip(net.shape, begins, strict=True)]
    given = [
        -1 if n == b + s and maker.random.random() < 0.5 else s
        for n, b, s in zip(net.shape, begins, sizes, strict=True)
    ]
    more = [_numbers(maker, begins), _numbers(maker, given)]
    net.op("SLICE", sizes, schema.SliceOptionsT(), "SliceOptions", more)


def _transpose(maker: GraphMaker) -> None:
    net = maker.net
    if not 1 <= len(net.shape) <= 5 or net.dtype not in ("float32", "int8", "int16"):
        return
    axes = maker.random.permutation(len(net.shape))
    shape = [net.shape[a] for a in axes]
    net.op(
        "TRANSPOSE", shape, schema.TransposeOptionsT(), "TransposeOptions", [_numbers(maker, axes)]
    )


def _pack(maker: GraphMaker) -> None:
    net = maker.net
    if len(net.shape) > 4 or net.dtype == "bool":
        return
    same = (net.shape, net.dtype, net.scale, net.zero)
    fits = [v for v in maker.values if (v.shape, v.dtype, v.scale, v.zero) == same]
    more = [fits[maker._int(0, len(fits) - 1)].index for _ in range(maker._int(0, 2))]
    options = schema.PackOptionsT()
    options.valuesCount = len(more) + 1
    axis = maker._int(0, len(net.shape))
    options.axis = axis if maker.random.random() < 0.5 else axis - len(net.shape) - 1
    shape = (*net.shape[:axis], len(more) + 1, *net.shape[axis:])
    if int(np.prod(shape)) <= _LIMIT:
        net.op("PACK", shape, options, "PackOptions", more)


def _unpack(maker: GraphMaker) -> None:
    net = maker.net
    if len(net.shape) < 2 or net.dtype == "bool":
        return
    axis = maker._int(0, len(net.shape) - 1)
    options = schema.UnpackOptionsT()
    options.num = net.shape[axis]
    options.axis = axis if maker.random.random() < 0.5 else axis - len(net.shape)
    shape = net.shape[:axis] + net.shape[axis + 1 :]
    net.op("UNPACK", shape, options, "UnpackOptions")
    _more_outputs(maker, [shape] * (options.num - 1))


def _gather(maker: GraphMaker) -> None:
    net = maker.net
    if not net.shape or net.dtype not in ("float32", "int8"):
        return
    axis = maker._int(0, len(net.shape) - 1)
    options = schema.GatherOptionsT()
    options.axis = axis
    shared = 1 if axis and maker.random.random() < 0.3 else 0
    options.batchDims = shared
    own = (*net.shape[:shared], *maker._ints(maker._int(shared ^ 1, 2), 1, 4))
    numbers = maker.random.integers(0, net.shape[axis], own)
    shape = net.shape[:axis] + own[shared:] + net.shape[axis + 1 :]
    if len(shape) <= 6 and int(np.prod(shape)) <= _LIMIT:
        net.op("GATHER", shape, options, "GatherOptions", [_numbers(maker, numbers)])


def _gather_nd(maker: GraphMaker) -> None:
    net = maker.net
    if not net.shape or net.dtype not in ("float32", "int8"):
        return
    depth = maker._int(1, len(net.shape))
    own = maker._ints(maker._int(1, 2), 1, 4)
    numbers = np.stack([maker.random.integers(0, n, own) for n in net.shape[:depth]], -1)
    shape = (*own, *net.shape[depth:])
    if len(shape) <= 6 and int(np.prod(shape)) <= _LIMIT:
        more = [_numbers(maker, numbers)]
        net.op("GATHER_ND", shape, schema.GatherNdOptionsT(), "GatherNdOptions", more)


def _tile(maker: GraphMaker) -> None:
    net = maker.net
    times = maker._ints(len(net.shape), 1, 3)
    shape = [n * t for n, t in zip(net.shape, times, strict=True)]
    if net.shape and int(np.prod(shape)) <= _LIMIT and net.dtype not in ("int16",):
        net.op("TILE", shape, schema.TileOptionsT(), "TileOptions", [_numbers(maker, times)])


def _broadcast_to(maker: GraphMaker) -> None:
    net = maker.net
    shape = [n if n > 1 else maker._int(1, 3) for n in net.shape]
    shape = [*maker._ints(maker._int(0, 1), 1, 3), *shape]
    if shape and len(shape) <= 5 and int(np.prod(shape)) <= _LIMIT:
        options = schema.BroadcastToOptionsT()
        net.op(
            "BROADCAST_TO",
            shape,
            options,
            "BroadcastToOptions",
            [_numbers(maker, shape)],
            version=2,
        )


def _resize_nearest(maker: GraphMaker) -> None:
    _resize(maker, "RESIZE_NEAREST_NEIGHBOR", schema.ResizeNearestNeighborOptionsT())


def _bilinear(maker: GraphMaker) -> None:
    _resize(maker, "RESIZE_BILINEAR", schema.ResizeBilinearOptionsT())


def _resize(maker: GraphMaker, code: str, options: Any) -> None:
    net = maker.net
    if len(net.shape) != 4 or net.dtype not in ("float32", "int8", "int16"):
        return
    sizes = [n * 2 if maker.random.random() < 0.4 else maker._int(1, 12) for n in net.shape[1:3]]
    which = maker._int(0, 2)
    options.alignCorners, options.halfPixelCenters = which == 1, which == 2
    shape = (net.shape[0], *sizes, net.shape[3])
    if int(np.prod(shape)) <= _LIMIT:
        kind = type(options).__name__.removesuffix("T")
        net.op(code, shape, options, kind, [_numbers(maker, sizes)])


def _space_to_depth(maker: GraphMaker) -> None:
    net = maker.net
    if len(net.shape) != 4 or net.dtype not in ("float32", "int8"):
        return
    n, height, width, depth = net.shape
    options = schema.SpaceToDepthOptionsT()
    fits = [b for b in (2, 3, 1) if not height % b and not width % b]
    options.blockSize = b = fits[0]
    shape = (n, height // b, width // b, depth * b * b)
    net.op("SPACE_TO_DEPTH", shape, options, "SpaceToDepthOptions")


def _depth_to_space(maker: GraphMaker) -> None:
    net = maker.net
    if len(net.shape) != 4 or net.dtype not in ("float32", "int8"):
        return
    n, height, width, depth = net.shape
    options = schema.DepthToSpaceOptionsT()
    options.blockSize = b = next(b for b in (3, 2, 1) if not depth % (b * b))
    shape = (n, height * b, width * b, depth // (b * b))
    net.op("DEPTH_TO_SPACE", shape, options, "DepthToSpaceOptions")


def _space_to_batch(maker: GraphMaker, padded: bool = True) -> None:
    net = maker.net
    if len(net.shape) not in (3, 4) or net.dtype not in ("float32", "int8"):
        return
    inner = net.shape[1:-1]
    block = maker._ints(len(inner), 1, 3)
    before = maker._ints(len(inner), 0, 1)
    if not padded:
        before = (0,) * len(inner)
        block = tuple(b if n % b == 0 else 1 for n, b in zip(inner, block, strict=True))
    after = [-(n + p) % b for n, p, b in zip(inner, before, block, strict=True)]
    sizes = [(n + p + q) // b for n, p, q, b in zip(inner, before, after, block, strict=True)]
    shape = (net.shape[0] * int(np.prod(block)), *sizes, net.shape[-1])
    pads = np.stack([before, after], 1)
    more = [_numbers(maker, block), _numbers(maker, pads)]
    options = schema.SpaceToBatchNDOptionsT()
    net.op("SPACE_TO_BATCH_ND", shape, options, "SpaceToBatchNDOptions", more)


def _batch_to_space(maker: GraphMaker) -> None:
    net = maker.net
    if len(net.shape) not in (3, 4) or net.dtype not in ("float32", "int8"):
        return
    inner, batch = net.shape[1:-1], net.shape[0]
    block = [int(maker.random.choice([b for b in (1, 2, 3) if not batch % b])), 1][: len(inner)]
    sizes = [n * b for n, b in zip(inner, block, strict=True)]
    crops = [(maker._int(0, n > 1), maker._int(0, n > 2)) for n in sizes]
    shape = (
        batch // int(np.prod(block)),
        *(n - sum(c) for n, c in zip(sizes, crops, strict=True)),
        net.shape[-1],
    )
    more = [_numbers(maker, block), _numbers(maker, crops)]
    options = schema.BatchToSpaceNDOptionsT()
    net.op("BATCH_TO_SPACE_ND", shape, options, "BatchToSpaceNDOptions", more)


def _reverse(maker: GraphMaker) -> None:
    net = maker.net
    if not net.shape or len(net.shape) > 6:
        return
    first = maker._int(0, len(net.shape) - 1)
    axes = list(range(first, maker._int(first, len(net.shape) - 1) + 1))
    options = schema.ReverseV2OptionsT()
    net.op("REVERSE_V2", net.shape, options, "ReverseV2Options", [_numbers(maker, axes)])


# one line per operator
MOVE_DRAWS: dict[str, Callable[[GraphMaker], None]] = {
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "BROADCAST_TO": _broadcast_to,
    "CONCATENATION": _concatenation,
    "DEPTH_TO_SPACE": _depth_to_space,
    "GATHER": _gather,
    "GATHER_ND": _gather_nd,
    "MIRROR_PAD": _mirror_pad,
    "PACK": _pack,
    "PAD": _pad,
    "RESIZE_NEAREST_NEIGHBOR": _resize_nearest,
    "REVERSE_V2": _reverse,
    "SLICE": _slice,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "TRANSPOSE": _transpose,
    "UNPACK": _unpack,
}
# they compute values, but only from where they are
INTERPOLATION_DRAWS: dict[str, Callable[[GraphMaker], None]] = {"RESIZE_BILINEAR": _bilinear}
# TFLM pads with uninitialised memory in SPACE_TO_BATCH_ND
DEFINED_DRAWS = MOVE_DRAWS | INTERPOLATION_DRAWS
DEFINED_DRAWS |= {"SPACE_TO_BATCH_ND": partial(_space_to_batch, padded=False)}
