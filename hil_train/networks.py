# SPDX-License-Identifier: Apache-2.0
"""A recipe's layers -> a Keras network."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np

from hil.core.errors import UsageError
from hil.core.files import Config
from hil_train.backend import require

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$", max_length=40)]
Activation: TypeAlias = Literal["linear", "relu", "relu6", "softmax"]
Padding: TypeAlias = Literal["valid", "same"]


class Layer(Config, frozen=True, tag_field="kind"):
    """One layer. ``name``: left out, its kind and a number, counted within the network."""

    name: Name | None = None


class Conv(Layer, frozen=True, kw_only=True, tag="conv"):
    """A square convolution, ``kernel`` wide."""

    filters: Positive
    kernel: Positive = 3
    stride: Positive = 1
    padding: Padding = "valid"
    activation: Activation = "linear"


class DepthwiseConv(Layer, frozen=True, kw_only=True, tag="depthwise_conv"):
    """One square filter a channel."""

    kernel: Positive = 3
    stride: Positive = 1
    padding: Padding = "valid"
    activation: Activation = "linear"


class Dense(Layer, frozen=True, kw_only=True, tag="dense"):
    """A full connection."""

    units: Positive
    activation: Activation = "linear"


class Pool(Layer, frozen=True):
    """A square window; ``stride`` left out is the window's size."""

    size: Positive = 2
    stride: Positive | None = None
    padding: Padding = "valid"


class MaxPool(Pool, frozen=True, tag="max_pool"):
    """The largest of each window."""


class AveragePool(Pool, frozen=True, tag="average_pool"):
    """The mean of each window."""


class LeakyRelu(Layer, frozen=True, kw_only=True, tag="leaky_relu"):
    """x, or ``slope`` x below zero."""

    slope: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.2


class Relu(Layer, frozen=True, kw_only=True, tag="relu"):
    """x, or 0 below zero."""


class BatchNorm(Layer, frozen=True, kw_only=True, tag="batch_norm"):
    """Normalises each channel; export folds it into the layer before it."""


class Dropout(Layer, frozen=True, kw_only=True, tag="dropout"):
    """Zeroes a share of the values in training alone; nothing of it reaches a board."""

    rate: Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Flatten(Layer, frozen=True, kw_only=True, tag="flatten"):
    """To one row."""


class Softmax(Layer, frozen=True, kw_only=True, tag="softmax"):
    """Probabilities; refused at the end of a network, where logits are wanted."""


AnyLayer: TypeAlias = (
    Conv
    | DepthwiseConv
    | Dense
    | MaxPool
    | AveragePool
    | LeakyRelu
    | Relu
    | BatchNorm
    | Dropout
    | Flatten
    | Softmax
)


class Network(Config, frozen=True):
    """Layers in order, from samples to logits."""

    layers: Annotated[tuple[AnyLayer, ...], msgspec.Meta(min_length=1)]


def kind(layer: Layer) -> str:
    """How a recipe calls it."""
    return str(layer.__struct_config__.tag)


def names(network: Network) -> list[str]:
    """The name of each layer: its own, or its kind and a number, from 1 in this network.

    Fixed names: those that Keras counts up would make each export differ.
    """
    counts: Counter[str] = Counter()
    found = []
    for layer in network.layers:
        counts[kind(layer)] += 1
        found.append(layer.name or f"{kind(layer)}{counts[kind(layer)]}")
    return found


def classes(network: Network) -> int | None:
    """Logits of a network; None where its last layer is not dense."""
    last = network.layers[-1]
    return last.units if isinstance(last, Dense) else None


def ends_in_softmax(network: Network) -> bool:
    """Whether it gives probabilities, or something else that is no logits."""
    last = network.layers[-1]
    return isinstance(last, Softmax) or getattr(last, "activation", "linear") != "linear"


def widened(network: Network, factor: float) -> Network:
    """The network with ``factor`` times the filters and units (at least one), the last layer as
    it is: what a sweep over widths builds."""
    changed: list[AnyLayer] = []
    for layer in network.layers[:-1]:
        if isinstance(layer, Conv):
            layer = msgspec.structs.replace(layer, filters=max(1, round(layer.filters * factor)))
        elif isinstance(layer, Dense):
            layer = msgspec.structs.replace(layer, units=max(1, round(layer.units * factor)))
        changed.append(layer)
    return Network(layers=(*changed, network.layers[-1]))


