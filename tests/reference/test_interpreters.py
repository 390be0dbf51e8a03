# SPDX-License-Identifier: Apache-2.0
"""The two interpreters, compared with each other and with NumPy."""

from __future__ import annotations

import builtins
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import DataError, ModelError, ToolMissing
from hil.reference import litert, oracle, xnnpack
from tests.support.native import inputs
from tests.support.several import running_sum, two_inputs, two_outputs
from tests.support.tflite import Net, float_cnn, int8_cnn


@pytest.fixture
def float_model(tmp_path: Path) -> Path:
    path = tmp_path / "float.tflite"
    path.write_bytes(float_cnn().finish())
    return path


def test_both_agree_on_a_float32_network(float_model: Path) -> None:
    one, other = litert(float_model), oracle(float_model)
    x = inputs(one.graph, 5, 0)
    expected = one.predict(x)
    assert expected.shape == (5, 3)
    assert expected.tobytes() == other.predict(x).tobytes()


def test_a_dense_layer_against_numpy(tmp_path: Path) -> None:
    # small integers: every order of summation gives the same float32
    random = np.random.default_rng(1)
    weights = random.integers(-9, 10, (4, 6)).astype(np.float32)
    bias = random.integers(-9, 10, 4).astype(np.float32)
    path = tmp_path / "dense.tflite"
    path.write_bytes(Net().input((1, 6)).dense(weights, bias).finish())
    x = random.integers(-9, 10, (3, 1, 6)).astype(np.float32)
    for reference in (litert(path), oracle(path)):
        np.testing.assert_array_equal(reference.predict(x), x[:, 0] @ weights.T + bias)


def test_int8_outputs_are_within_one_step(tmp_path: Path) -> None:
    path = tmp_path / "int8.tflite"
    path.write_bytes(int8_cnn().finish())
    one, other = litert(path), oracle(path)
    x = inputs(one.graph, 50, 3)
    difference = one.predict(x).astype(int) - other.predict(x).astype(int)
    # LiteRT rounds once where TFLM rounds twice
    assert np.abs(difference).max() <= 1


def test_names_and_versions_tell_references_apart(float_model: Path) -> None:
    one, other = litert(float_model), oracle(float_model)
    assert (one.name, other.name) == ("litert", "tflite-micro")
    assert one.version == metadata.version("ai-edge-litert")
    assert other.version == metadata.version("tflite-micro")
    assert one.graph.sha256 == other.graph.sha256


def test_progress_counts_to_the_end(float_model: Path) -> None:
    reference = litert(float_model)
    seen: list[tuple[int, int]] = []
    reference.predict(
        inputs(reference.graph, 130, 0), lambda done, total: seen.append((done, total))
    )
    assert seen == [(64, 130), (128, 130), (130, 130)]


def test_inputs_of_another_shape_or_type(float_model: Path) -> None:
    for reference in (litert(float_model), oracle(float_model)):
        with pytest.raises(DataError, match="takes"):
            reference.predict(np.zeros((2, 64), np.float32))
        with pytest.raises(DataError, match="takes"):
            reference.predict(np.zeros((2, 1, 8, 8, 1), np.int8))


def test_corrupt_files_never_reach_an_interpreter(tmp_path: Path) -> None:
    path = tmp_path / "corrupt.tflite"
    path.write_bytes(float_cnn().finish()[:-200])
    for make in (litert, oracle):
        with pytest.raises(ModelError):
            make(path)


def test_an_operator_that_tflm_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "odd.tflite"
    path.write_bytes(Net().input((1, 4)).simple("REVERSE_V2").finish())
    with pytest.raises(ModelError, match="cannot run"):
        oracle(path)


def test_the_error_without_the_oracles_package(
    float_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def blocked(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("tflite_micro"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(ToolMissing, match="Linux on x86-64 only"):
        oracle(float_model)


@pytest.mark.parametrize("name", ["student_int8", "student_float32"])
def test_xnnpack_is_close_to_the_reference_kernels_but_not_equal(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = Path(__file__).parents[2] / "models" / "mnist" / f"{name}.tflite"
    default, plain = xnnpack(path), litert(path)
    x = inputs(plain.graph, 40, 0)
    one, other = default.predict(x), plain.predict(x)
    assert one.tobytes() != other.tobytes()
    step = 1.0 if name.endswith("int8") else 1e-4 * float(np.abs(other.astype(float)).max())
    assert np.abs(one.astype(float) - other.astype(float)).max() <= step
    assert (default.name, plain.name) == ("litert-xnnpack", "litert")
    assert default.version != plain.version  # the digest of the processor's features
    assert "XNNPACK" not in capfd.readouterr().err


def test_several_inputs_in_order(tmp_path: Path) -> None:
    """a - b of two inputs, which would be wrong in the other order."""
    path = tmp_path / "sub.tflite"
    path.write_bytes(two_inputs("SUB").finish())
    random = np.random.default_rng(2)
    a, b = (random.integers(-9, 10, (4, 1, 3)).astype(np.float32) for _ in range(2))
    for make in (litert, oracle):
        np.testing.assert_array_equal(make(path).predict((a, b)), (a - b)[:, 0])
        with pytest.raises(DataError, match="takes"):
            make(path).predict(a)


def test_several_outputs_each_and_in_rows(tmp_path: Path) -> None:
    """Rows have both, each from a multiple of 4 bytes on."""
    path = tmp_path / "outputs.tflite"
    path.write_bytes(two_outputs().finish())
    x = np.arange(-2, 10, 2, dtype=np.float32).reshape(2, 1, 3)
    for make in (litert, oracle):
        reference = make(path)
        one, other = reference.outputs(x)
        np.testing.assert_array_equal(one, np.maximum(x[:, 0], 0))
        np.testing.assert_array_equal(other, np.clip(x[:, 0], 0, 6))
        rows = reference.predict(x)
        assert rows.tobytes() == np.hstack([one, other]).tobytes()


def test_a_state_is_kept_until_it_is_reset(tmp_path: Path) -> None:
    """A running sum, by a variable that CALL_ONCE sets to zero."""
    path = tmp_path / "sum.tflite"
    path.write_bytes(running_sum().finish())
    x = np.arange(1, 5, dtype=np.float32).reshape(4, 1, 1)
    for make in (litert, oracle):
        reference = make(path)
        assert reference.graph.stateful
        assert reference.predict(x)[:, 0].tolist() == [1, 3, 6, 10]
        assert reference.predict(x[:1])[:, 0].tolist() == [11]
        reference.reset()
        assert reference.predict(x)[:, 0].tolist() == [1, 3, 6, 10]
