# SPDX-License-Identifier: Apache-2.0
"""``provenance.json`` as it was before recipes: read, never written.

The committed digits models were trained with it; it goes when they are trained anew.
"""

from __future__ import annotations

import msgspec

SCHEMA = 1


class _Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: frozen, unknown keys refused."""


class ScheduleV1(_Stored, frozen=True):
    """Adam, its rate falling to 0 on a cosine."""

    epochs: int
    learning_rate: float
    shift: int
    batch: int
    seed: int


class DistillationV1(_Stored, frozen=True):
    """What is kind ``kd`` now."""

    temperature: float
    alpha: float


class SettingsV1(_Stored, frozen=True):
    """Everything a training run was asked to do."""

    dataset: str
    teacher: ScheduleV1
    student: ScheduleV1
    distillation: DistillationV1
    validation_share: float
    calibration: int


class RecipeV1(_Stored, frozen=True):
    """What decided the outcome of a stage."""

    stage: str
    schedule: ScheduleV1
    dataset: str
    fingerprint: str
    validation_share: float
    distillation: DistillationV1 | None
    teacher_sha256: str


class StageRecordV1(_Stored, frozen=True):
    """One training."""

    recipe: RecipeV1
    keras_sha256: str
    parameters: int
    seconds: float
    validation_accuracy: float
    history: dict[str, list[float]]
    versions: dict[str, str]


class DataV1(_Stored, frozen=True):
    """The samples."""

    name: str
    train: int
    validation: int
    test: int
    train_fingerprint: str
    test_fingerprint: str


class ModelFileV1(_Stored, frozen=True):
    """One ``.tflite`` file."""

    sha256: str
    nbytes: int
    validation_accuracy: float
    test_accuracy: float


class ProvenanceV1(_Stored, frozen=True):
    """The file."""

    schema: int
    settings: SettingsV1
    data: DataV1
    stages: dict[str, StageRecordV1]
    test_accuracy: dict[str, float]
    files: dict[str, ModelFileV1]
    versions: dict[str, str]
