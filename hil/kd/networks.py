"""A recipe's layers -> a Keras network."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from hil.errors import UsageError
from hil.kd import layers
from hil.kd.backend import require
from hil.kd.layers import AnyLayer, Network


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
    for layer, called in zip(network.layers, layers.names(network), strict=True):
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


def ends_in_softmax(model: Any) -> bool:
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
        case layers.Conv():
            return kinds.Conv2D(
                layer.filters,
                layer.kernel,
                strides=layer.stride,
                padding=layer.padding,
                activation=layer.activation,
                name=name,
            )
        case layers.DepthwiseConv():
            return kinds.DepthwiseConv2D(
                layer.kernel,
                strides=layer.stride,
                padding=layer.padding,
                activation=layer.activation,
                name=name,
            )
        case layers.Dense():
            return kinds.Dense(layer.units, activation=layer.activation, name=name)
        case layers.MaxPool():
            return kinds.MaxPooling2D(layer.size, layer.stride, layer.padding, name=name)
        case layers.AveragePool():
            return kinds.AveragePooling2D(layer.size, layer.stride, layer.padding, name=name)
        case layers.LeakyRelu():
            return kinds.LeakyReLU(negative_slope=layer.slope, name=name)
        case layers.Relu():
            return kinds.ReLU(name=name)
        case layers.BatchNorm():
            return kinds.BatchNormalization(name=name)
        case layers.Dropout():
            return kinds.Dropout(layer.rate, name=name)
        case layers.Flatten():
            return kinds.Flatten(name=name)
        case layers.Softmax():
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
