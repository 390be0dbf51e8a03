# SPDX-License-Identifier: Apache-2.0
"""`hil.toml`, the settings of a user's project: defaults of a bench, boards and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from hil.core.files import Config, read_toml

SETTINGS: Final = "hil.toml"
_HINT: Final = "see docs/settings.md"

Names: TypeAlias = str | tuple[str, ...]  # one, or several
_SEVERAL: Final = ("board", "model", "teacher", "student", "precision", "engine")
_PATHS: Final = ("model", "teacher", "student", "data", "calibrate", "sketch")


class BenchSettings(Config, frozen=True):
    """What `hil bench`, `hil flash` and `pytest -m hil` use for an option that is left out.

    The names are those of the options of `hil bench`. Words that are paths in the project are
    relative to it.
    """

    board: Names = ()
    model: Names = ()
    teacher: Names = ()
    student: Names = ()
    precision: Names = ()
    engine: Names = ()
    dataset: str | None = None
    data: str | None = None
    target: str | None = None
    resize: str | None = None
    input: str | None = None
    calibrate: str | None = None
    limit: int | None = None
    sketch: str | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.data is not None and self.dataset is not None:
            raise ValueError("data and dataset exclude each other: keep one")


class Settings(Config, frozen=True):
    """A ``hil.toml``.

    ``boards`` has the tables of board files by name, and ``limits`` those of a ``limits.toml``;
    `hil.boards.config` and `hil.compare.limits` check them.
    """

    bench: BenchSettings = BenchSettings()
    boards: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    limits: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)


def read_settings(project: Path) -> Settings:
    """The settings of ``project``; the defaults if it has no file. ConfigError if it is wrong."""
    file = project / SETTINGS
    return read_toml(file, Settings, hint=_HINT) if file.is_file() else Settings()


def bench_options(project: Path) -> dict[str, Any]:
    """The options of `[bench]` that are set: name -> list of words, word or number.

    A path in it that exists in ``project`` is a path from the current folder.
    """
    bench = read_settings(project).bench
    found: dict[str, Any] = {}
    for name in BenchSettings.__struct_fields__:
        value = getattr(bench, name)
        if name in _SEVERAL:
            words = (value,) if isinstance(value, str) else value
            value = [_path(word, project) if name in _PATHS else word for word in words] or None
        elif name in _PATHS and value is not None:
            value = _path(value, project)
        if value is not None:
            found[name] = value
    return found


def _path(word: str, project: Path) -> str:
    inside = project / word
    if project == Path.cwd() or not inside.exists():
        return word
    return str(inside)
