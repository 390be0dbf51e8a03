# SPDX-License-Identifier: Apache-2.0
"""A manifest and samples as a bench writes them, for tests of what is stored."""

from __future__ import annotations

from typing import TypeVar

from hil.runs.schema import SCHEMA, Clock, DatasetUsed, Host, Manifest, RunPlan, Sample, Tensor

T = TypeVar("T")
KEY = "fake/aot/student/int8"


def plan(key: str = KEY, **changes: object) -> RunPlan:
    """One run of the matrix."""
    board, engine, model, precision = key.split("/")
    fields: dict[str, object] = {
        "key": key,
        "board": board,
        "board_title": "a fake board",
        "emulated": True,
        "engine": engine,
        "model": model,
        "precision": precision,
        "model_file": f"{model}_{precision}.tflite",
        "model_sha256": "ab" * 32,
        "parameters": 10,
        "macs": 8,
        "input": Tensor(dtype=9, shape=(1, 4), scale=0.5, zero_point=0),
        "output": Tensor(dtype=9, shape=(1, 2), scale=0.5, zero_point=0),
        "firmware_sha256": "cd" * 32,
        "toolchain": "python",
        "clock": Clock(unit="instructions", detail=""),
        "oracle": "tflm",
    }
    return RunPlan(**{**fields, **changes})  # type: ignore[arg-type]


def manifest(*runs: RunPlan, n: int = 3, schema: int = SCHEMA) -> Manifest:
    """A run of ``n`` samples of a data set called `digits`."""
    return Manifest(
        schema=schema,
        run_id="test",
        created="2026-01-01T00:00:00+00:00",
        state="running",
        command=("bench",),
        hil="0.1.0",
        git=None,
        host=Host(platform="test", cpu="test", python="3.11", packages={}),
        dataset=DatasetUsed(name="digits", split="test", fingerprint="ef" * 32, total=9, n=n),
        runs=runs or (plan(),),
    )


def sample(i: int, key: str = KEY, **changes: object) -> Sample:
    """The ``i``-th answer."""
    fields: dict[str, object] = {
        "run": key,
        "i": i,
        "id": f"digits-{i}",
        "label": 1,
        "device": b"\x01\x02",
        "time": 7,
    }
    return Sample(**{**fields, **changes})  # type: ignore[arg-type]


def known(value: T | None) -> T:
    """A figure that the run must have."""
    assert value is not None
    return value
