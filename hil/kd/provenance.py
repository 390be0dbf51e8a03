"""Where models come from: what is stored beside each of them."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import TypeVar

import msgspec

from hil import files
from hil.kd.settings import Distillation, Schedule, Settings

SCHEMA = 1
_PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy", "ai-edge-litert")


class Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is stored: frozen, unknown keys refused."""


class Recipe(Stored, frozen=True):
    """All that decides the outcome of a stage: the same recipe is not trained twice."""

    stage: str
    schedule: Schedule
    dataset: str
    fingerprint: str  # of the training split
    validation_share: float
    distillation: Distillation | None = None
    teacher_sha256: str = ""  # of the .keras file it learnt from


class StageRecord(Stored, frozen=True):
    """``<stage>.stage.json``, written after its ``.keras`` file."""

    recipe: Recipe
    keras_sha256: str
    parameters: int
    seconds: float  # wall time of training on the machine named in ``versions``
    validation_accuracy: float
    history: dict[str, list[float]]
    versions: dict[str, str]


class Data(Stored, frozen=True):
    """The samples: how many in each split, and the SHA-256 of their source."""

    name: str
    train: int
    validation: int
    test: int
    train_fingerprint: str
    test_fingerprint: str


class ModelFile(Stored, frozen=True):
    """One ``.tflite`` file; accuracies as LiteRT gives them."""

    sha256: str
    nbytes: int
    validation_accuracy: float
    test_accuracy: float


class Provenance(Stored, frozen=True):
    """``provenance.json``. ``test_accuracy`` (by stage) was read once, after every choice."""

    schema: int
    settings: Settings
    data: Data
    stages: dict[str, StageRecord]
    test_accuracy: dict[str, float]
    files: dict[str, ModelFile]
    versions: dict[str, str]


Record = TypeVar("Record", bound=Stored)


def versions() -> dict[str, str]:
    """Of everything that can change a trained weight."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        **found,
    }


def read(path: Path, kind: type[Record]) -> Record | None:
    """A stored record; None when there is none or it is not (any more) of this kind."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def write(path: Path, record: Stored) -> None:
    """Store a record, readable by people; raises StorageError."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=1)
    files.replace_file(path, text + b"\n")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
