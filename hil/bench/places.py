"""What has no place in a board's memory: said with the figures, and the rest runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hil.bench.cells import Cell, Image, Network
from hil.boards.config import Room
from hil.engines import ENGINES
from hil.errors import DoesNotFit
from hil.runlog.schema import NoPlace


def place(cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], tuple[NoPlace, ...]]:
    """The cells whose networks may fit, in images that may fit, and those that certainly do not.

    What a network takes at the least is known before anything is built: its constants in flash,
    its arena, input and output in RAM. Networks that fit one by one and not together get an image
    each. DoesNotFit when there is a cell and none fits.
    """
    kept: list[Cell] = []
    refused: list[NoPlace] = []
    for cell in cells:
        image = cell.image
        if found := too_large(replace(image, networks=(cell.network,)), cell.network):
            refused.append(found)
            continue
        fits = [n for n in image.networks if not too_large(replace(image, networks=(n,)), n)]
        shared = replace(image, networks=tuple(fits))
        alone = too_large(shared, cell.network) is not None
        kept.append(replace(cell, image=alone_with(cell) if alone else shared))
    if cells and not kept:
        raise nothing_fits(refused)
    return tuple(kept), tuple(dict.fromkeys(refused))  # two stations may be one board


def alone_with(cell: Cell) -> Image:
    """The image that embeds the cell's network and no other."""
    return replace(cell.image, networks=(cell.network,))


def too_large(image: Image, network: Network) -> NoPlace | None:
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


def linked_too_large(image: Image, network: Network, flash: int, ram: int) -> NoPlace | None:
    """The same of an image that was linked: ``flash`` and static ``ram`` are what it takes."""
    room = image.board.memory
    return _judge(image, network, room, flash, ram, linked=True) if room else None


def overflowed(image: Image, network: Network, problem: DoesNotFit) -> NoPlace | None:
    """The same of a build that failed for it; None when the board's memory is not known."""
    room = image.board.memory
    if room is None:
        return None
    has = room.flash if problem.memory == "flash" else room.ram - room.stack
    needs = problem.needs or has + problem.over
    return _no_place(image, network, problem.memory, needs, has, linked=True)


def words(found: NoPlace) -> str:
    """One sentence without its full stop."""
    memory = "flash" if found.memory == "flash" else "RAM"
    who, least = ("the image takes", "") if found.linked else ("it takes", " at least")
    return (
        f"{found.model} {found.precision} ({found.engine}) has no place on {found.board}: "
        f"{who}{least} {found.needs:,} B of {memory}, the board has {found.has:,} B"
    )


def nothing_fits(refused: Sequence[NoPlace]) -> DoesNotFit:
    """The error when nothing is left to run."""
    return DoesNotFit(
        "; ".join(words(found) for found in refused),
        "bench a smaller network, or another --board",
        memory=refused[0].memory,
        needs=refused[0].needs,
    )


def _judge(
    image: Image, network: Network, room: Room, flash: int, ram: int, *, linked: bool
) -> NoPlace | None:
    if flash > room.flash:
        return _no_place(image, network, "flash", flash, room.flash, linked=linked)
    if ram > room.ram - room.stack:
        return _no_place(image, network, "ram", ram, room.ram - room.stack, linked=linked)
    return None


def _no_place(
    image: Image, network: Network, memory: str, needs: int, has: int, *, linked: bool
) -> NoPlace:
    return NoPlace(
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
