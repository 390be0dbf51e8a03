# SPDX-License-Identifier: Apache-2.0
"""Which boards hold which networks, for `hil fit` and `hil.fit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hil.api.records import FitBoard, FitMemory, FitModel, FitOutput
from hil.bench.cases import Network
from hil.bench.events import BuildStep, Downloading, Emit
from hil.bench.lab import RealLab
from hil.bench.plan import Request, networks_of
from hil.bench.sizing import Need, Sizer
from hil.bench.smaller import Sized, smaller
from hil.boards.config import Board, BoardMemory
from hil.boards.station import every_board
from hil.core.errors import BuildFailed, ModelError, ToolMissing, UsageError, unknown
from hil.core.text import storable
from hil.datasets import Given
from hil.engines import ENGINES
from hil.firmware import find_project

BESIDE = ("aot", "tflm")  # engines whose fit is shown in any case


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """The options of `hil fit`, each named like its option there; an empty tuple means all."""

    models: tuple[str, ...]
    board: tuple[str, ...] = ()
    engine: tuple[str, ...] = ()
    precision: tuple[str, ...] = ()
    data: Given | None = None
    target: str | None = None
    resize: str | None = None
    input: str | None = None
    link: bool = True


@dataclass
class _Fitting:
    """One run of `hil fit`."""

    boards: Sequence[tuple[Board, BoardMemory]]
    engines: tuple[str, ...]
    sizer: Sizer
    emit: Emit

    def model(self, network: Network) -> FitModel:
        engine = self.engines[0]
        try:
            info = self.sizer.compiled(engine, network).info
        except (ModelError, ToolMissing) as problem:
            return _described(network, engine, why=str(problem))
        found = [self._board(board, room, network) for board, room in self.boards]
        sized = [Sized(board, room, need) for board, room, need, _ in found if need]
        return _described(
            network,
            engine,
            arena=info.arena,
            constants=info.flash,
            boards=tuple(sorted((shown for *_, shown in found), key=_smallest_first)),
            advice=smaller(network, engine, sized, self.sizer),
        )

    def _board(
        self, board: Board, room: BoardMemory, network: Network
    ) -> tuple[Board, BoardMemory, Need | None, FitBoard]:
        need, why = self._need(board, self.engines[0], network)
        beside = [
            engine
            for engine in self.engines
            if (other := self._need(board, engine, network)[0]) and other.fits(room)
        ]
        return board, room, need, _shown(board, room, need, why, tuple(beside))

    def _need(self, board: Board, engine: str, network: Network) -> tuple[Need | None, str]:
        if engine in board.refused_engines:
            return None, board.refused_engines[engine]
        self.emit(BuildStep(f"{network.name} ({engine}) on {board.name}"))
        try:
            return self.sizer.need(board, engine, network), ""
        except (BuildFailed, ModelError, ToolMissing) as problem:
            return None, str(problem)


def fit(options: FitOptions, emit: Emit) -> FitOutput:
    """For each network and each known board with a memory: whether it fits, and by how much.

    Nothing runs. ``emit`` gets what is linked, converted or downloaded.
    Raises UsageError and ModelError for what is wrong with the networks.
    """
    engines = tuple(dict.fromkeys(options.engine)) or BESIDE
    for engine in engines:
        if engine not in ENGINES:
            raise unknown(f"no engine is called {engine!r}", engine, ENGINES)
    project = find_project()
    known = {board.name: board for board in every_board(project)}
    words = [word.strip() for one in options.board for word in one.split(",") if word.strip()]
    for name in words:
        if name not in known:
            raise unknown(f"no board is called {name!r}", name, known)
    every = [one for one in known.values() if not one.optional]
    wanted = [known[name] for name in dict.fromkeys(words)] or every
    boards = [(board, board.memory) for board in wanted if board.memory]
    if not boards:
        raise UsageError(
            f"the memory of {' and '.join(board.name for board in wanted)} is not known",
            "name a board whose file has [memory], or leave out --board for all of them",
        )
    request = Request(
        project=project,
        models=options.models,
        precisions=options.precision,
        data=options.data,
        target=options.target,
        resize=options.resize,
        input=options.input,
    )
    lab = RealLab(project, tell=lambda step: emit(BuildStep(step)))
    fitting = _Fitting(boards, engines, Sizer(project, lab, known, options.link), emit)
    models: list[FitModel] = []
    for name in dict.fromkeys(options.models):
        alone = replace(request, models=(name,))
        try:
            networks = networks_of(alone, lambda *done: emit(Downloading(*done)), emit)
        except ModelError as problem:
            if len(options.models) == 1:
                raise
            models.append(_unread(name, engines[0], str(problem).removeprefix(f"{name}: ")))
            continue
        models += map(fitting.model, networks)
    verdicts = [one.fits for model in models for one in model.boards]
    asked = all(one is not False for one in verdicts) and all(model.boards for model in models)
    return FitOutput(
        models=tuple(models),
        fits=asked if words else None,
        left_out=tuple(
            f"{board.name}: its memory is not known" for board in wanted if not board.memory
        ),
    )


def _described(
    network: Network,
    engine: str,
    *,
    arena: int | None = None,
    constants: int | None = None,
    boards: tuple[FitBoard, ...] = (),
    advice: tuple[str, ...] = (),
    why: str = "",
) -> FitModel:
    graph = network.graph
    return FitModel(
        model=storable(network.path.name),
        sha256=graph.sha256,
        precision=graph.precision,
        parameters=graph.parameters,
        macs=graph.macs,
        engine=engine,
        arena=arena,
        constants=constants,
        boards=boards,
        advice=advice,
        why=why,
    )


def _unread(name: str, engine: str, why: str) -> FitModel:
    """A file that is not a network, beside others."""
    return FitModel(
        model=storable(Path(name).name),
        sha256="",
        precision="",
        parameters=0,
        macs=0,
        engine=engine,
        arena=None,
        constants=None,
        boards=(),
        why=why,
    )


def _smallest_first(one: FitBoard) -> tuple[int, int, int, str]:
    order = {True: 0, None: 1, False: 2}[one.fits]
    size = (one.ram.has, one.flash.has) if one.ram and one.flash else (0, 0)
    return order, *size, one.board


def _shown(
    board: Board, room: BoardMemory, need: Need | None, why: str, engines: tuple[str, ...]
) -> FitBoard:
    emulated = board.emulator is not None
    if need is None:
        return FitBoard(board=board.name, title=board.title, emulated=emulated, fits=False, why=why)
    left = need.spare(room)
    return FitBoard(
        board=board.name,
        title=board.title,
        emulated=emulated,
        fits=need.fits(room),
        how=need.how,
        flash=FitMemory(needs=need.flash, error=need.error, has=room.flash, spare=left.flash),
        ram=FitMemory(
            needs=need.static, error=need.ram_error, has=room.ram - room.stack, spare=left.ram
        ),
        arena=need.arena,
        buffers=need.buffers,
        stack=room.stack,
        constants=need.constants,
        readable=room.constants,
        code=need.code or None,
        engines=engines,
    )
