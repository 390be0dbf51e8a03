# SPDX-License-Identifier: Apache-2.0
"""A recipe -> trained stages -> exported models, one look at the test set, and what it says.

    teacher.keras ───────────────┬─> student.keras ─> student_{float32,int8}.tflite
       └─> teacher_*.tflite      │
    student_alone.keras (same schedule, no teacher: what distillation has to win against)

and whatever other stages the recipe has, in this process or side by side in others
(`hil_train.workers`). Every training
leaves ``<key>.keras`` and ``<key>.stage.json``; one whose inputs
have not changed is kept. ``provenance.json`` says that
the rest is complete; ``card.md`` and ``history.svg`` are made from it alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from hil.core import files
from hil.core.records import Dataset
from hil.datasets import Progress
from hil.reference import encode_inputs, litert
from hil.runs.load import StoredRun
from hil_train import card, export, networks, pages, plan, provenance, training, workers
from hil_train.backend import Event, OnEvent, ignore, known_warnings, require
from hil_train.card import Right, verdict
from hil_train.export import Place
from hil_train.plan import Found, plans
from hil_train.provenance import ModelFile, Provenance, StageRecord, Verdict
from hil_train.recipe import Recipe, quickly
from hil_train.training import Data


def finish(
    name: str,
    quick: bool,
    recipe: Recipe,
    data: Data,
    records: dict[str, StageRecord],
    out: Path,
) -> Provenance:
    """Export the trained stages in ``out``, test every one of them, and write provenance.json.

    Raises:
        ModelError: a stage cannot be converted.
        StorageError: ``out`` cannot be written.
    """
    split = data.split
    paths: list[Path] = []
    for stage in recipe.export:
        paths += export.export(
            out / f"{stage}.keras",
            split.train,
            out,
            calibration=recipe.calibration,
            precisions=recipe.precisions,
        ).values()
    test = data.test()
    right = {key: training.right(export.load(out / f"{key}.keras"), test) for key in records}
    exported = {
        path.name: ModelFile(
            sha256=files.sha256(path),
            nbytes=path.stat().st_size,
            validation_accuracy=tflite_accuracy(path, split.validation),
            test_accuracy=tflite_accuracy(path, test),
        )
        for path in paths
    }
    majority = float(np.bincount(test.y).max() / len(test))
    classes = int(split.train.y.max()) + 1
    result = Provenance(
        schema=provenance.SCHEMA,
        name=name,
        quick=quick,
        recipe=recipe,
        data=provenance.Data(
            name=split.train.name,
            train=len(split.train),
            validation=len(split.validation),
            test=len(test),
            classes=classes,
            majority=majority,
            train_fingerprint=split.train.fingerprint,
            test_fingerprint=test.fingerprint,
            note=data.note,
        ),
        stages=records,
        test_accuracy={key: float(np.mean(each)) for key, each in right.items()},
        files=exported,
        verdict=_verdict(recipe, right, classes, majority),
        versions=provenance.versions(),
    )
    provenance.write(out / provenance.FILE, result)
    return result


def _verdict(recipe: Recipe, right: Mapping[str, Right], classes: int, majority: float) -> Verdict:
    roles = {"teacher": recipe.teacher, "student": recipe.student, "alone": recipe.alone}
    gains = [
        float(np.mean(right[ours]) - np.mean(right[theirs]))
        for ours, theirs in zip(
            plan.seeds(recipe, recipe.student), plan.seeds(recipe, recipe.alone), strict=False
        )
    ]
    return verdict(
        {role: right[stage] for role, stage in roles.items() if stage},
        classes=classes,
        majority=majority,
        control=recipe.control,
        gains=gains,
    )


def tflite_accuracy(path: Path, dataset: Dataset) -> float:
    """Share of samples that LiteRT, running a ``.tflite`` file, classifies right."""
    model = litert(path)
    outputs = model.predict(encode_inputs(dataset.x, model.graph.input))
    return float(np.mean(np.argmax(outputs, axis=1) == dataset.y))


@known_warnings()
def train(
    recipe: str | Found,
    out: Path,
    *,
    quick: bool = False,
    given: Data | None = None,
    runs: Sequence[StoredRun] = (),
    jobs: int | None = None,
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
        jobs: as `stages` takes it.
        on_event: told of each stage and epoch.
        progress: told of a download.

    Returns:
        What ``out/provenance.json`` holds.

    Raises:
        ToolMissing: no TensorFlow.
        UsageError: no such recipe, or one that cannot work.
        DataError: the data set is missing, wrong or too small.
        TrainingFailed: a loss became NaN.
        MachineError: a worker was killed.
        StorageError: ``out`` cannot be written.
    """
    require()
    found = plan.find(recipe) if isinstance(recipe, str) else recipe
    wanted = quickly(found.recipe) if quick else found.recipe
    given = given or prepare(found, quick=quick, progress=progress)
    records = stages(wanted, out, given, jobs=jobs, on_event=on_event)
    done = provenance.read(out / provenance.FILE, Provenance)
    if done is not None and _is_current(done, wanted, out, records):
        on_event(Event("export", "kept"))
    else:
        on_event(Event("export", "start"))
        done = finish(found.name, quick, wanted, given, records, out)
        metrics = {name: file.test_accuracy for name, file in done.files.items()}
        on_event(Event("export", "done", metrics=metrics))
    _write_once(out / "card.md", card.card(done, runs))
    _write_once(out / "history.svg", pages.svg(done))
    return done


