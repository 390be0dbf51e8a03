# SPDX-License-Identifier: Apache-2.0
"""What a bench stores in addition to its answers: the manifest, new or resumed, and pictures."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET

import hil
from hil.bench.plan import BenchPlan
from hil.bench.prepare import Missing, Prepared
from hil.core.errors import HilError, StorageError
from hil.core.host import cpu_name, package_versions
from hil.core.records import Dataset
from hil.core.text import storable
from hil.datasets import drawn, made
from hil.datasets.sampling import SALT
from hil.link.chaos import Chaos
from hil.runs.agreement import answer, host_answer
from hil.runs.load import read_manifest
from hil.runs.log import RESULTS, RunLog
from hil.runs.schema import (
    MANIFEST,
    SCHEMA,
    DatasetUsed,
    Git,
    Host,
    Manifest,
    Picture,
    RunPlan,
    Sample,
)
from hil.runs.seal import check_data
from hil.runs.task import gives_classes, task_of

MAX_PICTURES: Final = 256
PACKAGES: Final = (
    "ai-edge-litert",
    "numpy",
    "platformio",
    "pyserial",
    "scipy",
    "tflite-micro",
    "tinyml-hil",
)


def new_manifest(
    plan: BenchPlan,
    prepared: tuple[Prepared, ...],
    missing: Missing,
    run_id: str,
    chaos: Chaos | None,
) -> Manifest:
    """The manifest of a bench that has not answered anything yet."""
    used = dataset_used(plan.data, plan.total, plan.note)
    runs = tuple(item.plan for item in prepared)
    found = started(plan.project, used, runs, run_id, plan.command)
    return msgspec.structs.replace(
        found,
        no_place=missing.no_place,
        refused=missing.refused,
        absent=plan.absent or UNSET,
        chaos=str(chaos) if chaos else UNSET,
    )


def dataset_used(data: Dataset, total: int, note: str) -> DatasetUsed:
    """The samples of a run, ``total`` in the whole split, as they are stored."""
    return DatasetUsed(
        name=storable(data.name),
        split=data.split,
        fingerprint=data.fingerprint,
        total=total,
        n=len(data),
        note=note,
        labelled=data.labelled,
        classes=data.classes,
        input=data.input,
    )


def started(
    project: Path,
    used: DatasetUsed,
    runs: tuple[RunPlan, ...],
    run_id: str,
    command: tuple[str, ...] | None = None,
) -> Manifest:
    """The manifest of ``runs`` that start now, on this machine, by ``command``; None: by this
    process's arguments."""
    return Manifest(
        schema=SCHEMA,
        run_id=storable(run_id),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        state="running",
        command=tuple(map(storable, sys.argv[1:] if command is None else command)),
        hil=hil.__version__,
        git=git_state(project),
        host=host(),
        dataset=used,
        runs=runs,
        seeds=_seeds(used),
    )


def host() -> Host:
    """This machine, and the versions of the packages that figures may depend on."""
    return Host(
        platform=platform.platform(),
        cpu=cpu_name(),
        python=platform.python_version(),
        packages=package_versions(PACKAGES),
    )


def git_state(project: Path) -> Git | None:
    """The commit of the checkout; None outside a checkout.

    Changes in `results/` do not count: stored runs are not measured.
    """
    paths = (":/", f":(exclude){RESULTS}")
    try:
        commit = _git(project, "rev-parse", "HEAD")
        changed = _git(project, "status", "--porcelain", "-uno", "--", *paths)
        return Git(commit=commit, dirty=bool(changed))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(project: Path, *words: str) -> str:
    command = ["git", "-C", str(project), *words]  # the git on PATH
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def _seeds(used: DatasetUsed) -> dict[str, str]:
    """The seeds that figures depend on: order of samples, intervals, generated data."""
    found = {"order of samples": f"BLAKE2b of the ids, key {SALT.decode()}"}
    found["bootstrap of intervals"] = "0, NumPy's default_rng"
    seeds = {"tabular": made.SEED, "noise": made.NOISE_SEED}
    if used.name in seeds:
        found["data"] = str(seeds[used.name])
    if used.name == drawn.NAME:
        found["data"] = used.split.removeprefix("seed ")
    return found


@contextmanager
def opened(
    folder: Path, manifest: Manifest, targets: npt.NDArray[np.float32] | None = None
) -> Iterator[RunLog]:
    """The log of a new run, or of a stored one that is continued; ``targets``: if it has any.

    When the block ends, the run's state is complete. When it raises, the state is failed or
    interrupted, and all answers so far are stored. StorageError when ``folder`` contains another
    run, or this one is already complete.
    """
    if (folder / MANIFEST).exists():
        manifest = _resumed(read_manifest(folder), manifest, folder)
    with RunLog(folder, manifest) as log:
        if targets is not None:
            log.save_targets(targets)  # first: a manifest that needs them is not read without them
        log.save(manifest)
        try:
            yield log
        except BaseException as problem:
            with suppress(StorageError):  # a full disk must not hide the first problem
                if isinstance(problem, HilError):
                    log.set_state("failed", str(problem))
                else:
                    log.set_state("interrupted")
            raise
        log.set_state("complete")


