# SPDX-License-Identifier: Apache-2.0
"""Reproducible link faults: `Chaos` defines which and how often, `ChaosLink` injects them.

The only part of the protocol that this module uses is the delimiter. `ChaosLink` uses the clock of
the inner link, so that simulated lines (`hil.testing`) stay exact; on a real line the faults happen
in real time.
"""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Final, Literal

from hil.core.errors import LinkError, UsageError
from hil.link import Deadline, Link, Shared, clock_of

# faults per bit, per byte and per frame (at its delimiter), in either direction
BITS: Final = ("flip",)
BYTES: Final = ("drop", "duplicate", "delay", "reorder")
FRAMES: Final = ("inject", "replay", "freeze", "reset", "cut")
FAULTS: Final = (*BITS, *BYTES, *FRAMES)


@dataclass(frozen=True, slots=True)
class Chaos:
    """Probabilities of each fault, and durations in seconds of those that last.

    Per bit: ``flip``, the bit error rate. Per byte: ``drop`` loses it, ``duplicate`` sends it
    twice, ``delay`` stops its direction for up to ``delay_s``, ``reorder`` lets the next byte
    overtake it. Per frame, when its delimiter has crossed: ``inject`` adds boot text or another
    program's output, ``replay`` adds an earlier frame, undamaged; ``freeze`` holds both directions
    for ``freeze_s`` without loss; ``reset`` restarts the board; ``cut`` pulls the cable for
    ``cut_s``: what is on the line is lost, and every call is a LinkError until the cable is back.
    The same seed does the same to the same bytes.
    """

    seed: int = 0
    flip: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    reorder: float = 0.0
    inject: float = 0.0
    replay: float = 0.0
    freeze: float = 0.0
    reset: float = 0.0
    cut: float = 0.0
    delay_s: float = 0.05
    freeze_s: float = 0.5
    cut_s: float = 2.0

    def __post_init__(self) -> None:
        for name in FAULTS:
            if not 0 <= getattr(self, name) <= 1:  # refuses NaN too
                raise UsageError(
                    f"chaos: {name}={getattr(self, name)} is not a probability",
                    "use a number from 0 to 1",
                )
        for name in ("delay_s", "freeze_s", "cut_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(
                    f"chaos: {name}={getattr(self, name)} is not a duration",
                    "use seconds, 0 or more",
                )

    def __str__(self) -> str:
        """In the form that `parse_chaos` reads."""
        given = [
            f"{field.name}={getattr(self, field.name):g}"
            for field in fields(self)
            if field.name != "seed" and getattr(self, field.name) != field.default
        ]
        return f"{self.seed}:{','.join(given)}"


def mixture(seed: int) -> Chaos:
    """All faults at once: the meaning of a seed without rates.

    For the 10,000 test digits of MNIST in PackBits (20,000 frames, 2.5 million bytes) this gives
    about 200 flipped bits, 25 of each fault per byte, 20 injections, 200 replays, 2 freezes,
    2 resets and one cut.
    """
    return Chaos(
        seed,
        flip=1e-5,
        drop=1e-5,
        duplicate=1e-5,
        delay=1e-5,
        reorder=1e-5,
        inject=1e-3,
        replay=1e-2,
        freeze=1e-4,
        reset=1e-4,
        cut=5e-5,
    )


def parse_chaos(text: str) -> Chaos:
    """``SEED`` for `mixture`, or ``SEED:flip=1e-4,cut_s=60`` for only these faults.

    UsageError for any other text.
    """
    seed, colon, rest = text.partition(":")
    try:
        number = int(seed)
    except ValueError:
        raise _unclear(text, f"{seed!r} is not a whole number") from None
    if not colon:
        return mixture(number)
    names = {field.name for field in fields(Chaos)} - {"seed"}
    given: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        name, equals, value = item.partition("=")
        if name not in names or not equals:
            raise _unclear(text, f"{item!r} is not a fault; known: {', '.join(sorted(names))}")
        try:
            given[name] = float(value)
        except ValueError:
            raise _unclear(text, f"{value!r} is not a number") from None
    return Chaos(number, **given)


