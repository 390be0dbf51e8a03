"""A recipe -> trained stages -> exported models, one look at the test set, and what it says.

    teacher.keras ───────────────┬─> student.keras ─> student_{float32,int8}.tflite
       └─> teacher_*.tflite      │
    student_alone.keras (same schedule, no teacher: what distillation has to win against)

and whatever other stages the recipe has. Every training leaves ``<key>.keras`` and
``<key>.stage.json``; one whose inputs have not changed is kept. ``provenance.json`` says that
the rest is complete; ``card.md`` and ``history.svg`` are made from it alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil import files
from hil.datasets import Progress
from hil.kd import card, data, export, finish, history, library, networks, provenance, training
from hil.kd.backend import known_warnings, require
from hil.kd.data import Data
from hil.kd.events import Event, OnEvent, ignore
from hil.kd.library import Found
from hil.kd.plan import Plan, plans
from hil.kd.provenance import Inputs, Provenance, StageRecord
from hil.kd.recipe import Recipe, quickly
from hil.runlog.load import StoredRun

CACHE = "cache"  # of teachers' answers, in the output folder
LOGS = "logs"  # TensorBoard's, in the output folder


@dataclass(frozen=True, slots=True)
class _Run:
    """What the stages share."""

    recipe: Recipe
    out: Path
    data: Data
    on_event: OnEvent


@known_warnings()
def train(
    recipe: str | Found,
    out: Path,
    *,
    quick: bool = False,
    given: Data | None = None,
    runs: Sequence[StoredRun] = (),
    on_event: OnEvent = ignore,
    progress: Progress | None = None,
) -> Provenance:
    """Train, distil and export the models of a recipe into ``out``.

    Args:
        recipe: the name of one, the path of a .toml file, or one that was found.
        out: folder, made when missing; what is complete in it is kept.
        quick: few epochs and samples, to see that it works.
        given: its data, when `prepare` has loaded it already.
        runs: stored runs of the bench, for the card's device figures.
        on_event: told of each stage and epoch.
        progress: told of a download.

    Returns:
        What ``out/provenance.json`` holds.

    Raises:
        ToolMissing: no TensorFlow.
        UsageError: no such recipe, or one that cannot work.
        DataError: the data set is missing, wrong or too small.
        TrainingFailed: a loss became NaN.
        StorageError: ``out`` cannot be written.
    """
    require()
    found = library.find(recipe) if isinstance(recipe, str) else recipe
    wanted = quickly(found.recipe) if quick else found.recipe
    given = given or prepare(found, quick=quick, progress=progress)
    run = _Run(wanted, out, given, on_event)
    records = stages(wanted, out, given, on_event=on_event)
    done = provenance.read(out / provenance.FILE, Provenance)
    if done is not None and _is_current(done, run, records):
        on_event(Event("export", "kept"))
    else:
        on_event(Event("export", "start"))
        done = finish.finish(found.name, quick, wanted, given, records, out)
        metrics = {name: file.test_accuracy for name, file in done.files.items()}
        on_event(Event("export", "done", metrics=metrics))
    _write_once(out / "card.md", card.card(done, runs))
    _write_once(out / "history.svg", history.svg(done))
    return done


@known_warnings()
def stages(
    recipe: Recipe,
    out: Path,
    given: Data,
    *,
    only: Collection[str] = (),
    on_event: OnEvent = ignore,
) -> dict[str, StageRecord]:
    """Train a recipe's stages, or keep what is there: the first half of `train`.

    Args:
        recipe: as `train` would take it; with ``only``, what these learn or go on from must be
            among them (a sweep wants its teacher alone).
        out: folder for ``<key>.keras`` and ``<key>.stage.json``.
        given: its data.
        only: keys to train; none: all.
        on_event: told of each stage and epoch.

    Returns:
        A record for each key, in order; errors as `train`.
    """
    run = _Run(recipe, out, given, on_event)
    if given.note:
        on_event(Event("data", "warning", text=given.note))
    _compare_sizes(run)
    wanted = [plan for plan in plans(recipe) if not only or plan.key in only]
    return {plan.key: _stage(run, plan) for plan in wanted}


def prepare(found: Found, *, quick: bool = False, progress: Progress | None = None) -> Data:
    """A recipe's data, both splits on this machine; errors as `train`."""
    require()  # before a download: cheap to refuse
    samples = found.recipe.quick.samples if quick else 0
    given = data.load(found.recipe, found.folder, samples=samples, progress=progress)
    given.test()  # a download alone: nothing looks at it before the end
    return given


def _compare_sizes(run: _Run) -> None:
    """Build every network once, so that a wrong one is refused now; tell of large students."""
    shape = run.data.split.train.x.shape[1:]
    sizes = {
        name: networks.build(network, shape, name).count_params()
        for name, network in run.recipe.networks.items()
    }
    sizes_of = {stage.name: sizes[stage.network] for stage in run.recipe.stages}
    for stage in run.recipe.stages:
        if stage.teacher and sizes_of[stage.name] > sizes_of[stage.teacher]:
            text = (
                f"{stage.name!r} ({sizes_of[stage.name]:,} parameters) is larger than its "
                f"teacher {stage.teacher!r} ({sizes_of[stage.teacher]:,})"
            )
            run.on_event(Event(stage.name, "warning", text=text))


def _stage(run: _Run, plan: Plan) -> StageRecord:
    """Train a stage, or keep what is there when it came from the same inputs."""
    split = run.data.split
    inputs = Inputs(
        plan=plan,
        dataset=split.train.name,
        fingerprint=split.train.fingerprint,
        samples=len(split.train),
        validation_share=run.recipe.validation_share,
        teacher_sha256=files.sha256(_file(run, plan.teacher)) if plan.teacher else "",
        start_sha256=files.sha256(_file(run, plan.start)) if plan.start else "",
    )
    model_file, record_file = _file(run, plan.key), run.out / f"{plan.key}.stage.json"
    record = provenance.read(record_file, StageRecord)
    # the hash tells a pair that an interruption left apart
    if record and record.inputs == inputs and record.keras_sha256 == files.sha256(model_file):
        run.on_event(Event(plan.key, "kept"))
        return record

    run.on_event(Event(plan.key, "start", epochs=plan.schedule.epochs))
    fitted = training.fit(
        plan,
        split,
        teacher=_load(run, plan.teacher),
        start=_load(run, plan.start),
        cache=run.out / CACHE,
        logs=run.out / LOGS / plan.key,
        on_event=run.on_event,
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
    provenance.write(record_file, record)
    metrics = {"val_accuracy": record.validation_accuracy}
    run.on_event(Event(plan.key, "done", fitted.epochs, fitted.epochs, metrics))
    return record


def _file(run: _Run, key: str) -> Path:
    return run.out / f"{key}.keras"


def _load(run: _Run, key: str) -> Any:
    return export.load(_file(run, key)) if key else None


def _is_current(done: Provenance, run: _Run, records: dict[str, StageRecord]) -> bool:
    """Whether a provenance is of these records, and all its files are there, unchanged."""
    same = done.recipe == run.recipe and done.stages == records
    return same and all(files.sha256(run.out / n) == f.sha256 for n, f in done.files.items())


def _write_once(path: Path, text: str) -> None:
    """Write a page, unless it is there already as it should be."""
    content = text.encode()
    if not path.is_file() or path.read_bytes() != content:
        files.replace_file(path, content)
