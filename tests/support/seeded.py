# SPDX-License-Identifier: Apache-2.0
"""Deliberate regressions, and firmware built with them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from hil import engines
from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.cases import Program
from hil.bench.lab import Firmware, RealLab
from hil.boards.station import Station
from hil.engines import write_image
from hil.link import Link
from hil.tflite import read_model
from tests.support.benches import PROJECT, ignore

STUDENT = PROJECT / "models" / "digits" / "student_int8.tflite"
Edit = Callable[[str], str]


@dataclass
class ScratchLab:
    """Emulators whose images are built once, from generated C that ``edit`` has changed.

    HELLO still names the network that the C was generated from, as after a mistake by hand.
    """

    edit: Edit | None = None
    real: RealLab = field(default_factory=lambda: RealLab(PROJECT))
    built: dict[tuple[str, ...], Firmware] = field(default_factory=dict)

    def build(self, image: Program, project: Path) -> Firmware:
        """See `Lab.build`."""
        if image.key not in self.built:
            with mock.patch("hil.firmware.build.write_image", self._write_edited):
                self.built[image.key] = self.real.build(image, project)
        return self.built[image.key]

    def _write_edited(self, *words: Any, **options: Any) -> engines.Image:
        written = write_image(*words, **options)
        for header in written.headers if self.edit else ():
            assert self.edit
            before = header.read_text()
            after = self.edit(before)
            assert after != before, "nothing was changed"
            header.write_text(after)
        return written

    def __enter__(self) -> ScratchLab:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def forget(self) -> None:
        """Remove the image folders, which no other bench will use."""
        for firmware in self.built.values():
            assert firmware.file
            folder = firmware.file.parents[1]
            shutil.rmtree(folder)
            shutil.rmtree(folder.with_suffix(".image"))
            for beside in (".log", ".lock"):
                folder.with_suffix(beside).unlink(missing_ok=True)

    def open(
        self, station: Station, image: Program, firmware: Firmware
    ) -> AbstractContextManager[Link]:
        """See `Lab.open`."""
        return self.real.open(station, image, firmware)

    def check(self, station: Station) -> None:
        """See `Lab.check`."""

    def unobservable(self, station: Station) -> str:
        """See `Lab.unobservable`."""
        return f"{station.name} runs C that was changed by hand"


def bench(model: Path, folder: Path, lab: ScratchLab, *, board: str = "mps2", n: int = 100) -> Path:
    """Bench one network on digits that are the same in every call."""
    run(plan(model, board, n), folder, ignore, lab)
    return folder


def plan(model: Path, board: str, n: int) -> BenchPlan:
    # a model file outside models/ gets its own image folder
    return make_plan(
        Request(project=PROJECT, boards=(board,), models=(str(model),), dataset="digits", limit=n)
    )


def slower(header: str) -> str:
    """Add 5 instructions to the 49 of the first dense layer's inner loop."""
    loop = re.search(r"HIL_KERNEL \w*fully_connected_3_sums4\(.*?for \([^)]*\) \{", header, re.S)
    assert loop is not None
    extra = '__asm__ volatile("nop\\n nop\\n nop\\n nop\\n nop");'
    return header[: loop.end()] + extra + header[loop.end() :]


def wrong_constant(header: str) -> str:
    """Change the sign of one weight of the convolution, in the C alone: the oracle keeps it."""
    table = re.search(r"conv_2d_0_w\[\d+\][^=;]*= \{\s*", header)
    assert table is not None
    first = re.compile(r"-?[1-9]\d*").search(header, table.end())
    assert first is not None
    return header[: first.start()] + str(-int(first[0])) + header[first.end() :]


def flip_weight(source: Path, to: Path) -> Path:
    """A copy of a network in which the largest weight of the convolution has the other sign."""
    raw = bytearray(source.read_bytes())
    graph = read_model(source)
    data = graph.tensors[graph.operators[0].inputs[1]].data
    assert data is not None
    weights = np.asarray(data).astype(np.int8)
    at = raw.find(weights.tobytes())
    assert at >= 0
    assert raw.count(weights.tobytes()) == 1
    largest = int(np.abs(weights.astype(int)).argmax())
    raw[at + largest] = (-int(weights.reshape(-1)[largest])) & 0xFF
    to.write_bytes(raw)
    return to
