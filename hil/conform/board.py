# SPDX-License-Identifier: Apache-2.0
"""Many networks in one image, and what the board answers.

An image that does not fit, does not compile or does not start is split in two, down to the network
that is the reason. A network that stops the board costs only its own answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hil.bench.cases import Image, Network
from hil.bench.lab import Firmware, Lab, check_image, connect
from hil.boards.station import Station
from hil.conform.cases import Case
from hil.core.errors import (
    BuildFailed,
    DeviceRefused,
    DoesNotFit,
    LineHopeless,
    LinkError,
    NoAnswer,
    WrongReply,
)
from hil.core.files import write_plain
from hil.core.records import Precision
from hil.device import Device
from hil.tflite.graph import constant_bytes

MOST: Final = 250  # HELLO counts models in a byte
_CODE: Final = 5_000  # bytes of code for a network, as a first guess
_USABLE: Final = 0.7  # of the flash, beside the rest of the firmware
_STACK: Final = 0.3  # of the RAM, at least


@dataclass(frozen=True, slots=True)
class Answer:
    """What the board said to a network: one RESULT per sample, or the ``problem`` in words.

    ``image``: its number, from 0; ``place``: the network's number in it.
    """

    outputs: tuple[bytes, ...] = ()
    problem: str = ""
    image: int = 0
    place: int = 0


@dataclass
class Images:
    """Builds images of networks and asks their board. ``flashed``: how many there were so far."""

    lab: Lab
    station: Station
    engine: str
    project: Path
    folder: Path  # where the networks' files are
    slot: str
    fault_of: Callable[[Case], str]
    tell: Callable[[str], None]  # gets what is going on
    note: Callable[[str], None]  # gets what is worth a line
    flashed: int = 0
    kernels: str = ""  # whose kernels the firmware has
    toolchain: str = ""
    _most: int = MOST  # networks that fit an image, as far as is known
    _blamed: int = 0  # networks that were the reason why an image was not built, or not started

    def answers(self, cases: Sequence[Case]) -> Iterator[tuple[Case, Answer]]:
        """Each case with its answer, in order of their precision."""
        for precision in Precision:
            left = [case for case in cases if case.graph.precision is precision]
            while left:
                batch = left[: self._fits(left)]
                left = left[len(batch) :]
                yield from self._batch(batch)

    def _fits(self, cases: Sequence[Case]) -> int:
        """How many of the first cases go into one image."""
        memory = self.station.board.memory
        if memory is None:
            return min(self._most, len(cases))
        room, count = memory.flash * _USABLE, 0
        for case in cases[: self._most]:
            room -= constant_bytes(case.graph) + _CODE
            if room < 0:
                break
            count += 1
        return max(count, 1)

    def _batch(self, cases: Sequence[Case]) -> Iterator[tuple[Case, Answer]]:
        try:
            image, firmware = self._build(cases)
        except BuildFailed as problem:
            if len(cases) > 1:
                yield from self._halves(cases)
                return
            if not self.flashed and not isinstance(problem, DoesNotFit):
                raise  # probably nothing compiles here
            self._blamed += 1
            yield cases[0], Answer(problem=problem.what)
            return
        if len(cases) > 1 and self._without_stack(firmware):
            yield from self._halves(cases)
            return
        yield from self._run(image, firmware, cases)

    def _without_stack(self, firmware: Firmware) -> bool:
        """Whether the static data leave too little RAM: on an AVR the table of models is in RAM."""
        memory = self.station.board.memory
        if memory is None or firmware.ram is None:
            return False
        return firmware.ram > memory.ram - max(memory.stack, int(memory.ram * _STACK))

    def _halves(self, cases: Sequence[Case]) -> Iterator[tuple[Case, Answer]]:
        half, blamed = len(cases) // 2, self._blamed
        yield from self._batch(cases[:half])
        yield from self._batch(cases[half:])
        if self._blamed == blamed:  # only their number was the reason
            self._most = min(self._most, len(cases) - half)

    def _build(self, cases: Sequence[Case]) -> tuple[Image, Firmware]:
        networks = []
        for case in cases:
            path = self.folder / f"{case.name}.tflite"
            write_plain(path, case.graph.data)
            networks.append(Network(case.name, path, case.graph))
        board = self.station.board
        fault = ",".join(one for case in cases if (one := self.fault_of(case)))
        image = Image(
            board,
            self.engine,
            cases[0].graph.precision,
            tuple(networks),
            fault=fault,
            slot=self.slot,
        )
        self.note(f"image {self.flashed + 1}: {len(cases)} networks, {cases[0].graph.precision}")
        firmware = self.lab.build(image, self.project)
        self.kernels, self.toolchain = firmware.kernels, firmware.toolchain
        return image, firmware

    def _run(
        self, image: Image, firmware: Firmware, cases: Sequence[Case]
    ) -> Iterator[tuple[Case, Answer]]:
        number, self.flashed = self.flashed, self.flashed + 1
        done, started = 0, False
        while done < len(cases):
            ready = False  # since the board was opened
            try:
                with self.lab.open(self.station, image, firmware) as link:
                    device = connect(self.station.board, link)
                    check_image(device.hello(), image, self.station.port)
                    started = ready = True
                    while done < len(cases):
                        self.tell(f"asking image {number + 1}, {done + 1} of {len(cases)}")
                        yield cases[done], replace(_ask(device, done, cases[done]), image=number)
                        done += 1
            except (LinkError, NoAnswer, LineHopeless, WrongReply) as problem:
                if ready:  # this network stopped the board
                    yield cases[done], Answer((), problem.what, number, done)
                    done += 1
                elif started or len(cases) == 1:
                    if self.flashed == 1 or started:
                        raise  # it does not come back, or never answered at all
                    self._blamed += 1
                    yield cases[0], Answer((), problem.what, number)
                    return
                else:
                    yield from self._halves(cases)
                    return


def _ask(device: Device, place: int, case: Case) -> Answer:
    try:
        if case.graph.stateful:
            device.reset_state(place)
        said = device.infer(place, case.encoding, case.rows, sequence=case.graph.stateful)
        return Answer(tuple(answer.result.output for answer in said), place=place)
    except DeviceRefused as refusal:
        return Answer((), refusal.what, place=place)
