"""One stage: its training, what it leaves in the output folder, and whether that still holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil import files
from hil.kd import export, provenance, training
from hil.kd.backend import known_warnings
from hil.kd.events import Event, OnEvent
from hil.kd.plan import Plan
from hil.kd.provenance import Inputs, StageRecord
from hil.kd.training import Split

CACHE = "cache"  # of teachers' answers, in the output folder
LOGS = "logs"  # TensorBoard's, in the output folder


@dataclass(frozen=True, slots=True)
class Place:
    """What the stages of a recipe share; can be sent to a process."""

    out: Path
    split: Split
    validation_share: float


def kept_or_trained(place: Place, plan: Plan, on_event: OnEvent) -> StageRecord:
    """Keep what is there if it came from the same inputs; else as `train`."""
    return kept(place, plan, on_event) or train(place, plan, on_event)


def kept(place: Place, plan: Plan, on_event: OnEvent) -> StageRecord | None:
    """What is there, if it came from the same inputs; what it learns from must be there."""
    record = provenance.read(_record(place, plan), StageRecord)
    # the hash tells a pair that an interruption left apart
    same = record is not None and record.keras_sha256 == files.sha256(_keras(place, plan.key))
    if record is None or not same or record.inputs != _inputs(place, plan):
        return None
    on_event(Event(plan.key, "kept"))
    return record


@known_warnings()
def train(place: Place, plan: Plan, on_event: OnEvent) -> StageRecord:
    """Train it; errors as `hil.kd.training.fit`, and StorageError."""
    on_event(Event(plan.key, "start", epochs=plan.schedule.epochs))
    inputs, model_file = _inputs(place, plan), _keras(place, plan.key)
    fitted = training.fit(
        plan,
        place.split,
        teacher=_load(place, plan.teacher),
        start=_load(place, plan.start),
        cache=place.out / CACHE,
        logs=place.out / LOGS / plan.key,
        on_event=on_event,
    )
    with files.replacing(model_file) as part:
        fitted.network.save(part, include_optimizer=False)
    record = StageRecord(
        inputs=inputs,
        keras_sha256=files.sha256(model_file),
        parameters=fitted.network.count_params(),
        seconds=round(fitted.seconds, 1),
        samples_per_second=round(fitted.rate),
        validation_accuracy=fitted.accuracy,
        history=fitted.history,
        versions=provenance.versions(),
    )
    provenance.write(_record(place, plan), record)
    metrics = {"val_accuracy": record.validation_accuracy}
    on_event(Event(plan.key, "done", fitted.epochs, fitted.epochs, metrics))
    return record


def _inputs(place: Place, plan: Plan) -> Inputs:
    samples = place.split.train
    return Inputs(
        plan=plan,
        dataset=samples.name,
        fingerprint=samples.fingerprint,
        samples=len(samples),
        validation_share=place.validation_share,
        teacher_sha256=files.sha256(_keras(place, plan.teacher)) if plan.teacher else "",
        start_sha256=files.sha256(_keras(place, plan.start)) if plan.start else "",
    )


def _keras(place: Place, key: str) -> Path:
    return place.out / f"{key}.keras"


def _record(place: Place, plan: Plan) -> Path:
    return place.out / f"{plan.key}.stage.json"


def _load(place: Place, key: str) -> Any:
    return export.load(_keras(place, key)) if key else None