def _unclear(text: str, why: str) -> UsageError:
    return UsageError(
        f"chaos {text!r}: {why}", "pass a seed, or a seed and rates: 7:flip=1e-4,drop=1e-5"
    )


KEEPS: Final = 70_000  # frames to replay: more than there are sequence numbers
_LONGEST: Final = 1 << 13  # bytes of a frame that is kept
_NEVER: Final = 1 << 62

BOOT_TEXT: Final = (
    b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
    b"configsip: 0, SPIWP:0xee\r\nmode:DIO, clock div:2\r\nentry 0x400805e4\r\n",
    b"\xff\xf8\x00\x9e\x00\xf0rst cause:2, boot mode:(3,6)\r\n\x00",
    b"Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n",
    b"Hello from Arduino\r\n",
    b"m-ready\r\n",
    b"\x00" * 9,
)
# what ModemManager, a console, MLPerf Tiny's runner and brltty write to ports that they find
OTHER_PROGRAMS: Final = (
    b"AT+GCAP\r\n",
    b"\x00x\xf0\x7e~\x00x\xf0\x7e",
    b"\r\n\x03help\r\n",
    b"name%",
    b"brltty\x1b\x02I\x03\x00",
)
Direction = Literal["out", "in"]


@dataclass(frozen=True, slots=True)
class Event:
    """A fault of the whole line, after the bytes before it have crossed."""

    fault: str
    seconds: float = 0.0


