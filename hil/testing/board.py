# SPDX-License-Identifier: Apache-2.0
"""`FakeBoard`: the firmware's side of the protocol in Python, and a link to it.

For tests and benchmarks; time is simulated, and replies are damaged on request.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hil.core.records import DType, Encoding, Hello, ModelInfo, TensorSpec, packed_bytes
from hil.link import Deadline
from hil.wire.frames import PROTOCOL_VERSION, BadFrame, Decoder, Frame, check_of, encode
from hil.wire.messages import (
    INPUT_LAYER,
    MOST_REPEATS,
    PACKED,
    ErrorCode,
    Kind,
    pack_refusal,
)
from hil.wire.packbits import unpack

BAD_FRAMES = 4  # in a row, after which a board returns to its boot rate (docs/protocol.md)
MARKS = (64, 64, 4096, 0)  # of STATUS: static RAM, stack used, its size, heap
Infer = Callable[[int, bytes], bytes]
Fault = Callable[[bytes], bytes]  # one reply as sent -> as it arrives


def drop(_: bytes) -> bytes:
    """The reply never arrives."""
    return b""


def corrupt(reply: bytes) -> bytes:
    """One bit of the reply flips."""
    return bytes([reply[0] ^ 1]) + reply[1:]


def cut(reply: bytes) -> bytes:
    """The second half of the reply is lost, with its delimiter."""
    return reply[: len(reply) // 2]


def duplicate(reply: bytes) -> bytes:
    """The reply arrives twice."""
    return reply * 2


def chatter(reply: bytes) -> bytes:
    """A ROM's boot messages come first."""
    return b"\xff\xferst:0x1 (POWERON)\r\nentry 0x400805e4\r\n\0" + reply


PANIC = (  # an ESP32 whose stack overflowed, and the boot that follows
    b"Guru Meditation Error: Core  1 panic'ed (Unhandled debug exception). \r\n"
    b"Debug exception reason: Stack canary watchpoint triggered (loopTask) \r\n"
    b"Core  1 register dump:\r\n"
    b"PC      : 0x400d2a3c  PS      : 0x00060836  A0      : 0x800d2b12  A1      : 0x3ffb2210  \r\n"
    b"\r\n\r\nBacktrace: 0x400d2a39:0x3ffb2210 0x400d2b0f:0x3ffb2230\r\n\r\n"
    b"\r\nELF file SHA256: 7e3d0a6cf8a1f4b2\r\n\r\nRebooting...\r\n"
    b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
    b"configsip: 0, SPIWP:0xee\r\nmode:DIO, clock div:2\r\nentry 0x400805e4\r\n"
)
DOWNLOAD = (  # an ESP32 that was reset with BOOT held
    b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),"
    b"boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\nwaiting for download\r\n"
)


def panic(_: bytes) -> bytes:
    """The board panics and reboots instead of replying."""
    return PANIC


def in_rom_loader(_: bytes) -> bytes:
    """The board is in its ROM loader, whose boot text comes instead of a reply."""
    return DOWNLOAD


