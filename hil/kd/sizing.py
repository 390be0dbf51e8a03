"""How large a recipe's network is, from its layers alone; and the widest that fits a limit. Pure.

MACs are counted as `hil.tflite` counts them: multiply-accumulates of one inference, those on
padding included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hil.errors import UsageError
from hil.kd import layers
from hil.kd.layers import AnyLayer, Network

Shape: TypeAlias = tuple[int, ...]
By: TypeAlias = Literal["parameters", "macs"]
_STEPS = 4000  # of the share of filters and units that is tried


@dataclass(frozen=True, slots=True)
class Size:
    parameters: int
    macs: int


def size(network: Network, shape: Shape) -> Size:
    """Of a network for samples of ``shape``.

    Raises:
        UsageError: a layer that does not fit what comes before it.
    """
    parameters = macs = 0
    for name, layer in zip(layers.names(network), network.layers, strict=True):
        before = shape
        try:
            shape = shape_after(layer, before)
        except (IndexError, ValueError):
            what = f"layer {name!r} does not fit an input of shape {before}"
            raise UsageError(what, "change the recipe's layers") from None
        match layer:
            case layers.Conv():
                weights = layer.kernel**2 * before[-1] * layer.filters
                parameters += weights + layer.filters
                macs += weights * shape[0] * shape[1]
            case layers.DepthwiseConv():
                weights = layer.kernel**2 * before[-1]
                parameters += weights + before[-1]
                macs += weights * shape[0] * shape[1]
            case layers.Dense():
                parameters += (before[-1] + 1) * layer.units
                macs += math.prod(before) * layer.units
            case layers.BatchNorm():
                parameters += 4 * before[-1]
    return Size(parameters, macs)


def shape_after(layer: AnyLayer, shape: Shape) -> Shape:
    """What comes out of a layer; ValueError or IndexError where ``shape`` does not fit it."""
    match layer:
        case layers.Conv():
            return (*_window(shape, layer.kernel, layer.stride, layer.padding), layer.filters)
        case layers.DepthwiseConv():
            return (*_window(shape, layer.kernel, layer.stride, layer.padding), shape[2])
        case layers.MaxPool() | layers.AveragePool():
            stride = layer.stride or layer.size
            return (*_window(shape, layer.size, stride, layer.padding), shape[2])
        case layers.Flatten():
            return (math.prod(shape),)
        case layers.Dense():
            return (*shape[:-1], layer.units)
        case _:
            return shape


def widest(network: Network, shape: Shape, limit: int, by: By) -> Network:
    """The network with the largest one share of its filters and units that fits a limit.

    The last layer keeps its units: they are the classes.

    Args:
        network: to make narrower.
        shape: of one sample.
        limit: most parameters, or MACs, that are allowed.
        by: which of the two.

    Raises:
        UsageError: not even one filter and unit a layer fits.
    """
    for step in range(_STEPS, 0, -1):
        found = layers.widened(network, step / _STEPS)
        if getattr(size(found, shape), by) <= limit:
            return found
    least = getattr(size(layers.widened(network, 1 / _STEPS), shape), by)
    what = f"the network has {least:,} {by} with one filter or unit a layer, {limit:,} are allowed"
    raise UsageError(what, "allow more, or start from a network with fewer layers")


def _window(shape: Shape, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    height, width, _ = shape
    if padding == "same":
        return -(-height // stride), -(-width // stride)
    if min(height, width) < kernel:
        raise ValueError(shape)
    return (height - kernel) // stride + 1, (width - kernel) // stride + 1
