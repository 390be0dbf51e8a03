# SPDX-License-Identifier: Apache-2.0
"""``limits.toml``: what each run may take at most, by its key board/engine/model/precision, and how
much worse than an earlier run it may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from hil.core.errors import ConfigError
from hil.core.files import Config, read_toml
from hil.runs.schema import SummaryRow

LIMITS: Final = "limits.toml"
COMPARE: Final = "compare"  # the table of `hil compare`; no run has this key
_HINT: Final = "see docs/compare.md and docs/pytest.md"


class Growth(Config, frozen=True):
    """How much worse than BASE a figure of NEW may be, as `hil compare` holds it.

    ``accuracy`` in percentage points; ``unanswered``, ``answers``, ``unexpected``, ``litert``,
    ``outputs``, ``heap`` and ``retries`` in counts or bytes; the others in percent. ``inf`` allows
    anything; None leaves the choice to the next wider table.
    """

    accuracy: float | None = None
    unanswered: float | None = None
    answers: float | None = None
    unexpected: float | None = None
    litert: float | None = None
    outputs: float | None = None
    instructions: float | None = None
    total: float | None = None
    latency: float | None = None
    first: float | None = None
    arena: float | None = None
    flash_model: float | None = None
    flash_code: float | None = None
    ram_static: float | None = None
    stack: float | None = None
    heap: float | None = None
    retries: float | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            most = getattr(self, name)
            if most is not None and not most >= 0:  # a NaN is none either
                raise ValueError(f"{name} is {most}, and a limit is at least 0")

    def over(self, wider: Growth) -> Growth:
        """These, and of ``wider`` what is left out here."""
        names = self.__struct_fields__
        own = {name: getattr(self, name) for name in names}
        return Growth(**{k: getattr(wider, k) if v is None else v for k, v in own.items()})


# what holds where nothing is said: docs/compare.md says why
DEFAULTS: Final = Growth(
    accuracy=0.5,
    unanswered=0,
    answers=0,
    unexpected=0,
    litert=float("inf"),
    outputs=0,
    instructions=1,
    total=1,
    latency=3,
    first=1,
    arena=1,
    flash_model=1,
    flash_code=1,
    ram_static=1,
    stack=10,
    heap=0,
    retries=float("inf"),
)


class Limits(Config, frozen=True):
    """Upper limits; one that is left out is not checked.

    ``time_p95`` is in the board's clock unit (us or instructions), the others are bytes;
    ``compare`` is of this run alone.
    """

    time_p95: float | None = None
    arena: int | None = None
    flash_model: int | None = None
    flash_code: int | None = None
    ram_static: int | None = None
    stack: int | None = None
    compare: Growth = Growth()


class LimitsFile(Config, frozen=True):
    """A whole ``limits.toml``: run key -> limits, and what `hil compare` allows every run."""

    runs: dict[str, Limits] = msgspec.field(default_factory=dict)
    compare: Growth = Growth()

    def growth(self, key: str) -> Growth:
        """What run ``key`` may become worse by: its own table, then the file's, then `DEFAULTS`."""
        own = self.runs[key].compare if key in self.runs else Growth()
        return own.over(self.compare).over(DEFAULTS)


def read_limits(path: Path) -> LimitsFile:
    """What the file says; nothing when there is no such file, ConfigError when it is wrong."""
    if not path.exists():
        return LimitsFile()
    tables = read_toml(path, dict[str, dict[str, Any]], hint=_HINT)
    compare = tables.pop(COMPARE, {})
    try:
        return msgspec.convert({"runs": tables, "compare": compare}, LimitsFile)
    except msgspec.ValidationError as problem:
        raise ConfigError(f"{path}: {problem}", _HINT) from None


def metrics(row: SummaryRow) -> dict[str, float]:
    """Every figure of a row that may be limited and is known, under its name in `Limits`."""
    found: dict[str, float] = {}
    if row.time.p95 is not None:
        found["time_p95"] = row.time.p95
    if row.memory is not None:
        memory = row.memory
        found |= {
            "arena": memory.arena,
            "flash_model": memory.flash_model,
            "flash_code": memory.flash_code,
            "ram_static": memory.ram_static,
            "stack": memory.stack,
        }
    return found


def exceeded(row: SummaryRow, limits: Limits) -> list[str]:
    """One line for each limit that ``row`` breaks or cannot be held to; empty when all is well."""
    lines = []
    measured = metrics(row)
    for name in Limits.__struct_fields__:
        most = getattr(limits, name)
        if most is None or name == COMPARE:
            continue
        if name not in measured:
            lines.append(f"{row.key}: {name} is limited to {most:g} but was not measured")
        elif measured[name] > most:
            lines.append(f"{row.key}: {name} is {measured[name]:g}, limit {most:g}")
    return lines
