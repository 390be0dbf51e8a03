"""What a network is made of, as a recipe spells it: a short list of layers. Data only."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, TypeAlias

import msgspec

from hil.config import Config

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
