"""A stored run in a notebook: typed records, pandas frames and arrays, nothing computed twice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from hil.errors import UsageError
from hil.report.cells import Cell, cells
from hil.report.summary import summarise
from hil.runlog.frame import frame
from hil.runlog.load import StoredRun, load
from hil.runlog.schema import Manifest, Picture, Summary
from hil.runlog.schema_layers import Parting

Whose = Literal["device", "litert", "oracle", "xnnpack"]


@dataclass(frozen=True)
class Run:
    """What `hil.load` gives."""

    folder: Path
    stored: StoredRun

    @property
    def manifest(self) -> Manifest:
        """What was run, on what, with what."""
        return self.stored.manifest

    @cached_property
    def summary(self) -> Summary:
        """The record that summary.json holds."""
        some = self.stored.samples.values()
        return summarise(self.manifest, (sample for samples in some for sample in samples))

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Each run of the matrix with its answers as arrays: `.answers`, `.labels`, `.accuracy`
        with its interval, `.time`, `.series`, `.plan`, `.end`."""
        return cells(self.manifest, self.stored.samples)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row an answered sample; columns as `hil.runlog.frame.frame` says."""
        return frame(self.stored)

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row a run of the matrix that has an answer: summary.json's figures, nested names
        joined by a dot (`accuracy.device`, `time.median`, `memory.arena`)."""
        rows: list[dict[str, Any]] = [msgspec.to_builtins(row) for row in self.summary.runs]
        return pd.json_normalize(rows)

    @property
    def pictures(self) -> dict[str, Picture]:
        """The samples worth drawing, by id."""
        return self.stored.pictures

    @property
    def partings(self) -> tuple[Parting, ...]:
        """Layer by layer, samples on which the device differed from its oracle."""
        return self.stored.partings

    def cell(self, model: str, precision: str, *, board: str = "", engine: str = "") -> Cell:
        """The one run of that model; UsageError where none or more than one is meant."""
        wanted = {"model": model, "precision": precision, "board": board, "engine": engine}
        found = [
            cell
            for cell in self.cells
            if all(not want or getattr(cell.plan, name) == want for name, want in wanted.items())
        ]
        if len(found) == 1:
            return found[0]
        keys = ", ".join(cell.plan.key for cell in found or self.cells)
        raise UsageError(
            f"{len(found) or 'no'} runs of {model} {precision} in {self.folder}",
            f"say which, board= and engine= too: {keys}",
        )

    def outputs(
        self,
        model: str,
        precision: str,
        whose: Whose = "device",
        *,
        board: str = "",
        engine: str = "",
        real: bool = False,
    ) -> npt.NDArray[np.generic]:
        """(n, outputs) as stored, int8 steps or float32; ``real``: dequantised, float64.

        ``whose``: the device's, or a host reference's; UsageError where that was not run.
        """
        cell = self.cell(model, precision, board=board, engine=engine)
        found: npt.NDArray[np.generic] | None = getattr(cell, whose)
        if found is None:
            raise UsageError(f"{whose} was not run for {cell.plan.key}", "take device or litert")
        return cell.reals(found) if real else found

    def picture(self, key: str) -> npt.NDArray[np.uint8]:
        """(rows, columns), or (rows, columns, 3), of one of ``pictures``."""
        found = self.pictures[key]
        shape = found.shape if found.channels == 1 else (*found.shape, found.channels)
        return np.frombuffer(found.pixels, np.uint8).reshape(shape)


def read(folder: Path) -> Run:
    """See `hil.load`."""
    return Run(folder, load(folder))
