# SPDX-License-Identifier: Apache-2.0
"""`hil conform` as the command line and Python share it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.bench.events import BuildStep, Emit, Note
from hil.bench.lab import RealLab
from hil.boards.station import choose_boards, stations
from hil.conform.records import Conformance
from hil.conform.run import COUNT, Request, Watcher, run
from hil.conform.shrink import ROUNDS
from hil.core.errors import UsageError
from hil.firmware import find_project
from hil.runs.log import run_folder


@dataclass(frozen=True, slots=True)
class ConformOptions:
    """The options of `hil conform`, with the same names and defaults."""

    board: str = "auto"
    engine: str = "aot"
    kernels: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    seed: int = 1
    count: int = COUNT
    rounds: int = ROUNDS
    port: str | None = None
    out: Path | None = None


class Noted:
    """Shows a run as the events of a bench are shown."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def doing(self, what: str) -> None:
        """See `Watcher`: a step of a build, and others that pass quickly."""
        self._emit(BuildStep(what))

    def done(self, count: int, total: int, failures: int) -> None:
        """See `Watcher`."""
        if count == total:
            self._emit(Note(f"{total:,} networks asked, {failures:,} wrong"))

    def note(self, text: str) -> None:
        """See `Watcher`."""
        self._emit(Note(text))


@dataclass(frozen=True, slots=True)
class Conformed:
    """A conformance run: its ``folder``, and the ``record`` that is in its conform.json."""

    folder: Path
    record: Conformance

    @property
    def conforms(self) -> bool:
        """Whether every answer is right."""
        return not self.record.failures


def run_conform(
    options: ConformOptions, watcher: Watcher, command: tuple[str, ...] = ()
) -> Conformed:
    """Run it; raises as `hil.conform.run.run`."""
    project = find_project()
    request = Request(
        options.engine,
        options.kernels,
        options.precisions,
        options.seed,
        options.count,
        options.rounds,
        command,
    )
    request.check()
    chosen = choose_boards([options.board], project)
    if len(chosen.names) != 1:
        raise UsageError(
            f"--board {options.board} names {len(chosen.names)} boards",
            "run hil conform once for each",
        )
    for note in chosen.notes:
        watcher.note(note)
    if options.out and options.out.exists() and any(options.out.iterdir()):
        raise UsageError(f"--out {options.out} is not empty", "name a new folder")
    with stations(chosen.names, project, options.port) as (station,):
        name = station.board.name
        with run_folder(options.out, "conform", name, options.engine) as folder:
            lab = RealLab(project, flash=True, tell=watcher.doing)
            return Conformed(folder, run(request, station, lab, project, folder, watcher))
