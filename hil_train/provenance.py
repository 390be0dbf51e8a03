# SPDX-License-Identifier: Apache-2.0
"""Where models come from: the records that are stored beside each of them."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from hil.core import files
from hil.core.files import NO_RECORD
from hil.core.host import cpu_name, package_versions
from hil_train.plan import TrainingPlan
from hil_train.recipe import Recipe

SCHEMA: Final = 2
FILE: Final = "provenance.json"
_PACKAGES: Final = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy", "ai-edge-litert")


class Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of stored records: frozen, unknown keys are refused."""


class StageInputs(Stored, frozen=True):
    """Everything that decides the result of a training: it is not repeated with equal inputs."""

    plan: TrainingPlan
    dataset: str
    fingerprint: str  # of the source of the training split
    samples: int  # in the training split
    validation_share: float
    teacher_sha256: str = ""  # of the .keras file that it learned from
    start_sha256: str = ""  # of the .keras file that it started from


class StageRecord(Stored, frozen=True):
    """``<key>.stage.json``, written after its ``.keras`` file."""

    inputs: StageInputs
    keras_sha256: str
    parameters: int
    seconds: float  # wall time of the training on the machine named in ``versions``
    samples_per_second: float
    validation_accuracy: float
    history: dict[str, list[float]]
    versions: dict[str, str]


class DataRecord(Stored, frozen=True):
    """The samples: how many in each split, and the SHA-256 of their source."""

    name: str
    train: int
    validation: int
    test: int
    classes: int
    majority: float  # share of the test set's most frequent class
    train_fingerprint: str
    test_fingerprint: str
    note: str = ""  # why it is not the data set that the recipe names


class ModelFile(Stored, frozen=True):
    """One ``.tflite`` file, with LiteRT's accuracies."""

    sha256: str
    nbytes: int
    validation_accuracy: float
    test_accuracy: float


class Verdict(Stored, frozen=True):
    """What the test set shows, in figures and in sentences; see `hil_train.card`.

    ``beats_chance``: role (teacher, student, alone) -> whether its interval is above what guessing
    reaches. ``gain``: the student's accuracy minus that of the same network without a teacher, and
    its interval. ``p``: of McNemar's exact test. Both are None without such a stage.
    """

    chance: float
    beats_chance: dict[str, bool]
    gain: tuple[float, float, float] | None
    p: float | None
    sentences: tuple[str, ...]


class Provenance(Stored, frozen=True):
    """``provenance.json``. ``test_accuracy`` (by key) was read once, after every choice."""

    schema: int
    name: str
    quick: bool
    recipe: Recipe
    data: DataRecord
    stages: dict[str, StageRecord]
    test_accuracy: dict[str, float]
    files: dict[str, ModelFile]
    verdict: Verdict
    versions: dict[str, str]


Record = TypeVar("Record", bound=Stored)


def read(path: Path, kind: type[Record]) -> Record | None:
    """A stored record; None if there is none or it is not of this kind (any more)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, *NO_RECORD):
        return None


def write(path: Path, record: Stored) -> None:
    """Store a record as readable JSON; raises StorageError."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=1)
    files.replace_file(path, text + b"\n")


def versions() -> dict[str, str]:
    """Versions of everything that can change a trained weight."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": cpu_name(),
        **package_versions(_PACKAGES),
    }
