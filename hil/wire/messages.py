# SPDX-License-Identifier: Apache-2.0
"""Frames <-> messages: the layouts of docs/protocol.md.

A payload that does not fit its type is a `Malformed` value. Strings from a board are made printable
here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from hil.core.records import ClockSteps, DType, Encoding, Hello, ModelInfo, Status, TensorSpec
from hil.core.text import printable
from hil.wire.frames import Frame

MAX_RANK: Final = 6
MAX_ELEMENTS: Final = 1 << 22


class Kind(IntEnum):
    """Message types; a reply is its request with bit 7 set."""

    HELLO = 0x01
    INFER = 0x02
    STATUS = 0x03
    BAUD = 0x04
    LAYERS = 0x05
    CLOCK = 0x06
    PROFILE = 0x07
    RESET_STATE = 0x08
    REPEAT = 0x09
    ERROR = 0xFF

    @property
    def reply(self) -> int:
        return self | 0x80


class ErrorCode(IntEnum):
    """Why a device refused a request."""

    VERSION = 1
    TYPE = 2
    LENGTH = 3
    MODEL = 4
    ENCODING = 5
    ARENA = 6
    ENGINE = 7
    FRAME = 8
    OVERSIZE = 9
    BAUD = 10
    LAYER = 11
    STEP = 12  # of a model with state: another step of its sequence is the next one
    REPEAT = 13  # the inference cannot be repeated that often, or not at all


class SketchFault(IntEnum):
    """``needed`` of an ERROR ENGINE from a user's own sketch: what its predict did."""

    REFUSED = 1  # it returned false
    WROTE_AFTER = 2  # it wrote past the end of its output
    WROTE_BEFORE = 3  # it wrote before the start of its output
    CONFIG = 4  # it was not called: what the sketch declares contradicts itself


@dataclass(frozen=True, slots=True)
class Malformed:
    """A reply whose payload does not fit its type."""

    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """RESULT: ``ticks`` is None when the device's counter wrapped.

    ``check`` repeats `frames.check_of` the request, as it does in `Piece` and `Profile`.
    """

    model: int
    dtype: DType
    micros: int
    ticks: int | None
    output: bytes
    check: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """ERROR: the meaning of ``needed`` and ``available`` depends on the code."""

    code: int
    request: int
    needed: int
    available: int


@dataclass(frozen=True, slots=True)
class Rate:
    """BAUD: the rate of every byte after this reply; 0 is the boot rate."""

    baud: int


@dataclass(frozen=True, slots=True)
class Piece:
    """LAYERS: the bytes of one layer's output from ``offset`` on, of ``nbytes`` in total.

    ``layer`` is the number of one of the model's ``layers``, from 0, or `INPUT_LAYER`.
    """

    model: int
    dtype: DType
    layer: int
    layers: int
    nbytes: int
    offset: int
    data: bytes
    check: int = 0


@dataclass(frozen=True, slots=True)
class Lap:
    """A duration; ``ticks`` is None when the device's counter wrapped."""

    micros: int
    ticks: int | None


@dataclass(frozen=True, slots=True)
class Profile:
    """PROFILE: the durations of the layers from number ``layer`` on, of ``layers`` in total.

    ``total`` is the duration of an inference that was not instrumented.
    """

    model: int
    layer: int
    layers: int
    total: Lap
    laps: tuple[Lap, ...]
    check: int = 0


@dataclass(frozen=True, slots=True)
class Repeated:
    """REPEAT: ``count`` inferences, fewer than requested if they took too long, between two edges
    of the marker pin. ``micros`` and ``ticks`` of all of them (0: no such clock; None: the counter
    wrapped), the ``output`` of the last.
    """

    model: int
    dtype: DType
    count: int
    micros: int
    ticks: int | None
    output: bytes
    check: int = 0


@dataclass(frozen=True, slots=True)
class StateReset:
    """RESET_STATE: the model has forgotten all earlier inferences."""


Reply = (
    Hello
    | Result
    | Status
    | Rate
    | ClockSteps
    | Piece
    | Profile
    | Repeated
    | StateReset
    | Refusal
    | Malformed
)

_INFER = struct.Struct("<BBH")
PACKED: Final = 0x80  # set in an encoding: PackBits follows after two bytes
INFER_OVERHEAD = _INFER.size  # bytes of an INFER's payload before the sample
_LAYERS = struct.Struct("<BBHI")
INPUT_LAYER: Final = 0xFFFF  # in LAYERS: the input in the type of the model
_LAYER = struct.Struct("<BBHHHII")
_PROFILE = struct.Struct("<BBH")
_PROFILED = struct.Struct("<BBHHHII")
_LAP = struct.Struct("<II")
_REPEATED = struct.Struct("<BBHIQQ")
_TOTAL_WRAPPED = 0xFFFF_FFFF_FFFF_FFFF
MOST_REPEATS: Final = 0xFFFF  # inferences of one REPEAT
_RESULT = struct.Struct("<BBHII")
_STATUS = struct.Struct("<9I")
_HEAP_UNKNOWN = 0xFFFFFFFF
_ERROR = struct.Struct("<BBHII")
_BAUD = struct.Struct("<I")
_CLOCK = struct.Struct("<3I")
_HELLO = struct.Struct("<BBBBII")
_WRAPPED = 0xFFFFFFFF
_STATEFUL = 1  # flag of a model at the end of HELLO
_STEPS = 0xFFFF  # step numbers after the first one, 0, which only a reset makes the next
_ROOM_WAITS = 31  # instead of an exponent: flow control, so any number of bytes may be sent


