# SPDX-License-Identifier: Apache-2.0
"""Export: files that the engines run exactly, and what is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil import datasets
from hil.core import files
from hil.core.errors import ModelError, UsageError
from hil.core.records import DType, Precision
from hil.reference import encode_inputs, litert, oracle
from hil.tflite import read_model
from hil_train import apart
from hil_train.backend import known_warnings, require
from hil_train.batches import as_input
from hil_train.export import convert, export
from tests.support.native import library
from tests.support.training import bars, build, needs_tensorflow, tutorial

pytestmark = needs_tensorflow


def saved(path: Path, make: Callable[[], Any]) -> tuple[Path, Any]:
    keras, _ = require()
    keras.utils.set_random_seed(1)
    network = make()
    with known_warnings():
        network.save(path)
    return path, network


def test_files_have_static_shapes_and_int8_files_only_int8(tmp_path: Path) -> None:
    source, network = saved(tmp_path / "net.keras", lambda: build(tutorial("student")))
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

    expected = network.predict(as_input(data.x), verbose=0)
    for precision, path in paths.items():
        model = litert(path)
        out = model.predict(encode_inputs(data.x, model.graph.input)).astype(np.float32)
        spec = model.graph.output
        if precision is Precision.INT8:
            out = (out - spec.zero_point) * spec.scale
        tolerance = 1e-5 if precision is Precision.FLOAT32 else 6 * spec.scale
        np.testing.assert_allclose(out, expected, atol=tolerance)


def test_any_network_of_one_input_and_output_is_converted(tmp_path: Path) -> None:
    def make() -> Any:
        keras, _ = require()
        x = keras.Input((6, 3))
        return keras.Model(x, keras.layers.Dense(4)(keras.layers.Flatten()(x)))

    source, _ = saved(tmp_path / "mine.keras", make)
    random = np.random.RandomState(0)
    data = replace(bars(20), x=random.normal(size=(20, 6, 3)).astype(np.float32))
    paths = export(source, data, tmp_path)
    assert read_model(paths[Precision.INT8]).input.shape == (1, 6, 3)
    assert read_model(paths[Precision.FLOAT32]).output.shape == (1, 4)


def test_files_that_are_not_keras_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no file .*gone\.keras"):
        export(tmp_path / "gone.keras", bars(4), tmp_path)
    broken = tmp_path / "broken.keras"
    config = io.BytesIO()
    with zipfile.ZipFile(config, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "[" * 100_000)
    whole = config.getvalue()
    for content in (b"PK\x03\x04 not really", whole, whole[:60] + b"\0" * 9 + whole[69:], b""):
        broken.write_bytes(content)
        with pytest.raises(ModelError, match="not a Keras model") as caught:
            export(broken, bars(4), tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_models_with_code_are_refused_and_the_code_does_not_run(
    suffix: str, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"

    def make() -> Any:
        keras, _ = require()

        def touch(v: Any, path: str = str(mark)) -> Any:
            with open(path, "w"):  # noqa: PTH123 (a Lambda carries its bytecode, not its imports)
                return v

        return keras.Sequential([keras.Input((4,)), keras.layers.Lambda(touch)])

    source, _ = saved(tmp_path / f"code.{suffix}", make)
    mark.unlink(missing_ok=True)
    if suffix == "h5":  # also an archive, with a harmless configuration
        with zipfile.ZipFile(source, "a") as archive:
            archive.writestr("config.json", "{}")
    with pytest.raises(ModelError, match=r"Python code \(a Lambda layer\), which is not run"):
        export(source, bars(4), tmp_path)
    assert not mark.exists()


def test_layers_of_the_users_own_are_named(tmp_path: Path) -> None:
    keras, _ = require()

    class Twice(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return 2 * x

    source, network = saved(
        tmp_path / "own.keras", lambda: keras.Sequential([keras.Input((4,)), Twice()])
    )
    data = replace(bars(4), x=np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32))
    with pytest.raises(ModelError, match="contains Twice, which is not a class of Keras") as caught:
        export(source, data, tmp_path)
    # the advice in the message works
    assert "model.export('FOLDER')" in str(caught.value)
    network.export(str(tmp_path / "FOLDER"), verbose=False)
    paths = export(tmp_path / "FOLDER", data, tmp_path / "out")
    model = litert(paths[Precision.FLOAT32])
    answers = model.predict(encode_inputs(data.x, model.graph.input))
    np.testing.assert_array_equal(answers, 2 * data.x)


def test_every_format_gives_the_same_network(tmp_path: Path) -> None:
    source, network = saved(tmp_path / "net.keras", lambda: build(tutorial("student")))
    with known_warnings():
        network.save(tmp_path / "net.h5")
    network.export(str(tmp_path / "net"), verbose=False)
    data = bars(64)
    first = export(source, data, tmp_path / "keras", precisions=tuple(Precision))
    for other in ("net.h5", "net"):
        paths = export(tmp_path / other, data, tmp_path / f"from_{other}")
        for precision, path in paths.items():
            model, expected = litert(path), litert(first[precision])
            assert not model.graph.open_batch
            x = encode_inputs(data.x, model.graph.input)
            # an h5 file has the same weights; TensorFlow may order a SavedModel's operators
            np.testing.assert_array_equal(model.predict(x), expected.predict(x))
    wide = litert(first[Precision.INT16])
    assert wide.graph.precision == Precision.INT16
    exact = litert(first[Precision.FLOAT32])
    codes = wide.predict(encode_inputs(data.x, wide.graph.input)).astype(np.float32)
    expected_values = exact.predict(encode_inputs(data.x, exact.graph.input)).astype(np.float32)
    np.testing.assert_allclose(codes * wide.graph.output.scale, expected_values, atol=0.01)


def test_a_saved_model_that_reads_files_is_refused(tmp_path: Path) -> None:
    _, tf = require()

    class Reader(tf.Module):  # type: ignore[misc, name-defined]
        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32)])  # type: ignore[untyped-decorator]
        def serve(self, x: Any) -> Any:
            return x + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)

    reader = Reader()
    tf.saved_model.save(reader, str(tmp_path / "reader"), signatures=reader.serve)
    with pytest.raises(ModelError, match="contains ReadFile, which reads or writes files"):
        export(tmp_path / "reader", bars(4), tmp_path)
    (tmp_path / "reader" / "saved_model.pb").write_bytes(b"\x00 not one")
    with pytest.raises(ModelError, match="not a SavedModel that can be loaded"):
        export(tmp_path / "reader", bars(4), tmp_path)


def test_indices_keep_their_type(tmp_path: Path) -> None:
    def make() -> Any:
        keras, _ = require()
        words = keras.Input((5,), dtype="int32")
        x = keras.layers.Flatten()(keras.layers.Embedding(9, 3)(words))
        return keras.Model(words, keras.layers.Dense(2)(x))

    source, _ = saved(tmp_path / "words.keras", make)
    data = replace(bars(20), x=np.random.default_rng(0).integers(0, 9, (20, 5)).astype(np.int32))
    graph = read_model(export(source, data, tmp_path)[Precision.INT8])
    assert (graph.input.dtype, graph.output.dtype) == (DType.INT32, DType.INT8)
    with pytest.raises(UsageError, match="takes int32 inputs, .* has float32"):
        export(source, replace(data, x=data.x.astype(np.float32)), tmp_path)


def test_recurrent_layers_are_converted_without_a_loop(tmp_path: Path) -> None:
    """TensorFlow's calibrator crashes at loops."""

    def make() -> Any:
        keras, _ = require()
        both = keras.layers.Bidirectional(keras.layers.GRU(3))
        return keras.Sequential([keras.Input((5, 2)), both, keras.layers.Dense(2)])

    source, network = saved(tmp_path / "steps.keras", make)
    x = np.random.default_rng(0).normal(size=(20, 5, 2)).astype(np.float32)
    paths = export(source, replace(bars(20), x=x), tmp_path)
    for path in paths.values():
        assert "WHILE" not in {op.code for op in read_model(path).operators}
    model = litert(paths[Precision.FLOAT32])
    answers = model.predict(encode_inputs(x, model.graph.input)).astype(np.float32)
    np.testing.assert_allclose(answers, network.predict(x, verbose=0), atol=1e-5)