class FaultInjector:
    """Applies the faults of one direction. ``injected`` counts them by name."""

    def __init__(self, chaos: Chaos, direction: Direction, injected: Counter[str]) -> None:
        self._chaos = chaos
        self._injected = injected
        self._texts = OTHER_PROGRAMS if direction == "out" else BOOT_TEXT
        self._luck = {name: random.Random(f"{chaos.seed} {direction} {name}") for name in FAULTS}
        # separate generators: what a fault does must not change when the next one comes
        self._what = {  # the seeds' text is part of the reproducible behaviour
            name: random.Random(f"{chaos.seed} {direction} what of {name}") for name in FAULTS
        }
        self._next = {name: self._skip(name) for name in FAULTS if getattr(chaos, name) > 0}
        self._frames = [name for name in FRAMES if name in self._next]
        self._old: deque[bytes] = deque(maxlen=KEEPS)
        self._frame = b""  # the part of the current frame that has crossed
        self._passed = b""  # a byte that the next one overtakes

    def _skip(self, name: str) -> int:
        """How many bits, bytes or frames pass before the next fault: geometrically distributed."""
        rate = getattr(self._chaos, name)
        if rate >= 1:
            return 0
        drawn = math.log1p(-self._luck[name].random()) / math.log1p(-rate)
        return int(drawn) if drawn < _NEVER else _NEVER

    def _due(self, name: str, count: int) -> list[int]:
        """Which of the next ``count`` bits, bytes or frames get the fault."""
        left, found = self._next[name], []
        while left < count:
            found.append(left)
            left += 1 + self._skip(name)
        self._next[name] = left - count
        return found

    def carry(self, data: bytes) -> list[bytes | Event]:
        """What crosses when ``data`` is sent, in order; after a cut its rest is lost."""
        sent = data
        size = len(data)
        due: list[tuple[int, str]] = []
        for name in BITS:
            if name in self._next and self._next[name] < 8 * size:
                data = self._flip(data)
            elif name in self._next:
                self._next[name] -= 8 * size
        for name in BYTES:
            if name in self._next:
                due += [(at, name) for at in self._due(name, size)]
        if self._frames and (frames := data.count(0)):
            ends: list[int] | None = None
            for name in self._frames:
                for number in self._due(name, frames):
                    ends = ends or [at for at, byte in enumerate(data) if byte == 0]
                    due.append((ends[number] + 1, name))
        if not due and not self._passed:
            self._keep(sent)
            return [data] if data else []
        # faults at a delimiter come before those of the next byte, as in separate writes
        due.sort(key=lambda one: (one[0], one[1] in BYTES))
        return self._disturb(data, due, sent)

    def _flip(self, data: bytes) -> bytes:
        flipped = bytearray(data)
        for bit in self._due("flip", 8 * len(data)):
            flipped[bit >> 3] ^= 1 << (bit & 7)
            self._injected["flip"] += 1
        return bytes(flipped)

    def _disturb(self, data: bytes, due: list[tuple[int, str]], sent: bytes) -> list[bytes | Event]:
        """What crosses of ``data``; ``sent`` is ``data`` before bits were flipped."""
        crossed: list[bytes | Event] = []
        held = bytearray()
        at = kept = 0

        def put(more: bytes) -> None:
            if more and self._passed:
                held.extend(more[:1] + self._passed + more[1:])
                self._passed = b""
            else:
                held.extend(more)

        def event(name: str, seconds: float = 0.0) -> None:
            crossed.extend((bytes(held), Event(name, seconds)) if held else (Event(name, seconds),))
            held.clear()

        for position, name in due:
            put(data[at:position])
            at = max(at, position)
            byte = data[at : at + 1]
            if name in BYTES and position < at:
                continue  # that byte already got another fault
            if name == "drop":
                at += 1
            elif name == "duplicate":
                put(byte)  # and again with what follows
            elif name == "reorder" and not self._passed:
                self._passed = byte
                at += 1
            elif name == "delay":
                event(name, self._what[name].uniform(0, self._chaos.delay_s))
            elif name == "inject":
                put(self._what[name].choice(self._texts))
            elif name == "replay":
                self._keep(sent[kept:position])
                kept = position
                if not self._old:
                    continue
                put(self._what[name].choice(self._old))
            elif name == "freeze":
                event(name, self._chaos.freeze_s)
            elif name == "reset":
                event(name)
            elif name == "cut":
                event(name, self._chaos.cut_s)
            else:
                continue
            self._injected[name] += 1
            if name == "cut":
                self._passed = b""
                return crossed
        put(data[at:])
        self._keep(sent[kept:])
        if held:
            crossed.append(bytes(held))
        return crossed

    def _keep(self, data: bytes) -> None:
        if "replay" not in self._next:
            return
        first, *rest = data.split(b"\0")
        self._frame += first
        for block in rest:
            if 0 < len(self._frame) <= _LONGEST:
                self._old.append(self._frame + b"\0")
            self._frame = block
        self._frame = self._frame[-_LONGEST - 1 :]


@dataclass
class _Queue:
    """Bytes of one direction that have not crossed yet, first in, first out."""

    injector: FaultInjector
    free_at: float = 0.0
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)

    def put(self, data: bytes, now: float) -> None:
        self.waiting.append((max(now, self.free_at), data))

    def stop(self, until: float) -> None:
        self.free_at = max(self.free_at, until)

    def due(self, now: float) -> bytes:
        """What has crossed by ``now``."""
        if not self.waiting:
            return b""
        if len(self.waiting) == 1 and self.waiting[0][0] <= now:
            return self.waiting.popleft()[1]
        crossed = b""
        while self.waiting and self.waiting[0][0] <= now:
            crossed += self.waiting.popleft()[1]
        return crossed


