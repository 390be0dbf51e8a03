# SPDX-License-Identifier: Apache-2.0
"""The flash and RAM that a network's firmware takes on a board, without running it: from a dry link
if the board's compiler is installed, else estimated.

An estimate adds the engine's own plan (constants and arena are exact), the size of its code, and
the firmware and core around a network. The code is that of a dry link for a board with nearly the
same instructions, or a rule of thumb; what is around comes from the board's file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from hil.bench.cases import Image, Network
from hil.bench.fit import too_large
from hil.bench.lab import Firmware
from hil.bench.networks import read_network
from hil.boards.config import Around, Board, BoardMemory
from hil.core.errors import BuildFailed, DoesNotFit, ModelError, ToolMissing
from hil.core.records import packed_bytes
from hil.engines import CompiledModel, compile_alone
from hil.firmware import firmware_tree
from hil.firmware.toolchain import compilers
from hil.tflite import Graph

How: TypeAlias = Literal["linked", "estimated", "network"]
_LINKED: Final = ("aot", "aot-fast")  # the others compile a library of kernels, which takes minutes
# of `_LINKED`: bytes of machine code for each statement that is generated for the network, and for
# the functions that all networks share; how far the sum may be off. benchmarks/fitting.py compares.
_PER_STATEMENT, _SHARED = 9, 1_500
_OFF, _OFF_SHARE = 2_500, 0.4
# TFLM: its interpreter, the kernels of one kind of operator, and how far the sum may be off
_TFLM, _TFLM_OPERATOR, _TFLM_ERROR = 20_000, 4_000, 15_000
_SMALL: Final = 64  # input elements up to which HIL_SHORT_OF_RAM changes nothing
_PROBE: Final = "models/digits/student_int8.tflite"  # shows what is around a network
_TEXT: Final = re.compile(r"/\*.*?\*/|\{[^{};]*\}", re.DOTALL)  # comments, and values of arrays


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a firmware with one network takes, or at least takes.

    ``how``: "linked" is exact; "estimated" may be off by ``error`` bytes of flash and
    ``ram_error`` of RAM; "network" counts only the constants, the arena, and input and output of
    the network: the firmware takes more. ``static``: static RAM, with ``arena`` and ``buffers``,
    which hold a request, with the input in float32, and an output. ``code``: the engine's, 0 if it
    is not known.
    """

    how: How
    flash: int
    constants: int
    code: int
    static: int
    arena: int
    buffers: int
    error: int = 0
    ram_error: int = 0

    def spare(self, room: BoardMemory) -> Spare:
        """What is left of a board's memory."""
        constants = None if room.constants is None else room.constants - self.constants
        return Spare(room.flash - self.flash, room.ram - room.stack - self.static, constants)

    def fits(self, room: BoardMemory) -> bool | None:
        """Whether it fits into a board's memory; None if that is too close, or not known."""
        left = self.spare(room)
        unread = left.constants is not None and left.constants < 0
        if unread or left.flash + self.error < 0 or left.ram + self.ram_error < 0:
            return False
        if self.how == "network" or left.flash < self.error or left.ram < self.ram_error:
            return None
        return True


@dataclass(frozen=True, slots=True)
class Spare:
    """Bytes that are left, or missing if negative; ``constants``: see `BoardMemory`."""

    flash: int
    ram: int
    constants: int | None


def buffers(graph: Graph, room: BoardMemory | None = None) -> int:
    """Bytes of the firmware's buffers: for a request with the input in its own type or in float32,
    for an MLPerf Tiny input beside it, and for the output (firmware/src/main.cpp)."""
    payload = packed_bytes(graph.inputs)
    if not (room and room.small_requests and graph.input.elements > _SMALL):
        payload = max(4 * graph.input.elements, payload)
    return payload + payload // 128 + graph.input.elements + packed_bytes(graph.outputs)


def in_a_sketch(graph: Graph, need: Need) -> Need:
    """The same in a sketch that fills the network's input itself, without a request's buffer."""
    own = packed_bytes(graph.inputs) + packed_bytes(graph.outputs)
    return replace(need, buffers=own, static=need.static - need.buffers + own)


class Builder(Protocol):
    """What links an image: `hil.bench.lab.RealLab`."""

    def build(self, image: Image, project: Path) -> Firmware: ...


