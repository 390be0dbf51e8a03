# SPDX-License-Identifier: Apache-2.0
"""Which network runs with which engine on which board: all that were requested, except those that
a board or an engine cannot take."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from hil.bench.cases import Case, Image, Network
from hil.bench.fit import too_large
from hil.boards.config import Board
from hil.boards.station import Station
from hil.core.errors import HilError, ModelError, NotForBoard, UsageError
from hil.core.records import Precision
from hil.engines import ENGINES, check
from hil.runs.schema import Refused, TooLarge


@dataclass(frozen=True, slots=True)
class Group:
    """Networks of one precision: those ``embedded`` in an image, and those of them to ``run``."""

    precision: Precision
    embedded: tuple[Network, ...]
    run: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user requested by name: models of this project, or files of their ``own``.

    ``all_boards``: every board that there is. What one of them cannot take is then left out there,
    also if it was requested by name.
    """

    models: tuple[str, ...]
    own: bool
    precisions: tuple[str, ...]
    all_boards: bool = False


@dataclass(frozen=True, slots=True)
class Combined:
    """The runs of a bench; those that an engine or a board's file ``refused``; and those of the
    latter that are certainly too large, with figures."""

    cases: tuple[Case, ...]
    refused: tuple[Refused, ...]
    no_place: tuple[TooLarge, ...]


def combine(
    stations: Collection[Station],
    engines: Sequence[str],
    groups: Sequence[Group],
    asked: Asked,
    *,
    alone: bool,
) -> Combined:
    """Every network with every engine on every station; and those that the engine cannot take.

    When nothing is left, and these are ``alone`` in the bench, the reason of the first one is
    raised: NotForBoard, UsageError or ModelError. So are errors that every engine would have.
    """
    cases: list[Case] = []
    refused: dict[str, Refused] = {}  # two stations may be one board
    no_place: dict[str, TooLarge] = {}
    problems: list[HilError] = []
    for station, engine in product(stations, engines):
        board = station.board
        if asked.all_boards:
            for one in _left_out(board, engine, asked, _for_engine(engine, groups, asked)):
                if isinstance(one, TooLarge):
                    no_place[one.key] = one
                else:
                    refused[one.key] = one
        for group in _for_engine(engine, for_board(board, asked, groups), asked):
            faults = dict(_faults(board, engine, group))
            for network in group.run:
                if problem := faults.get(network.name):
                    problems.append(problem)
                    found = not_taken(board, engine, group.precision, network, problem)
                    refused[found.key] = found
            embedded = tuple(n for n in group.embedded if n.name not in faults)
            image = Image(board, engine, group.precision, embedded)
            cases += (Case(image, n, station) for n in group.run if n.name not in faults)
    usage = [problem for problem in problems if isinstance(problem, UsageError)]
    named = usage and len(engines) == 1 and not asked.all_boards
    if problems and alone and (not cases or named):
        raise (usage or problems)[0]
    return Combined(tuple(cases), tuple(refused.values()), tuple(no_place.values()))


def _left_out(
    board: Board, engine: str, asked: Asked, groups: Sequence[Group]
) -> Iterator[Refused | TooLarge]:
    """What the board's file excludes of ``groups``; with figures if it is certainly too large."""
    kept = {
        (group.precision, network.name)
        for group in for_board(board, asked, groups)
        for network in group.run
    }
    for group in groups:
        faults = dict(_faults(board, engine, group))
        for network in group.run:
            if (group.precision, network.name) in kept or network.name in faults:
                continue
            found = too_large(Image(board, engine, group.precision, (network,)), network)
            problem = _excluded(board, [f"{network.name} {group.precision}"])
            yield found or not_taken(board, engine, group.precision, network, problem)


def _faults(board: Board, engine: str, group: Group) -> Iterator[tuple[str, HilError]]:
    """The networks of ``group`` that ``engine`` cannot take, and why."""
    why: HilError | None = None
    try:
        check_engine(board, engine)
        _check_precision(engine, group.precision)
    except UsageError as problem:
        why = problem
    for network in group.embedded:
        try:
            if not why:
                check(engine, network.graph)
        except ModelError as problem:
            yield network.name, problem
        if why:
            yield network.name, why


def not_taken(
    board: Board, engine: str, precision: Precision, network: Network, problem: HilError
) -> Refused:
    """The record of a run that ``problem`` prevents."""
    return Refused(
        board=board.name,
        board_title=board.title,
        engine=engine,
        model=network.name,
        precision=precision,
        why=problem.what.removeprefix(f"{network.graph.where}: "),
        advice=problem.hint,
        failed=not isinstance(problem, ModelError | UsageError),
    )


def check_engine(board: Board, engine: str) -> None:
    """NotForBoard, with the reason in the board's file, for an engine that cannot run on it."""
    if engine in board.refused_engines:
        raise NotForBoard(
            f"engine {engine} does not fit board {board.name}: {board.refused_engines[engine]}",
            "choose another --engine or another --board",
        )


def for_board(board: Board, asked: Asked, groups: Sequence[Group]) -> list[Group]:
    """``groups`` without the models and precisions that the board's file excludes.

    NotForBoard when the user requested one of them by name, and not for all boards. For the user's
    own networks only the precision is checked here: the build checks the rest.
    """
    models = () if asked.own else board.models
    for allowed, named in ((models, asked.models), (board.precisions, asked.precisions)):
        refused = [name for name in named if name not in allowed]
        if allowed and refused and not asked.all_boards:
            raise _excluded(board, refused)

    def only(networks: tuple[Network, ...]) -> tuple[Network, ...]:
        return tuple(n for n in networks if not models or n.name in models)

    left = [
        Group(group.precision, only(group.embedded), only(group.run))
        for group in groups
        if not board.precisions or group.precision in board.precisions
    ]
    if not left and not asked.all_boards:
        raise _excluded(board, [group.precision for group in groups])
    return left


def _for_engine(engine: str, groups: Sequence[Group], asked: Asked) -> list[Group]:
    """``groups`` without the precisions that the engine does not have; all of them if nothing is
    left, or if the user requested one of them by name: that is an error of those."""
    takes = ENGINES[engine].precisions
    left = [group for group in groups if group.precision in takes]
    named = [name for name in asked.precisions if name not in takes]
    return left if left and not named else list(groups)


def _check_precision(engine: str, precision: Precision) -> None:
    takes = ENGINES[engine].precisions
    if precision not in takes:
        raise UsageError(
            f"engine {engine} does not support {precision}: "
            f"it computes in {' and '.join(takes)} only",
            "choose another --precision or --engine",
        )


def _excluded(board: Board, refused: Sequence[str]) -> NotForBoard:
    fits = " ".join([*board.models, *board.precisions])
    return NotForBoard(
        f"{', '.join(refused)} does not fit board {board.name}"
        f"{f': {board.restriction}' if board.restriction else ''}",
        f"choose what fits there ({fits}), or another --board",
    )
