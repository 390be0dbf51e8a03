# SPDX-License-Identifier: Apache-2.0
"""Export: what the converter's traps would do to these files, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core import files
from hil.core.errors import ModelError, UsageError
from hil.core.records import DType, Precision
from hil.reference import encode_inputs, litert
from hil.tflite import read_model
from hil_train import batches
from hil_train.backend import known_warnings, require
from hil_train.export import export
from tests.support.training import bars, needs_tensorflow, tutorial
from tests.support.training import build as built

pytestmark = needs_tensorflow


def saved(path: Path, build: Callable[[], Any]) -> tuple[Path, Any]:
    keras, _ = require()
    keras.utils.set_random_seed(1)
    network = build()
    with known_warnings():
        network.save(path)
    return path, network


def test_the_files_are_static_and_int8_throughout(tmp_path: Path) -> None:
    source, network = saved(tmp_path / "net.keras", lambda: built(tutorial("student")))
    data = bars(64)
    paths = export(source, data, tmp_path / "out", calibration=64)

    assert [p.name for p in paths.values()] == ["net_float32.tflite", "net_int8.tflite"]
    graphs = {precision: read_model(path) for precision, path in paths.items()}
    for graph in graphs.values():
        # an open batch would add SHAPE, STRIDED_SLICE and PACK
        names = [op.code for op in graph.operators]
        assert names == ["CONV_2D", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "FULLY_CONNECTED"]
        assert graph.input.shape == (1, 28, 28, 1)
        assert graph.output.shape == (1, 10)
    int8 = graphs[Precision.INT8]
    assert (int8.input.dtype, int8.output.dtype) == (DType.INT8, DType.INT8)
    # so pixel - 128 is the quantised input
    assert int8.input.scale == float(np.float32(1 / 255))
    assert int8.input.zero_point == -128

    expected = network.predict(batches.as_input(data.x), verbose=0)
    for precision, path in paths.items():
        model = litert(path)
        out = model.predict(encode_inputs(data.x, model.graph.input)).astype(np.float32)
        spec = model.graph.output
        if precision is Precision.INT8:
            out = (out - spec.zero_point) * spec.scale
        tolerance = 1e-5 if precision is Precision.FLOAT32 else 6 * spec.scale
        np.testing.assert_allclose(out, expected, atol=tolerance)


def test_a_network_of_the_user_s_own(tmp_path: Path) -> None:
    def build() -> Any:
        keras, _ = require()
        x = keras.Input((6, 3))
        return keras.Model(x, keras.layers.Dense(4)(keras.layers.Flatten()(x)))

    source, _ = saved(tmp_path / "mine.keras", build)
    random = np.random.RandomState(0)
    data = replace(bars(20), x=random.normal(size=(20, 6, 3)).astype(np.float32))
    paths = export(source, data, tmp_path)
    assert read_model(paths[Precision.INT8]).input.shape == (1, 6, 3)
    assert read_model(paths[Precision.FLOAT32]).output.shape == (1, 4)


def test_what_is_no_keras_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no file .*gone\.keras"):
        export(tmp_path / "gone.keras", bars(4), tmp_path)
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ModelError, match="not a Keras model") as caught:
        export(broken, bars(4), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_model_that_carries_code_is_refused(tmp_path: Path) -> None:
    def build() -> Any:
        keras, _ = require()
        return keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda v: v * 2)])

    source, _ = saved(tmp_path / "code.keras", build)
    with pytest.raises(ModelError, match="not a Keras model that can be loaded"):
        export(source, bars(4), tmp_path)


def test_several_inputs_are_refused(tmp_path: Path) -> None:
    def build() -> Any:
        keras, _ = require()
        a, b = keras.Input((4,)), keras.Input((4,))
        return keras.Model([a, b], keras.layers.Add()([a, b]))

    source, _ = saved(tmp_path / "two.keras", build)
    with pytest.raises(ModelError, match="exactly one input"):
        export(source, bars(4), tmp_path)


def test_data_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    source, _ = saved(tmp_path / "net.keras", lambda: built(tutorial("student")))
    small = replace(bars(4), x=np.zeros((4, 8, 8, 1), np.uint8))
    with pytest.raises(UsageError, match=r"takes inputs of shape \(28, 28, 1\)"):
        export(source, small, tmp_path)
    signed = replace(bars(4), x=bars(4).x.astype(np.int8))
    with pytest.raises(UsageError, match="int8"):
        export(source, signed, tmp_path)
    assert files.sha256(tmp_path / "net_int8.tflite") == ""
