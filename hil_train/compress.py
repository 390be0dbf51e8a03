# SPDX-License-Identifier: Apache-2.0
"""Structured pruning: whole filters and units are removed, and what is left is a smaller network.

    importance of each filter and unit ─> the ones kept ─> their weights in a narrower network

A filter goes with its bias, its batch normalisation and the weights of all that it fed: behind a
flatten, one row of the dense layer's weights for each of its pixels. What is left is an ordinary
network of `hil_train.networks`; there are no zeros that still cost time.

Importance of a filter or unit (Li et al. 2017 for the norms):

    l1, l2      norm of its incoming weights, bias left out
    activation  mean of |output| over samples, the layer's own activation included
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError, UsageError
from hil_train import networks
from hil_train.backend import known_warnings, require
from hil_train.batches import as_input
from hil_train.networks import AnyLayer, Network

Criterion: TypeAlias = Literal["l1", "l2", "activation"]
CRITERIA: tuple[Criterion, ...] = ("l1", "l2", "activation")
Floats: TypeAlias = npt.NDArray[np.float32]
Indices: TypeAlias = npt.NDArray[np.intp]
Weights: TypeAlias = Sequence[Sequence[Floats]]  # of each layer, as Keras lists them

_PREDICT = 1000  # samples at a time


def thinned(network: Network, share: float) -> Network:
    """The network with a share of its filters and units, at least one a layer.

    Raises:
        UsageError: a share that is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise UsageError(f"a share of {share} of the filters cannot be kept", "0 < share <= 1")
    return networks.widened(network, share)


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
        model: trained, Keras's; of the layers of ``network``.
        network: what it is made of.
        wanted: the same layers with fewer filters and units; see `thinned` and `networks.widest`.
        criterion: what makes a filter important.
        samples: (n, ...) inputs, pixels or float32; needed by ``activation``.
        name: of the new network.

    Returns:
        A trained Keras network of the layers of ``wanted``.

    Raises:
        UsageError: the three do not fit together, or samples are missing.
    """
    weights = [layer.get_weights() for layer in model.layers]
    _check(network, wanted, weights)
    if criterion == "activation":
        if samples is None:
            raise UsageError("importance by activation needs samples", "give training samples")
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
    """The weights of what is left.

    Args:
        network: layers of the whole network.
        shape: of one sample.
        weights: of each of its layers.
        kept: index of a conv or dense layer -> which of its filters or units stay, in order;
            layers that are not named keep all.

    Returns:
        As ``weights``, those of the smaller network.
    """
    alive = np.arange(shape[-1])  # which of the last axis are there
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
    """Indices of the layers that have filters or units to remove: all but the classes."""
    last = len(network.layers) - 1
    return [i for i, layer in enumerate(network.layers) if outputs(layer) and i != last]


def outputs(layer: AnyLayer) -> int:
    """Filters or units of a layer; 0 where it has none of its own."""
    match layer:
        case networks.Conv():
            return layer.filters
        case networks.Dense():
            return layer.units
        case _:
            return 0


def norms(network: Network, weights: Weights, order: int) -> dict[int, npt.NDArray[np.float64]]:
    """Index of each prunable layer -> (outputs,) norm of what feeds each filter or unit."""
    found = {}
    for index in prunable(network):
        kernel = np.asarray(weights[index][0], np.float64)
        found[index] = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), order, axis=0)
    return found


def strongest(scores: npt.NDArray[np.float64], count: int) -> Indices:
    """The ``count`` highest of (n,) scores, in their old order; of equals the first."""
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def _activations(
    model: Any, network: Network, samples: npt.NDArray[np.generic]
) -> dict[int, npt.NDArray[np.float64]]:
    """As `norms`: the mean of |output| over samples and pixels."""
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
    hint = "take the layers that it was trained with"
    if len(weights) != len(network.layers):
        what = f"the network has {len(weights)} layers, its description {len(network.layers)}"
        raise UsageError(what, hint)
    names = networks.names(network)
    if len(wanted.layers) != len(names):
        what = f"{len(names)} layers cannot be pruned to {len(wanted.layers)}"
        raise UsageError(what, "pruning removes filters and units, never a layer")
    for index, (layer, small) in enumerate(zip(network.layers, wanted.layers, strict=True)):
        name, has, wants = names[index], outputs(layer), outputs(small)
        if has and np.shape(weights[index][0])[-1] != has:
            found = np.shape(weights[index][0])[-1]
            raise UsageError(f"layer {name!r} has {found} outputs, not {has}", hint)
        if _narrowed(layer, wants) != small:
            what = f"layer {name!r} cannot be pruned to another kind of layer"
            raise UsageError(what, "change filters and units alone")
        if has and not 1 <= wants <= has:
            what = f"layer {name!r} has {has} filters or units, and {wants} cannot be kept"
            raise UsageError(what, f"keep 1 to {has}")
        if has and index not in prunable(network) and wants != has:
            raise UsageError(f"layer {name!r} are the classes: none can go", f"keep all {has}")


def _narrowed(layer: AnyLayer, count: int) -> AnyLayer:
    """A layer with other filters or units."""
    if isinstance(layer, networks.Conv):
        return msgspec.structs.replace(layer, filters=count)
    if isinstance(layer, networks.Dense):
        return msgspec.structs.replace(layer, units=count)
    return layer


_FOLDED = ("BatchNormalization",)
# these hand on values that their input's range holds already: TFLite gives them that range
_SAME_RANGE = ("MaxPooling2D", "Flatten", "Reshape", "Dropout", "InputLayer")
_OVER_CHANNELS = ("Conv2D", "Dense")  # the last axis of whose kernel are the outputs
_BITS = 8


def quantised(network: Any, samples: npt.NDArray[np.float32]) -> Any:
    """A Keras model that answers as ``network`` will in int8, and trains its very weights.

    Args:
        network: a ``keras.Sequential``, trained; of Conv2D, Dense and layers without weights.
        samples: (n, ...) real inputs that set the ranges, those that the export uses.

    Returns:
        A model of the same input and output shapes, not compiled. Training it changes
        ``network``, which is then what to save; `follow` keeps its ranges up with it.

    Raises:
        ModelError: a layer that this cannot imitate.
    """
    keras, tf = require()
    for layer in network.layers:
        _refuse(layer)
    taken = _limits(samples)
    # variables: a range that the weights have outgrown would clip here and not when exported
    given = [limits and tuple(map(tf.Variable, limits)) for limits in _ranges(network, samples)]
    fake = keras.quantizers.fake_quant_with_min_max_vars

    class Quantised(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(name=network.name)
            self.plain = network

        def observe(self) -> None:
            """Take the ranges of the network as it is now."""
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
        # no slope through the range: it would pull at the largest weight alone
        most = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), axis=range(kernel.ndim - 1)))
        most = tf.maximum(most, np.finfo(np.float32).tiny * 2**24)  # a channel of zeros
        return fake(kernel, -most, most, num_bits=_BITS, narrow_range=True, axis=-1)

    model = Quantised()
    model.build((None, *network.input_shape[1:]))
    return model


def follow(model: Any) -> Any:
    """The Keras callback that looks at the ranges of a `quantised` model before each epoch."""
    keras, _ = require()
    return keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: model.observe())


def _refuse(layer: Any) -> None:
    kind = type(layer).__name__
    if layer.weights and kind not in _OVER_CHANNELS:
        reason = "fold it into the layer before" if kind in _FOLDED else "train without this finish"
        raise ModelError(f"{layer.name} is a {kind}, whose int8 form is not imitated", reason)


def _ranges(network: Any, samples: npt.NDArray[np.float32]) -> list[tuple[float, float] | None]:
    """The least and greatest value of each layer's outputs, 0 within them.

    None where a layer keeps the range of its input.
    """
    found: list[tuple[float, float] | None] = []
    x: Any = samples
    for layer in network.layers:
        x = layer(x, training=False)
        keeps = type(layer).__name__ in _SAME_RANGE
        found.append(None if keeps else _limits(np.asarray(x)))
    return found


def _limits(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    return min(float(values.min()), 0.0), max(float(values.max()), 0.0)
