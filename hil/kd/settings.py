"""How each data set's models are trained: chosen on the validation split, never on the test set."""

from __future__ import annotations

import msgspec

from hil.errors import UsageError


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Adam, its rate falling to 0 on a cosine; digits moved by up to ``shift`` pixels."""

    epochs: int
    learning_rate: float
    shift: int
    batch: int = 128
    seed: int = 1


class Distillation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """loss = alpha * CE + (1 - alpha) * T^2 * KL(teacher || student), softened by T."""

    temperature: float = 5.0
    alpha: float = 0.1


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a training run is asked to do. ``student`` also trains it alone."""

    dataset: str
    teacher: Schedule
    student: Schedule
    distillation: Distillation = Distillation()
    validation_share: float = 0.1
    calibration: int = 500  # training samples that set the int8 ranges


_FULL = {
    "mnist": Settings(
        dataset="mnist",
        teacher=Schedule(epochs=14, learning_rate=1e-3, shift=2),
        student=Schedule(epochs=80, learning_rate=4e-3, shift=0),
    ),
    "digits": Settings(
        dataset="digits",
        teacher=Schedule(epochs=60, learning_rate=1e-3, shift=2, batch=32),
        student=Schedule(epochs=100, learning_rate=4e-3, shift=1, batch=32),
        validation_share=0.2,  # of 1,297: a tenth would tell little
    ),
}
_QUICK = {
    "mnist": Settings(
        dataset="mnist",
        teacher=Schedule(epochs=1, learning_rate=1e-3, shift=0),
        student=Schedule(epochs=2, learning_rate=4e-3, shift=0),
        calibration=100,
    ),
    "digits": Settings(
        dataset="digits",
        teacher=Schedule(epochs=6, learning_rate=2e-3, shift=0, batch=32),
        student=Schedule(epochs=10, learning_rate=4e-3, shift=0, batch=32),
        calibration=100,
    ),
}


def for_dataset(name: str, *, quick: bool = False) -> Settings:
    """The settings for a data set; ``quick`` only shows that the pipeline works.

    Raises:
        UsageError: there are none for it.
    """
    table = _QUICK if quick else _FULL
    if name not in table:
        raise UsageError(f"no training settings for {name!r}", f"choose one of {', '.join(table)}")
    return table[name]
