# SPDX-License-Identifier: Apache-2.0
"""Weighted layers that are not plain convolutions, compared with TFLM and LiteRT."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import ModelError
from hil.engines.aot import generate
from hil.engines.aot.plan import plan
from hil.engines.aot.weighted.conv16 import Dense16
from hil.tflite import Graph, read_model
from tests.engines.test_kernels import COMPILERS
from tests.support.native import STRICT, all_inputs, library
from tests.support.oracles import litert_outputs, tflm_outputs
from tests.support.tflite import Net
from tests.support.weighted_nets import make_weighted

COUNT = 20

thorough = pytest.mark.thorough


def compare(models: dict[str, Graph], folder: Path) -> int:
    """Compare all outputs with the reference; the number of networks that it takes too."""
    compared = 0
    for name, native in library(models, folder).items():
        x = all_inputs(native.graph, 4, 1)
        got = native.run_all(x)
        again = native.run_all(x, poison=0x00)
        assert [a.tobytes() for a in got] == [a.tobytes() for a in again], name
        integer = native.graph.precision.integer
        try:
            expected = (tflm_outputs if integer else litert_outputs)(native.graph, x)
        except RuntimeError:  # the reference refuses it
            continue
        for a, b in zip(got, expected, strict=True):
            assert a.tobytes() == b.reshape(a.shape).tobytes(), name
        compared += 1
    return compared


def drawn(kind: str, layer: str, first: int, batch: int = 1) -> dict[str, Graph]:
    found = {}
    for seed in range(first, first + COUNT):
        graph = read_model(make_weighted(seed, kind, layer, batch))
        try:
            plan(graph)
        except ModelError:  # sums that might leave 32 bits
            continue
        found[f"net{seed}"] = graph
    return found


@thorough
@pytest.mark.parametrize("kind", ["float32", "int8", "int16"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layer", ["dilated", "grouped", "transposed"])
def test_layers_equal_the_references(kind: str, batch: int, layer: str, tmp_path: Path) -> None:
    models = drawn(kind, layer, 100 * batch, batch)
    steps = Counter(type(step).__name__ for graph in models.values() for step in plan(graph))
    step = "Transposed" if layer == "transposed" else "Collected"
    assert steps["Repeated" if batch > 1 else step] >= COUNT // 3
    assert compare(models, tmp_path) >= COUNT * 2 // 3


@thorough
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_convolutions_over_a_batch_fuse_and_equal_the_references(kind: str, tmp_path: Path) -> None:
    models = drawn(kind, "conv", 0, 2)
    assert compare(models, tmp_path) >= COUNT * 2 // 3


@thorough
@pytest.mark.parametrize("layer", ["conv", "dense"])
def test_layers_of_int16_values_equal_tflm(layer: str, tmp_path: Path) -> None:
    models = drawn("int16", layer, 500, 1)
    steps = [step for graph in models.values() for step in plan(graph)]
    assert {"Dense16", "Depthwise16", "Pooling16"} <= {type(step).__name__ for step in steps}
    scalings = [step.scaling for step in steps if isinstance(step, Dense16)]
    assert any(scaling.long for scaling in scalings)
    assert any(scaling.exact for scaling in scalings)
    assert compare(models, tmp_path) >= COUNT * 2 // 3


@thorough
@pytest.mark.parametrize("layer", ["conv", "dense", "dilated", "grouped"])
@pytest.mark.parametrize("batch", [1, 2])
def test_float32_layers_with_int8_weights_equal_litert(
    layer: str, batch: int, tmp_path: Path
) -> None:
    models = drawn("hybrid", layer, 0, batch)
    assert compare(models, tmp_path) >= COUNT * 2 // 3


@thorough
@pytest.mark.parametrize("layer", ["conv", "dense", "grouped"])
def test_int8_layers_with_int4_weights_equal_tflm(layer: str, tmp_path: Path) -> None:
    models = drawn("int4", layer, 0)
    assert compare(models, tmp_path) >= COUNT // 4  # TFLM refuses dense ones of several scales


@pytest.mark.firmware
@pytest.mark.parametrize("language", COMPILERS)
def test_float32_layers_with_int8_weights_compile_without_a_warning(
    language: str, tmp_path: Path
) -> None:
    models = drawn("hybrid", "grouped", 0, 2) | drawn("hybrid", "conv", 50, 1)
    for name, graph in models.items():
        (tmp_path / f"{name}.h").write_text(generate(graph, name, "").text)
    source = tmp_path / "all.c"
    source.write_text("".join(f'#include "{name}.h"\n' for name in models))
    words = [*COMPILERS[language], *STRICT[1:], "-c", str(source), "-o", str(tmp_path / "all.o")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_constants_may_have_a_scale_of_zero(tmp_path: Path) -> None:
    net = Net().input((1, 6), "int8", 0.1, 3)
    weights = np.arange(-9, 9, dtype=np.int8).reshape(3, 6)
    net.dense(weights, np.arange(3, dtype=np.int32), scales=[0.0, 0.1, 0.2], scale=0.5, zero=7)
    assert compare({"net": read_model(net.finish())}, tmp_path) == 1


def test_int4_weights_of_the_wrong_size_are_refused() -> None:
    net = Net(weights="int4").input((1, 6), "int8", 0.1, 3)
    net.dense(np.ones((3, 6), np.int8), scales=[0.1], scale=0.5, zero=7)
    net.graph.tensors[1].shape = [3, 8]
    with pytest.raises(ModelError, match=r"tensor 1: 9 bytes for shape \[3, 8\]"):
        read_model(net.finish())


def test_computed_weights_of_a_convolution_are_refused_by_name() -> None:
    net = Net().input((3, 2, 2, 4)).simple("ABS")
    weights = net.current
    net.input((1, 5, 5, 4))
    net.conv(np.ones((3, 2, 2, 4), np.float32), np.ones(3, np.float32))
    net.graph.operators[-1].inputs[1] = weights
    net.graph.inputs = [0, 2]
    with pytest.raises(ModelError, match=r"\(CONV_2D\).*computed weights"):
        plan(read_model(net.finish()))
