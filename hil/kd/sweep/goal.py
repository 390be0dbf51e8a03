"""What a sweep is after: objectives and limits, and what all who share a study must agree on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hil.errors import UsageError
from hil.kd.sweep.space import Values
from hil.records import Precision

ACCURACY: Final = "accuracy"  # on the validation split; more is better
PLANNED: Final = ("parameters", "macs", "arena", "flash")  # known without a board; less is better
MEASURED: Final = "instructions"  # on the emulated Cortex-M7; less is better
FIGURES: Final = (*PLANNED, MEASURED)
UNITS: Final = {"arena": "B", "flash": "B"}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What makes trials comparable: kept in the study, equal for everyone who adds to it.

    ``limits``: figure -> the most it may be. ``data``: fingerprint of the training split;
    ``ancestors``: of the weights that the stage learns from or starts from.
    """

    recipe: str
    stage: str
    axes: dict[str, Values]
    objectives: tuple[str, ...]
    limits: dict[str, int]
    seed: int
    precision: Precision
    plan: str  # of the stage, before anything is varied
    data: str
    samples: tuple[int, int]  # training, validation
    ancestors: dict[str, str]

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures that are asked for at all."""
        return tuple(f for f in FIGURES if f in self.objectives or f in self.limits)


def objectives(names: Sequence[str]) -> tuple[str, ...]:
    """Checked names, accuracy first; UsageError."""
    for name in names:
        if name not in (ACCURACY, *FIGURES):
            known = ", ".join((ACCURACY, *FIGURES))
            raise UsageError(f"no objective is called {name!r}", f"there are: {known}")
    found = tuple(dict.fromkeys(names)) or (ACCURACY,)
    if ACCURACY not in found:
        what = f"the objective {', '.join(found)} leaves accuracy out"
        raise UsageError(what, "the smallest network would win; add --objective accuracy")
    return (ACCURACY, *(name for name in found if name != ACCURACY))


def limits(words: Sequence[str]) -> dict[str, int]:
    """``figure=N`` words as a dict; UsageError."""
    found: dict[str, int] = {}
    for word in words:
        name, _, number = word.partition("=")
        known = name in FIGURES and number.isascii() and number.isdigit() and int(number) > 0
        if not known or name in found:
            fix = f"write NAME=N once a name, N > 0; names: {', '.join(FIGURES)}"
            raise UsageError(f"--at-most {word!r} is no limit", fix)
        found[name] = int(number)
    return found


def words(figure: str, value: float) -> str:
    """A figure for people."""
    if figure == ACCURACY:
        return f"{value:.4f}"
    unit = UNITS.get(figure, "")
    return f"{value:,.0f}" + (f" {unit}" if unit else "")
