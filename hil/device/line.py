# SPDX-License-Identifier: Apache-2.0
"""One link as frames: sends requests, reads replies, and counts everything else.

`Line` returns only replies to pending requests: echoes, late replies, replies to other requests and
damaged frames are counted, and damage is reported. An ERROR reply, or a frame of another protocol
version, is raised as an error.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hil.core.errors import DeviceRefused, StateLost, WrongFirmware
from hil.core.records import LineCounts
from hil.core.text import shorten, strip_ansi
from hil.link import Deadline, Link
from hil.wire.diagnosis import FLASH_IT, HEARD, Diagnosis, board_says
from hil.wire.frames import PROTOCOL_VERSION, BadFrame, Decoder, Frame
from hil.wire.messages import (
    ErrorCode,
    Kind,
    Malformed,
    Piece,
    Profile,
    Refusal,
    Repeated,
    Reply,
    Result,
    parse_reply,
)
from hil.wire.panics import boot_line, stopped, text_of
from hil.wire.traces import traces

QUIET_S: Final = 0.05
REPLY: Final = 0x80  # set in the type of every frame that a board sends
MISFITS: Final = 5  # replies in a row that do not fit: not an accident
END_OF_ALL: Final = b"\0\0"  # ends an unfinished frame, or text, in the board's buffer
STOPPED_S: Final = 2.0  # longest wait once the board printed that it crashed or boots

_STOPPED_TEXT: Final = 1024  # latest bytes in which that text is looked for

# damage on the line: the request itself was right and is worth sending again
_LINE_DAMAGE: Final = {ErrorCode.FRAME, ErrorCode.OVERSIZE}


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait, in seconds; ``clock`` is monotonic.

    ``reply`` is for requests of a kind that was never measured; measured ones time out sooner
    (`hil.device.pace`).
    """

    boot: float = 10.0
    reply: float = 20.0
    hello_every: float = 0.5
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def deadline(self, seconds: float) -> Deadline:
        """The moment ``seconds`` from now."""
        return Deadline.after(seconds, self.clock)