def test_a_process_of_its_own_writes_the_same_files(tmp_path: Path) -> None:
    source, _ = saved(tmp_path / "net.keras", lambda: build(tutorial("student")))
    data = bars(64)
    here = export(source, data, tmp_path / "here", calibration=32)
    there = apart.export(source, data, tmp_path / "there", calibration=32)
    assert {p: there[p].read_bytes() for p in there} == {p: here[p].read_bytes() for p in here}
    (alone,) = export(source, None, tmp_path / "alone", precisions=(Precision.FLOAT32,)).values()
    assert alone.read_bytes() == here[Precision.FLOAT32].read_bytes()
    with pytest.raises(ModelError, match=r"there is no file .*gone\.keras"):
        apart.export(tmp_path / "gone.keras", data, tmp_path)


def test_a_crash_of_tensorflow_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, _ = saved(tmp_path / "my.keras", lambda: build(tutorial("student")))
    (tmp_path / "keras.py").write_text("import os; os.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(
        ModelError, match=r"TensorFlow crashed while it converted \S*my\.keras"
    ) as e:
        apart.export(source, bars(4), tmp_path)
    assert "\n" not in str(e.value)


def test_models_with_several_inputs_are_refused(tmp_path: Path) -> None:
    def make() -> Any:
        keras, _ = require()
        a, b = keras.Input((4,)), keras.Input((4,))
        return keras.Model([a, b], keras.layers.Add()([a, b]))

    source, _ = saved(tmp_path / "two.keras", make)
    with pytest.raises(ModelError, match="exactly one input"):
        export(source, bars(4), tmp_path)


def test_unsuitable_data_is_refused(tmp_path: Path) -> None:
    source, _ = saved(tmp_path / "net.keras", lambda: build(tutorial("student")))
    small = replace(bars(4), x=np.zeros((4, 8, 8, 1), np.uint8))
    with pytest.raises(UsageError, match=r"takes inputs of shape \(28, 28, 1\)"):
        export(source, small, tmp_path)
    signed = replace(bars(4), x=bars(4).x.astype(np.int8))
    with pytest.raises(UsageError, match="int8"):
        export(source, signed, tmp_path)
    assert files.sha256(tmp_path / "net_int8.tflite") == ""


def block(filters: int) -> list[Any]:
    layers = require()[0].layers
    return [
        layers.Conv2D(filters, 3, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.MaxPooling2D(2, strides=1, padding="same"),
    ]


def network(name: str) -> Any:
    """A network like those of a recipe, untrained."""
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
def test_engines_run_converted_networks_exactly(name: str, tmp_path: Path) -> None:
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
        elif name == "tabular":  # features have a larger range than a scale of 1/255 could cover
            assert graph.input.scale > 2 / 255
        assert len(np.unique(answers, axis=0)) == 8