def build(network: Network, shape: tuple[int, ...], name: str) -> Any:
    """A fresh network, its weights drawn from Keras's seed.

    Args:
        network: its layers.
        shape: of one sample.
        name: of the network; its files' outputs are called after it.

    Raises:
        UsageError: a layer does not fit what comes before it, or the end is not one row.
    """
    keras, _ = require()
    model = keras.Sequential([keras.Input(shape)], name=name)
    for layer, called in zip(network.layers, names(network), strict=True):
        try:
            model.add(_layer(keras.layers, layer, called))
        except ValueError as problem:
            reason = str(problem).splitlines()[0]
            what = f"layer {called!r} of {name!r} does not fit samples of shape {shape} ({reason})"
            raise UsageError(what, "change the recipe's layers") from None
    if len(model.output_shape) != 2:
        what = f"{name!r} ends in shape {model.output_shape[1:]}, not in one row of logits"
        raise UsageError(what, "flatten, and end with a dense layer")
    return model


def gives_probabilities(model: Any) -> bool:
    """Whether a Keras network, anyone's, gives probabilities."""
    keras, _ = require()
    last = model.layers[-1]
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    activation = getattr(last, "activation", None)
    names = ("softmax", "log_softmax", "sigmoid", "log_sigmoid")
    return isinstance(last, keras.layers.Softmax) or (
        getattr(activation, "__name__", "linear") in names
    )


def _layer(kinds: Any, layer: AnyLayer, name: str) -> Any:
    match layer:
        case Conv():
            return kinds.Conv2D(
                layer.filters,
                layer.kernel,
                strides=layer.stride,
                padding=layer.padding,
                activation=layer.activation,
                name=name,
            )
        case DepthwiseConv():
            return kinds.DepthwiseConv2D(
                layer.kernel,
                strides=layer.stride,
                padding=layer.padding,
                activation=layer.activation,
                name=name,
            )
        case Dense():
            return kinds.Dense(layer.units, activation=layer.activation, name=name)
        case MaxPool():
            return kinds.MaxPooling2D(layer.size, layer.stride, layer.padding, name=name)
        case AveragePool():
            return kinds.AveragePooling2D(layer.size, layer.stride, layer.padding, name=name)
        case LeakyRelu():
            return kinds.LeakyReLU(negative_slope=layer.slope, name=name)
        case Relu():
            return kinds.ReLU(name=name)
        case BatchNorm():
            return kinds.BatchNormalization(name=name)
        case Dropout():
            return kinds.Dropout(layer.rate, name=name)
        case Flatten():
            return kinds.Flatten(name=name)
        case Softmax():
            return kinds.Softmax(name=name)


def fingerprint(network: Any) -> str:
    """SHA-256 of a network's structure and weights: equal for equal networks.

    Two saved files of one network differ by their dates, and Keras's own description by the names
    of its layers: it calls an input after how many there were before it.
    """
    digest = hashlib.sha256()
    for layer in network.layers:
        about = {key: value for key, value in layer.get_config().items() if key != "name"}
        text = json.dumps([type(layer).__name__, about], sort_keys=True, default=str)
        digest.update(text.encode())
    for weight in network.get_weights():
        digest.update(str((weight.shape, weight.dtype)).encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


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
    for name, layer in zip(names(network), network.layers, strict=True):
        before = shape
        try:
            shape = shape_after(layer, before)
        except (IndexError, ValueError):
            what = f"layer {name!r} does not fit an input of shape {before}"
            raise UsageError(what, "change the recipe's layers") from None
        match layer:
            case Conv():
                weights = layer.kernel**2 * before[-1] * layer.filters
                parameters += weights + layer.filters
                macs += weights * shape[0] * shape[1]
            case DepthwiseConv():
                weights = layer.kernel**2 * before[-1]
                parameters += weights + before[-1]
                macs += weights * shape[0] * shape[1]
            case Dense():
                parameters += (before[-1] + 1) * layer.units
                macs += math.prod(before) * layer.units
            case BatchNorm():
                parameters += 4 * before[-1]
    return Size(parameters, macs)


def shape_after(layer: AnyLayer, shape: Shape) -> Shape:
    """What comes out of a layer; ValueError or IndexError where ``shape`` does not fit it."""
    match layer:
        case Conv():
            return (*_window(shape, layer.kernel, layer.stride, layer.padding), layer.filters)
        case DepthwiseConv():
            return (*_window(shape, layer.kernel, layer.stride, layer.padding), shape[2])
        case MaxPool() | AveragePool():
            stride = layer.stride or layer.size
            return (*_window(shape, layer.size, stride, layer.padding), shape[2])
        case Flatten():
            return (math.prod(shape),)
        case Dense():
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
        found = widened(network, step / _STEPS)
        if getattr(size(found, shape), by) <= limit:
            return found
    least = getattr(size(widened(network, 1 / _STEPS), shape), by)
    what = f"the network has {least:,} {by} with one filter or unit a layer, {limit:,} are allowed"
    raise UsageError(what, "allow more, or start from a network with fewer layers")


def _window(shape: Shape, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    height, width, _ = shape
    if padding == "same":
        return -(-height // stride), -(-width // stride)
    if min(height, width) < kernel:
        raise ValueError(shape)
    return (height - kernel) // stride + 1, (width - kernel) // stride + 1