class Line:
    """One link, as frames.

    ``noise`` grows with every irregularity: compare it before and after a round trip to know
    whether that was disturbed.
    """

    def __init__(self, link: Link, timing: Timing, number: int | None = None) -> None:
        self.link = link
        self.timing = timing
        self.now = timing.clock
        self.noise = 0
        self.bytes_out = self.bytes_in = 0
        self.frames_out = self.frames_in = 0
        self.damaged_out = self.damaged_in = 0
        self.unexpected = self.timeouts = 0
        self.retries = self.resent_bytes = 0
        self.longest = 0  # bytes of the longest request
        self.probed = 0  # valid replies to probes
        self.echoes = 0  # requests that came back as they were sent
        self._misfits = 0  # since the last reply that fitted
        self._heard = bytearray()  # the latest bytes received, for a diagnosis
        self.text_from = 0  # of ``bytes_in``: those until the end of the latest frame
        self._good_at = 0  # `text_from` at the last valid reply
        self._stopped_at: float | None = None  # when the board printed since then that it stopped
        self._decoder = Decoder()
        self._arrived: deque[Frame | BadFrame] = deque()
        # start anywhere: a late answer to an earlier program must not look like ours
        start = secrets.randbelow(0xFFFF) if number is None else number  # 0 is for damaged frames
        self._numbers = (1 + n % 0xFFFF for n in itertools.count(start))

    def counts(self) -> LineCounts:
        """The counts so far."""
        return LineCounts(
            frames_out=self.frames_out,
            frames_in=self.frames_in,
            damaged_out=self.damaged_out,
            damaged_in=self.damaged_in,
            unexpected=self.unexpected,
            timeouts=self.timeouts,
            retries=self.retries,
            resent_bytes=self.resent_bytes,
        )

    def diagnosis(self, since: int = 0) -> Diagnosis | None:
        """What is wrong with the board, by the text that it printed recently: after the first
        ``since`` bytes from it."""
        new = max(0, self.bytes_in - since)
        return board_says(bytes(self._heard[-new:])) if new else None

    @property
    def stopped(self) -> bool:
        """Whether the board printed since its last valid reply that it crashed or boots."""
        return self._stopped_at is not None

    @property
    def printed(self) -> str:
        """The text that the board printed recently."""
        return text_of(bytes(self._heard))

    def boot_text(self) -> str:
        """The line of text by which the board shows that it booted; empty if there is none."""
        return boot_line(self.printed)

    def last_text(self) -> str:
        """The last line of text that the board printed; empty if there is none."""
        text = bytes(self._heard).decode("ascii", "replace")
        lines = (strip_ansi(line).strip() for line in re.split(r"[\r\n\0]+", text))
        readable = [line for line in lines if len(line) > 3 and line.isprintable()]
        whole = [line for line in readable if "\ufffd" not in line]
        return shorten(whole[-1], 80) if whole else ""

    def blocks(self) -> list[bytes]:
        """What arrived recently between two delimiters, frames or not."""
        return [block for block in bytes(self._heard).split(b"\0") if block]

    def traces(self, asked: Iterable[int]) -> int:
        """How many damaged replies to the HELLOs numbered ``asked`` can be recognised."""
        return traces(bytes(self._heard), asked)

    def forget(self) -> None:
        """Forget the text that the board printed before it started to reply."""
        self._heard.clear()

    def number(self) -> int:
        """The next sequence number."""
        return next(self._numbers)

    def send(self, data: bytes, *, again: bool = False) -> None:
        """Send one encoded request; ``again``: it was sent before."""
        self.write(data)
        self.longest = max(self.longest, len(data))
        if self._stopped_at is not None:
            self._stopped_at = self.now()
        self.frames_out += 1
        if again:
            self.retries += 1
            self.resent_bytes += len(data)

    def write(self, data: bytes) -> None:
        """Write raw bytes; everything that is sent passes here."""
        self.link.write(data)
        self.bytes_out += len(data)

    def timed_out(self) -> None:
        """Count a timeout, and end any unfinished frame at the other end."""
        self.noise += 1
        self.timeouts += 1
        self.write(END_OF_ALL)

    def quieten(self, deadline: Deadline) -> None:
        """Discard incoming bytes (replies to repeated HELLOs, boot text) until silence."""
        while not deadline.expired and self._receive(deadline.sooner(QUIET_S)) is not None:
            pass
        self._decoder.reset()
        self._arrived.clear()
        self.noise += 1

    def reply(
        self,
        deadline: Deadline,
        expected: Mapping[int, int],
        kind: type[object],
        *,
        failures: bool = False,
    ) -> tuple[int, Reply] | None:
        """The next reply of ``kind`` to one of ``expected`` (number -> `check_of` the request).

        Damage is reported as a `Malformed` with number 0. None at the deadline. Raises
        DeviceRefused for an ERROR reply, and WrongFirmware when replies do not fit their requests.
        With ``failures``, an ERROR ENGINE or STEP is returned: one inference failed, the next may
        not.
        """
        while (frame := self._receive(deadline)) is not None:
            if isinstance(frame, BadFrame):
                self.damaged_in += 1
                return self._damage(frame.reason)
            if not frame.type & REPLY:
                self.echoes += 1  # boards only send replies
                self._nobody_asked()
                continue
            self.frames_in += 1
            if frame.version != PROTOCOL_VERSION:
                raise other_version(self.link.name, frame.version)
            reply = parse_reply(frame)
            if isinstance(reply, Refusal) and reply.code in _LINE_DAMAGE:
                self.damaged_out += 1
                return self._damage("the board received damage")
            if frame.seq not in expected:
                self._nobody_asked()  # a late answer to something already asked again
                continue
            if isinstance(reply, Refusal):
                if not (failures and reply.code in (ErrorCode.ENGINE, ErrorCode.STEP)):
                    raise refused(reply)
            elif not isinstance(reply, kind) or not fits(reply, expected[frame.seq]):
                return self._misfit(reply)
            self._misfits = 0
            self.mark_text()
            return frame.seq, reply
        return None

    def mark_text(self) -> None:
        """From here on, text is new."""
        self._good_at, self._stopped_at = self.text_from, None

    def _nobody_asked(self) -> None:
        self.unexpected += 1
        self.noise += 1

    def _damage(self, reason: str) -> tuple[int, Reply]:
        self.noise += 1
        return 0, Malformed(reason)

    def _misfit(self, reply: Reply) -> tuple[int, Reply]:
        """Handle a reply that does not fit: an old one that the line repeats, or other firmware."""
        self.unexpected += 1
        self._misfits += 1
        if self._misfits >= MISFITS:
            why = reply.reason if isinstance(reply, Malformed) else "they answer other requests"
            raise WrongFirmware(
                f"the replies on port {self.link.name} do not fit the requests ({why})",
                FLASH_IT,
            )
        return self._damage("answer to another request")

    def _receive(self, deadline: Deadline) -> Frame | BadFrame | None:
        while not self._arrived:
            if self._stopped_at is not None:  # no answer comes to what was sent before
                deadline = Deadline(min(deadline.at, self._stopped_at + STOPPED_S), deadline.clock)
            data = self._read(deadline)
            if not data:
                if not self._decoder.whole:
                    return None
                self.noise += 1
                return next(self._decoder.feed(b"\0"))
            self.bytes_in += len(data)
            self._heard += data
            del self._heard[:-HEARD]
            self._arrived.extend(self._decoder.feed(data))
            if self._stopped_at is None and self._has_stopped():
                self._stopped_at = self.now()
            if not self._arrived and deadline.expired:  # text that never ends
                return None
        frame = self._arrived.popleft()
        if not self._arrived:  # text may have come with this frame, in the same bytes
            self.text_from = self.bytes_in - self._decoder.kept
        return frame

    def _has_stopped(self) -> bool:
        """Whether the text since the last valid reply says that the board crashed or boots."""
        if not self._decoder.unfinished and all(isinstance(one, Frame) for one in self._arrived):
            return False
        new = min(self.bytes_in - self._good_at, _STOPPED_TEXT)
        return new > 0 and stopped(text_of(bytes(self._heard[-new:])))

    def _read(self, deadline: Deadline) -> bytes:
        """The next bytes; empty at the deadline, or when a frame lacks only its delimiter."""
        if self._decoder.unfinished:
            soon = deadline.sooner(QUIET_S)
            data = self.link.read(soon)
            if data or soon.at == deadline.at or self._decoder.whole:
                return data
        return self.link.read(deadline)


