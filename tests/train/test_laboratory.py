# SPDX-License-Identifier: Apache-2.0
"""What the converter makes of the recipes' layers runs on the engine, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil import datasets
from hil.core.records import Precision
from hil.reference import encode_inputs, litert, oracle
from hil.tflite import read_model
from hil_train.backend import known_warnings, require
from hil_train.batches import as_input
from hil_train.export import convert
from tests.support.native import library
from tests.support.training import needs_tensorflow

pytestmark = needs_tensorflow


def block(filters: int) -> list[Any]:
    layers = require()[0].layers
    return [
        layers.Conv2D(filters, 3, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.MaxPooling2D(2, strides=1, padding="same"),
    ]


def network(name: str) -> Any:
    """A recipe's network, untrained."""
    keras, _ = require()
    keras.utils.set_random_seed(3)
    layers = keras.layers
    if name == "cifar10-made":
        shape: tuple[int, ...] = (32, 32, 3)
        body = [*block(32), *block(32), layers.Dropout(0.2), layers.Flatten()]
        body += [layers.Dense(16, "relu"), layers.Dropout(0.5), layers.Dense(10)]
    else:
        shape, units = {"tabular": ((20,), (128, 3)), "noise": ((10,), (64, 2))}[name]
        body = [layers.Dense(units[0], "relu"), layers.Dense(units[1])]
    return keras.Sequential([keras.Input(shape), *body], name="net")


@pytest.mark.parametrize("name", ["tabular", "noise", "cifar10-made"])
def test_converted_networks_run_exactly(name: str, tmp_path: Path) -> None:
    data = datasets.subset(datasets.load(name, "train"), 60)
    with known_warnings():
        files = convert(network(name), as_input(data.x))
    for precision, content in files.items():
        folder = tmp_path / precision
        folder.mkdir()
        path = folder / "net.tflite"
        path.write_bytes(content)
        graph = read_model(path)
        assert graph.precision == precision
        out = library({"net": graph}, folder)["net"]
        x = encode_inputs(data.x[:8], graph.input)
        answers = out.run(x)
        assert answers.tobytes() == oracle(path).predict(x).tobytes()
        if precision is Precision.FLOAT32:
            assert answers.tobytes() == litert(path).predict(x).tobytes()
        elif name == "tabular":  # features reach beyond what a scale of 1/255 could say
            assert graph.input.scale > 2 / 255
        assert len(np.unique(answers, axis=0)) == 8