class ChaosState:
    """The faults of one line so far. It stays when the link is closed and opened again."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self.counted: Counter[str] = Counter()
        self.out = _Queue(FaultInjector(chaos, "out", self.counted))
        self.back = _Queue(FaultInjector(chaos, "in", self.counted))
        self.out_until: float | None = None  # when the cable is back, if it is out

    @property
    def is_out(self) -> bool:
        """Whether the cable was out when last used."""
        return self.out_until is not None

    def lose_all(self) -> None:
        """Drop what is still to cross, in both directions."""
        for queue in (self.out, self.back):
            queue.waiting.clear()


class ChaosLink:
    """A `hil.link.Link` around ``link``, with the faults of ``chaos``.

    ``clock``: monotonic, in seconds; by default the link's own if it has one. ``reset`` restarts
    the board; without it a reset is drawn but neither done nor counted. Pass the ``state`` of a
    closed link to continue its faults on another: ``ChaosLink(reopened, chaos, state=old.state)``,
    which raises LinkError while the cable is out.
    """

    def __init__(
        self,
        link: Link,
        chaos: Chaos,
        *,
        clock: Callable[[], float] | None = None,
        reset: Callable[[], None] | None = None,
        state: ChaosState | None = None,
    ) -> None:
        self.link = link
        self.state = state or ChaosState(chaos)
        self.clock = clock or clock_of(link)
        self._reset = reset
        self._plugged_in()

    @property
    def injected(self) -> dict[str, int]:
        """How often each fault was injected, by its name in `Chaos`."""
        return {name: times for name, times in self.state.counted.items() if times}

    @property
    def name(self) -> str:
        """The port's name."""
        return self.link.name

    @property
    def baud(self) -> int:
        """The rate of the inner link."""
        return self.link.baud

    def set_baud(self, baud: int) -> None:
        """See `hil.link.Link.set_baud`."""
        self._plugged_in()
        self.link.set_baud(baud)

    def write(self, data: bytes) -> None:
        """See `hil.link.Link.write`."""
        self._plugged_in()
        self._cross(data, self.state.out)
        self._send()
        self._plugged_in()

    def read(self, deadline: Deadline) -> bytes:
        """See `hil.link.Link.read`."""
        self._plugged_in()
        back = self.state.back
        while True:
            self._send()
            if crossed := back.due(self.clock()):
                return crossed
            later = [queue.waiting[0][0] for queue in (self.state.out, back) if queue.waiting]
            until = min([deadline.at, *later])
            if data := self.link.read(Deadline(until, deadline.clock) if later else deadline):
                self._cross(data, back)
                if self.state.is_out:
                    return b""  # the next call is a LinkError
            elif deadline.expired:
                return back.due(self.clock())

    def close(self) -> None:
        """See `hil.link.Link.close`."""
        self.link.close()

    def others(self) -> tuple[str, ...]:
        """See `hil.link.Shared`."""
        return self.link.others() if isinstance(self.link, Shared) else ()

    def _send(self) -> None:
        if crossed := self.state.out.due(self.clock()):
            self.link.write(crossed)

    def _cross(self, data: bytes, queue: _Queue) -> None:
        now = self.clock()
        for piece in queue.injector.carry(data):
            if not isinstance(piece, Event):
                queue.put(piece, now)
            elif piece.fault == "delay":
                queue.stop(max(now, queue.free_at) + piece.seconds)
            elif piece.fault == "freeze":
                self.state.out.stop(now + piece.seconds)
                self.state.back.stop(now + piece.seconds)
            elif piece.fault == "reset":
                self._send()
                if self._reset:
                    self._reset()
                else:
                    self.state.counted["reset"] -= 1
            else:
                self._pull(now + piece.seconds)

    def _pull(self, until: float) -> None:
        self.state.out_until = until
        self.state.lose_all()

    def _plugged_in(self) -> None:
        """LinkError while the cable is out; bytes that came meanwhile are discarded afterwards."""
        if self.state.out_until is None:
            return
        if self.clock() < self.state.out_until:
            raise LinkError(
                f"port {self.name} vanished (chaos: the cable is out)",
                "check the cable or the emulator's log",
            )
        self.state.out_until = None
        while self.link.read(Deadline(self.clock(), self.clock)):
            pass
