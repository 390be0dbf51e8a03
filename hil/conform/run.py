# SPDX-License-Identifier: Apache-2.0
"""A conformance run in order: draw networks, ask the board, compare, shrink, store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from hil.bench.lab import Lab
from hil.bench.matrix import check_engine
from hil.boards.config import Board
from hil.boards.station import Station
from hil.conform.board import Images
from hil.conform.cases import SHORT, Case, Room, draw
from hil.conform.catalogue import KERNELS
from hil.conform.expected import Expected, References
from hil.conform.files import FAILURES, NETWORKS, write_failure
from hil.conform.planted import breaks, plant, renamed
from hil.conform.records import FILE, Conformance, ConformFailure, KernelTally, State
from hil.conform.report import write_pages
from hil.conform.shrink import ROUNDS, shrink, smallest
from hil.conform.verdicts import Verdict, judge
from hil.core.errors import HilError, InUse, ModelError, ToolMissing, UsageError, unknown
from hil.core.files import locked, replace_file
from hil.core.host import package_versions
from hil.engines import ENGINES
from hil.firmware import firmware_tree
from hil.reference import litert_version, oracle_version
from hil.runs.seal import pretty

COUNT: Final = 24  # networks of a kernel and type
_SLOTS: Final = 16  # runs at once that keep their builds apart


class Watcher(Protocol):
    """Shows the progress of a run."""

    def doing(self, what: str) -> None: ...

    def done(self, count: int, total: int, failures: int) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What to run: ``kernels`` and ``dtypes`` by name, all of them if empty."""

    engine: str
    kernels: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    seed: int = 1
    count: int = COUNT
    rounds: int = ROUNDS
    command: tuple[str, ...] = ()

    def check(self) -> None:
        """UsageError for a name or a number that is not possible."""
        if self.engine not in ENGINES:
            raise unknown(f"no engine is called {self.engine!r}", self.engine, sorted(ENGINES))
        for name in self.kernels:
            if name not in KERNELS:
                raise unknown(f"no kernel is called {name!r}", name, KERNELS)
        for name in self.dtypes:
            if name not in SHORT:
                raise unknown(f"--precision {name} is unknown", name, SHORT)
        for option, value, least in (("count", self.count, 1), ("rounds", self.rounds, 0)):
            if value < least:
                raise UsageError(f"--{option} {value} is too small", f"use {least} or more")


def run(
    request: Request, station: Station, lab: Lab, project: Path, out: Path, watcher: Watcher
) -> Conformance:
    """Run ``request`` on the board of ``station``. What was found is in ``out``, also after Ctrl-C
    or an error of the board.

    Raises:
        UsageError: an unknown name, or nothing to run.
        MachineError: the first image cannot be built.
        DeviceError: the board is silent, or does not come back.
    """
    request.check()
    check_engine(station.board, request.engine)
    lab.check(station)
    with ExitStack() as held:
        references = held.enter_context(References())
        slot = held.enter_context(_slot(project, station.board.name))
        this = _Run(request, station, out, watcher, references)
        this.images = Images(
            lab,
            station,
            request.engine,
            project,
            out / NETWORKS,
            slot,
            this.fault,
            watcher.doing,
            watcher.note,
        )
        try:
            this.prepare()
            this.ask_all()
            this.shrink_failures()
        except (KeyboardInterrupt, SystemExit) as end:  # SystemExit: by SIGTERM, see `hil.cli.main`
            this.stop("interrupted", "Ctrl-C" if isinstance(end, KeyboardInterrupt) else "SIGTERM")
            raise
        except HilError as problem:
            this.stop("failed", str(problem))
            raise
        return this.store("complete")


