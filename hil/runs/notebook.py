# SPDX-License-Identifier: Apache-2.0
"""A stored run for notebooks: typed records, pandas frames and arrays, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from hil.core.errors import UsageError
from hil.core.text import printable, visible
from hil.runs.agreement import unexpected
from hil.runs.cells import Cell, cells
from hil.runs.frames import host_frame, layer_frame, memory_frame, sample_frame
from hil.runs.load import StoredRun, load_run
from hil.runs.rows import summarise
from hil.runs.schema import Manifest, Picture
from hil.runs.schema_layers import LayerCheck
from hil.runs.schema_quant import QuantPair
from hil.runs.summary import Summary
from hil.runs.tensors import tensors_of
from hil.stats import metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Whose = Literal["device", "litert", "oracle", "xnnpack"]
_SHOWN: Final = (  # columns of `Run.results` that a notebook shows, where they have values
    *("board", "engine", "model", "precision", "n", "accuracy.device", "accuracy.host"),
    *("rmse.device", "rmse.host", "r2.device", "mse.device", "auc.device", "auc.host"),
    *("agreement.argmax", "time.median", "time.unit", "memory.arena", "memory.flash_model"),
)


@dataclass(frozen=True, repr=False)
class Run:
    """A stored run, as `hil.load` and `hil.bench` return it."""

    folder: Path
    stored: StoredRun

    @property
    def manifest(self) -> Manifest:
        """The record of what ran, on which boards and with which tools."""
        return self.stored.manifest

    @cached_property
    def summary(self) -> Summary:
        """The record in summary.json."""
        some = self.stored.samples.values()
        answers = (sample for samples in some for sample in samples)
        one = self.stored
        stored = (one.host, one.targets, one.estimates, one.energy)
        return summarise(one.manifest, answers, *stored)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Each run of the matrix with its answers as arrays: `.answers`, `.labels`, `.accuracy`
        with its interval, `.time`, `.series`, `.plan`, `.end`."""
        return cells(self.manifest, self.stored.samples, self.stored.host, self.stored.targets)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per answered sample; columns as in
        `hil.runs.frames.sample_frame`."""
        return sample_frame(self.stored)

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row per layer of each sample that was asked for them; columns as in
        `hil.runs.frames.layer_frame`."""
        return layer_frame(self.stored)

    @cached_property
    def memory(self) -> pd.DataFrame:
        """One row per section and owner of each image; columns as in
        `hil.runs.frames.memory_frame`."""
        return memory_frame(self.stored)

    @cached_property
    def host_times(self) -> pd.DataFrame:
        """One row per timed invoke of LiteRT on the host; columns as in
        `hil.runs.frames.host_frame`."""
        return host_frame(self.stored)

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row per run of the matrix that has an answer: the figures of summary.json, nested
        names joined by a dot (`accuracy.device`, `time.median`, `memory.arena`)."""
        rows: list[dict[str, Any]] = [msgspec.to_builtins(row) for row in self.summary.runs]
        return pd.json_normalize(rows)

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """One line for each result that is not as expected, as `hil report` prints them."""
        return tuple(unexpected(self.manifest, self.summary))

    @property
    def checks(self) -> tuple[str, ...]:
        """What explains wrong answers, one line each (docs/checks.md); empty for good data."""
        return tuple(one.line for one in self.stored.checks)

    @property
    def quant(self) -> tuple[QuantPair, ...]:
        """What int8 loses to float32, of each model that was benched in both (docs/quantcheck.md);
        as `hil.quantcheck` returns it."""
        return self.stored.quant

    @property
    def report(self) -> Path:
        """The page that `hil bench` and `hil report` write."""
        return self.folder / "report.html"

    def plot(self) -> tuple[Axes, ...]:
        """Draw accuracy, time and memory of each run of the matrix, with intervals.

        Clocks that count in different units get axes of their own. ToolMissing without matplotlib.
        """
        from hil.runs.plot import draw

        return draw(self.folder, self.cells)

    def __repr__(self) -> str:
        return printable(f"<hil.Run {self._title}>")

    def _repr_html_(self) -> str:
        """A title, the main columns of `results`, what is not as expected, and why answers are
        wrong."""
        columns = [name for name in _SHOWN if name in self.results]
        table = self.results[columns].dropna(axis="columns", how="all")
        faults = "".join(f"<li>{escape(line)}</li>" for line in self.problems)
        checks = "".join(f"<li>{escape(line)}</li>" for line in self.checks)
        return visible(
            f"<p><b>{escape(self._title)}</b></p>"
            + table.to_html(index=False, na_rep="", escape=True, border=0, float_format=number)
            + (f"<p>Not as expected:</p><ul>{faults}</ul>" if faults else "")
            + (f"<p>Checks:</p><ul>{checks}</ul>" if checks else "")
            + f"<p>Report: <code>{escape(str(self.report))}</code></p>"
        )

    @property
    def _title(self) -> str:
        found = self.manifest
        runs = "1 run" if len(found.runs) == 1 else f"{len(found.runs)} runs"
        of = f"{runs} x {found.dataset.n:,} samples of {found.dataset.name}"
        return f"{found.run_id}: {of}, {found.state}"

    @property
    def pictures(self) -> dict[str, Picture]:
        """The samples worth drawing, by id."""
        return self.stored.pictures

    @property
    def layer_checks(self) -> tuple[LayerCheck, ...]:
        """Layer outputs of samples on which the device differed from its reference."""
        return self.stored.layer_checks

    def cell(self, model: str, precision: str, *, board: str = "", engine: str = "") -> Cell:
        """The only run that matches; UsageError if no run or several runs match."""
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
            f"{self.folder} has {len(found) or 'no'} runs of {model} {precision}",
            f"choose one of these, with board= and engine= if needed: {keys}",
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
        number: int = 0,
    ) -> npt.NDArray[np.generic]:
        """(n, outputs) as stored, int8 steps or float32; with ``real`` dequantised to float64.

        ``whose``: those of the device or of a reference; UsageError if they are not known.
        ``number``: which of several outputs, from 0.
        """
        cell = self.cell(model, precision, board=board, engine=engine)
        every = (cell, *cell.others)
        if not 0 <= number < len(every):
            raise UsageError(
                f"{cell.plan.key} has no output number {number}", f"it has {len(every)}, from 0"
            )
        found: npt.NDArray[np.generic] | None = getattr(every[number], whose)
        if found is None:
            raise UsageError(
                f"only the class of each answer is known of {cell.plan.key}"
                if whose == "device"
                else f"{whose} was not run for {cell.plan.key}",
                "choose another of device, litert, oracle and xnnpack",
            )
        if not real:
            return found
        spec = tensors_of(cell.plan, "outputs")[number]
        return metrics.dequantised(found, spec.scale or 1.0, spec.zero_point)

    def picture(self, key: str) -> npt.NDArray[np.uint8]:
        """One of ``pictures`` as (rows, columns), or (rows, columns, 3)."""
        found = self.pictures[key]
        shape = found.shape if found.channels == 1 else (*found.shape, found.channels)
        return np.frombuffer(found.pixels, np.uint8).reshape(shape)


def number(value: float) -> str:
    """A figure in a notebook's table: four digits, but all those before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def read(folder: Path) -> Run:
    """See `hil.load`."""
    return Run(folder, load_run(folder))