@known_warnings()
def stages(
    recipe: Recipe,
    out: Path,
    given: Data,
    *,
    only: Collection[str] = (),
    jobs: int | None = None,
    on_event: OnEvent = ignore,
) -> dict[str, StageRecord]:
    """Train a recipe's stages, or keep what is there: the first half of `train`.

    Args:
        recipe: as `train` would take it; with ``only``, what these learn or go on from must be
            among them (a sweep wants its teacher alone).
        out: folder for ``<key>.keras`` and ``<key>.stage.json``.
        given: its data.
        only: keys to train; none: all.
        jobs: so many at once, each in a process with one thread; the weights are the same
            whatever their number. None: one after the other in this process, with as many
            threads as TensorFlow has here, on which the last digits of the weights may depend.
        on_event: told of each stage and epoch.

    Returns:
        A record for each key, in order; errors as `train`.
    """
    if given.note:
        on_event(Event("data", "warning", text=given.note))
    _compare_sizes(recipe, given, on_event)
    place = Place(out, given.split, recipe.validation_share)
    wanted = [plan for plan in plans(recipe) if not only or plan.key in only]
    if jobs is not None:
        return workers.train(place, wanted, jobs, on_event)
    return {plan.key: export.kept_or_trained(place, plan, on_event) for plan in wanted}


def prepare(found: Found, *, quick: bool = False, progress: Progress | None = None) -> Data:
    """A recipe's data, both splits on this machine; errors as `train`."""
    require()  # before a download: cheap to refuse
    samples = found.recipe.quick.samples if quick else 0
    given = training.load(found.recipe, found.folder, samples=samples, progress=progress)
    given.test()  # a download alone: nothing looks at it before the end
    return given


def _compare_sizes(recipe: Recipe, given: Data, on_event: OnEvent) -> None:
    """Build every network once, so that a wrong one is refused now; tell of large students."""
    shape = given.split.train.x.shape[1:]
    sizes = {
        name: networks.build(network, shape, name).count_params()
        for name, network in recipe.networks.items()
    }
    sizes_of = {each.name: sizes[each.network] for each in recipe.stages}
    for each in recipe.stages:
        if each.teacher and sizes_of[each.name] > sizes_of[each.teacher]:
            text = (
                f"{each.name!r} ({sizes_of[each.name]:,} parameters) is larger than its "
                f"teacher {each.teacher!r} ({sizes_of[each.teacher]:,})"
            )
            on_event(Event(each.name, "warning", text=text))


def _is_current(
    done: Provenance, recipe: Recipe, out: Path, records: dict[str, StageRecord]
) -> bool:
    """Whether a provenance is of these records, and all its files are there, unchanged."""
    same = done.recipe == recipe and done.stages == records
    return same and all(files.sha256(out / n) == f.sha256 for n, f in done.files.items())


def _write_once(path: Path, text: str) -> None:
    """Write a page, unless it is there already as it should be."""
    content = text.encode()
    if not path.is_file() or path.read_bytes() != content:
        files.replace_file(path, content)