@dataclass
class _Run:
    """What is known so far."""

    request: Request
    station: Station
    out: Path
    watcher: Watcher
    references: References
    images: Images | None = None
    cases: tuple[Case, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    expected: dict[str, Expected] = field(default_factory=dict)
    not_taken: dict[str, str] = field(default_factory=dict)  # by the network's name: why
    verdicts: list[Verdict] = field(default_factory=list)
    smallest: dict[str, Verdict] = field(default_factory=dict)  # by the origin's name
    started: float = field(default_factory=time.monotonic)

    def prepare(self) -> None:
        """Draw the networks, and ask the engine and the references about each."""
        request, board = self.request, self.station.board
        kernels = [KERNELS[name] for name in request.kernels or KERNELS]
        dtypes = request.dtypes or tuple(SHORT)
        self.watcher.doing("drawing networks")
        self.cases = draw(kernels, dtypes, request.count, request.seed, _room(board))
        self._prepare(self.cases)
        for number, case in enumerate(self.cases, 1):
            self.watcher.doing(f"asking the references, {number} of {len(self.cases)}")
            self._accept(case)
        if not self.taken:
            why = next(iter(self.not_taken.values()), "no kernel has such a type")
            raise UsageError(
                f"engine {request.engine} takes none of {len(self.cases)} networks: {why}",
                "choose another --kernel, --precision or --engine",
            )
        self.faults = plant(request.engine, self.taken)
        if self.faults:
            self.watcher.note(f"{len(self.faults)} networks have a deliberate fault: HIL_FAULT")

    @property
    def taken(self) -> list[Case]:
        return [case for case in self.cases if case.name not in self.not_taken]

    def _prepare(self, cases: Sequence[Case]) -> None:
        """What the engine does faster for many networks at once."""
        self.watcher.doing(f"asking the engine about {len(cases)} networks")
        with suppress(ToolMissing):  # then it is not asked: see `hil.engines.check`
            ENGINES[self.request.engine].prepare([case.graph for case in cases])

    def _accept(self, case: Case) -> bool:
        """Whether engine and references take the network; their answers are kept."""
        try:
            ENGINES[self.request.engine].check(case.graph)
        except ModelError as refusal:
            self.not_taken[case.name] = refusal.what.removeprefix(f"{case.graph.where}: ")
            return False
        found = self.references.answers(case)
        if not found.by:
            why = "; ".join(f"{name}: {said}" for name, said in found.why_not.items())
            self.not_taken[case.name] = f"no reference runs it ({why})"
            return False
        self.expected[case.name] = found
        return True

    def fault(self, case: Case) -> str:
        """The deliberate fault of a network, which is that of its origin; empty if it has none."""
        planted = self.faults.get(case.origin, "")
        if not planted or case.name == case.origin:
            return planted
        fault = renamed(planted, case.name)
        return fault if breaks(self.request.engine, case, fault) else ""

    def ask(self, cases: Sequence[Case]) -> Iterator[Verdict]:
        """The board's answers, compared."""
        assert self.images
        for case, answer in self.images.answers(cases):
            expected = self.expected[case.name]
            yield judge(self.station.board, self.request.engine, case, answer, expected)

    def ask_all(self) -> None:
        """All networks that were drawn."""
        taken, failures = self.taken, 0
        for verdict in self.ask(taken):
            self.verdicts.append(verdict)
            failures += verdict.failed
            self.watcher.done(len(self.verdicts), len(taken), failures)

    def shrink_failures(self) -> None:
        """Some of the failing networks; each round's best are kept."""

        def ask(cases: Sequence[Case]) -> Iterator[Verdict]:
            self._prepare(cases)
            yield from self.ask([case for case in cases if self._accept_smaller(case)])

        def told(best: Sequence[Verdict]) -> None:
            self.smallest |= {one.case.origin: one for one in best}

        failing = smallest(self.verdicts)
        told(failing)
        if failing and self.request.rounds:
            self.watcher.note(f"shrinking {len(failing)} of the failing networks")
            shrink(failing, ask, self.request.rounds, told)

    def _accept_smaller(self, case: Case) -> bool:
        taken = self._accept(case)
        self.not_taken.pop(case.name, None)  # only drawn networks are counted
        return taken

    def stop(self, state: State, why: str) -> None:
        """Store what there is, if the board answered."""
        if self.verdicts:
            self.store(state, why)
            self.watcher.note(f"what was found until then is in {self.out}")

    def store(self, state: State, why: str = "") -> Conformance:
        """Failures as files, conform.json, and the pages."""
        self.watcher.doing("writing the report")
        record = self._record(state, why)
        for verdict in self.smallest.values():
            write_failure(self.out / FAILURES, verdict, record, self.fault(verdict.case))
        replace_file(self.out / FILE, pretty(record))
        write_pages(self.out, record)
        return record

    def _record(self, state: State, why: str) -> Conformance:
        request, images = self.request, self.images
        assert images
        asked = {verdict.case.name for verdict in self.verdicts}
        right = {verdict.case.name for verdict in self.verdicts if not verdict.failed}
        return Conformance(
            board=self.station.board.name,
            engine=request.engine,
            seed=request.seed,
            count=request.count,
            state=state,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=request.command,
            versions=_versions(),
            kernels_of=images.kernels,
            toolchain=images.toolchain,
            images=images.flashed,
            seconds=round(time.monotonic() - self.started, 1),
            tallies=tuple(self._tallies()),
            failures=tuple(self._failure(one) for one in self.verdicts if one.failed),
            not_taken=dict(Counter(self.not_taken.values())),
            planted=len(asked.intersection(self.faults)),
            missed=tuple(sorted(right.intersection(self.faults))),
            why=why,
        )

    def _tallies(self) -> Iterator[KernelTally]:
        groups: dict[tuple[str, str], list[Case]] = {}
        for case in self.cases:
            groups.setdefault((case.kernel.name, case.recipe.dtype), []).append(case)
        failed = {verdict.case.name: verdict.failed for verdict in self.verdicts}
        for (kernel, dtype), cases in groups.items():
            asked = [case for case in cases if case.name in failed]
            said = [failed[case.name] for case in asked]
            yield KernelTally(
                kernel=kernel,
                operator=cases[0].kernel.operator,
                dtype=dtype,
                shapes=len(said),
                failures=sum(said),
                not_taken=sum(case.name in self.not_taken for case in cases),
                covered=_covered(asked),
            )

    def _failure(self, verdict: Verdict) -> ConformFailure:
        case, small = verdict.case, self.smallest.get(verdict.case.name)
        return ConformFailure(
            name=case.name,
            kernel=case.kernel.name,
            dtype=case.recipe.dtype,
            shape=case.shape,
            what=verdict.words,
            smallest=case.origin if small else "",
            smallest_shape=small.case.shape if small else "",
            smallest_what=small.words if small else "",
            planted=self.fault(case),
        )


def _covered(cases: Sequence[Case]) -> dict[str, str]:
    """The values of each parameter, numbers in order."""
    found: dict[str, str] = {}
    for name in cases[0].kernel.parameters if cases else ():
        values = {case.recipe.values[name] for case in cases}
        numbers = sorted(value for value in values if isinstance(value, int))
        words = sorted(value for value in values if isinstance(value, str))
        found[name] = ", ".join(map(str, (*numbers, *words)))
    return found


def _room(board: Board) -> Room:
    """Networks are small enough that many of them fit into one image."""
    memory = board.memory
    if memory is None:
        return Room(constants=40_000, tensors=16_000)
    return Room(
        constants=min(40_000, memory.flash // 60),
        tensors=min(16_000, (memory.ram - memory.stack) // 10),
    )


@contextmanager
def _slot(project: Path, board: str) -> Iterator[str]:
    """A build folder that no other run uses meanwhile: all images of this run share it."""
    folder = firmware_tree(project) / ".pio" / "images"
    for number in range(_SLOTS):
        name = f"conform-{number}" if number else "conform"
        try:
            with locked(folder / f"{board}-{name}.slot", wait=False):
                yield name
                return
        except InUse:
            continue
    raise InUse(f"{_SLOTS} runs of hil conform use board {board}", "wait for one of them to end")


def _versions() -> dict[str, str]:
    packages = package_versions(["tinyml-hil", "bakenn"])
    return {**packages, "oracle": oracle_version(), "litert": litert_version()}
