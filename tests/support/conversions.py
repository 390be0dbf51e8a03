# SPDX-License-Identifier: Apache-2.0
"""A converter without TensorFlow: it writes networks of this repository, whatever it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hil.bench import convert
from hil.core.records import Dataset, Precision
from hil.runs.schema import Conversion

MODELS = Path(__file__).parents[2] / "models" / "digits"


# of a model that was calibrated on few samples
RECORD = Conversion(
    source="my.keras",
    source_sha256="0" * 64,
    by="keras 3",
    data="mine",
    split="user",
    fingerprint="1" * 64,
    n=7,
    total=70,
    low=0.0,
    high=1.0,
)


class FakeExporter:
    """Writes ``networks``; ``calls`` are the data sets that it was called with.
    None: float32 alone."""

    def __init__(self) -> None:
        self.networks = {
            precision: (MODELS / f"student_{precision}.tflite").read_bytes()
            for precision in (Precision.FLOAT32, Precision.INT8)
        }
        self.calls: list[Dataset | None] = []

    def __call__(
        self,
        source: Path,
        dataset: Dataset | None,
        out: Path,
        *,
        calibration: int,
        precisions: Sequence[Precision],
    ) -> dict[Precision, Path]:
        assert calibration == len(dataset or ())
        self.calls.append(dataset)
        out.mkdir(parents=True, exist_ok=True)
        found = {one: out / f"{source.stem}_{one.value}.tflite" for one in precisions}
        for precision, file in found.items():
            file.write_bytes(self.networks[precision])
        return found


def fake_exporter(monkeypatch: pytest.MonkeyPatch, cache: Path) -> FakeExporter:
    """Install it instead of tinyml-hil-train's, with a cache of its own."""
    found = FakeExporter()
    monkeypatch.setattr(convert, "plugin", lambda *_: found)
    monkeypatch.setattr(convert, "cache_folder", lambda: cache)
    return found