@dataclass
class Sizer:
    """Sizes networks on boards; each is compiled and linked once. ``boards``: all known ones."""

    project: Path
    lab: Builder
    boards: Mapping[str, Board]
    link: bool = True  # False: estimate everything
    _links: dict[tuple[str, ...], Firmware | BuildFailed] = field(default_factory=dict)
    _models: dict[tuple[str, str], CompiledModel] = field(default_factory=dict)

    def need(self, board: Board, engine: str, network: Network) -> Need:
        """What ``network`` takes on ``board``.

        Raises ModelError if the engine does not take it, ToolMissing if the engine needs a package,
        BuildFailed if it does not compile for the board.
        """
        compiled = self.compiled(engine, network)
        alone = _alone(board, network, compiled)
        image = Image(board, engine, network.graph.precision, (network,))
        over: DoesNotFit | None = None
        if self._links_for(board, engine) and not too_large(image, network):
            try:
                return _measured(alone, self._linked(image))
            except DoesNotFit as problem:
                over = problem
        around = board.around or self.around(board)
        code, off = self._code(around, engine, network, compiled)
        if around is None or not code:
            found = alone
        else:
            found = replace(
                alone,
                how="estimated",
                flash=around.flash + alone.constants + code,
                code=code,
                static=around.ram + alone.static,
                error=around.error + off,
                ram_error=around.error // 2,
            )
        return _corrected(found, over, board.memory) if over and board.memory else found

    def compiled(self, engine: str, network: Network) -> CompiledModel:
        key = (engine, network.graph.sha256)
        if key not in self._models:
            self._models[key] = compile_alone(engine, network.name, network.graph)
        return self._models[key]

    def _links_for(self, board: Board, engine: str) -> bool:
        compiler = compilers().get(board.pio_env)
        return bool(self.link and compiler and engine in _LINKED and not compiler.missing)

    def _linked(self, image: Image) -> Firmware:
        """The linked image; BuildFailed, the same again for an image that failed before."""
        key = (*image.key, *(network.graph.sha256 for network in image.networks))
        if key not in self._links:
            try:
                self._links[key] = self.lab.build(image, self.project)
            except BuildFailed as problem:
                self._links[key] = problem
        found = self._links[key]
        if isinstance(found, BuildFailed):
            raise found
        return found

    def around(self, board: Board) -> Around | None:
        """What is around a network on a board whose compiler is here, from a small network."""
        if not self._links_for(board, "aot"):
            return None
        network = read_network("probe", firmware_tree(self.project) / _PROBE)
        alone = _alone(board, network, self.compiled("aot", network))
        try:
            image = Image(board, "aot", network.graph.precision, (network,))
            found = _measured(alone, self._linked(image))
        except BuildFailed:
            return None
        return Around(
            flash=found.flash - found.constants - found.code,
            ram=found.static - alone.static,
            error=0,
        )

    def _code(
        self, around: Around | None, engine: str, network: Network, compiled: CompiledModel
    ) -> tuple[int, int]:
        """Bytes of the engine's code and how far they may be off; 0 if nothing is known."""
        if engine == "tflm":
            kinds = len({operator.code for operator in network.graph.operators})
            return _TFLM + _TFLM_OPERATOR * kinds, _TFLM_ERROR
        if engine not in _LINKED:
            return 0, 0
        twin = self.boards.get(around.like) if around else None
        if twin and self._links_for(twin, engine):
            image = Image(twin, engine, network.graph.precision, (network,))
            try:
                code = _owned(self._linked(image), "engine")
            except (BuildFailed, ToolMissing):
                code = 0
            if code:
                return code, 0
        return estimated_code(compiled)


def estimated_code(compiled: CompiledModel) -> tuple[int, int]:
    """Bytes of machine code of a network that aot compiled, on any core, and their error."""
    own = compiled.header.partition("_FLASH_BYTES ")[2]  # after the functions that are shared
    size = _SHARED + _PER_STATEMENT * _TEXT.sub("", own).count(";")
    return size, _OFF + round(_OFF_SHARE * size)


def _alone(board: Board, network: Network, compiled: CompiledModel) -> Need:
    """The network without the firmware around it."""
    graph, info = network.graph, compiled.info
    apart = board.memory is not None and board.memory.constants is not None
    # a separate address space for flash: what is read through plain pointers lies in RAM
    copied = sum(array.nbytes for array in compiled.arrays if not array.flash) if apart else 0
    taken = buffers(graph, board.memory)
    return Need(
        how="network",
        flash=info.flash,
        constants=info.flash - copied,
        code=0,
        static=info.arena + taken + copied,
        arena=info.arena,
        buffers=taken,
    )


def _measured(alone: Need, built: Firmware) -> Need:
    if built.flash is None or built.ram is None or built.footprint is None:
        raise ModelError("the linked image shows no sizes", "build it again")
    return replace(
        alone,
        how="linked",
        flash=built.flash,
        constants=sum(s.flash for s in built.footprint.shares if s.owner.startswith("model ")),
        code=_owned(built, "engine"),
        static=built.ram,
        arena=built.footprint.arena or alone.arena,
    )


def _owned(built: Firmware, owner: str) -> int:
    shares = built.footprint.shares if built.footprint else ()
    return sum(share.flash for share in shares if share.owner == owner)


def _corrected(found: Need, over: DoesNotFit, room: BoardMemory) -> Need:
    """An estimate whose one memory the linker has told."""
    if over.memory == "flash":
        flash = over.needs or room.flash + over.over
        return replace(found, flash=flash, error=0)
    static = over.needs or room.ram - room.stack + over.over
    return replace(found, static=static, ram_error=0)