def hello_request(seq: int) -> Frame:
    """Ask a board what it is."""
    return Frame(Kind.HELLO, seq)


def infer_request(
    seq: int,
    model: int,
    encoding: Encoding,
    values: bytes,
    *,
    packed: bool = False,
    sample: int | None = None,
) -> Frame:
    """Ask for one inference of model number ``model``; ``packed``: by `packbits.pack`.

    ``sample``: its position in the sequence of a model with state, which is never packed.
    """
    if packed:
        return Frame(Kind.INFER, seq, bytes((model, encoding | PACKED)) + values)
    step = step_of(sample) if sample else 0
    return Frame(Kind.INFER, seq, _INFER.pack(model, encoding, step) + values)


def step_of(sample: int) -> int:
    """The step number of a sample, from 0 on, in the sequence of a model with state."""
    return sample if sample <= _STEPS else (sample - 1) % _STEPS + 1


def repeat_request(seq: int, model: int, encoding: Encoding, values: bytes, count: int) -> Frame:
    """Ask for ``count`` inferences of one sample, 1 to `MOST_REPEATS`, and a single answer."""
    return Frame(Kind.REPEAT, seq, _INFER.pack(model, encoding, count) + values)


def reset_request(seq: int, model: int) -> Frame:
    """Ask model number ``model`` to forget all earlier inferences."""
    return Frame(Kind.RESET_STATE, seq, bytes([model]))


def layers_request(
    seq: int, model: int, encoding: Encoding, values: bytes, *, layer: int, offset: int
) -> Frame:
    """Ask for the output of ``layer`` for one sample, from byte ``offset`` on."""
    return Frame(Kind.LAYERS, seq, _LAYERS.pack(model, encoding, layer, offset) + values)


def profile_request(seq: int, model: int, encoding: Encoding, values: bytes, layer: int) -> Frame:
    """Ask for the durations of the layers from number ``layer`` on, for one sample."""
    return Frame(Kind.PROFILE, seq, _PROFILE.pack(model, encoding, layer) + values)


def pack_refusal(code: int, request: int = 0, needed: int = 0, available: int = 0) -> bytes:
    """The payload of ERROR, as a board sends it."""
    return _ERROR.pack(code, request, 0, needed, available)


def status_request(seq: int, *, reset: bool = False) -> Frame:
    """Ask for memory marks and counters; ``reset`` clears both afterwards."""
    return Frame(Kind.STATUS, seq, bytes([1 if reset else 0]))


def baud_request(seq: int, baud: int) -> Frame:
    """Ask for another baud rate; 0 is the boot rate."""
    return Frame(Kind.BAUD, seq, _BAUD.pack(baud))


def clock_request(seq: int) -> Frame:
    """Ask for the resolution of the board's clocks, as the board measures it."""
    return Frame(Kind.CLOCK, seq)


def parse_reply(frame: Frame) -> Reply:
    """The message that a device's frame carries."""
    parsers: dict[int, Callable[[bytes], Reply]] = {
        Kind.HELLO.reply: _parse_hello,
        Kind.INFER.reply: _parse_result,
        Kind.STATUS.reply: _parse_status,
        Kind.BAUD.reply: _parse_rate,
        Kind.CLOCK.reply: _parse_clock,
        Kind.LAYERS.reply: _parse_piece,
        Kind.PROFILE.reply: _parse_profile,
        Kind.RESET_STATE.reply: _parse_reset,
        Kind.REPEAT.reply: _parse_repeated,
        Kind.ERROR: _parse_error,
    }
    parser = parsers.get(frame.type)
    if parser is None:
        return Malformed(f"unknown reply type 0x{frame.type:02x}")
    try:
        return parser(frame.payload)
    except (struct.error, ValueError, IndexError) as problem:
        return Malformed(f"reply 0x{frame.type:02x}: {problem}")


def _parse_result(payload: bytes) -> Result:
    model, dtype, check, micros, ticks = _RESULT.unpack_from(payload)
    return Result(
        model,
        DType(dtype),
        micros,
        None if ticks == _WRAPPED else ticks,
        payload[_RESULT.size :],
        check,
    )


def _parse_repeated(payload: bytes) -> Repeated:
    model, dtype, check, count, micros, ticks = _REPEATED.unpack_from(payload)
    if not 1 <= count <= MOST_REPEATS:
        raise ValueError(f"{count} inferences")
    known = None if ticks == _TOTAL_WRAPPED else ticks
    return Repeated(model, DType(dtype), count, micros, known, payload[_REPEATED.size :], check)


