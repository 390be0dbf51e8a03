# SPDX-License-Identifier: Apache-2.0
"""Which interpreters run a model, and that a bench continues with those that do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.bench import Request, make_plan, run
from hil.core.errors import ModelError
from hil.reference import Reference, refusals
from hil.reference.trial import _try, is_missing
from hil.report import write
from hil.runs.agreement import must_equal
from hil.runs.load import load_run
from hil.testing.lab import FakeLab
from hil.tflite import read_model
from tests.support.benches import PROJECT, ignore
from tests.support.tflite import Net, int8_cnn

# LiteRT refuses its bias's axis; TFLM runs it
AXIS = Path(__file__).parents[1] / "engines" / "data" / "bias_axis3_int8.tflite"


def test_a_model_that_all_interpreters_run(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(int8_cnn().finish())
    assert refusals(tmp_path / "net.tflite", tmp_path / "cache") == {}
    assert list((tmp_path / "cache").glob("*.trial")), "the verdict is kept"


def test_a_refusal_says_why(tmp_path: Path) -> None:
    found = refusals(AXIS, tmp_path)
    assert set(found) == {"litert", "xnnpack"}
    assert "quantized_dimension" in found["litert"]
    assert not is_missing(found["litert"])


def test_a_damaged_verdict_is_found_again(tmp_path: Path) -> None:
    first = refusals(AXIS, tmp_path / "a")
    (kept,) = (tmp_path / "a").iterdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / kept.name).write_bytes(b"{")
    assert refusals(AXIS, tmp_path / "b") == first


def _aborts(_: Path) -> Reference:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _refuses(_: Path) -> Reference:
    raise ModelError("LiteRT cannot run net.tflite: no such operator", "")


def _hangs(_: Path) -> Reference:
    signal.pause()
    raise AssertionError


def _fails(_: Path) -> Reference:
    raise KeyError


def test_a_crash_is_a_refusal() -> None:
    assert _try(AXIS, _aborts) == "crashes on it (SIGKILL)"
    assert _try(AXIS, _refuses) == "no such operator"
    assert _try(AXIS, _fails) == "fails on it"


def test_an_interpreter_that_hangs_is_stopped() -> None:
    assert _try(AXIS, _hangs, 0.1) == "does not finish one sample in 0.1 s"


LOADED = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"  # in __init__.py
INVOKED = """
import os, signal

class Interpreter:
    @classmethod
    def from_bytes(cls, data, arena_size):
        return cls()

    def set_input(self, values, i):
        pass

    def invoke(self):
        os.kill(os.getpid(), signal.SIGSEGV)
"""
UNSUITABLE = "raise ImportError('GLIBC_2.38 not found')\n"


@pytest.fixture
def fake_oracle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a package tflite_micro with these two files in front of the real one."""

    def put(init: str, runtime: str) -> None:
        folder = tmp_path / "first" / "tflite_micro"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(init)
        (folder / "runtime.py").write_text(runtime)
        monkeypatch.setenv("PYTHONPATH", str(folder.parent))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    return put


@pytest.mark.parametrize(
    ("init", "runtime", "why"),
    [
        (LOADED, "", "crashes on it (SIGSEGV)"),
        ("", INVOKED, "crashes on it (SIGSEGV)"),
        (UNSUITABLE, "", "cannot be loaded: GLIBC_2.38 not found"),
    ],
)
def test_a_broken_oracle_refuses_every_model(
    init: str, runtime: str, why: str, tmp_path: Path, fake_oracle: Callable[[str, str], None]
) -> None:
    fake_oracle(init, runtime)
    model = tmp_path / "net.tflite"
    model.write_bytes(int8_cnn().finish())
    assert refusals(model, tmp_path / "cache") == {"oracle": why}


def test_a_bench_continues_without_an_oracle_that_crashes(
    tmp_path: Path, fake_oracle: Callable[[str, str], None]
) -> None:
    fake_oracle("", INVOKED)
    (tmp_path / "net.tflite").write_bytes(int8_cnn(seed=7).finish())
    text = bench(tmp_path / "net.tflite", tmp_path)
    assert "TFLM cannot run the model (crashes on it (SIGSEGV))" in text
    (plan,) = load_run(tmp_path / "run").manifest.runs
    assert plan.oracle_why == "crashes on it (SIGSEGV)"
    assert must_equal(plan) == "litert"


def bench(model: Path, tmp_path: Path) -> str:
    """The report of a bench of ``model`` on a fake board, in Markdown."""
    np.savez(tmp_path / "x.npz", x=np.zeros((3, *_shape(model)), np.float32))
    request = Request(PROJECT, ("native",), models=(str(model),), data=tmp_path / "x.npz")
    run(make_plan(request), tmp_path / "run", ignore, FakeLab())
    return write(tmp_path / "run").markdown.read_text("utf-8")


def _shape(model: Path) -> tuple[int, ...]:
    return read_model(model).input.shape[1:]


def test_tflm_stands_in_for_litert(tmp_path: Path) -> None:
    text = bench(AXIS, tmp_path)
    assert "LiteRT cannot run the model" in text
    assert "| 0 of 9 | 0 of 3 | 0 |" in text


def test_litert_judges_what_tflm_does_not_have(tmp_path: Path) -> None:
    net = Net().input((1, 8), "int8", 0.05, 3).op("GELU", (1, 8), scale=0.04, zero=-5)
    (tmp_path / "gelu.tflite").write_bytes(net.finish())
    text = bench(tmp_path / "gelu.tflite", tmp_path)
    assert "none: TFLM cannot run the model" in text
    assert "oracle: it cannot run the model" in text


def test_a_model_that_nothing_runs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = {"litert": "no", "oracle": "never", "xnnpack": "no"}
    monkeypatch.setattr("hil.bench.references.refusals", lambda *_: why)
    with pytest.raises(ModelError, match="no interpreter on this computer runs .*TFLM says: never"):
        bench(AXIS, tmp_path)


def test_default_kernels_judge_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.tflite").write_bytes(int8_cnn().finish())
    why = {"litert": "no", "oracle": "never"}
    monkeypatch.setattr("hil.bench.references.refusals", lambda *_: why)
    bench(tmp_path / "net.tflite", tmp_path)
    (plan,) = load_run(tmp_path / "run").manifest.runs
    assert plan.host.endswith("XNNPACK")
    assert must_equal(plan) is None
