# SPDX-License-Identifier: Apache-2.0
"""Stored runs of sketches of a user's own, which lack some of what our firmware's runs have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec
import numpy as np

from hil.core.records import DType
from hil.runs.load import StoredRun
from hil.runs.schema import Manifest, RunPlan, Sample
from tests.support import reports

SKETCH = "gestures 1.2"


def plan(model: str = "mine", precision: str = "int8", **changes: object) -> RunPlan:
    """One run of a sketch on a board with a clock."""
    of = reports.plan(model, precision, board="esp32", title="ESP32", unit="us")
    fields = {
        "engine": "user",
        "sketch": SKETCH,
        "emulated": False,
        "key": f"esp32/user/{model}/{precision}",
        **changes,
    }
    found: RunPlan = msgspec.structs.replace(of, **fields)
    return found


def run(*plans: RunPlan, n: int = 120, **how: int) -> StoredRun:
    """A complete run of sketches; ``how`` as `reports.samples`."""
    return reports.run(*(plans or (plan(),)), n=n, **how)


def without_labels(stored: StoredRun) -> StoredRun:
    """The same answers, of samples without labels."""
    data = msgspec.structs.replace(stored.manifest.dataset, labelled=False)
    return _changed(stored, lambda _, one: changed(one, label=-1), dataset=data)


def without_host(stored: StoredRun) -> StoredRun:
    """The same answers, without a model file."""
    gone: Mapping[str, object] = {"litert": None, "oracle": None, "xnnpack": None}
    return _changed(
        _planned(stored, litert=False, oracle="", xnnpack="", model_file="", model_sha256=""),
        lambda _, one: changed(one, **gone),
    )


def by_class(stored: StoredRun) -> StoredRun:
    """Only the class of each answer; the host's outputs in full."""

    def change(of: RunPlan, one: Sample) -> Sample:
        outputs = np.frombuffer(one.device, DType(of.output.dtype).numpy)
        full = {
            name: one.device if getattr(one, name) is None else getattr(one, name)
            for name, was_run in (("litert", of.litert), ("oracle", of.oracle))
            if was_run
        }
        return changed(one, device=np.array([outputs.argmax()], "<i4").tobytes(), **full)

    return _changed(_planned(stored, answers="class"), change)


def failing(stored: StoredRun, reasons: Mapping[int, str]) -> StoredRun:
    """The requests at these positions got no answer that counts."""

    def change(_: RunPlan, one: Sample) -> Sample:
        why = reasons.get(one.i, "")
        return changed(one, device=b"", failed=why, time=None) if why else one

    return _changed(stored, change)


def as_text(stored: StoredRun) -> StoredRun:
    """Lines of text, without a check sum, with times in whole milliseconds and no memory."""
    ends = tuple(_end(end) for end in stored.manifest.ends)
    return _changed(
        _planned(stored, protocol="text"),
        lambda _, one: changed(one, time=round(one.time, -3) if one.time else None),
        ends=ends,
    )


def _end(end: msgspec.Struct) -> msgspec.Struct:
    return msgspec.structs.replace(end, memory=None, marks=None, clock_step=1000)


def changed(one: Sample, **changes: object) -> Sample:
    found: Sample = msgspec.structs.replace(one, **changes)
    return found


def _planned(stored: StoredRun, **changes: object) -> StoredRun:
    plans = tuple(msgspec.structs.replace(of, **changes) for of in stored.manifest.runs)
    return _changed(stored, lambda _, one: one, runs=plans)


def _changed(
    stored: StoredRun, change: Callable[[RunPlan, Sample], Sample], **fields: object
) -> StoredRun:
    """Every sample changed, and ``fields`` of the manifest."""
    of: Manifest = msgspec.structs.replace(stored.manifest, **fields)
    plans = {one.key: one for one in of.runs}
    samples = {
        key: tuple(change(plans[key], one) for one in some) for key, some in stored.samples.items()
    }
    return replace(stored, manifest=of, samples=samples)
