# SPDX-License-Identifier: Apache-2.0
"""The committed model files: every output of the generated C equals the references'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.core.records import Precision
from hil.datasets import choose, load
from hil.engines.aot import generate
from hil.reference import encode_inputs, litert, oracle
from hil.tflite import read_model
from tests.support.native import library

pytestmark = pytest.mark.thorough

MODELS = Path(__file__).parents[2] / "models"
FILES = sorted(MODELS.glob("*/*.tflite"))


def pictures(folder: str, limit: int) -> npt.NDArray[np.generic]:
    """Test samples of the models' data set, if it is available."""
    name, _ = choose("auto" if folder == "mnist" else folder)
    return load(name, "test").x[:limit]


def compare(path: Path, folder: Path, limit: int) -> None:
    graph = read_model(path)
    native = library({"net": graph}, folder, ("-O2",))["net"]
    x = encode_inputs(pictures(path.parent.name, limit), graph.input)
    real = graph.precision is Precision.FLOAT32
    out = native.run(x)
    assert out.tobytes() == oracle(path).predict(x).tobytes()
    if real:
        assert out.tobytes() == litert(path).predict(x).tobytes()
    else:  # LiteRT rounds once: sometimes one step away
        far = np.abs(out.astype(int) - litert(path).predict(x).astype(int))
        assert far.max() <= 1


def test_there_are_models() -> None:
    assert len(FILES) >= 4


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_hundreds_of_digits(path: Path, tmp_path: Path) -> None:
    # fewer of them where a network takes long
    compare(path, tmp_path, max(5, min(300, 2_000_000_000 // read_model(path).macs)))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_the_whole_test_set(path: Path, tmp_path: Path) -> None:
    compare(path, tmp_path, 10_000)


@pytest.mark.parametrize(
    "path",
    [file for file in FILES if file.parent.name in ("mnist", "digits")],
    ids=lambda p: f"{p.parent.name}-{p.stem}",
)
def test_the_arena_stays_small(path: Path) -> None:
    wanted = {
        "student_int8": 1_400,
        "student_float32": 5_500,
        "teacher_int8": 7_100,
        "teacher_float32": 28_100,
    }
    assert generate(read_model(path), "net", path.name).arena <= wanted[path.stem]
