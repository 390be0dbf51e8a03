# SPDX-License-Identifier: Apache-2.0
"""Pruning compared with the whole network, and quantisation-aware training with LiteRT's int8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import ModelError, UsageError
from hil.core.records import Precision
from hil.reference import encode_inputs, litert
from hil.tflite import read_model
from hil_train import compress, networks
from hil_train.backend import known_warnings, require
from hil_train.batches import as_input
from hil_train.compress import CRITERIA, Criterion, follow, quantised
from hil_train.export import convert
from hil_train.networks import (
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Dropout,
    Flatten,
    LeakyRelu,
    MaxPool,
    Network,
    Relu,
)
from tests.support.training import bars, build, needs_tensorflow, tutorial

pytestmark = needs_tensorflow

SHAPE = (9, 7, 2)
NETS = {
    "two convolutions, pooled, flattened": Network(
        layers=(
            Conv(filters=6, activation="relu"),
            MaxPool(),
            Conv(filters=5, kernel=2, padding="same", activation="relu"),
            Flatten(),
            Dense(units=8, activation="relu"),
            Dense(units=3),
        )
    ),
    "normalised, depthwise, leaky": Network(
        layers=(
            Conv(filters=6, stride=2, padding="same"),
            BatchNorm(),
            LeakyRelu(),
            DepthwiseConv(activation="relu", padding="same"),
            Conv(filters=4, kernel=1),
            Relu(),
            AveragePool(padding="same"),
            Dropout(rate=0.5),
            Flatten(),
            Dense(units=3),
        )
    ),
    "flattened first": Network(
        layers=(Flatten(), Dense(units=9, activation="relu"), Dense(units=7), Dense(units=3))
    ),
    "one layer": Network(layers=(Flatten(), Dense(units=3))),
}


def samples(n: int = 40, shape: Sequence[int] = SHAPE) -> Any:
    return np.random.default_rng(5).integers(0, 3, (n, *shape)).astype(np.float32)


def whole(network: Network, dead: int, shape: tuple[int, ...] = SHAPE) -> Any:
    """A network of small integers, with sums that are exact in any order; in each layer, all
    incoming weights and the bias of ``dead`` random filters or units are zero."""
    model, random = build(network, shape), np.random.default_rng(3)
    for index, layer in enumerate(model.layers):
        if isinstance(network.layers[index], BatchNorm):
            continue  # gamma is 1, mean and beta are 0, so zeros stay zeros
        held = [random.integers(1, 4, w.shape).astype(np.float32) for w in layer.get_weights()]
        held = [w * random.choice([-1, 1], w.shape).astype(np.float32) for w in held]
        if index in compress.prunable(network):
            gone = random.permutation(held[1].size)[:dead]
            for w in held:
                w[..., gone] = 0
        layer.set_weights(held)
    for layer in model.layers:
        if isinstance(network.layers[model.layers.index(layer)], DepthwiseConv):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, np.zeros_like(bias)])  # a dead channel stays dead
    return model


def narrower(network: Network, by: int) -> Network:
    found = [
        compress.narrowed(layer, compress.outputs(layer) - by)
        if index in compress.prunable(network)
        else layer
        for index, layer in enumerate(network.layers)
    ]
    return Network(layers=tuple(found))


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", NETS)
def test_removing_zero_filters_does_not_change_outputs(name: str, criterion: Criterion) -> None:
    network, x = NETS[name], samples()
    model = whole(network, dead=2)
    # with the same samples: a unit that is 0 for all of them may be removed instead of a dead one
    small = compress.prune(model, network, narrower(network, 2), criterion=criterion, samples=x)
    before, after = (np.asarray(each(x, training=False)) for each in (model, small))
    if any(isinstance(layer, BatchNorm) for layer in network.layers):
        np.testing.assert_allclose(after, before, rtol=1e-5)  # its division gives fractions
    else:
        np.testing.assert_array_equal(after, before)
    if compress.prunable(network):
        assert small.count_params() < model.count_params()


def test_removing_other_filters_changes_outputs() -> None:
    network, x = NETS["two convolutions, pooled, flattened"], samples()
    model = whole(network, dead=2)
    small = compress.prune(model, network, narrower(network, 3))
    assert not np.array_equal(np.asarray(model(x)), np.asarray(small(x)))


def test_keeping_all_filters_keeps_the_network() -> None:
    network, x = NETS["normalised, depthwise, leaky"], samples()
    model = whole(network, dead=0)
    same = compress.prune(model, network, network, criterion="l2")
    np.testing.assert_array_equal(np.asarray(same(x)), np.asarray(model(x)))


def test_importance_is_the_documented_measure() -> None:
    network = Network(layers=(Dense(units=3, activation="relu"), Dense(units=2)))
    kernel = np.array([[3, 0, -2], [0, 2.5, -2]], np.float32)
    held = [[kernel, np.zeros(3, np.float32)], [np.zeros((3, 2), np.float32)] * 2]
    assert compress.norms(network, held, 1)[0].tolist() == [3, 2.5, 4]
    assert compress.norms(network, held, 2)[0].tolist() == [3, 2.5, np.sqrt(8)]
    model = build(network, (2,))
    model.layers[0].set_weights(held[0])
    found = compress._activations(model, network, np.array([[1, 1], [0, 1]], np.float32))
    assert found[0].tolist() == [3, 5, 0]  # the third is never above zero
    assert compress.strongest(np.array([2.0, 5, 2, 7]), 3).tolist() == [0, 1, 3]


@pytest.mark.parametrize("name", NETS)
def test_sizes_are_those_of_keras_and_of_the_tflite_file(name: str, tmp_path: Path) -> None:
    network = NETS[name]
    model = whole(network, dead=0)
    size = networks.size(network, SHAPE)
    assert size.parameters == model.count_params()
    path = tmp_path / "net.tflite"
    path.write_bytes(convert(model, samples(5))[Precision.FLOAT32])
    assert size.macs == read_model(path).macs


def test_networks_that_do_not_fit_together_are_refused() -> None:
    network = NETS["flattened first"]
    model = whole(network, dead=0)

    def wanted(*layers: Any) -> Network:
        return Network(layers=layers)

    rest = (Dense(units=9, activation="relu"), Dense(units=7), Dense(units=3))
    for small, says in (
        (wanted(*rest), "4 layers cannot be pruned to 3"),
        (wanted(Flatten(), Dense(units=10, activation="relu"), *rest[1:]), "10 cannot be kept"),
        (wanted(Flatten(), Dense(units=9), *rest[1:]), "another kind of layer"),
        (wanted(Flatten(), *rest[:2], Dense(units=2)), "are the classes"),
    ):
        with pytest.raises(UsageError, match=says):
            compress.prune(model, network, small)
    with pytest.raises(UsageError, match="needs samples"):
        compress.prune(model, network, network, criterion="activation")
    with pytest.raises(UsageError, match="its description 2"):
        compress.prune(model, NETS["one layer"], NETS["one layer"])


def test_a_quantised_model_computes_what_litert_does_in_int8(tmp_path: Path) -> None:
    data = bars(64)
    network, samples = build(tutorial("student")), as_input(data.x)
    path = tmp_path / "int8.tflite"
    with known_warnings():
        path.write_bytes(convert(network, samples)[Precision.INT8])
        answers = np.asarray(quantised(network, samples).predict(samples, verbose=0))
        plain = np.asarray(network.predict(samples, verbose=0))
    model = litert(path)
    spec = model.graph.output
    steps = model.predict(encode_inputs(data.x, model.graph.input)).astype(np.float64)
    int8 = (steps - spec.zero_point) * spec.scale
    # LiteRT also rounds biases and factors: a difference of one step at most, and rarely
    assert np.abs(answers - int8).max() < 1.5 * spec.scale
    assert np.abs(answers - int8).mean() < 0.25 * np.abs(plain - int8).mean()


def test_training_it_trains_the_plain_network() -> None:
    keras, _ = require()
    data = bars(64)
    network, samples = build(tutorial("student")), as_input(data.x)
    before = [w.copy() for w in network.get_weights()]
    model = quantised(network, samples)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=loss)
    with known_warnings():
        history = model.fit(samples, data.y, epochs=3, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert all((a != b).any() for a, b in zip(before, network.get_weights(), strict=True))
    assert [type(layer).__name__ for layer in network.layers] == [
        "Conv2D",
        "MaxPooling2D",
        "Flatten",
        "Dense",
        "Dense",
    ]


def test_weights_are_rounded_to_the_converter_s_grid() -> None:
    keras, _ = require()
    x = keras.Input((3,))
    network = keras.Sequential([x, keras.layers.Dense(2, use_bias=False)])
    kernel = np.array([[1.27, 0.0], [0.104, 0.0], [-0.5, 0.0]], np.float32)
    network.set_weights([kernel])
    model = quantised(network, np.array([[-1, -1, -1], [1, 1, 1]], np.float32) * np.float32(127))
    unit = np.array([[127, 0, 0], [0, 127, 0], [0, 0, 127]], np.float32)
    with known_warnings():
        answers = np.asarray(model.predict(unit, verbose=0))
    # column 0 in steps of 0.01: 0.104 becomes 0.10; a column of zeros stays one. Outputs range
    # over +-127 * 0.874 in 255 steps, inputs are moved by the grid of +-127 by half a step.
    assert np.allclose(answers[:, 0] / 127, [0.874, 0.10, -0.50], atol=0.01)
    assert not answers[:, 1].any()


def test_ranges_follow_growing_weights() -> None:
    data = bars(64)
    network, samples = build(tutorial("student")), as_input(data.x)
    model = quantised(network, samples)
    last = network.layers[-1]
    last.set_weights([4 * w for w in last.get_weights()])
    with known_warnings():
        plain = np.asarray(network.predict(samples, verbose=0))
        clipped = np.asarray(model(samples))
        follow(model).on_epoch_begin(0)
        followed = np.asarray(model(samples))
    step = (plain.max() - plain.min()) / 255
    assert np.abs(clipped - plain).max() > 50 * step
    assert np.abs(followed - plain).max() < 5 * step


def test_unsupported_layers_are_refused() -> None:
    keras, _ = require()
    layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    with pytest.raises(ModelError, match="BatchNormalization"):
        quantised(keras.Sequential(layers), np.ones((2, 4), np.float32))
