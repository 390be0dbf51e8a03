# SPDX-License-Identifier: Apache-2.0
"""``limits.toml``, or ``[limits]`` of ``hil.toml``: absolute limits of each run, by its key
board/engine/model/precision, and its allowed regression from an earlier run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, get_type_hints

import msgspec
from msgspec import UNSET

from hil.core.errors import ConfigError
from hil.core.files import Config, read_toml
from hil.core.settings import SETTINGS, read_settings
from hil.runs.summary import SummaryRow

LIMITS: Final = "limits.toml"
COMPARE: Final = "compare"  # the table for `hil compare`; not a run's key
_MIN: Final = "_min"  # ends the name of a lower limit
_HINT: Final = "see docs/compare.md and docs/pytest.md"


class FigureInfo(NamedTuple):
    """How reports name a compared figure, and its default limit."""

    title: str
    limit: float


class Growth(Config, frozen=True):
    """The allowed regression of each figure in `hil compare`.

    ``accuracy`` is in percentage points, ``auc`` in its own unit; ``unanswered``, ``answers``,
    ``unexpected``, ``litert``, ``outputs``, ``heap`` and ``retries`` in counts or bytes; the others
    in percent. ``inf`` allows any change; None means the value of the next wider table, and in the
    end the default of the field's `FigureInfo` (docs/compare.md gives the reasons).
    """

    accuracy: Annotated[float | None, FigureInfo("accuracy", 0.5)] = None
    auc: Annotated[float | None, FigureInfo("AUC", 0.005)] = None
    rmse: Annotated[float | None, FigureInfo("rmse", 1)] = None
    mae: Annotated[float | None, FigureInfo("mae", 1)] = None
    unanswered: Annotated[float | None, FigureInfo("not answered", 0)] = None
    answers: Annotated[float | None, FigureInfo("answers ≠ host", 0)] = None
    unexpected: Annotated[float | None, FigureInfo("unexpected outputs", 0)] = None
    litert: Annotated[float | None, FigureInfo("outputs ≠ LiteRT", math.inf)] = None
    outputs: Annotated[float | None, FigureInfo("outputs ≠ BASE", 0)] = None
    instructions: Annotated[float | None, FigureInfo("instructions", 1)] = None
    total: Annotated[float | None, FigureInfo("instructions, sum", 1)] = None
    cycles: Annotated[float | None, FigureInfo("cycles", 1)] = None
    latency: Annotated[float | None, FigureInfo("latency", 3)] = None
    energy: Annotated[float | None, FigureInfo("energy above idle", 3)] = None
    first: Annotated[float | None, FigureInfo("first inference", 1)] = None
    host_xnnpack: Annotated[float | None, FigureInfo("host latency, XNNPACK", math.inf)] = None
    host_reference: Annotated[float | None, FigureInfo("host latency, reference", math.inf)] = None
    arena: Annotated[float | None, FigureInfo("arena", 1)] = None
    flash_model: Annotated[float | None, FigureInfo("flash, model", 1)] = None
    flash_code: Annotated[float | None, FigureInfo("flash, code", 1)] = None
    ram_static: Annotated[float | None, FigureInfo("RAM, static", 1)] = None
    stack: Annotated[float | None, FigureInfo("stack", 10)] = None
    heap: Annotated[float | None, FigureInfo("heap, growth", 0)] = None
    retries: Annotated[float | None, FigureInfo("link retries", math.inf)] = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            most = getattr(self, name)
            if most is not None and not most >= 0:  # also refuses NaN
                raise ValueError(f"{name} is {most}, but a limit must be at least 0")

    def over(self, wider: Growth) -> Growth:
        """These limits, completed by those of ``wider``."""
        names = self.__struct_fields__
        own = {name: getattr(self, name) for name in names}
        return Growth(**{k: getattr(wider, k) if v is None else v for k, v in own.items()})


_HINTS: Final = get_type_hints(Growth, include_extras=True)
FIGURES: Final[dict[str, FigureInfo]] = {
    name: _HINTS[name].__metadata__[0] for name in Growth.__struct_fields__
}
DEFAULTS: Final = Growth(**{name: figure.limit for name, figure in FIGURES.items()})


class Limits(Config, frozen=True):
    """Limits of a run; one that is left out is not checked.

    Upper ones: ``time_p95`` is in the unit of the board's clock (us, cycles or instructions),
    ``rmse`` and ``mae`` in the unit of the targets, the others are bytes. Lower ones:
    ``accuracy_min`` and ``auc_min``, from 0 to 1. All are of the device. ``compare`` is for this
    run only.
    """

    time_p95: float | None = None
    arena: int | None = None
    flash_model: int | None = None
    flash_code: int | None = None
    ram_static: int | None = None
    stack: int | None = None
    rmse: float | None = None
    mae: float | None = None
    accuracy_min: float | None = None
    auc_min: float | None = None
    compare: Growth = Growth()


class LimitsFile(Config, frozen=True):
    """A ``limits.toml``: run key -> limits, and the allowed regression of all runs."""

    runs: dict[str, Limits] = msgspec.field(default_factory=dict)
    compare: Growth = Growth()

    def growth(self, key: str) -> Growth:
        """The allowed regression of run ``key``: its own table, the file's, then `DEFAULTS`."""
        own = self.runs[key].compare if key in self.runs else Growth()
        return own.over(self.compare).over(DEFAULTS)


