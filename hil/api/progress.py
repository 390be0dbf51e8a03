# SPDX-License-Identifier: Apache-2.0
"""What `hil.bench` shows as it runs: a list that is updated in place in a notebook, lines of text
at a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from html import escape
from typing import Any, Final, TextIO, TypeAlias

from hil.api.words import count, words
from hil.bench.events import Emit, Event
from hil.core.text import printable, visible

Progress: TypeAlias = bool | Emit | None
_UPDATE_S: Final = 0.2  # between two updates of a count
_LATEST: Final = 8  # lines that a notebook shows


def watcher(progress: Progress) -> Emit:
    """Where the events of a bench go.

    ``progress``: a function that takes them; False: nowhere; True: to the notebook, or as lines of
    text to stderr; None: the same if someone is watching, in a notebook or at a terminal.
    """
    if callable(progress):
        return progress
    display = _display() if progress is not False else None
    if display:
        return Notebook(display)
    if progress or (progress is None and sys.stderr is not None and sys.stderr.isatty()):
        return Lines(sys.stderr)
    return _ignore


def _display() -> Callable[..., Any] | None:
    """IPython's ``display`` in a notebook's kernel, which shows HTML; None elsewhere."""
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython  # a kernel has it
    from IPython.display import display

    return display if get_ipython() is not None else None


class Lines:
    """Writes one line for each event; counts only when they are complete."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._full: set[str] = set()

    def __call__(self, event: Event) -> None:
        line = words(event)
        if counted := count(event):
            what, done, total = counted
            if done < total or what in self._full:
                return
            self._full.add(what)
            line = f"{what}: {done:,} of {total:,}"
        if line:
            self._stream.write(printable(line, keep="\n") + "\n")
            self._stream.flush()


class Notebook:
    """The latest lines, and a bar for each count, in one output of a cell."""

    def __init__(self, display: Callable[..., Any]) -> None:
        self._counts: dict[str, tuple[int, int]] = {}
        self._lines: list[str] = []
        self._shown = 0.0
        self._display = display
        self._handle: Any = None  # of the output, from the first event on

    def __call__(self, event: Event) -> None:
        complete = True
        if counted := count(event):
            what, done, total = counted
            self._counts[what] = done, total
            complete = done >= total
        else:
            self._lines += words(event).splitlines()
        now = time.monotonic()
        if complete or now - self._shown > _UPDATE_S:
            self._shown = now
            if self._handle is None:
                self._handle = self._display(self, display_id=True)
            else:
                self._handle.update(self)

    def __repr__(self) -> str:
        counts = [f"{what}: {done:,} of {n:,}" for what, (done, n) in self._counts.items()]
        return printable("\n".join([*self._lines[-_LATEST:], *counts]), keep="\n")

    def _repr_html_(self) -> str:
        lines = "".join(f"<div>{escape(line)}</div>" for line in self._lines[-_LATEST:])
        bars = "".join(
            f'<div><progress value="{done}" max="{total or 1}"></progress> '
            f"{escape(what)}: {done:,} of {total:,}</div>"
            for what, (done, total) in self._counts.items()
        )
        return visible(lines + bars)


def _ignore(_: Event) -> None:
    """Nobody is watching."""
