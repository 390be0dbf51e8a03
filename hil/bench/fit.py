# SPDX-License-Identifier: Apache-2.0
"""Whether networks fit a board's memory: before a build, by what an engine needs at least, and
after it, by the linked image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from hil.bench.cases import Case, Image, Network
from hil.boards.config import BoardMemory
from hil.core.errors import DoesNotFit
from hil.core.records import packed_bytes
from hil.engines import ENGINES
from hil.runs.schema import TooLarge


def fit_memory(cases: Sequence[Case]) -> tuple[tuple[Case, ...], tuple[TooLarge, ...]]:
    """The cases that may fit their board's memory, in images that may fit too, and the others.

    The minimum that a network needs is known before a build: its constants in flash, and its arena,
    input and output in RAM. Networks that fit alone but not together get one image each. DoesNotFit
    when there are cases and none of them fits.
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
    """The image that embeds only the case's network."""
    return replace(case.image, networks=(case.network,))


def too_large(image: Image, network: Network) -> TooLarge | None:
    """The memory that is certainly too small for ``image``, flash first; None if it may fit."""
    room = image.board.memory
    if room is None:
        return None
    at_least = ENGINES[image.engine].at_least
    graphs = [one.graph for one in image.networks]
    sizes = [at_least(graph) for graph in graphs]
    flash = sum(size for size, _ in sizes)
    ram = max(arena for _, arena in sizes)
    ram += max(packed_bytes(graph.inputs) for graph in graphs)
    ram += max(packed_bytes(graph.outputs) for graph in graphs)
    if room.constants is not None and flash > room.constants:
        return _too_large(image, network, "constants", flash, room.constants, linked=False)
    return _judge(image, network, room, flash, ram, linked=False)


def linked_too_large(image: Image, network: Network, flash: int, ram: int) -> TooLarge | None:
    """The same for a linked image, which takes ``flash`` and static ``ram`` bytes."""
    room = image.board.memory
    return _judge(image, network, room, flash, ram, linked=True) if room else None


def overflowed(image: Image, network: Network, problem: DoesNotFit) -> TooLarge | None:
    """The same for a build that failed with ``problem``; None if the board's memory is unknown."""
    room = image.board.memory
    if room is None:
        return None
    memory: Literal["flash", "ram"] = "flash" if problem.memory == "flash" else "ram"
    has = room.flash if memory == "flash" else room.ram - room.stack
    needs = problem.needs or has + problem.over
    return _too_large(image, network, memory, needs, has, linked=True)


def nothing_fits(refused: Sequence[TooLarge]) -> DoesNotFit:
    """The error when nothing is left to run."""
    return DoesNotFit(
        "; ".join(found.reason for found in refused),
        "bench a smaller network, or another --board",
        memory=refused[0].memory,
        needs=refused[0].needs,
    )


def _judge(
    image: Image, network: Network, room: BoardMemory, flash: int, ram: int, *, linked: bool
) -> TooLarge | None:
    if flash > room.flash:
        return _too_large(image, network, "flash", flash, room.flash, linked=linked)
    if ram > room.ram - room.stack:
        return _too_large(image, network, "ram", ram, room.ram - room.stack, linked=linked)
    return None


def _too_large(
    image: Image,
    network: Network,
    memory: Literal["flash", "ram", "constants"],
    needs: int,
    has: int,
    *,
    linked: bool,
) -> TooLarge:
    return TooLarge(
        board=image.board.name,
        board_title=image.board.title,
        engine=image.engine,
        model=network.name,
        precision=image.precision,
        memory=memory,
        needs=needs,
        has=has,
        linked=linked,
    )