def read_limits(path: Path) -> LimitsFile:
    """The limits in the file; none if it does not exist. ConfigError if it is wrong.

    Of a `hil.toml`, its table ``[limits]``.
    """
    if not path.exists():
        return LimitsFile()
    if path.name == SETTINGS:
        return _limits(f"{path}: [limits]", read_settings(path.parent).limits)
    return _limits(str(path), read_toml(path, dict[str, dict[str, Any]], hint=_HINT))


def project_limits(project: Path) -> LimitsFile:
    """The limits of a project: those in its `hil.toml`, else in its `limits.toml`.

    ConfigError if both have some.
    """
    own, file = read_settings(project).limits, project / LIMITS
    if own and file.exists():
        raise ConfigError(
            f"{project / SETTINGS} has [limits], and there is {file}", "keep one of them"
        )
    return read_limits(project / SETTINGS if own else file)


def _limits(where: str, tables: dict[str, dict[str, Any]]) -> LimitsFile:
    runs = {key: table for key, table in tables.items() if key != COMPARE}
    try:
        return msgspec.convert({"runs": runs, "compare": tables.get(COMPARE, {})}, LimitsFile)
    except msgspec.ValidationError as problem:
        raise ConfigError(f"{where}: {problem}", _HINT) from None


def metrics(row: SummaryRow) -> dict[str, float]:
    """Every known figure of a row that can be limited, by its name in `Limits` without _min."""
    memory: dict[str, int | None] = msgspec.structs.asdict(row.memory) if row.memory else {}
    found: dict[str, float | None] = {"time_p95": row.time.p95, **memory}
    for name, score in (("rmse", row.rmse), ("mae", row.mae), ("auc", row.auc)):
        found[name] = None if score is UNSET else score.device
    found["accuracy"] = row.accuracy.device if row.accuracy else None
    return {name: value for name, value in found.items() if value is not None}


def exceeded(row: SummaryRow, limits: Limits) -> list[str]:
    """One line per limit that ``row`` does not keep, or that was not measured."""
    lines = []
    measured = metrics(row)
    for name in Limits.__struct_fields__:
        limit = getattr(limits, name)
        if limit is None or name == COMPARE:
            continue
        what, least = name.removesuffix(_MIN), name.endswith(_MIN)
        if what not in measured:
            lines.append(f"{row.key}: {what} is limited to {limit:g} but was not measured")
        elif measured[what] < limit if least else measured[what] > limit:
            side = "at least " if least else ""
            lines.append(f"{row.key}: {what} is {measured[what]:g}, limit {side}{limit:g}")
    return lines
