"""One network's .tflite file -> what a board says of it: a stored run of `hil.bench`, read back.

Each file has an image and a run of its own, so that its flash is its own, and a network that has
no place on the board keeps none of the others from being measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from hil import files
from hil.bench import Request, make_plan, run
from hil.bench.events import Emit
from hil.bench.lab import Lab
from hil.errors import DoesNotFit, StorageError, UsageError
from hil.kd.data import Data
from hil.records import Dataset
from hil.report.cells import cells
from hil.runlog.load import load, read_manifest
from hil.runlog.schema import MANIFEST, Manifest
from hil.study.figures import Device

Unit: TypeAlias = Literal["instructions", "us", "none"]
TEST = "test.npz"


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and on what networks are measured. ``limit``: samples; None: the whole test split."""

    project: Path
    board: str
    folder: Path
    dataset: str  # a name, or empty: ``data`` is read
    data: Path | None
    limit: int | None
    lab: Lab | None
    emit: Emit


@dataclass(frozen=True, slots=True)
class Measured:
    """``device`` is None where the network has no place on the board; ``why`` then says it."""

    device: Device | None
    why: str
    title: str
    unit: Unit
    n: int


def test_data(data: Data, own: bool, folder: Path) -> tuple[str, Path | None]:
    """How the bench finds the test split: a data set's name, or a file of the split itself.

    Args:
        data: of the recipe.
        own: the recipe names an .npz file, of which the test split is a part.
        folder: for that part.
    """
    if not own:
        return data.split.train.name, None
    split: Dataset = data.test()
    path = folder / TEST
    with files.replacing(path) as part:
        np.savez(part, x=split.x, y=split.y)
    return "", path


def measure(bench: Bench, key: str, tflite: Path) -> Measured:
    """Run a network on the board, or read the complete run of it that is there.

    Raises:
        HilError: as a bench; what the board has no place for is no error.
    """
    request = Request(
        project=bench.project,
        boards=(bench.board,),
        models=(str(tflite),),
        dataset=bench.dataset or "auto",
        data=bench.data,
        limit=bench.limit,
    )
    try:
        plan = make_plan(request)
    except DoesNotFit as problem:
        return Measured(None, problem.what, bench.board, "none", 0)
    except UsageError as problem:  # a precision that the board is not made for
        if "does not fit board" not in problem.what:
            raise
        return Measured(None, problem.what, bench.board, "none", 0)
    (cell,) = plan.cells
    board, n = cell.image.board, len(plan.data)
    title, unit = cell.station.title, board.clock.unit
    # another file or other samples make another run: nothing is overwritten
    folder = bench.folder / f"{key}-{cell.network.graph.sha256[:8]}-{n}"
    if not _is_complete(folder, cell.network.graph.sha256, plan.data.fingerprint, board.name):
        try:
            run(plan, folder, bench.emit, bench.lab)
        except DoesNotFit as problem:
            return Measured(None, problem.what, title, unit, n)
    stored = load(folder)
    (found,) = cells(stored.manifest, stored.samples)
    if not found.complete or found.end is None:
        raise StorageError(f"{folder} is not complete", "run the same command again")
    memory = found.end.memory
    device = Device(
        wrong=tuple(int(i) for i in np.flatnonzero(~found.right)),
        time=found.time.point if found.time else None,
        arena=memory.arena,
        flash_model=memory.flash_model,
        flash_code=memory.flash_code,
        unexpected=found.unexpected,
    )
    return Measured(device, "", title, unit, n)


def _is_complete(folder: Path, sha256: str, fingerprint: str, board: str) -> bool:
    if not (folder / MANIFEST).exists():
        return False
    found: Manifest = read_manifest(folder)
    (plan,) = found.runs
    return (
        found.state == "complete"
        and (plan.model_sha256, plan.board) == (sha256, board)
        and found.dataset.fingerprint == fingerprint
    )
