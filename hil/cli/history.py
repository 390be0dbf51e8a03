"""`hil history`: how figures went over the runs of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from hil.cli.console import out, say
from hil.errors import UsageError
from hil.files import replace_file


def history(
    folder: Annotated[Path, typer.Argument(help="A folder of run folders, such as results.")],
    target: Annotated[
        Path | None,
        typer.Option("--out", help="A .html or .md file; default: FOLDER/history.html."),
    ] = None,
    limits: Annotated[
        Path | None, typer.Option("--limits", help="limits.toml: which changes are beyond limits.")
    ] = None,
) -> None:
    """Draw every figure over the runs of FOLDER, and mark where it changed.

    Runs that cannot be compared with the one before begin a line of their own.
    """
    from hil.compare_runs.history import read_history  # scipy takes half a second to load
    from hil.compare_runs.history_pages import markdown, page, sentence
    from hil.limits import read_limits

    target = target or folder / "history.html"
    formats = {".html": page, ".md": markdown}
    if target.suffix not in formats:
        raise UsageError(f"--out {target}: neither .html nor .md", "choose one of them")
    if limits is not None and not limits.is_file():
        raise UsageError(f"--limits {limits}: there is no such file", "check the path")
    found = read_history(folder, read_limits(limits) if limits else None)
    replace_file(target, formats[target.suffix](found).encode("utf-8", "replace"))
    for line in found.lines:
        out.print(f"{escape(line.key)}: {escape(sentence(line))}", soft_wrap=True)
    for words in found.left_out:
        say(f"left out: {words}")
    say(f"history: {target}")
