# SPDX-License-Identifier: Apache-2.0
"""One network, the image that embeds it, and the run that both make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from hil.boards.config import Board, Room
from hil.boards.station import Station
from hil.core.errors import DoesNotFit, UsageError
from hil.core.records import Precision
from hil.engines import ENGINES
from hil.runs.schema import TooLarge, run_key
from hil.tflite import Graph


@dataclass(frozen=True, slots=True)
class Network:
    """One .tflite file under the name that a firmware image gives it."""

    name: str
    path: Path
    graph: Graph


@dataclass(frozen=True, slots=True)
class Image:
    """Networks of one precision that one firmware embeds."""

    board: Board
    engine: str
    precision: Precision
    networks: tuple[Network, ...]
    layers: bool = False  # firmware that answers layer by layer

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from the other images of a plan."""
        names = (network.name for network in self.networks)
        special = ("layers",) if self.layers else ()
        return (self.board.name, self.engine, self.precision, *special, *names)


@dataclass(frozen=True, slots=True)
class Case:
    """One network of one image at one station: one run."""

    image: Image
    network: Network
    station: Station

    @property
    def key(self) -> str:
        image = self.image
        return run_key(self.station.name, image.engine, self.network.name, image.precision)


class Named(Protocol):
    """A network, as far as it matters here."""

    @property
    def name(self) -> str:
        """The name a firmware image gives it."""
        ...


N = TypeVar("N", bound=Named)
Group: TypeAlias = tuple[Precision, tuple[N, ...], tuple[N, ...]]  # networks embedded, and run


def check_engines(board: Board, engines: Sequence[str]) -> None:
    """UsageError, with the figures of the board's file, for an engine that cannot run on it."""
    if refused := [name for name in engines if name in board.refused_engines]:
        raise UsageError(
            f"engine {refused[0]} does not fit board {board.name}: "
            f"{board.refused_engines[refused[0]]}",
            "bench another --engine there, or choose another --board",
        )


def fitting(
    board: Board, models: Sequence[str], precisions: Sequence[str], wanted: Sequence[Group[N]]
) -> list[Group[N]]:
    """``wanted`` without what ``board`` is not made for; all where its file restricts nothing.

    ``models`` and ``precisions`` were asked for by name: UsageError when one of them does not fit.
    A network of the user's own (a file) is held back by its precision alone: the compiler knows
    the rest.
    """
    own = any(name.endswith(".tflite") for name in models)
    held = () if own else board.models
    for allowed, asked in ((held, models), (board.precisions, precisions)):
        if allowed and (refused := [name for name in asked if name not in allowed]):
            raise _too_much(board, refused)
    groups = [
        (precision, _held(held, embedded), _held(held, run))
        for precision, embedded, run in wanted
        if not board.precisions or precision in board.precisions
    ]
    if not groups:
        raise _too_much(board, [precision for precision, _, _ in wanted])
    return groups


def taken(
    engine: str, takes: Sequence[Precision], precisions: Sequence[str], wanted: Sequence[Group[N]]
) -> list[Group[N]]:
    """``wanted`` without the precisions that ``engine`` does not take.

    UsageError when such a one was asked for by name (``precisions``), or nothing is left.
    """
    left = [group for group in wanted if group[0] in takes]
    refused = [name for name in precisions if name not in takes]
    if refused or not left:
        names = refused or [precision for precision, _, _ in wanted]
        raise UsageError(
            f"engine {engine} does not take {', '.join(dict.fromkeys(names))}: "
            f"it computes in {' and '.join(takes)} only",
            "bench another --precision by it, or another --engine",
        )
    return left


def _held(allowed: Sequence[str], networks: tuple[N, ...]) -> tuple[N, ...]:
    return tuple(n for n in networks if not allowed or n.name in allowed)


def _too_much(board: Board, refused: Sequence[str]) -> UsageError:
    fits = " ".join([*board.models, *board.precisions])
    return UsageError(
        f"{', '.join(refused)} does not fit board {board.name}"
        f"{f': {board.restriction}' if board.restriction else ''}",
        f"bench what fits there ({fits}), or choose another --board",
    )


def place(cases: Sequence[Case]) -> tuple[tuple[Case, ...], tuple[TooLarge, ...]]:
    """The cases whose networks may fit, in images that may fit, and those that certainly do not.

    What a network takes at the least is known before anything is built: its constants in flash,
    its arena, input and output in RAM. Networks that fit one by one and not together get an image
    each. DoesNotFit when there is a case and none fits.
    """
    kept: list[Case] = []
    refused: list[TooLarge] = []
    for case in cases:
        image = case.image
        if found := too_large(replace(image, networks=(case.network,)), case.network):
            refused.append(found)
            continue
        fits = [n for n in image.networks if not too_large(replace(image, networks=(n,)), n)]
        shared = replace(image, networks=tuple(fits))
        alone = too_large(shared, case.network) is not None
        kept.append(replace(case, image=alone_with(case) if alone else shared))
    if cases and not kept:
        raise nothing_fits(refused)
    return tuple(kept), tuple(dict.fromkeys(refused))  # two stations may be one board


def alone_with(case: Case) -> Image:
    """The image that embeds the case's network and no other."""
    return replace(case.image, networks=(case.network,))


def too_large(image: Image, network: Network) -> TooLarge | None:
    """Of ``network`` in ``image``: the memory that is too small for certain, flash first."""
    room = image.board.memory
    if room is None:
        return None
    at_least = ENGINES[image.engine].at_least
    graphs = [one.graph for one in image.networks]
    sizes = [at_least(graph) for graph in graphs]
    flash = sum(size for size, _ in sizes)
    ram = max(arena for _, arena in sizes)
    ram += max(graph.input.nbytes for graph in graphs)
    ram += max(graph.output.nbytes for graph in graphs)
    return _judge(image, network, room, flash, ram, linked=False)


def linked_too_large(image: Image, network: Network, flash: int, ram: int) -> TooLarge | None:
    """The same of an image that was linked: ``flash`` and static ``ram`` are what it takes."""
    room = image.board.memory
    return _judge(image, network, room, flash, ram, linked=True) if room else None


def overflowed(image: Image, network: Network, problem: DoesNotFit) -> TooLarge | None:
    """The same of a build that failed for it; None when the board's memory is not known."""
    room = image.board.memory
    if room is None:
        return None
    has = room.flash if problem.memory == "flash" else room.ram - room.stack
    needs = problem.needs or has + problem.over
    return _no_place(image, network, problem.memory, needs, has, linked=True)


def nothing_fits(refused: Sequence[TooLarge]) -> DoesNotFit:
    """The error when nothing is left to run."""
    return DoesNotFit(
        "; ".join(found.reason for found in refused),
        "bench a smaller network, or another --board",
        memory=refused[0].memory,
        needs=refused[0].needs,
    )


def _judge(
    image: Image, network: Network, room: Room, flash: int, ram: int, *, linked: bool
) -> TooLarge | None:
    if flash > room.flash:
        return _no_place(image, network, "flash", flash, room.flash, linked=linked)
    if ram > room.ram - room.stack:
        return _no_place(image, network, "ram", ram, room.ram - room.stack, linked=linked)
    return None


def _no_place(
    image: Image, network: Network, memory: str, needs: int, has: int, *, linked: bool
) -> TooLarge:
    return TooLarge(
        board=image.board.name,
        board_title=image.board.title,
        engine=image.engine,
        model=network.name,
        precision=image.precision,
        memory="flash" if memory == "flash" else "ram",
        needs=needs,
        has=has,
        linked=linked,
    )
