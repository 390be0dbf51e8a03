"""Where the checkout is."""

from __future__ import annotations

from pathlib import Path

from hil.errors import UsageError


def find_project(start: Path | None = None) -> Path:
    """The nearest folder, from ``start`` (the current one) upwards, that is a checkout of this
    project; else the one this package was installed from. UsageError when neither is."""
    here = (start or Path.cwd()).resolve()
    installed = Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, installed):
        if (folder / "platformio.ini").is_file() and (folder / "firmware").is_dir():
            return folder
    raise UsageError(
        f"{here} is not inside a checkout of this project", "cd into your clone and run it there"
    )
