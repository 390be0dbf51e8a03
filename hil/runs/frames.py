# SPDX-License-Identifier: Apache-2.0
"""A stored run as pandas frames: samples, layers, memory, and LiteRT's times on the host."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from hil.runs.agreement import answer, host_answer, is_disturbed
from hil.runs.load import StoredRun
from hil.runs.schema import RunPlan, Sample
from hil.runs.task import WITH_TARGETS, gives_classes, reals_of, task_of
from hil.runs.tensors import split

_RUN = ("board", "engine", "model", "precision")  # the columns that name a run


def _named(plan: RunPlan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in _RUN}


def sample_frame(run: StoredRun) -> pd.DataFrame:
    """One row per answered sample; requests that failed are in `Cell.failed`.

    Columns: board, engine, model, precision, id, label (None: not labelled); ``device`` and
    ``host``, the answers of the device and of LiteRT, which are classes, or real numbers of a
    network with one output that chooses none, else None; ``target`` of such an output; ``mse``, the
    device's mean squared error (target and mse only where a run has targets); ``equals_litert``,
    ``equals_oracle``, ``equals_xnnpack``, whether every output byte equals theirs (None where it
    was not run, or the device sent only the class that it chose); time in ``unit``; attempts;
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
                **_named(plan),
                "id": sample.id,
                "label": sample.label if manifest.dataset.labelled else None,
                **_answers(run, plan, sample),
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


def _answers(run: StoredRun, plan: RunPlan, sample: Sample) -> dict[str, float | None]:
    """The columns that depend on the task."""
    found: dict[str, float | None] = {"device": None, "host": None}
    if gives_classes(plan, run.manifest.dataset):
        found = {"device": answer(sample, plan), "host": host_answer(sample, plan)}
    elif math.prod(plan.output.shape) == 1:
        found["device"] = float(_reals(plan, sample.device)[0])
        if plan.litert:
            host = sample.device if sample.litert is None else sample.litert
            found["host"] = float(_reals(plan, host)[0])
    if run.targets is not None and task_of(plan, run.manifest.dataset) in WITH_TARGETS:
        wanted = run.targets[sample.i].astype(np.float64)
        found["target"] = float(wanted[0]) if wanted.size == 1 else None
        found["mse"] = float(((_reals(plan, sample.device) - wanted) ** 2).mean())
    return found


def _reals(plan: RunPlan, raw: bytes) -> npt.NDArray[np.float64]:
    """The first output of a stored answer, as real numbers."""
    return np.asarray(reals_of(plan, split(plan, [raw])[0])[0])


def _equals(plan: RunPlan, reference: bytes | None, *, was_run: bool) -> bool | None:
    """Whether all bytes equal a reference's, which is stored only where they do not."""
    return reference is None if was_run and plan.answers == "outputs" else None


def host_frame(run: StoredRun) -> pd.DataFrame:
    """One row per timed invoke of LiteRT on the host, a model's in the run's order.

    Columns: model, precision, kernels, threads; ``i``, the sample's position in the run's order;
    ``id``, the sample's, None if no board answered it; time, in nanoseconds. The first invoke after
    loading is not among them: it is in ``host_latency`` of summary.json. Not a time of a board, so
    it is not a column of `sample_frame`: several boards' runs share these times.
    """
    ids = {sample.i: sample.id for some in run.samples.values() for sample in some}
    columns = ["model", "precision", "kernels", "threads", "i", "id", "time"]
    rows = [
        (one.model, one.precision, one.kernels, one.threads, i, ids.get(i), time)
        for one in (run.host.times if run.host else ())
        for i, time in enumerate(one.times)
    ]
    return pd.DataFrame(rows, columns=columns)


def layer_frame(run: StoredRun) -> pd.DataFrame:
    """One row per layer of each sample that was asked for its layers (`hil bench --profile`,
    ``--layers``, or a wrong output), first layer to last.

    Columns: board, engine, model, precision, id; ``layer``, its number from 1; name, op, macs;
    time in ``unit``, None without --profile or where the clock wrapped; ``values``, the number of
    outputs of the layer, ``differing`` of them from those of ``reference``, None where they were
    not compared.
    """
    columns = [*_RUN, "id", "layer", "name", "op", "macs", "time", "unit", "values", "differing"]
    columns.append("reference")
    plans = {plan.key: plan for plan in run.manifest.runs}
    rows: dict[tuple[str, str, int], dict[str, Any]] = {}
    for profiled in run.profiled:
        plan = plans[profiled.run]
        for number, layer in enumerate(profiled.layers, 1):
            rows[profiled.run, profiled.id, number] = {
                **_named(plan),
                "id": profiled.id,
                "layer": number,
                "name": layer.name,
                "op": layer.op,
                "macs": layer.macs,
                "time": layer.time,
                "unit": plan.clock.unit,
            }
    for check in run.layer_checks:
        plan = plans[check.run]
        for number, seen in enumerate(check.layers, 1):
            row = rows.setdefault(
                (check.run, check.id, number),
                {**_named(plan), "id": check.id, "layer": number, "unit": plan.clock.unit},
            )
            row |= {
                "name": seen.name,
                "op": seen.op,
                "values": math.prod(seen.shape),
                "differing": seen.differing,
                "reference": check.reference,
            }
    return _frame(rows.values(), columns)


def memory_frame(run: StoredRun) -> pd.DataFrame:
    """One row per section and owner of each run's linked image, in bytes.

    Columns: board, engine, model, precision; section, such as ".text"; ``owner``, as in
    `hil.runs.schema.Share`; flash, ram, other_ram. What start-up copies from flash to RAM counts
    in both. Runs of one image have the same rows. Totals are in `Run.results`: memory.arena, ....
    """
    columns = [*_RUN, "section", "owner", "flash", "ram", "other_ram"]
    plans = {plan.key: plan for plan in run.manifest.runs}
    rows = [
        {**_named(plans[end.key]), **msgspec.structs.asdict(share)}
        for end in run.manifest.ends
        for share in end.shares
    ]
    return _frame(rows, columns)


def _frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """The rows; None, not NaN, where one has no value. Without rows: the columns alone."""
    return pd.DataFrame(
        [[row.get(name) for name in columns] for row in rows], columns=list(columns), dtype=None
    )
