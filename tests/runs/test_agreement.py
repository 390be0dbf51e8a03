# SPDX-License-Identifier: Apache-2.0
"""Comparability, and what may be expected of results."""

from pathlib import Path

import msgspec
import pytest

from hil.runs.agreement import NEAR_TOLERANCE, differences, tolerance, unexpected
from hil.runs.schema import Accuracy, Agreement, Summary, SummaryRow, Time
from hil.tflite import read_model
from tests.support.runs import manifest, plan

MODELS = Path(__file__).parents[2] / "models" / "mnist"
FLOAT = "fake/aot/student/float32"


def summary(key: str, n: int = 3, **agreement: float) -> Summary:
    board, engine, model, precision = key.split("/")
    fields = {
        "argmax": 1.0,
        "outputs": 1.0,
        "differing_litert": 0,
        "differing_oracle": 0,
        "max_abs": 0.0,
    }
    row = SummaryRow(
        board=board,
        engine=engine,
        model=model,
        precision=precision,
        dataset="digits",
        n=n,
        accuracy=Accuracy(device=1, host=1),
        agreement=Agreement(**{**fields, **agreement}),  # type: ignore[arg-type]
        time=Time(unit="none", median=None, p5=None, p95=None, n=0),
        memory=None,
        link=None,
    )
    return Summary(schema=1, runs=(row,))


def test_the_same_run_is_comparable() -> None:
    assert differences(manifest(), manifest()) == []


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (manifest(n=4), "data set"),
        (manifest(plan(FLOAT)), "boards, engines, models"),
        (manifest(plan(model_sha256="ff" * 32)), "model_sha256"),
        (manifest(plan(firmware_sha256="ff" * 32)), "firmware_sha256"),
        (manifest(plan(toolchain="other")), "toolchain"),
    ],
)
def test_what_makes_runs_incomparable(other: object, says: str) -> None:
    assert isinstance(other, msgspec.Struct)
    (found,) = differences(manifest(), other)  # type: ignore[arg-type]
    assert says in found


def test_int8_must_equal_the_oracle_but_not_litert() -> None:
    run, key = manifest(), plan().key
    assert unexpected(run, summary(key, differing_litert=5, max_abs=1.0)) == []
    (line,) = unexpected(run, summary(key, differing_oracle=1))
    assert "1 outputs differ from the oracle" in line


def test_float32_must_equal_litert() -> None:
    run = manifest(plan(FLOAT))
    assert unexpected(run, summary(FLOAT)) == []
    (line,) = unexpected(run, summary(FLOAT, differing_litert=2, max_abs=1e-7))
    assert "2 outputs differ from LiteRT, by up to 1e-07" in line


def test_a_stated_tolerance_is_kept_and_no_more() -> None:
    run = manifest(plan(FLOAT, tolerance=1e-6))
    assert unexpected(run, summary(FLOAT, differing_litert=2, max_abs=9e-7)) == []
    assert len(unexpected(run, summary(FLOAT, differing_litert=2, max_abs=2e-6))) == 1


def test_missing_samples_are_not_as_expected() -> None:
    (line,) = unexpected(manifest(), summary(plan().key, n=2))
    assert "2 samples of 3 were answered" in line


def test_a_run_without_an_answer_is_not_as_expected() -> None:
    run = manifest(plan(), plan(FLOAT))
    (line,) = unexpected(run, summary(plan().key))
    assert line == f"{FLOAT}: no sample was answered"


def test_an_engine_that_fuses_is_near_within_what_it_promises() -> None:
    graph = read_model(MODELS / "student_float32.tflite")
    assert tolerance(graph, fma=False)[0] == 0
    assert tolerance(graph, fma=False, near=True) == (
        NEAR_TOLERANCE,
        "the engine rounds a*b+c once (FMA)",
    )
    assert tolerance(read_model(MODELS / "student_int8.tflite"), fma=True, near=True) == (0, "")
