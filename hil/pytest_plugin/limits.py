"""``limits.toml``: what each run may take at most, by its key board/engine/model/precision."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hil.config import Config, read_toml
from hil.runlog.schema import SummaryRow

LIMITS: Final = "limits.toml"


class Limits(Config, frozen=True):
    """Upper limits; one that is left out is not checked.

    ``time_p95`` is in the board's clock unit (us or instructions), the others are bytes.
    """

    time_p95: float | None = None
    arena: int | None = None
    flash_model: int | None = None
    flash_code: int | None = None
    ram_static: int | None = None
    stack: int | None = None


def read_limits(path: Path) -> dict[str, Limits]:
    """Run key -> limits; empty when there is no such file, ConfigError when it is wrong."""
    return read_toml(path, dict[str, Limits]) if path.exists() else {}


def key_of(row: SummaryRow) -> str:
    """The key of a row's run."""
    return f"{row.board}/{row.engine}/{row.model}/{row.precision}"


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
        if most is None:
            continue
        if name not in measured:
            lines.append(f"{key_of(row)}: {name} is limited to {most:g} but was not measured")
        elif measured[name] > most:
            lines.append(f"{key_of(row)}: {name} is {measured[name]:g}, limit {most:g}")
    return lines
