# SPDX-License-Identifier: Apache-2.0
"""Code that shows its layers: they equal TFLM's and LiteRT's, and a fault shows in its layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import UsageError
from hil.engines import ENGINES, write_image
from hil.engines.aot import generate
from hil.engines.aot.faults import Fault
from hil.reference import layer_tensors
from hil.tflite import read_model
from tests.support.breakages import BREAKAGES, layers, whole
from tests.support.native import inputs
from tests.support.observed import observed
from tests.support.random_nets import supported
from tests.support.tflite import float_cnn, int8_cnn

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")

MNIST = Path(__file__).parents[2] / "models" / "mnist"


@pytest.mark.parametrize("kind", ["float32", "int8", "mixed"])
def test_layers_of_random_networks_equal_the_references(kind: str, tmp_path: Path) -> None:
    graphs = supported(kind, range(40), tmp_path)
    assert len(graphs) > 30
    shown = 0
    for name, net in observed(graphs, tmp_path).items():
        for x in inputs(net.graph, 2, seed=1):
            shows, out = net.run(x)
            assert out.tobytes() == net.run(x, watch=False)[1].tobytes()
            tflm = net.graph.precision.integer
            file = tmp_path / f"{name}.tflite"
            expected = layer_tensors(file, x[None], net.tensors, tflm=tflm)
            for index, got, wanted in zip(net.tensors, shows, expected, strict=True):
                if kind == "float32" and net.graph.operators[-1].code == "SOFTMAX":
                    np.testing.assert_allclose(got.astype(float), wanted.astype(float), rtol=1e-6)
                else:
                    assert got.tobytes() == wanted.tobytes(), (name, index)
            shown += len(shows)
    assert shown > 150


def test_layers_are_named_as_in_keras() -> None:
    teacher = ENGINES["aot"].layers(read_model(MNIST / "teacher_int8.tflite"))
    assert [(layer.name, layer.ops) for layer in teacher] == [
        ("conv1 + pool1", "CONV_2D + MAX_POOL_2D"),
        ("conv2 + pool2", "CONV_2D + MAX_POOL_2D"),
        ("hidden", "FULLY_CONNECTED"),
        ("logits", "FULLY_CONNECTED"),
    ]
    graph = read_model(int8_cnn().finish())
    assert [layer.name for layer in ENGINES["aot"].layers(graph)] == [
        "conv_2d_0 + max_pool_2d_1",
        "fully_connected_3",
    ]
    assert ENGINES["tflm"].layers(graph) == ()


def test_without_the_flag_the_code_has_no_observer(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(int8_cnn().finish())
    write_image("aot", [("net", file)], tmp_path / "plain")
    write_image("aot", [("net", file)], tmp_path / "shown", layers=True)
    plain, shown = (
        {f.name: f.read_text() for f in (tmp_path / d).glob("*.[ch]")} for d in ("plain", "shown")
    )
    assert not [name for name, text in plain.items() if "observe" in text or "layers" in text]
    assert "net_observe" in shown["net.h"]
    # the kernels are the same text; only the function that calls them and an include differ
    lines = [text["net.h"].splitlines() for text in (plain, shown)]
    more = [line for line in lines[1] if line not in lines[0]]
    assert len(more) == 2 + 2 + 1  # a comment, the head; a call per layer; the include


@pytest.mark.parametrize("fault", BREAKAGES)
def test_a_fault_shows_as_in_a_broken_file(fault: str, tmp_path: Path) -> None:
    graph = read_model(whole())
    net = observed({"net": graph}, tmp_path, Fault.parse(fault))["net"]
    x = inputs(graph, 3, seed=2)[2:]
    said, _ = net.run(x[0])
    assert said[0].tobytes() != layers(whole(), x, tmp_path)[0].tobytes()
    for got, broken in zip(said, BREAKAGES[fault](x, tmp_path), strict=True):
        assert got.tobytes() == broken.tobytes()


def test_a_fault_in_the_last_layer_does_not_change_the_others(tmp_path: Path) -> None:
    graph = read_model(whole())
    net = observed({"net": graph}, tmp_path, Fault.parse("shift:net:1:1"))["net"]
    x = inputs(graph, 3, seed=2)[2:]
    said, _ = net.run(x[0])
    right = layers(whole(), x, tmp_path)
    assert said[0].tobytes() == right[0].tobytes()
    assert np.argwhere(said[1] != right[1]).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a fault"),
        ("fire:net:0", "is not a fault"),
        ("weight::0", "is not a fault"),
        ("weight:net", "is not a fault"),
        ("weight:net:-1", "is not a fault"),
        ("weight:net:0:1:2", "is not a fault"),
        ("weight:net:9", "no weight to break in layer 9 of net"),
        ("weight:net:0:4", "no channel"),
        ("shift:net:0", "float32 has no shift"),
        ("padding:net:0", "no padding above"),
    ],
)
def test_an_invalid_fault_is_refused(text: str, says: str) -> None:
    graph = read_model(float_cnn().finish())
    with pytest.raises(UsageError, match=says):
        generate(graph, "net", "net.tflite", fault=Fault.parse(text))


def test_a_fault_names_a_network_of_the_image(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(int8_cnn().finish())
    with pytest.raises(UsageError, match="the image has no model teacher to break"):
        write_image("aot", [("net", file)], tmp_path, fault="weight:teacher:0")
    with pytest.raises(UsageError, match="engine tflm cannot be broken"):
        write_image("tflm", [("net", file)], tmp_path, fault="weight:net:0")
    assert not (tmp_path / "net.h").exists()
