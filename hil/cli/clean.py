# SPDX-License-Identifier: Apache-2.0
"""`hil clean`: remove builds and caches."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from hil.api.records import CleanedPath, CleanOutput
from hil.boards.emulator import runs_in
from hil.cli.console import out
from hil.cli.output import result, shown
from hil.firmware.clean import clean as remove


def clean(
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="All of the cache: data sets, converted models, answers of the host, sources of "
            "engines.",
        ),
    ] = False,
) -> None:
    """Remove builds, and copies of the firmware of other versions, from the user's cache.

    Results are never removed. A copy in which another process builds is left.
    """
    cleaned = []
    for one in remove(everything=everything, running=runs_in):
        cleaned.append(CleanedPath(path=shown(one.path), size=one.size, left=one.left))
        if one.left:
            out.print(f"left {escape(str(one.path))}: {one.left}", soft_wrap=True)
        else:
            out.print(f"removed {escape(str(one.path))}: {one.size:,} bytes", soft_wrap=True)
    removed = sum(one.size for one in cleaned)
    result(CleanOutput(size=removed, paths=tuple(cleaned)))
    out.print(f"{removed:,} bytes removed")
