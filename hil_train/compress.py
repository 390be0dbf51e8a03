# SPDX-License-Identifier: Apache-2.0
"""Compression of a trained network: structured pruning, and training that simulates int8.

**Pruning** removes whole filters and units. What is left is a smaller ordinary network of
`hil_train.networks`, without zeros that still take time:

    importance of each filter and unit ─> the ones kept ─> their weights in a narrower network

A filter is removed together with its bias, its batch normalisation and the weights that used its
output: after a flatten layer, one row of the dense layer's weights per pixel. Importance of a
filter or unit (Li et al. 2017 for the norms):

    l1, l2      norm of its incoming weights, without bias
    activation  mean of |output| over samples, including the layer's own activation function

**Quantisation-aware training** rounds weights and activations as the int8 file will, so that
training adapts to it (Jacob et al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError, UsageError
from hil_train import networks
from hil_train.backend import known_warnings, require
from hil_train.batches import Floats, as_input
from hil_train.networks import AnyLayer, Network

Criterion: TypeAlias = Literal["l1", "l2", "activation"]
CRITERIA: tuple[Criterion, ...] = ("l1", "l2", "activation")
Indices: TypeAlias = npt.NDArray[np.intp]
Weights: TypeAlias = Sequence[Sequence[Floats]]  # of each layer, as Keras lists them

_PREDICT: Final = 1000  # samples at a time
_FOLDED: Final = ("BatchNormalization",)
# their outputs are within the range of their inputs, and TFLite gives them that range
_SAME_RANGE: Final = ("MaxPooling2D", "Flatten", "Reshape", "Dropout", "InputLayer")
_OVER_CHANNELS: Final = ("Conv2D", "Dense")  # outputs are the last axis of the kernel
_BITS: Final = 8


@known_warnings()
def prune(
    model: Any,
    network: Network,
    wanted: Network,
    *,
    criterion: Criterion = "l1",
    samples: npt.NDArray[np.generic] | None = None,
    name: str = "pruned",
) -> Any:
    """Remove the least important filters and units of a trained network.

    Args:
        model: a trained Keras network with the layers of ``network``.
        network: its description.
        wanted: the same layers with fewer filters and units; see `networks.widest`.
        criterion: how to measure the importance of a filter.
        samples: (n, ...) inputs, pixels or float32; needed by ``activation``.
        name: of the new network.

    Returns:
        A trained Keras network with the layers of ``wanted``.

    Raises:
        UsageError: the three do not fit together, or samples are missing.
    """
    weights = [layer.get_weights() for layer in model.layers]
    _check(network, wanted, weights)
    if criterion == "activation":
        if samples is None:
            raise UsageError("importance by activation needs samples", "pass training samples")
        scores = _activations(model, network, samples)
    else:
        scores = norms(network, weights, 1 if criterion == "l1" else 2)
    kept = {
        index: strongest(scores[index], outputs(wanted.layers[index]))
        for index in prunable(network)
    }
    shape = tuple(model.input_shape[1:])
    small = networks.build(wanted, shape, name)
    cut_weights = cut(network, shape, weights, kept)
    for layer, found in zip(small.layers, cut_weights, strict=True):
        layer.set_weights(found)
    return small


def cut(
    network: Network, shape: tuple[int, ...], weights: Weights, kept: Mapping[int, Indices]
) -> list[list[Floats]]:
    """The weights of the smaller network.

    Args:
        network: layers of the whole network.
        shape: of one sample.
        weights: of each of its layers.
        kept: index of a conv or dense layer -> which of its filters or units stay, in order;
            other layers keep all of them.

    Returns:
        Weights of each layer, in the form of ``weights``.
    """
    alive = np.arange(shape[-1])  # the positions on the last axis that are left
    found: list[list[Floats]] = []
    for index, (layer, held) in enumerate(zip(network.layers, weights, strict=True)):
        match layer:
            case networks.Conv() | networks.Dense():
                kernel, bias = held
                stay = kept.get(index, np.arange(len(bias)))
                found.append([np.take(kernel[..., stay], alive, axis=-2), bias[stay]])
                alive = stay
            case networks.DepthwiseConv():
                kernel, bias = held
                found.append([kernel[:, :, alive, :], bias[alive]])
            case networks.BatchNorm():
                found.append([each[alive] for each in held])
            case networks.Flatten():
                # channels are the last axis: pixel p of channel c is at p * channels + c
                pixels = int(np.prod(shape[:-1]))
                alive = (np.arange(pixels)[:, None] * shape[-1] + alive).reshape(-1)
                found.append([])
            case _:
                found.append([])
        shape = networks.shape_after(layer, shape)
    return found


def prunable(network: Network) -> list[int]:
    """Indices of the layers that have filters or units to remove: not the last, the classes."""
    last = len(network.layers) - 1
    return [i for i, layer in enumerate(network.layers) if outputs(layer) and i != last]


def outputs(layer: AnyLayer) -> int:
    """Filters or units of a layer; 0 for other kinds of layer."""
    match layer:
        case networks.Conv():
            return layer.filters
        case networks.Dense():
            return layer.units
        case _:
            return 0


def norms(network: Network, weights: Weights, order: int) -> dict[int, npt.NDArray[np.float64]]:
    """Index of each prunable layer -> (outputs,) norm of each filter's or unit's weights."""
    found = {}
    for index in prunable(network):
        kernel = np.asarray(weights[index][0], np.float64)
        found[index] = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), order, axis=0)
    return found


def strongest(scores: npt.NDArray[np.float64], count: int) -> Indices:
    """Indices of the ``count`` highest of (n,) scores, ascending; of equal scores, the first."""
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def _activations(
    model: Any, network: Network, samples: npt.NDArray[np.generic]
) -> dict[int, npt.NDArray[np.float64]]:
    """Index of each prunable layer -> (outputs,) mean of |output| over samples and pixels."""
    keras, _ = require()
    wanted = prunable(network)
    if not wanted:
        return {}
    seen = keras.Model(model.inputs[0], [model.layers[index].output for index in wanted])
    total: list[Any] = [0.0] * len(wanted)
    for start in range(0, len(samples), _PREDICT):
        given = seen(as_input(samples[start : start + _PREDICT]), training=False)
        for i, each in enumerate(given if isinstance(given, list | tuple) else [given]):
            values = np.abs(np.asarray(each, np.float64))
            total[i] = total[i] + values.reshape(-1, values.shape[-1]).sum(axis=0)
    return dict(zip(wanted, total, strict=True))


def _check(network: Network, wanted: Network, weights: Weights) -> None:
    hint = "pass the layers that it was trained with"
    if len(weights) != len(network.layers):
        what = f"the network has {len(weights)} layers, its description {len(network.layers)}"
        raise UsageError(what, hint)
    names = networks.names(network)
    if len(wanted.layers) != len(names):
        what = f"{len(names)} layers cannot be pruned to {len(wanted.layers)}"
        raise UsageError(what, "pruning removes filters and units, not layers")
    for index, (layer, small) in enumerate(zip(network.layers, wanted.layers, strict=True)):
        name, has, wants = names[index], outputs(layer), outputs(small)
        if has and np.shape(weights[index][0])[-1] != has:
            found = np.shape(weights[index][0])[-1]
            raise UsageError(f"layer {name!r} has {found} outputs, not {has}", hint)
        if narrowed(layer, wants) != small:
            what = f"layer {name!r} cannot be pruned to another kind of layer"
            raise UsageError(what, "change only filters and units")
        if has and not 1 <= wants <= has:
            what = f"layer {name!r} has {has} filters or units, so {wants} cannot be kept"
            raise UsageError(what, f"keep 1 to {has}")
        if has and index not in prunable(network) and wants != has:
            raise UsageError(f"the outputs of layer {name!r} are the classes", f"keep all {has}")


def narrowed(layer: AnyLayer, count: int) -> AnyLayer:
    """The layer with another number of filters or units."""
    if isinstance(layer, networks.Conv):
        return msgspec.structs.replace(layer, filters=count)
    if isinstance(layer, networks.Dense):
        return msgspec.structs.replace(layer, units=count)
    return layer


def quantised(network: Any, samples: npt.NDArray[np.float32]) -> Any:
    """A Keras model that computes what ``network`` will in int8, and trains the same weights.

    Args:
        network: a trained ``keras.Sequential`` of Conv2D, Dense and layers without weights.
        samples: (n, ...) real inputs that set the ranges: the ones that the export uses.

    Returns:
        A model of the same input and output shapes, not compiled. Training it changes ``network``,
        which is what to save afterwards. `follow` updates the ranges during training.

    Raises:
        ModelError: a layer with an int8 form that is not simulated.
    """
    keras, tf = require()
    for layer in network.layers:
        _refuse(layer)
    taken = _limits(samples)
    # variables: with fixed ranges, weights that grow would clip here, but not after export
    given = [limits and tuple(map(tf.Variable, limits)) for limits in _ranges(network, samples)]
    fake = keras.quantizers.fake_quant_with_min_max_vars

    # Keras is imported when it is needed, so its classes have no type here
    class Quantised(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(name=network.name)
            self.plain = network

        def observe(self) -> None:
            """Set the ranges to those of the network as it is now."""
            for kept, limits in zip(given, _ranges(self.plain, samples), strict=True):
                for variable, value in zip(kept or (), limits or (), strict=True):
                    variable.assign(value)

        def call(self, x: Any, training: bool = False) -> Any:
            x = fake(x, *taken, num_bits=_BITS)
            for layer, limits in zip(self.plain.layers, given, strict=True):
                if layer.weights:
                    kernel = _rounded(layer.kernel)
                    values = [kernel if v is layer.kernel else v for v in layer.trainable_variables]
                    x, _ = layer.stateless_call(values, [], x)
                else:
                    x = layer(x, training=training)
                if limits is not None:
                    x = fake(x, *limits, num_bits=_BITS)
            return x

    def _rounded(kernel: Any) -> Any:
        kernel = tf.convert_to_tensor(kernel)
        # no gradient through the range: it would only change the largest weight
        most = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), axis=range(kernel.ndim - 1)))
        most = tf.maximum(most, np.finfo(np.float32).tiny * 2**24)  # for a channel of zeros
        return fake(kernel, -most, most, num_bits=_BITS, narrow_range=True, axis=-1)

    model = Quantised()
    model.build((None, *network.input_shape[1:]))
    return model


def follow(model: Any) -> Any:
    """The Keras callback that updates the ranges of a `quantised` model before each epoch."""
    keras, _ = require()
    return keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: model.observe())


def _refuse(layer: Any) -> None:
    kind = type(layer).__name__
    if layer.weights and kind not in _OVER_CHANNELS:
        fix = "fold it into the layer before" if kind in _FOLDED else "remove `quantised = true`"
        what = (
            f"layer {layer.name!r} is a {kind}, which quantisation-aware training cannot simulate"
        )
        raise ModelError(what, fix)


def _ranges(network: Any, samples: npt.NDArray[np.float32]) -> list[tuple[float, float] | None]:
    """The minimum and maximum of each layer's outputs and 0; None if a layer keeps the range of its
    input."""
    found: list[tuple[float, float] | None] = []
    x: Any = samples
    for layer in network.layers:
        x = layer(x, training=False)
        keeps = type(layer).__name__ in _SAME_RANGE
        found.append(None if keeps else _limits(np.asarray(x)))
    return found


def _limits(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    return min(float(values.min()), 0.0), max(float(values.max()), 0.0)
