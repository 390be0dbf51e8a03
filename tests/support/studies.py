# SPDX-License-Identifier: Apache-2.0
"""Studies made up for the tests: figures in, nothing trained."""

from __future__ import annotations

from hil.core.records import Precision
from hil_train.figures import SCHEMA, CompressionStudy, DeviceFigures, Variant

N = 1000


def row(
    method: str,
    precision: str,
    wrong: range | None,
    time: float | None = 100.0,
    arena: int = 10,
    flash: int = 1000,
    *,
    size: int = 50,
    seconds: float | None = 2.0,
    total: float | None = 5.0,
    why: str = "",
    unexpected: int | None = 0,
) -> Variant:
    """A network that is wrong on the samples ``wrong``; not measured where it is None."""
    device = None
    if wrong is not None:
        device = DeviceFigures(
            wrong=tuple(wrong),
            time=time,
            arena=arena,
            flash_model=flash,
            flash_code=0,
            unexpected=unexpected,
        )
    return Variant(
        method=method,
        words=WORDS[method],
        precision=Precision(precision),
        parameters=size,
        macs=size,
        validation_accuracy=0.9,
        seconds=seconds,
        total=total,
        device=device,
        why=why,
    )


WORDS = {
    "teacher": "teacher",
    "finetuned": "teacher + fine-tuning",
    "pruned": "pruned teacher",
    "pruned_tuned": "pruned teacher + fine-tuning",
    "pruned_distilled": "pruned teacher + distillation",
    "alone": "student alone",
    "student": "distilled student",
}


def study(
    *rows: Variant, unit: str = "instructions", n: int = N, **changes: object
) -> CompressionStudy:
    fields: dict[str, object] = {
        "schema": SCHEMA,
        "recipe": "made",
        "quick": False,
        "epochs": 0,
        "dataset": "digits",
        "note": "",
        "test": n,
        "n": n,
        "board": "mps2",
        "board_title": "a board",
        "unit": unit,
        "budget_parameters": 60,
        "budget_macs": 60,
        "rows": rows,
        "versions": {"processor": "a processor"},
    }
    return CompressionStudy(**{**fields, **changes})  # type: ignore[arg-type]


LARGE = 900


def distillation_wins() -> CompressionStudy:
    """The teacher is best, distilled is next, alone is far behind."""
    return study(
        row("teacher", "float32", range(5), 9000, 900, 90_000, size=LARGE),
        row("teacher", "int8", range(6), 4000, 300, 30_000, size=LARGE),
        row("pruned_tuned", "float32", range(300, 330), 1000, 200, 8_000),
        row("pruned_tuned", "int8", range(300, 331), 600, 100, 4_000),
        row("alone", "float32", range(100, 150), 300, 80, 6_000),
        row("alone", "int8", range(100, 151), 150, 20, 3_000),
        row("student", "float32", range(8), 300, 80, 6_000),
        row("student", "int8", range(9), 150, 20, 3_000),
    )


def pruning_wins() -> CompressionStudy:
    """The pruned teacher is as good as the whole one; distillation lost accuracy."""
    return study(
        row("teacher", "float32", range(5), 9000, 900, 90_000, size=LARGE),
        row("teacher", "int8", range(6), 4000, 300, 30_000, size=LARGE),
        row("pruned_tuned", "float32", range(6), 1000, 200, 8_000),
        row("pruned_tuned", "int8", range(60), 600, 100, 4_000),
        row("alone", "float32", range(100, 150), 300, 80, 6_000),
        row("alone", "int8", range(100, 151), 150, 20, 3_000),
        row("student", "float32", range(100, 170), 300, 80, 6_000),
        row("student", "int8", range(100, 190), 150, 20, 3_000),
    )