def _parse_piece(payload: bytes) -> Piece:
    model, dtype, layer, layers, check, nbytes, offset = _LAYER.unpack_from(payload)
    data = payload[_LAYER.size :]
    if INPUT_LAYER != layer >= layers or nbytes > 4 * MAX_ELEMENTS or offset + len(data) > nbytes:
        raise ValueError(f"layer {layer} of {layers}, {len(data)} bytes at {offset} of {nbytes}")
    return Piece(model, DType(dtype), layer, layers, nbytes, offset, data, check)


def _parse_profile(payload: bytes) -> Profile:
    model, _, layer, layers, check, *total = _PROFILED.unpack_from(payload)
    laps = tuple(_lap(*raw) for raw in _LAP.iter_unpack(payload[_PROFILED.size :]))
    if not laps or layer + len(laps) > layers:
        raise ValueError(f"{len(laps)} layers from {layer} on, of {layers}")
    return Profile(model, layer, layers, _lap(*total), laps, check)


def _lap(micros: int, ticks: int) -> Lap:
    return Lap(micros, None if ticks == _WRAPPED else ticks)


def _parse_status(payload: bytes) -> Status:
    status = Status(*_STATUS.unpack(payload))
    return replace(status, heap_used=None) if status.heap_used == _HEAP_UNKNOWN else status


def _parse_rate(payload: bytes) -> Rate:
    return Rate(*_BAUD.unpack(payload))


def _parse_clock(payload: bytes) -> ClockSteps:
    return ClockSteps(*_CLOCK.unpack(payload))


def _parse_reset(payload: bytes) -> StateReset:
    if payload:
        raise ValueError(f"{len(payload)} bytes too many")
    return StateReset()


def _parse_error(payload: bytes) -> Refusal:
    code, request, _, needed, available = _ERROR.unpack(payload)
    return Refusal(code, request, needed, available)


def _parse_hello(payload: bytes) -> Hello:
    cursor = _Cursor(payload)
    protocol, count, window, flags, max_payload, tick_hz = cursor.unpack(_HELLO)
    board, firmware, toolchain = cursor.text(), cursor.text(), cursor.text()
    models = tuple(_parse_model(cursor) for _ in range(count))
    if cursor.left:  # some model has more than one input, one output and no state
        models = tuple(_parse_more(cursor, model) for model in models)
    cursor.end()
    return Hello(
        protocol=protocol,
        board=board,
        firmware=firmware,
        toolchain=toolchain,
        window=max(1, window),
        max_payload=max_payload,
        tick_hz=tick_hz,
        has_micros=bool(flags & 1),
        models=models,
        has_layers=bool(flags & 2),
        unpacks=bool(flags & 4),
        room=_parse_room(flags >> 3),
    )


def _parse_room(exponent: int) -> int | None:
    if exponent == _ROOM_WAITS:
        return None
    return 1 << exponent if exponent else 0


def _parse_model(cursor: _Cursor) -> ModelInfo:
    name, engine = cursor.text(), cursor.text()
    sha256 = cursor.take(32).hex()
    tensors = (_parse_tensor(cursor), _parse_tensor(cursor))
    arena, flash = cursor.unpack(struct.Struct("<II"))
    return ModelInfo(name, engine, sha256, *tensors, arena=arena, flash=flash)


def _parse_more(cursor: _Cursor, model: ModelInfo) -> ModelInfo:
    inputs, outputs = _parse_tensors(cursor), _parse_tensors(cursor)
    (flags,) = cursor.take(1)
    return replace(
        model, more_inputs=inputs, more_outputs=outputs, stateful=bool(flags & _STATEFUL)
    )


def _parse_tensors(cursor: _Cursor) -> tuple[TensorSpec, ...]:
    (count,) = cursor.take(1)
    return tuple(_parse_tensor(cursor) for _ in range(count))


def _parse_tensor(cursor: _Cursor) -> TensorSpec:
    dtype, rank = cursor.unpack(struct.Struct("<BB"))
    if not 1 <= rank <= MAX_RANK:
        raise ValueError(f"rank {rank}")
    shape = cursor.unpack(struct.Struct(f"<{rank}I"))
    if not 1 <= math.prod(shape) <= MAX_ELEMENTS:
        raise ValueError(f"shape {shape}")
    scale, zero_point = cursor.unpack(struct.Struct("<fi"))
    return TensorSpec(DType(dtype), shape, scale, zero_point)


class _Cursor:
    """Reads a payload from front to back; reading past its end is a ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, n: int) -> bytes:
        if self._at + n > len(self._data):
            raise ValueError("ends too early")
        self._at += n
        return self._data[self._at - n : self._at]

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        return layout.unpack(self.take(layout.size))

    def text(self) -> str:
        raw = self.take(self.take(1)[0]).decode("utf-8", errors="replace")
        return printable(raw, instead="\ufffd")

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def end(self) -> None:
        if self.left:
            raise ValueError(f"{self.left} bytes too many")
