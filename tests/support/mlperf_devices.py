# SPDX-License-Identifier: Apache-2.0
"""Devices and data sets of MLPerf Tiny for tests: three classes, a sample of 40 bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

CLASSES = 3
SIZE = 40  # more than one `db` line holds


def infer(values: bytes) -> Sequence[float]:
    """The class is in the first byte; how sure the device is, in the second (percent)."""
    sure = values[1] / 100
    return [sure if c == values[0] else (1 - sure) / (CLASSES - 1) for c in range(CLASSES)]


def sample(label: int, sure: int = 80) -> bytes:
    return bytes([label, sure]) + bytes(range(SIZE - 2))


def write_set(folder: Path, samples: Sequence[tuple[int, bytes]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, (_, values) in enumerate(samples):
        (folder / f"s{number}.bin").write_bytes(values)
    rows = (f"s{i}.bin,{CLASSES},{label}\n" for i, (label, _) in enumerate(samples))
    (folder / "y_labels.csv").write_text("".join(rows))
    return folder
