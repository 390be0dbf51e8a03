# SPDX-License-Identifier: Apache-2.0
"""Two consoles: results on stdout, progress and messages on stderr."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    RenderableType,
    RenderHook,
    RenderResult,
)
from rich.control import Control
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.spinner import Spinner
from rich.text import Text

from hil.core.errors import HilError
from hil.core.text import printable


class _Harmless(RenderHook):
    """Replaces control characters in everything that is printed.

    Boards and files choose some of the text, and rich passes escape sequences through.
    """

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [one if isinstance(one, Control) else _Shown(one) for one in renderables]


class _Shown:
    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._inner, options):
            text = printable(segment.text, keep="\n")
            yield segment if segment.control else segment._replace(text=text)


out = Console(highlight=False)
if not out.is_terminal:
    out.width = 120  # a file or a pipe is not limited to 80 columns
err = Console(stderr=True, highlight=False)
for _console in (out, err):
    _console.push_render_hook(_Harmless())


def say(text: str) -> None:
    """Print one line of progress to stderr; it is never part of a command's result."""
    err.print(escape(text), soft_wrap=True)


def show_error(problem: HilError) -> None:
    """Print what went wrong and what to do, with --quiet too."""
    quiet, err.quiet = err.quiet, False
    err.print(f"[bold red]error:[/] {escape(str(problem))}", soft_wrap=True)
    err.quiet = quiet


class RateColumn(TextColumn):
    """Samples per second; nothing for what took too short to give a rate."""

    _SHORTEST = 0.5  # seconds

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: RichTask) -> Text:
        speed = task.finished_speed or task.speed
        short = task.finished_time is not None and task.finished_time < self._SHORTEST
        shown = speed and not short and not task.fields.get("bytes")
        return Text(f"{speed:,.0f}/s" if shown else "", style="cyan")


class CountColumn(MofNCompleteColumn):
    """Done of total: samples, or bytes of a task with the field ``bytes``."""

    _bytes = DownloadColumn()

    def render(self, task: RichTask) -> Text:
        return self._bytes.render(task) if task.fields.get("bytes") else super().render(task)


class Work(Progress):
    """Bars, and below them a spinner with what is going on and for how long."""

    _doing = ""
    _spinner = Spinner("dots")
    _since = 0.0

    def doing(self, what: str) -> None:
        """Show ``what`` until the next call; nothing if it is empty."""
        if not self._doing:
            self._since = self.get_time()
        self._doing = what

    def get_renderables(self) -> Iterator[RenderableType]:
        """See `Progress`."""
        yield self.make_tasks_table(self.tasks)
        if self._doing:
            seconds = self.get_time() - self._since
            self._spinner.update(text=Text(f"{self._doing} ({seconds:.0f} s)"))
            yield self._spinner

    def stop(self) -> None:
        """See `Progress`; the spinner does not stay."""
        self._doing = ""
        super().stop()


def progress(what: str = "") -> Work:
    """Bars with counts, rates and time left."""
    return _bars(CountColumn(), TextColumn(what) if what else RateColumn())


def _bars(*columns: ProgressColumn) -> Work:
    """Bars on stderr; nothing if that is not a terminal."""
    return Work(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        *columns,
        TimeRemainingColumn(compact=True),
        console=err,
        disable=not err.is_terminal,
    )


class Downloads:
    """Progress of downloads, one bar per file."""

    def __init__(self) -> None:
        self._bars = _bars(DownloadColumn())
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Downloads:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        """``done`` of ``total`` bytes of file ``name``; ``total`` is 0 if it is not known."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total or None)
            if not err.is_terminal:
                say(f"downloading {name}")
        self._bars.update(self._tasks[name], completed=done, total=total or None)
