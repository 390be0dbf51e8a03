# SPDX-License-Identifier: Apache-2.0
"""What `hil bench` and `hil listen` show while they run, and how to resume what was cut off."""

from __future__ import annotations

import os
import shlex
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path

import typer
from rich.markup import escape
from rich.progress import TaskID

from hil.bench.events import (
    Asking,
    Building,
    BuildingSketch,
    Calibrated,
    Converting,
    Downloading,
    Event,
    Finished,
    LeftOut,
    NoisyHost,
    NotCounted,
    Note,
    Observing,
    OpenBatch,
    Profiling,
    Referencing,
    Restarted,
    Returned,
    Starting,
    Streaming,
    TimingHost,
    Untimed,
    Waiting,
    Weighed,
    WithKernels,
)
from hil.cli.console import err, out, progress, say
from hil.cli.report import show_report
from hil.core.errors import DeviceError, HilError
from hil.runs.load import read_samples


def answered(folder: Path) -> bool:
    """Whether the folder has at least one answer."""
    try:
        return any(True for _ in read_samples(folder))
    except HilError:
        return False


def with_hint(problem: DeviceError, folder: Path) -> DeviceError:
    """The same error, with how to resume in its hint."""
    found = copy(problem)
    found.hint = f"{problem.hint}; all answers so far are stored, to resume: hil {again(folder)}"
    return found


class Bars:
    """Shows a bench's events; bars move inside of its ``with``."""

    def __init__(self) -> None:
        self._bars = progress()
        self._tasks: dict[str, TaskID] = {}
        self.folder: Path | None = None  # the run's, when it is known

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case Note(text):
                say(f"note: {text}")
            case Downloading(name, done, total):
                if name not in self._tasks and not err.is_terminal:
                    say(f"downloading {name}")
                self._update(name, done, total, bytes=True)
            case Converting(source):
                say(f"converting {source} with TensorFlow")
            case Calibrated(record, folder, benched):
                say(f"{record.source}: calibrated on {record.calibration}; files in {folder}")
                if benched:
                    say("note: these samples are benched, too; --calibrate takes other data")
            case Weighed(figures, warnings):
                say(figures)
                for line in warnings:
                    say(f"warning: {line}")
            case Starting(what, folder):
                self.folder = folder
                say(f"{what} -> {folder}")
            case Building(board, precision, engine):
                say(f"building {precision} firmware for {board}, engine {engine}")
            case WithKernels(board, engine, kernels):
                say(f"engine {engine} on {board} runs {kernels} kernels")
            case BuildingSketch(board, source):
                say(f"building {source} for {board}")
            case Asking(where):
                say(f"asking the sketch on {where} what it is")
            case OpenBatch(model):
                say(f"note: {model} leaves the size of a batch open; it is taken as 1")
            case LeftOut(found):
                say(f"left out: {found.reason}")
            case Referencing(key, reference, done, total):
                self._update(f"{key} on the host ({reference})", done, total)
            case Streaming(key, done, total, _):
                self._update(key, done, total)
            case Observing(key, samples):
                say(f"{key}: asking for the layers of {', '.join(samples)}")
            case Profiling(key, sample):
                say(f"{key}: measuring each layer on {sample}")
            case TimingHost(name, precision, kernels, done, total):
                self._update(f"LiteRT timed on {name} {precision} ({kernels})", done, total)
            case Untimed(name, precision, why):
                say(f"note: {name} {precision} was not timed on the host: {why}")
            case NoisyHost(why):
                say(f"note: the host's times may not repeat: {why}")
            case NotCounted(why, times, example):
                said = f", such as: {example}" if example else ""
                out.print(f"did not count: {times:,} {escape(why)}{escape(said)}", soft_wrap=True)
            case Restarted(key, said):
                why = f" ({said})" if said else ""
                say(f"{key}: the board restarted{why}; the run continues")
            case Waiting(key, port, seconds, why):
                say(f"{key}: {why}; waiting up to {seconds:g} s for the board on {port}")
            case Returned(key, port, seconds):
                say(f"{key}: the board on {port} is back after {seconds:.1f} s; the run continues")
            case Finished(key, seconds):
                if not err.is_terminal:
                    say(f"{key}: done in {seconds:.1f} s")

    def _update(self, name: str, done: int, total: int, **fields: bool) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total or None, **fields)
        self._bars.update(self._tasks[name], completed=done, total=total or None)


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
            raise with_hint(problem, shown.folder) from problem
        raise


def _report_what_there_is(folder: Path) -> bool:
    found = answered(folder)
    if found:
        with suppress(HilError, typer.Exit):
            show_report(folder, browse=False)
    return found


def again(folder: Path) -> str:
    """This command line, with the run folder."""
    words = sys.argv[1:]
    return shlex.join(words if "--out" in words else [*words, "--out", str(folder)])


def may_open() -> bool:
    """Whether someone is at a terminal with a display."""
    screen = sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return sys.stdout.isatty() and screen and bool(webbrowser)
