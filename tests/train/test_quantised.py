# SPDX-License-Identifier: Apache-2.0
"""The quantisation-aware finish: that it foresees int8, teaches the plain network, and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import ModelError
from hil.core.records import Precision
from hil.reference import encode_inputs, litert
from hil_train.backend import known_warnings, require
from hil_train.batches import as_input
from hil_train.compress import follow, quantised
from hil_train.export import convert
from tests.support.training import bars, build, needs_tensorflow, tutorial

pytestmark = needs_tensorflow


def test_it_answers_as_litert_in_int8(tmp_path: Path) -> None:
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
    # LiteRT rounds its biases and factors as well: one step at most, and seldom
    assert np.abs(answers - int8).max() < 1.5 * spec.scale
    assert np.abs(answers - int8).mean() < 0.25 * np.abs(plain - int8).mean()


def test_the_plain_network_learns_and_keeps_its_layers() -> None:
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


def test_weights_lie_on_the_grid_that_the_converter_chooses() -> None:
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


def test_ranges_follow_a_network_that_outgrows_them() -> None:
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


def test_a_layer_it_cannot_imitate_is_refused() -> None:
    keras, _ = require()
    layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    with pytest.raises(ModelError, match="BatchNormalization"):
        quantised(keras.Sequential(layers), np.ones((2, 4), np.float32))
