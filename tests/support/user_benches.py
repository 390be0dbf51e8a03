# SPDX-License-Identifier: Apache-2.0
"""Sketches on fake boards: plans for them, predict functions, and what a run stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.bench import BenchPlan
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.core.records import DType, TensorSpec
from hil.reference import convert_outputs, encode_inputs, litert, oracle
from hil.runs.load import load_run
from hil.runs.schema import RunPlan, Sample
from hil.tflite import read_model
from tests.support.benches import PROJECT, planned

INT8 = PROJECT / "models" / "digits" / "student_int8.tflite"
FLOAT = PROJECT / "models" / "digits" / "student_float32.tflite"
FLAT = TensorSpec(DType.FLOAT32, (784,))
TEN = TensorSpec(DType.FLOAT32, (10,))
N = 20
Values = npt.NDArray[np.generic]


def board() -> Station:
    """A Cortex-M7 on a port, which runs the sketch already."""
    return only_station(load_board("mps2", PROJECT), "fake://1")


def user_plan(n: int = N, /, **changes: object) -> BenchPlan:
    """A sketch on a port, asked for ``n`` digits."""
    wanted: dict[str, object] = {
        "boards": (board(),),
        "engines": ("user",),
        "models": (),
        "precisions": (),
    }
    return planned(n, **{**wanted, **changes})


def right(file: Path, output: TensorSpec = TEN) -> Callable[[Values], Values]:
    """A predict function that computes what the network in ``file`` does."""
    graph = read_model(file)
    reference = oracle(file) if graph.input.dtype is DType.INT8 else litert(file)

    def predict(x: Values) -> Values:
        outputs = reference.predict(encode_inputs(x[None], graph.input))
        return np.asarray(convert_outputs(outputs, graph.output, output)[0])

    return predict


def brightest(x: Values) -> Values:
    """A classifier without any network: the sums of ten parts of the picture."""
    parts = np.asarray(x, np.float32).reshape(-1)[:780].reshape(10, 78)
    return np.asarray(parts.sum(axis=1))


def stored(folder: Path) -> tuple[RunPlan, tuple[Sample, ...]]:
    """The only run of a folder."""
    found = load_run(folder)
    ((key, samples),) = found.samples.items()
    (plan,) = found.manifest.runs
    assert plan.key == key
    return plan, samples
