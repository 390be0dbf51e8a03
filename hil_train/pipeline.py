# SPDX-License-Identifier: Apache-2.0
"""`hil train`: a recipe -> trained stages -> exported models, tested once, and what that shows.

    teacher.keras ───────────────┬─> student.keras ─> student_{float32,int8}.tflite
       └─> teacher_*.tflite      │
    student_alone.keras (same schedule, no teacher: the baseline of distillation)

and any other stages of the recipe. ``provenance.json`` is written when everything else is complete;
``card.md`` and ``history.svg`` are made from it.
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
from hil_train import card, export, networks, plan, provenance, stages, training
from hil_train.backend import known_warnings, require
from hil_train.card import Correct
from hil_train.plan import FoundRecipe, RecipeData
from hil_train.provenance import DataRecord, ModelFile, Provenance, StageRecord, Verdict
from hil_train.recipe import Recipe, quickly
from hil_train.stages import Workplace
from hil_train.training import OnEvent, StageEvent, ignore


@known_warnings()
def train(
    recipe: str | FoundRecipe,
    out: Path,
    *,
    quick: bool = False,
    given: RecipeData | None = None,
    runs: Sequence[StoredRun] = (),
    jobs: int | None = None,
    on_event: OnEvent = ignore,
    progress: Progress | None = None,
) -> Provenance:
    """Train, distil and export the models of a recipe into ``out``.

    Args:
        recipe: a name, the path of a .toml file, or a found recipe.
        out: folder, created if missing; complete results in it are kept.
        quick: few epochs and samples, to see that it works.
        given: its data, if `prepare` has already loaded it.
        runs: stored runs of the bench, for the device figures of the card.
        jobs: see `train_stages`.
        on_event: called for each stage and epoch.
        progress: called during a download.

    Returns:
        The content of ``out/provenance.json``.

    Raises:
        ToolMissing: TensorFlow is not installed.
        UsageError: there is no such recipe, or it cannot work.
        DataError: the data set is missing, wrong or too small.
        TrainingFailed: a loss is not finite.
        MachineError: a worker was killed.
        StorageError: ``out`` cannot be written.
    """
    require()
    found = plan.find_recipe(recipe) if isinstance(recipe, str) else recipe
    wanted = quickly(found.recipe) if quick else found.recipe
    given = given or prepare(found, quick=quick, progress=progress)
    records = train_stages(wanted, out, given, jobs=jobs, on_event=on_event)
    done = provenance.read(out / provenance.FILE, Provenance)
    if done is not None and _is_current(done, wanted, out, records):
        on_event(StageEvent("export", "kept"))
    else:
        on_event(StageEvent("export", "start"))
        done = _finish(found.name, quick, wanted, given, records, out)
        metrics = {name: file.test_accuracy for name, file in done.files.items()}
        on_event(StageEvent("export", "done", metrics=metrics))
    _write_changed(out / "card.md", card.card(done, runs))
    _write_changed(out / "history.svg", card.history_svg(done))
    return done


@known_warnings()
def train_stages(
    recipe: Recipe,
    out: Path,
    given: RecipeData,
    *,
    only: Collection[str] = (),
    jobs: int | None = None,
    on_event: OnEvent = ignore,
) -> dict[str, StageRecord]:
    """Train a recipe's stages, or keep those that are complete: the first half of `train`.

    Args:
        recipe: cut to its quick limits if wanted.
        out: folder for ``<key>.keras`` and ``<key>.stage.json``.
        given: its data.
        only: keys to train, including everything that these learn or start from; empty: all.
        jobs: how many at a time, each in a process with one thread; the weights do not depend on
            the number. None: one after another in this process, with TensorFlow's number of
            threads, on which the last digits of the weights may depend.
        on_event: called for each stage and epoch.

    Returns:
        A record for each key, in order; errors as `train`.
    """
    if given.note:
        on_event(StageEvent("data", "warning", text=given.note))
    _compare_sizes(recipe, given, on_event)
    place = Workplace(out, given.split, recipe.validation_share)
    wanted = [each for each in plan.plans(recipe) if not only or each.key in only]
    if jobs is not None:
        return stages.train_side_by_side(place, wanted, jobs, on_event)
    return {each.key: stages.keep_or_train(place, each, on_event) for each in wanted}


def prepare(
    found: FoundRecipe, *, quick: bool = False, progress: Progress | None = None
) -> RecipeData:
    """A recipe's data, with both splits downloaded; errors as `train`."""
    require()  # fail before a download
    samples = found.recipe.quick.samples if quick else 0
    given = plan.load_data(found.recipe, found.folder, samples=samples, progress=progress)
    given.test()  # downloads it; nothing reads it before the end
    return given


def _compare_sizes(recipe: Recipe, given: RecipeData, on_event: OnEvent) -> None:
    """Build every network once, to refuse wrong ones now; warn about students larger than their
    teachers."""
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
            on_event(StageEvent(each.name, "warning", text=text))


def _is_current(
    done: Provenance, recipe: Recipe, out: Path, records: dict[str, StageRecord]
) -> bool:
    """Whether a provenance is of these records, and all its files are there and unchanged."""
    same = done.recipe == recipe and done.stages == records
    return same and all(files.sha256(out / n) == f.sha256 for n, f in done.files.items())


def _write_changed(path: Path, text: str) -> None:
    """Write a file unless it already has this content."""
    content = text.encode()
    if not path.is_file() or path.read_bytes() != content:
        files.replace_file(path, content)


def _finish(
    name: str,
    quick: bool,
    recipe: Recipe,
    data: RecipeData,
    records: dict[str, StageRecord],
    out: Path,
) -> Provenance:
    """Export the trained stages in ``out``, test all of them, and write provenance.json.

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
    correct = {
        key: training.correct(export.load_network(out / f"{key}.keras"), test) for key in records
    }
    exported = {
        path.name: ModelFile(
            sha256=files.sha256(path),
            nbytes=path.stat().st_size,
            validation_accuracy=_tflite_accuracy(path, split.validation),
            test_accuracy=_tflite_accuracy(path, test),
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
        data=DataRecord(
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
        test_accuracy={key: float(np.mean(each)) for key, each in correct.items()},
        files=exported,
        verdict=_verdict(recipe, correct, classes, majority),
        versions=provenance.versions(),
    )
    provenance.write(out / provenance.FILE, result)
    return result


def _verdict(
    recipe: Recipe, correct: Mapping[str, Correct], classes: int, majority: float
) -> Verdict:
    roles = {"teacher": recipe.teacher, "student": recipe.student, "alone": recipe.alone}
    pairs = zip(
        plan.seed_keys(recipe, recipe.student), plan.seed_keys(recipe, recipe.alone), strict=False
    )
    return card.verdict(
        {role: correct[stage] for role, stage in roles.items() if stage},
        classes=classes,
        majority=majority,
        control=recipe.control,
        gains=[float(np.mean(correct[a]) - np.mean(correct[b])) for a, b in pairs],
    )


def _tflite_accuracy(path: Path, dataset: Dataset) -> float:
    """Share of samples that LiteRT classifies correctly with a ``.tflite`` file."""
    model = litert(path)
    outputs = model.predict(encode_inputs(dataset.x, model.graph.input))
    return float(np.mean(np.argmax(outputs, axis=1) == dataset.y))