def check_folder(folder: Path, plan: BenchPlan, chaos: Chaos | None) -> None:
    """StorageError, before anything is built, for a folder that cannot store ``plan``.

    What only a build shows, such as the firmware's hash, is checked by `opened`.
    """
    if folder.is_file():
        raise StorageError(f"{folder} is a file", "choose another --out")
    if not (folder / MANIFEST).exists():
        return
    old = read_manifest(folder)
    used = dataset_used(plan.data, plan.total, plan.note)
    new = msgspec.structs.replace(old, dataset=used, chaos=str(chaos) if chaos else UNSET)
    _refuse_others(folder, old, differences(old, new))


def _refuse_others(folder: Path, old: Manifest, found: Sequence[str]) -> None:
    """StorageError for a run that differs in what is ``found``, or that is complete."""
    if found:
        raise StorageError(
            f"{folder} contains another run, which differs in {', '.join(found)}",
            "choose another --out; nothing was changed",
        )
    if old.state == "complete":
        raise StorageError(
            f"{folder} already contains a complete run",
            f"read it with `hil report {folder}`, or choose another --out",
        )


def _resumed(old: Manifest, new: Manifest, folder: Path) -> Manifest:
    """The stored manifest with the state set back to running."""
    _refuse_others(folder, old, differences(old, new))
    check_data(folder, old)  # otherwise its damage would be sealed
    return msgspec.structs.replace(old, schema=SCHEMA, state="running", error="", files={})


# what a stored run and its continuation must have in common, beyond its key
_SAME: Final = (
    *("model_sha256", "firmware_sha256", "toolchain", "clock"),
    *("sketch", "input", "output", "tensors", "tolerance", "answers", "litert", "protocol"),
    "threshold",
)


def differences(old: Manifest, new: Manifest) -> list[str]:
    """Why a stored run cannot be continued as a new one; empty when it can."""
    found = []
    if old.chaos != new.chaos:
        found.append("the faults that --chaos injects")
    if old.dataset != new.dataset:
        found.append(f"data set {old.dataset.name} n={old.dataset.n} or its content")
    if [run.key for run in old.runs] != [run.key for run in new.runs]:
        found.append("boards, engines, models or precisions")
        return found
    for a, b in zip(old.runs, new.runs, strict=True):
        if task_of(a, old.dataset) is not task_of(b, new.dataset):
            found.append(f"task of {a.key}")
        for field in _SAME:
            if getattr(a, field) != getattr(b, field):
                found.append(f"{field} of {a.key}")
    return found


def pictures(
    data: Dataset, manifest: Manifest, answers: Mapping[str, Sequence[Sample]]
) -> dict[str, Picture]:
    """Sample id -> picture of samples whose answers differ, from each other or from the label.

    At most `MAX_PICTURES`, those with the most different answers first; equal pictures with equal
    answers once, since a sketch may repeat one sample. Empty if the data set does not consist of
    pictures. ``answers``: by `RunPlan.key`.
    """
    if data.x.dtype != np.uint8 or data.x.ndim != 4 or data.x.shape[3] not in (1, 3):
        return {}
    given: dict[str, set[int]] = defaultdict(set)
    index = {}
    for plan in manifest.runs:
        for sample in answers.get(plan.key, ()):
            if sample.failed or not gives_classes(plan, manifest.dataset):
                continue
            label = sample.label if manifest.dataset.labelled else None
            for one in (answer(sample, plan), host_answer(sample, plan), label):
                if one is not None:
                    given[sample.id].add(one)
            index[sample.id] = sample.i
    disputed = [key for key, those in given.items() if len(those) > 1]
    disputed.sort(key=lambda key: (-len(given[key]), index[key]))
    drawn: dict[tuple[bytes, frozenset[int]], str] = {}
    for key in disputed:
        drawn.setdefault((data.x[index[key]].tobytes(), frozenset(given[key])), key)
    return {key: _picture(data, index[key]) for key in list(drawn.values())[:MAX_PICTURES]}


def _picture(data: Dataset, i: int) -> Picture:
    rows, columns, channels = data.x.shape[1:]
    return Picture(
        shape=(rows, columns), pixels=data.x[i].tobytes(), channels=3 if channels == 3 else 1
    )
