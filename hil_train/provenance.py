# SPDX-License-Identifier: Apache-2.0
"""Where models come from: what is stored beside each of them."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TypeVar

import msgspec

from hil.core import files
from hil.core.errors import StorageError
from hil.core.files import NO_RECORD
from hil.core.host import cpu_name, package_versions
from hil_train import provenance_v1
from hil_train.plan import Plan
from hil_train.provenance_v1 import ProvenanceV1
from hil_train.recipe import Recipe

SCHEMA = 2
FILE = "provenance.json"
_PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy", "ai-edge-litert")


class Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is stored: frozen, unknown keys refused."""


class Inputs(Stored, frozen=True):
    """All that decides the outcome of a training: the same inputs are not trained twice."""

    plan: Plan
    dataset: str
    fingerprint: str  # of the training split's source
    samples: int  # in the training split
    validation_share: float
    teacher_sha256: str = ""  # of the .keras file it learnt from
    start_sha256: str = ""  # of the .keras file it went on from


class StageRecord(Stored, frozen=True):
    """``<key>.stage.json``, written after its ``.keras`` file."""

    inputs: Inputs
    keras_sha256: str
    parameters: int
    seconds: float  # wall time of training on the machine named in ``versions``
    samples_per_second: float
    validation_accuracy: float
    history: dict[str, list[float]]
    versions: dict[str, str]


class Data(Stored, frozen=True):
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
    """One ``.tflite`` file; accuracies as LiteRT gives them."""

    sha256: str
    nbytes: int
    validation_accuracy: float
    test_accuracy: float


class Verdict(Stored, frozen=True):
    """What the test set says, in figures and in sentences; see `hil_train.card`.

    ``beats_chance``: role (teacher, student, alone) -> whether its interval is above what a
    guess reaches. ``gain``: the student's accuracy minus the same network's without a teacher,
    with its interval and the p-value of McNemar's exact test; None without such a stage.
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
    data: Data
    stages: dict[str, StageRecord]
    test_accuracy: dict[str, float]
    files: dict[str, ModelFile]
    verdict: Verdict
    versions: dict[str, str]


Record = TypeVar("Record", bound=Stored)


class _Schema(msgspec.Struct):
    schema: int


def load(path: Path) -> Provenance | ProvenanceV1:
    """A ``provenance.json`` of this schema, or of the one before recipes.

    Raises:
        StorageError: there is none, or it is of neither.
    """
    try:
        content = path.read_bytes()
        if msgspec.json.decode(content, type=_Schema).schema == provenance_v1.SCHEMA:
            return msgspec.json.decode(content, type=ProvenanceV1)
        return msgspec.json.decode(content, type=Provenance)
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror})", "check the path") from None
    except NO_RECORD as error:
        what = f"{path} is not a provenance record ({error})"
        raise StorageError(what, "train again with: hil train") from None


def versions() -> dict[str, str]:
    """Of everything that can change a trained weight."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": cpu_name(),
        **package_versions(_PACKAGES),
    }


def read(path: Path, kind: type[Record]) -> Record | None:
    """A stored record; None when there is none or it is not (any more) of this kind."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, *NO_RECORD):
        return None


def write(path: Path, record: Stored) -> None:
    """Store a record, readable by people; raises StorageError."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=1)
    files.replace_file(path, text + b"\n")
