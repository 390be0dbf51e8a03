# SPDX-License-Identifier: Apache-2.0
"""What `hil bench` and `hil listen` show while they run, and how to resume what was cut off."""

from __future__ import annotations

import os
import shlex
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import typer
from rich.markup import escape
from rich.progress import TaskID

from hil.api.bench import answered, how_to_resume
from hil.api.words import count, words
from hil.bench.events import (
    Asking,
    Building,
    BuildingSketch,
    BuildStep,
    Converting,
    Downloading,
    Event,
    Finished,
    NotCounted,
    Starting,
    Streaming,
)
from hil.cli.console import err, out, progress, say
from hil.cli.output import for_people
from hil.cli.report import show_report
from hil.core.errors import DeviceError, HilError

# what takes seconds and says nothing until it is done
_LONG: Final = (Asking, Building, BuildingSketch, Converting)


class Bars:
    """Shows a bench's events; bars move inside of its ``with``."""

    def __init__(self) -> None:
        self._bars = progress()
        self._tasks: dict[str, TaskID] = {}
        self.folder: Path | None = None  # the run's, when it is known
        self.not_counted: list[NotCounted] = []

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, BuildStep):
            self._bars.doing(event.what)
            return
        self._bars.doing(words(event) if isinstance(event, _LONG) else "")
        match event:
            case Downloading(name, done, total):
                if name not in self._tasks and not err.is_terminal:
                    say(words(event))
                self._update(name, done, total, bytes=True)
            case NotCounted():
                self.not_counted.append(event)
                out.print(escape(words(event)), soft_wrap=True)
            case Starting():
                self.folder = event.folder
                say(words(event))
            case Finished() if err.is_terminal:
                pass  # its bar is full
            case _ if counted := count(event):
                self._update(*counted, stays=isinstance(event, Streaming))
            case _:
                for line in words(event).splitlines():
                    say(line)

    def _update(
        self, name: str, done: int, total: int, *, stays: bool = False, **fields: bool
    ) -> None:
        """``stays``: the bar does not vanish when it is full."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total or None, **fields)
        full = done >= total > 0 and not stays
        self._bars.update(self._tasks[name], completed=done, total=total or None, visible=not full)


@contextmanager
def resumable(shown: Bars) -> Iterator[None]:
    """After Ctrl-C or an error of the board: report the answers so far, and say how to resume."""
    try:
        yield
    except KeyboardInterrupt:
        if shown.folder:
            _report_what_there_is(shown.folder)
            say(f"interrupted; to resume: hil {again(shown.folder)}")
        raise
    except DeviceError as problem:
        if shown.folder and _report_what_there_is(shown.folder):
            raise how_to_resume(problem, f"hil {again(shown.folder)}") from problem
        raise


def _report_what_there_is(folder: Path) -> bool:
    found = answered(folder)
    if found:
        with suppress(HilError, typer.Exit):
            show_report(folder, browse=False, partial=True)
    return found


def again(folder: Path) -> str:
    """This command line, with the run folder."""
    words = sys.argv[1:]
    return shlex.join(words if "--out" in words else [*words, "--out", str(folder)])


def may_open() -> bool:
    """Whether someone is at a terminal with a display, and reads what is printed."""
    screen = sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return for_people() and sys.stdout.isatty() and screen and bool(webbrowser)