def other_version(port: str, version: int) -> WrongFirmware:
    """The error for a board that speaks another protocol version."""
    return WrongFirmware(
        f"the board on {port} speaks protocol {version}, this harness {PROTOCOL_VERSION}",
        FLASH_IT,
    )


def refused(reply: Refusal) -> DeviceRefused:
    """The error for an ERROR frame."""
    needed, available = reply.needed, reply.available
    said: dict[int, tuple[str, str]] = {
        ErrorCode.LENGTH: (
            f"received {available} bytes of input, but expects {needed}",
            "check that the data set fits the model",
        ),
        ErrorCode.MODEL: (
            f"has {available} models, but the request was for number {needed}",
            "flash it again",
        ),
        ErrorCode.ENCODING: ("does not support this input encoding", "send float32 or pixels"),
        ErrorCode.ARENA: (
            f"needs an arena of {needed} bytes, but has {available}",
            "use a smaller model or the engine `aot`",
        ),
        ErrorCode.LAYER: (
            f"shows {available} layers of this model, but the request was for number {needed}",
            "only the engines `aot` and `aot-fast` show layers",
        ),
        ErrorCode.ENGINE: (
            f"failed in its inference engine with code {needed}",
            "look up the code in the engine's source",
        ),
    }
    if reply.code == ErrorCode.STEP:
        return StateLost(
            f"the board is at step {needed} of its sequence, the request was for step {available}",
            "it was reset, or another program used it: run the same command again",
            code=reply.code,
        )
    if reply.code == ErrorCode.TYPE and reply.request == Kind.RESET_STATE:
        said[ErrorCode.TYPE] = (
            "cannot reset the state of a model",
            FLASH_IT,
        )
    if reply.code == ErrorCode.TYPE and reply.request == Kind.REPEAT:
        said[ErrorCode.TYPE] = ("cannot repeat an inference: its firmware is older", FLASH_IT)
    if reply.code == ErrorCode.REPEAT:
        said[ErrorCode.REPEAT] = _unrepeatable(needed, available)
    if reply.code == ErrorCode.TYPE and reply.request in (Kind.LAYERS, Kind.PROFILE):
        said[ErrorCode.TYPE] = (
            "does not show layers",
            "flash firmware built with HIL_LAYERS=1",
        )
    unknown = (f"refused with code {reply.code}", FLASH_IT)
    what, hint = said.get(reply.code, unknown)
    return DeviceRefused(f"the board {what}", hint, code=reply.code)


def _unrepeatable(needed: int, available: int) -> tuple[str, str]:
    if available == 0:
        return "cannot repeat an inference of a model with state", "measure single inferences of it"
    if available == 1:
        return (
            "cannot repeat the inference: the sketch overwrites its input",
            "let predict leave its input as it is, or measure single inferences",
        )
    return f"does not repeat an inference {needed} times", f"choose 1 to {available}"


def fits(reply: Reply, check: int) -> bool:
    """Whether ``reply`` answers the request whose `check_of` is ``check``.

    Kinds without such a field are trusted for their sequence number.
    """
    return not isinstance(reply, Result | Piece | Profile | Repeated) or reply.check == check