class EngineFails(Exception):
    """Raised by ``infer``: the board answers with ERROR ENGINE."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"code {code}")


@dataclass
class _Sequence:
    """Where a model with state is, and its latest answer (hil_steps.c)."""

    next: int = 0
    last: int = -1  # none
    payload: int = 0  # CRC-32 of the request that was answered
    head: bytes = b""  # of the answer, micros and ticks
    output: bytes = b""


@dataclass
class FakeBoard:
    """Answers as the firmware does; ``infer(model, values)`` returns the output bytes.

    ``forget(model)`` resets the state of a model that has one.

    ``faults`` has one item per reply, None for no fault. ``version``: its protocol version.
    ``boots_at``: when it starts to listen, in the link's seconds. ``set_baud``: it supports BAUD;
    then frames pass up to ``carries`` baud, and only while both ends use the same rate.
    """

    hello: Hello
    infer: Infer
    faults: Iterable[Fault | None] = ()
    version: int = PROTOCOL_VERSION
    ticks: Callable[[int], int] = lambda _model: 0
    micros: Callable[[int], int] = lambda _model: 0
    received: list[Frame | BadFrame] = field(default_factory=list)
    boots_at: float = 0.0
    set_baud: bool = False
    # (model, values) -> type and bytes of the input, then of every layer's output; None: no LAYERS
    layers: Callable[[int, bytes], Sequence[tuple[DType, bytes]]] | None = None
    chunk: int = 4096  # bytes of a layer per reply
    laps: Callable[[int], Sequence[int]] | None = None  # model -> ticks per layer; None: no PROFILE
    at_once: int = 2  # layers per reply of PROFILE
    carries: int = 10_000_000
    boot_baud: int = 115200
    steps: tuple[int, int] | None = (1, 1)  # of micros and ticks; None: no CLOCK
    marks: tuple[int, int, int, int] = MARKS
    forget: Callable[[int], None] = lambda _model: None
    repeats: bool = True  # False: firmware without REPEAT
    most_repeats: int = MOST_REPEATS  # inferences until the firmware's time limit

    def __post_init__(self) -> None:
        self._decoder = Decoder()
        self._pending_faults = iter(self.faults)
        self.reset()

    def reset(self) -> None:
        """Reboot: the boot rate, no counts, no unfinished request; the same firmware."""
        self._decoder.reset()
        self.baud = self.boot_baud
        self._bad = 0  # in a row
        self._frames_ok = self._frames_bad = self._inferences = self._errors = self._heard = 0
        self._prepared = -1
        self._sequence = _Sequence()

    def answer(self, data: bytes) -> bytes:
        """The bytes that come back for ``data``."""
        replies = bytearray()
        for frame in self._decoder.feed(data):
            self.received.append(frame)
            self._watch_rate(frame)
            self._heard += 1
            self._frames_bad += isinstance(frame, BadFrame)
            self._frames_ok += isinstance(frame, Frame)
            answered = self._reply(frame)
            self._errors += answered.type == Kind.ERROR
            reply = encode(answered)
            fault = next(self._pending_faults, None)
            replies += fault(reply) if fault else reply
        return bytes(replies)

    def _watch_rate(self, frame: Frame | BadFrame) -> None:
        self._bad = self._bad + 1 if isinstance(frame, BadFrame) else 0
        if self._bad == BAD_FRAMES:
            self.baud = self.boot_baud

    def _reply(self, frame: Frame | BadFrame) -> Frame:
        if isinstance(frame, BadFrame):
            return self._error(0, ErrorCode.FRAME, 0)
        if frame.version != self.version:
            return self._error(frame.seq, ErrorCode.VERSION, frame.type)
        if frame.type == Kind.HELLO:
            self._prepared = -1
            return self._frame(Kind.HELLO.reply, frame.seq, pack_hello(self.hello))
        if frame.type == Kind.STATUS:
            if len(frame.payload) != 1:
                return self._error(frame.seq, ErrorCode.LENGTH, frame.type, 1, len(frame.payload))
            return self._frame(Kind.STATUS.reply, frame.seq, self._status(frame.payload[0]))
        if frame.type == Kind.CLOCK and self.steps:
            return self._frame(Kind.CLOCK.reply, frame.seq, struct.pack("<3I", *self.steps, 64))
        if frame.type == Kind.BAUD and self.set_baud:
            (asked,) = struct.unpack("<I", frame.payload)
            self.baud = asked or self.boot_baud
            return self._frame(Kind.BAUD.reply, frame.seq, frame.payload)
        if frame.type == Kind.LAYERS and self.layers:
            return self._piece(frame, self.layers)
        if frame.type == Kind.PROFILE and self.laps:
            return self._profile(frame, self.laps)
        if frame.type == Kind.REPEAT and self.repeats:
            return self._repeated(frame)
        if frame.type not in (Kind.INFER, Kind.RESET_STATE):
            return self._error(frame.seq, ErrorCode.TYPE, frame.type)
        model = frame.payload[0]
        if model >= len(self.hello.models):
            return self._error(frame.seq, ErrorCode.MODEL, frame.type)
        if frame.type == Kind.RESET_STATE or self._prepared != model:
            self._prepared, self._sequence = model, _Sequence()
            self.forget(model)
        if frame.type == Kind.RESET_STATE:
            return self._frame(Kind.RESET_STATE.reply, frame.seq, b"")
        if self.hello.models[model].stateful:
            return self._step(frame, model)
        return self._inference(frame, model)

    def _step(self, frame: Frame, model: int) -> Frame:
        """INFER of a model with state: the next step, or the latest one again."""
        (step,) = struct.unpack_from("<H", frame.payload, 2)
        at, payload = self._sequence, zlib.crc32(frame.payload)
        if frame.payload[1] & PACKED:
            return self._error(frame.seq, ErrorCode.ENCODING, frame.type, frame.payload[1])
        if step != at.next:
            if (step, payload) != (at.last, at.payload):
                return self._error(frame.seq, ErrorCode.STEP, frame.type, at.next, step)
            dtype = self.hello.models[model].output.dtype
            head = struct.pack("<BBH", model, dtype, check_of(frame))
            return self._frame(Kind.INFER.reply, frame.seq, head + at.head + at.output)
        answered = self._inference(frame, model)
        if answered.type == Kind.INFER.reply:
            after = 1 if step == 0xFFFF else step + 1
            said = answered.payload
            self._sequence = _Sequence(after, step, payload, said[4:12], said[12:])
        return answered

    def _inference(self, frame: Frame, model: int) -> Frame:
        dtype = self.hello.models[model].output.dtype
        check = check_of(frame)
        values, encoding = frame.payload[4:], frame.payload[1]
        if encoding & PACKED:
            if not self.hello.unpacks:
                return self._error(frame.seq, ErrorCode.ENCODING, frame.type, encoding)
            info = self.hello.models[model]
            size = 4 if encoding & ~PACKED == Encoding.FLOAT32 else 1
            wanted = info.input.elements * size
            if encoding & ~PACKED == Encoding.OWN:
                wanted = packed_bytes(info.inputs)
            values = unpack(frame.payload[2:], wanted)
        try:
            output = self.infer(model, values)
        except EngineFails as failed:
            self._prepared = -1
            return self._error(frame.seq, ErrorCode.ENGINE, frame.type, failed.code)
        self._inferences += 1
        # after the inference, which the clocks may measure
        head = struct.pack("<BBHII", model, dtype, check, self.micros(model), self.ticks(model))
        return self._frame(Kind.INFER.reply, frame.seq, head + output)

    def _repeated(self, frame: Frame) -> Frame:
        model, _, count = struct.unpack_from("<BBH", frame.payload)
        if count == 0 or self.hello.models[model].stateful:
            available = 0 if count else MOST_REPEATS
            return self._error(frame.seq, ErrorCode.REPEAT, frame.type, count, available)
        done = min(count, self.most_repeats)
        output = self.infer(model, frame.payload[4:])
        self._inferences += done
        dtype = self.hello.models[model].output.dtype
        total = (done * self.micros(model), done * self.ticks(model))
        head = struct.pack("<BBHIQQ", model, dtype, check_of(frame), done, *total)
        return self._frame(Kind.REPEAT.reply, frame.seq, head + output)

    def _status(self, flags: int) -> bytes:
        """Marks, an uptime of one millisecond per request, and the counters."""
        counters = (self._frames_ok, self._frames_bad, self._inferences, self._errors)
        if flags & 1:
            self._frames_ok = self._frames_bad = self._inferences = self._errors = 0
        return struct.pack("<9I", *self.marks, self._heard, *counters)

    def _piece(
        self, frame: Frame, layers: Callable[[int, bytes], Sequence[tuple[DType, bytes]]]
    ) -> Frame:
        model, _, layer, offset = struct.unpack_from("<BBHI", frame.payload)
        found = layers(model, frame.payload[8:])
        count = len(found) - 1
        if INPUT_LAYER != layer >= count:
            return self._error(frame.seq, ErrorCode.LAYER, frame.type, layer, count)
        dtype, whole = found[0 if layer == INPUT_LAYER else layer + 1]
        head = struct.pack(
            "<BBHHHII", model, dtype, layer, count, check_of(frame), len(whole), offset
        )
        return self._frame(Kind.LAYERS.reply, frame.seq, head + whole[offset : offset + self.chunk])

    def _profile(self, frame: Frame, laps: Callable[[int], Sequence[int]]) -> Frame:
        model, _, first = struct.unpack_from("<BBH", frame.payload)
        found = laps(model)
        if first >= len(found):
            return self._error(frame.seq, ErrorCode.LAYER, frame.type, first, len(found))
        total = (self.micros(model), self.ticks(model))
        payload = struct.pack("<BBHHHII", model, 0, first, len(found), check_of(frame), *total)
        payload += b"".join(struct.pack("<II", n, n) for n in found[first : first + self.at_once])
        return self._frame(Kind.PROFILE.reply, frame.seq, payload)

    def _error(
        self, seq: int, code: ErrorCode, request: int, needed: int = 0, available: int = 0
    ) -> Frame:
        payload = pack_refusal(code, request, needed, available)
        return self._frame(Kind.ERROR, seq, payload)

    def _frame(self, kind: int, seq: int, payload: bytes) -> Frame:
        return Frame(kind, seq, payload, self.version)


class Answering(Protocol):
    """The other end of a link, for example a `FakeBoard`."""

    def answer(self, data: bytes) -> bytes:
        """The bytes that come back for ``data``."""
        ...


@dataclass
class InstantLink:
    """A link to ``board`` that takes no time; time passes only when a read finds nothing."""

    board: Answering
    name: str = "instant"
    closed: bool = False
    now: float = 0.0
    baud: int = 115200

    def __post_init__(self) -> None:
        self._arrived = bytearray()

    def clock(self) -> float:
        """See `hil.link.Clocked`."""
        return self.now

    def set_baud(self, baud: int) -> None:
        """See `hil.link.Link.set_baud`."""
        self.baud = baud

    def write(self, data: bytes) -> None:
        """See `hil.link.Link.write`."""
        self._arrived += self.board.answer(data)

    def arrive(self, data: bytes) -> None:
        """Put ``data`` on the line, as if someone had sent it."""
        self._arrived += data

    def read(self, deadline: Deadline) -> bytes:
        """See `hil.link.Link.read`."""
        data = bytes(self._arrived)
        self._arrived.clear()
        if not data:
            self.now = max(self.now, deadline.at)
        return data

    def close(self) -> None:
        """See `hil.link.Link.close`."""
        self.closed = True


@dataclass
class FakeLink(InstantLink):
    """An instant link to a `FakeBoard`, which boots and changes its rate as real boards do."""

    board: FakeBoard
    name: str = "fake"

    def write(self, data: bytes) -> None:
        """See `hil.link.Link.write`."""
        if self.now < self.board.boots_at:
            return
        sender, at = self.baud, self.board.baud
        if sender != at or at > self.board.carries:
            data = b"\x55\0"  # what a receiver at another rate sees
        replies = self.board.answer(data)
        self._arrived += replies if sender == at <= self.board.carries else b"\xaa" * len(replies)

    def reset(self, boot: float = 0.0, says: bytes = b"") -> None:
        """Reboot the board, which takes ``boot`` seconds and prints ``says``.

        Bytes on the line, and those written during the boot, are lost.
        """
        self.board.reset()
        self.board.boots_at = self.now + boot
        self._arrived[:] = says


def pack_hello(hello: Hello) -> bytes:
    """The payload of a HELLO reply (docs/protocol.md)."""
    head = struct.pack(
        "<BBBBII",
        hello.protocol,
        len(hello.models),
        hello.window,
        int(hello.has_micros)
        | int(hello.has_layers) << 1
        | int(hello.unpacks) << 2
        | (31 if hello.room is None else max(0, hello.room.bit_length() - 1)) << 3,
        hello.max_payload,
        hello.tick_hz,
    )
    head += _text(hello.board) + _text(hello.firmware) + _text(hello.toolchain)
    for model in hello.models:
        head += _text(model.name) + _text(model.engine) + bytes.fromhex(model.sha256)
        head += _tensor(model.input) + _tensor(model.output)
        head += struct.pack("<II", model.arena, model.flash)
    if any(model.more_inputs or model.more_outputs or model.stateful for model in hello.models):
        head += b"".join(_more(model) for model in hello.models)
    return head


def _more(model: ModelInfo) -> bytes:
    sides = (model.more_inputs, model.more_outputs)
    tensors = (bytes([len(side)]) + b"".join(map(_tensor, side)) for side in sides)
    return b"".join(tensors) + bytes([model.stateful])


def _text(value: str) -> bytes:
    raw = value.encode()
    return bytes([len(raw)]) + raw


def _tensor(spec: TensorSpec) -> bytes:
    rank = len(spec.shape)
    return struct.pack(f"<BB{rank}Ifi", spec.dtype, rank, *spec.shape, spec.scale, spec.zero_point)
