# SPDX-License-Identifier: Apache-2.0
"""A recipe's layers: their records, their sizes, and the Keras network that is built of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
import numpy as np

from hil.core.errors import UsageError
from hil.core.files import Config
from hil_train.backend import require

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$", max_length=40)]
Activation: TypeAlias = Literal["linear", "relu", "relu6", "softmax"]
Padding: TypeAlias = Literal["valid", "same"]
Shape: TypeAlias = tuple[int, ...]
Measure: TypeAlias = Literal["parameters", "macs"]

_PROBABILITIES: Final = ("softmax", "log_softmax", "sigmoid", "log_sigmoid")
_STEPS: Final = 4000  # shares of the filters and units that `widest` tries


class Layer(Config, frozen=True, tag_field="kind"):
    """One layer. ``name``: by default its kind and a number, counted within the network."""

    name: Name | None = None


class Conv(Layer, frozen=True, kw_only=True, tag="conv"):
    """A convolution with square filters, ``kernel`` wide."""

    filters: Positive
    kernel: Positive = 3
    stride: Positive = 1
    padding: Padding = "valid"
    activation: Activation = "linear"


class DepthwiseConv(Layer, frozen=True, kw_only=True, tag="depthwise_conv"):
    """One square filter per channel."""

    kernel: Positive = 3
    stride: Positive = 1
    padding: Padding = "valid"
    activation: Activation = "linear"


class Dense(Layer, frozen=True, kw_only=True, tag="dense"):
    """A fully connected layer."""

    units: Positive
    activation: Activation = "linear"


class Pool(Layer, frozen=True):
    """A square window; ``stride`` is the window's size by default."""

    size: Positive = 2
    stride: Positive | None = None
    padding: Padding = "valid"


class MaxPool(Pool, frozen=True, tag="max_pool"):
    """The largest of each window."""


class AveragePool(Pool, frozen=True, tag="average_pool"):
    """The mean of each window."""


class LeakyRelu(Layer, frozen=True, kw_only=True, tag="leaky_relu"):
    """x, or ``slope`` * x if x is negative."""

    slope: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.2


class Relu(Layer, frozen=True, kw_only=True, tag="relu"):
    """x, or 0 if x is negative."""


class BatchNorm(Layer, frozen=True, kw_only=True, tag="batch_norm"):
    """Normalises each channel. Export folds it into the layer before it."""


class Dropout(Layer, frozen=True, kw_only=True, tag="dropout"):
    """Sets a share of the values to zero, during training only."""

    rate: Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Flatten(Layer, frozen=True, kw_only=True, tag="flatten"):
    """Flattens a sample to one row."""


class Softmax(Layer, frozen=True, kw_only=True, tag="softmax"):
    """Probabilities. Refused as the last layer, because distillation needs logits."""


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
    """What a recipe calls it."""
    return str(layer.__struct_config__.tag)


def names(network: Network) -> list[str]:
    """The name of each layer: its own, or its kind and a number that starts at 1.

    Keras counts its own names through the process, which would make each export differ.
    """
    counts: Counter[str] = Counter()
    found = []
    for layer in network.layers:
        counts[kind(layer)] += 1
        found.append(layer.name or f"{kind(layer)}{counts[kind(layer)]}")
    return found


def classes(network: Network) -> int | None:
    """Number of logits; None if the last layer is not dense."""
    last = network.layers[-1]
    return last.units if isinstance(last, Dense) else None


def ends_in_activation(network: Network) -> bool:
    """Whether its outputs are probabilities or otherwise not plain logits."""
    match network.layers[-1]:
        case Softmax():
            return True
        case Conv() | DepthwiseConv() | Dense() as last:
            return last.activation != "linear"
        case _:
            return False


def widened(network: Network, factor: float) -> Network:
    """The network with ``factor`` times the filters and units (at least one) in all layers except
    the last."""
    changed: list[AnyLayer] = []
    for layer in network.layers[:-1]:
        if isinstance(layer, Conv):
            layer = msgspec.structs.replace(layer, filters=max(1, round(layer.filters * factor)))
        elif isinstance(layer, Dense):
            layer = msgspec.structs.replace(layer, units=max(1, round(layer.units * factor)))
        changed.append(layer)
    return Network(layers=(*changed, network.layers[-1]))


def build(network: Network, shape: tuple[int, ...], name: str) -> Any:
    """A network with random weights, drawn from Keras's seed.

    Args:
        network: its layers.
        shape: of one sample.
        name: of the network; the outputs in its files are named after it.

    Raises:
        UsageError: a layer does not fit its input, or the output is not one row.
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
        what = f"{name!r} has outputs of shape {model.output_shape[1:]}, not one row of logits"
        raise UsageError(what, "add a flatten layer, and end with a dense layer")
    return model


def gives_probabilities(model: Any) -> bool:
    """Whether any Keras network gives probabilities."""
    keras, _ = require()
    last = model.layers[-1]
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    activation = getattr(last, "activation", None)
    # not every Keras layer has an activation, and not every activation is a named function
    return isinstance(last, keras.layers.Softmax) or (
        getattr(activation, "__name__", "linear") in _PROBABILITIES
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

    Saved files of one network differ in their dates. Keras's own description differs in layer
    names, because it numbers inputs through the process.
    """
    digest = hashlib.sha256()
    for layer in network.layers:
        config = {key: value for key, value in layer.get_config().items() if key != "name"}
        text = json.dumps([type(layer).__name__, config], sort_keys=True, default=str)
        digest.update(text.encode())
    for weight in network.get_weights():
        digest.update(str((weight.shape, weight.dtype)).encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Size:
    """What a network costs on any device."""

    parameters: int
    macs: int  # multiply-accumulate operations per inference

    def of(self, measure: Measure) -> int:
        """One of the two."""
        return self.parameters if measure == "parameters" else self.macs


def size(network: Network, shape: Shape) -> Size:
    """Parameters and MACs of a network for samples of ``shape``.

    Raises:
        UsageError: a layer does not fit its input.
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
    """Shape of a layer's output; ValueError or IndexError if ``shape`` does not fit the layer."""
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


def widest(network: Network, shape: Shape, limit: int, measure: Measure) -> Network:
    """The network with the largest common share of its filters and units that fits a limit.

    The last layer keeps its units, which are the classes.

    Args:
        network: to make narrower.
        shape: of one sample.
        limit: the most parameters, or MACs.
        measure: which of the two.

    Raises:
        UsageError: not even one filter or unit per layer fits.
    """
    for step in range(_STEPS, 0, -1):
        found = widened(network, step / _STEPS)
        if size(found, shape).of(measure) <= limit:
            return found
    least = size(widened(network, 1 / _STEPS), shape).of(measure)
    what = f"the network has {least:,} {measure} with one filter or unit per layer, "
    what += f"{limit:,} are allowed"
    raise UsageError(what, "allow more, or start from a network with fewer layers")


def _window(shape: Shape, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    height, width, _ = shape
    if padding == "same":
        return -(-height // stride), -(-width // stride)
    if min(height, width) < kernel:
        raise ValueError(shape)
    return (height - kernel) // stride + 1, (width - kernel) // stride + 1
