# SPDX-License-Identifier: Apache-2.0
"""A stored run for notebooks: typed records, pandas frames and arrays, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from hil.core.errors import UsageError
from hil.runs.agreement import answer, host_answer, is_disturbed
from hil.runs.cells import Cell, cells, summarise
from hil.runs.load import StoredRun, load_run
from hil.runs.schema import LayerCheck, Manifest, Picture, RunPlan
from hil.runs.summary import Summary
from hil.runs.tensors import tensors_of
from hil.stats import metrics


def frame(run: StoredRun) -> pd.DataFrame:
    """One row per answered sample; requests that failed are in `Cell.failed`.

    Columns: board, engine, model, precision, id, label (None: not labelled); ``device`` and
    ``host``, the answers of the device and of LiteRT; ``equals_litert``, ``equals_oracle``,
    ``equals_xnnpack``, whether every output byte equals theirs (None where it was not run, or the
    device sent only the class that it chose); time in ``unit``; attempts;
    ``disturbed``, whether a fault occurred between request and answer, so that its times are not
    latencies; round_trip, in microseconds on the host.
    """
    manifest = run.manifest
    plans = {plan.key: plan for plan in manifest.runs}
    rows = []
    for sample in (one for some in run.samples.values() for one in some if not one.failed):
        plan = plans[sample.run]
        rows.append(
            {
                "board": plan.board,
                "engine": plan.engine,
                "model": plan.model,
                "precision": plan.precision,
                "id": sample.id,
                "label": sample.label if manifest.dataset.labelled else None,
                "device": answer(sample, plan),
                "host": host_answer(sample, plan),
                "equals_litert": _equals(plan, sample.litert, was_run=plan.litert),
                "equals_oracle": _equals(plan, sample.oracle, was_run=bool(plan.oracle)),
                "equals_xnnpack": _equals(plan, sample.xnnpack, was_run=bool(plan.xnnpack)),
                "time": sample.time,
                "unit": plan.clock.unit,
                "attempts": sample.attempts,
                "disturbed": is_disturbed(sample),
                "round_trip": sample.round_trip,
            }
        )
    return pd.DataFrame(rows)


def _equals(plan: RunPlan, reference: bytes | None, *, was_run: bool) -> bool | None:
    """Whether all bytes equal a reference's, which is stored only where they do not."""
    return reference is None if was_run and plan.answers == "outputs" else None


def host_frame(run: StoredRun) -> pd.DataFrame:
    """One row per timed invoke of LiteRT on the host, a model's in the run's order.

    Columns: model, precision, kernels, threads; ``i``, the sample's position in the run's order;
    ``id``, the sample's, None if no board answered it; time, in nanoseconds. The first invoke after
    loading is not among them: it is in ``host_latency`` of summary.json. Not a time of a board, so
    it is not a column of `frame`: several boards' runs share these times.
    """
    ids = {sample.i: sample.id for some in run.samples.values() for sample in some}
    columns = ["model", "precision", "kernels", "threads", "i", "id", "time"]
    rows = [
        (one.model, one.precision, one.kernels, one.threads, i, ids.get(i), time)
        for one in (run.host.times if run.host else ())
        for i, time in enumerate(one.times)
    ]
    return pd.DataFrame(rows, columns=columns)


Whose = Literal["device", "litert", "oracle", "xnnpack"]


@dataclass(frozen=True)
class Run:
    """A stored run, as `hil.load` returns it."""

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
        return summarise(self.manifest, answers, self.stored.host)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Each run of the matrix with its answers as arrays: `.answers`, `.labels`, `.accuracy`
        with its interval, `.time`, `.series`, `.plan`, `.end`."""
        return cells(self.manifest, self.stored.samples, self.stored.host)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per answered sample; columns as in `hil.runs.notebook.frame`."""
        return frame(self.stored)

    @cached_property
    def host_times(self) -> pd.DataFrame:
        """One row per timed invoke of LiteRT on the host; columns as in
        `hil.runs.notebook.host_frame`."""
        return host_frame(self.stored)

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row per run of the matrix that has an answer: the figures of summary.json, nested
        names joined by a dot (`accuracy.device`, `time.median`, `memory.arena`)."""
        rows: list[dict[str, Any]] = [msgspec.to_builtins(row) for row in self.summary.runs]
        return pd.json_normalize(rows)

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


def read(folder: Path) -> Run:
    """See `hil.load`."""
    return Run(folder, load_run(folder))
