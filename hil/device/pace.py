# SPDX-License-Identifier: Apache-2.0
"""How long to wait for an answer, when to give up, and at which baud rate, by past round trips.

A board takes as long for one input as for the one before, so several round trips of silence mean
that something was lost (`Pace.timeout`). A line that damages nine requests of ten still gets the
work done, in ten times the time, so losses in a row prove nothing: a line is hopeless when almost
nothing passes for seconds (`Pace.judge`). `Rates` changes the baud rate.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from hil.core.errors import (
    BoardCrashed,
    DeviceError,
    DeviceRefused,
    HilError,
    LineHopeless,
    LinkError,
    NoAnswer,
)
from hil.core.records import Hello
from hil.device.line import QUIET_S, Line
from hil.wire.frames import Frame, check_of, encode_request
from hil.wire.messages import Rate, Reply, baud_request, hello_request

ATTEMPTS: Final = 5  # with a silent board
MARGIN: Final = 4  # times the longest undisturbed round trip
NUDGE_S: Final = 0.1
SAFE_S: Final = 1.0  # shortest timeout: a machine under load may pause this long
FORGETS: Final = 256  # answers after which a long pause counts a third
RECENT: Final = 512  # requests that are judged
FEWEST: Final = 20  # of them must be answered: 4 %, which is 25 attempts per answer
JUDGED_S: Final = 5.0
NONE_OF: Final = 128  # requests lost in a row ...
NONE_S: Final = 10.0  # ... for at least this long
LONGEST_S: Final = 60.0  # the same for fewer losses, when each takes a timeout
FEW: Final = 16  # attempts that any request may need
CRASHES: Final = 3  # timeouts without a frame, while the board prints that it crashes or restarts
LUCK: Final = 1e-9  # losses less probable than this are due to the request itself


class Pace:
    """How long the requests of one line take, and how many of them are answered."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._longest: dict[object, float] = {}  # round trips, undisturbed
        self._rough: dict[object, float] = {}  # disturbed ones
        self._recent: deque[tuple[float, bool]] = deque(maxlen=RECENT)
        self._answered = 0  # of the recent
        self.losses = 0
        self.begin()

    def begin(self) -> None:
        """Start a new task: earlier losses do not count against it."""
        self._since = self._silent_since = self._line.now()
        self._lost = 0  # since the last answer
        self._heard = self._line.bytes_in
        self._line.mark_text()
        self._since_answer()
        self._silences = self._timeouts = 0

    def _since_answer(self) -> None:
        """From now on, no frame has come, and no text."""
        self._answered_by = self._line.text_from, self._line.frames_in
        self._stopped = 0  # timeouts after the board printed that it crashed or boots

    def timeout(self, key: object, guess: float | None = None) -> float:
        """Seconds of silence that mean a loss for requests like ``key``.

        ``guess`` is a round trip for those that were never measured. Doubles with each silence, up
        to ``Timing.reply``.
        """
        most = self._line.timing.reply
        known = self.measured(key)
        known = guess if known is None else known
        if known is None:
            return most
        return min(most, max(SAFE_S, MARGIN * known) * 2.0**self._timeouts)

    def patience(self, key: object) -> float:
        """Seconds of silence after which it is worth nudging the board: `timeout` without its
        minimum of a second."""
        known = self.measured(key)
        return self.timeout(key) if known is None else max(NUDGE_S, MARGIN * known)

    def quiet(self, key: object) -> float:
        """Seconds of silence after which no more answers to requests in flight come."""
        return min(self.timeout(key), max(QUIET_S, 2 * (self.measured(key) or 0.0)))

    def measured(self, key: object) -> float | None:
        """The longest recent round trip of ``key``, in seconds; undisturbed if possible."""
        return self._longest.get(key, self._rough.get(key))

    def answered(self, key: object, seconds: float, *, disturbed: bool) -> None:
        """Count a request that was answered ``seconds`` after it was sent.

        The time of a ``disturbed`` one is used only until there is a better one.
        """
        if disturbed:
            self._rough[key] = max(seconds, self._rough.get(key, 0.0))
        else:
            longest = self._longest.get(key, 0.0)
            # a pause of this machine is forgotten after a few hundred answers
            self._longest[key] = max(seconds, longest + (seconds - longest) / FORGETS)
        self._since = self._note(answered=True)
        self._lost = self._timeouts = self._silences = 0
        self._since_answer()

    def lost(self) -> None:
        """Count a request that was probably lost."""
        self._note(answered=False)
        self._lost += 1
        self.losses += 1

    def timed_out(self) -> None:
        """Count a silence as long as `timeout` says."""
        self._timeouts += 1
        self._stopped += self._line.stopped
        heard = self._line.bytes_in
        if heard == self._heard:
            self._silences += 1
        else:
            self._silences, self._silent_since = 1, self._line.now()
        self._heard = heard

    def _note(self, *, answered: bool) -> float:
        now = self._line.now()
        if len(self._recent) == RECENT:
            self._answered -= self._recent[0][1]
        self._recent.append((now, answered))
        self._answered += answered
        return now

    def judge(self, what: str, attempts: int = 0) -> None:
        """Raise LineHopeless, or NoAnswer for a silent board, when more attempts are useless.

        ``what`` names the request, which was sent ``attempts`` times. What the board prints since
        its last answer tells why, if it crashes or restarts whenever it gets this request.
        """
        text_from, frames = self._answered_by
        alone = self._line.frames_in == frames
        if alone and (self._stopped or self._timeouts >= CRASHES):
            known = self._line.diagnosis(text_from)
            # two boots in a row can be chance, a panic is not
            if known and (known.symptom.times == 1 or self._timeouts >= CRASHES):
                raise known.error(self._line.link.name)
            if self._stopped >= CRASHES:
                raise self._restarted()
        silent_s = self._line.now() - self._silent_since
        patience = ATTEMPTS * self._line.timing.reply
        if self._silences >= ATTEMPTS and silent_s >= 0.99 * patience:
            raise self._silent(what)
        lost_s = self._line.now() - self._since
        if self._lost >= NONE_OF and lost_s >= NONE_S:
            raise self._hopeless(what)
        longest_s = max(LONGEST_S, 3 * self._line.timing.reply)
        if self._lost >= ATTEMPTS > self._silences and lost_s >= longest_s:
            raise self._hopeless(what)
        if len(self._recent) == RECENT and self._answered < FEWEST:
            if self._line.now() - self._recent[0][0] >= JUDGED_S:
                raise self._hopeless(what)
        elif attempts > self._most_attempts():
            raise LineHopeless(
                f"{what}: sent {attempts} times on port {self._line.link.name} without an answer, "
                f"while {self._share():.0%} of the other requests were answered",
                "check for bytes that the line or the board's UART does not carry (XON/XOFF)",
            )

    def _most_attempts(self) -> float:
        """Attempts per request that bad luck can explain, at the loss rate of this line."""
        passes = min(0.9, max(FEWEST / RECENT, self._share()))
        return max(float(FEW), math.log(LUCK) / math.log1p(-passes))

    def _share(self) -> float:
        return self._answered / max(1, len(self._recent))

    def _hopeless(self, what: str) -> DeviceError:
        line, counts = self._line.link, self._line.counts()
        if not counts.damaged_in and not counts.damaged_out and not self._line.diagnosis():
            return NoAnswer(
                f"{what}: no answer on port {line.name}, though no frame was damaged and the board "
                "answered other requests",
                "the board restarts or hangs at this request: `pio device monitor` shows what it "
                "prints",
            )
        share, of = self._share(), len(self._recent)
        self._recent.clear()  # the line may be repaired before the next request
        self._answered = 0
        known = self._line.diagnosis()  # by the text of the board, or what the line left of it
        aside = f'; meanwhile the board printed "{known.said}"' if known else ""
        return LineHopeless(
            f"{what}: line {line.name} is hopeless at {line.baud} baud: "
            f"{1 - share:.1%} of the last {of} requests were lost "
            f"(damaged frames so far: {counts.damaged_out} seen by the board, "
            f"{counts.damaged_in} by the host){aside}",
            "check the cable and its ground, use a shorter one, or lower the baud rate",
        )

    @property
    def silent(self) -> bool:
        """Whether nothing at all came for long enough to give up."""
        return self._silences >= ATTEMPTS

    def _restarted(self) -> BoardCrashed:
        said = f': it printed "{text}"' if (text := self._line.boot_text()) else ""
        return BoardCrashed(
            f"the board on {self._line.link.name} restarted instead of answering{said}",
            "check its power, its watchdog, and the size of its stack",
        )

    def _silent(self, what: str) -> HilError:
        name = self._line.link.name
        if known := self._line.diagnosis():
            return known.error(name)
        return NoAnswer(
            f"{what}: no valid answer on port {name} in {self._silences} attempts",
            "check the cable and the baud rate, or reset the board",
        )


RATE_S: Final = 0.5  # for each exchange that tries a rate
RATE_PROOFS: Final = 3  # HELLOs that must be answered at a new rate


class Rates:
    """Changes the line's rate, from and back to the boot rate.

    ``hello`` waits until the board answers again.
    """

    def __init__(self, line: Line, boot_baud: int | None, hello: Callable[[], object]) -> None:
        self._line = line
        self._boot_baud = boot_baud or line.link.baud
        self._hello = hello

    def speed_up(self, rates: Iterable[int]) -> int:
        """See `hil.device.Device.speed_up`."""
        for rate in sorted(rates):
            if rate > self._line.link.baud and not self._try(rate):
                break
        return self._line.link.baud

    def slow_down(self) -> None:
        """See `hil.device.Device.slow_down`."""
        if self._line.link.baud != self._boot_baud:
            self._ask(0)  # a board that does not answer returns to the boot rate by itself
            self._line.link.set_baud(self._boot_baud)

    def leave(self) -> bool:
        """Return to the boot rate when frames do not pass at this one; False if already there.

        The board does the same when frames are damaged; HELLO is repeated until it has.
        """
        if self._line.link.baud == self._boot_baud:
            return False
        self._line.link.set_baud(self._boot_baud)
        self._hello()
        return True

    def _try(self, rate: int) -> bool:
        before = self._line.link.baud
        try:
            if self._ask(rate):
                self._line.link.set_baud(rate)
            if self._line.link.baud == rate and all(self._proves() for _ in range(RATE_PROOFS)):
                return True
        except DeviceRefused:
            return False
        except LinkError:
            pass  # this end cannot set the rate: the board returns by itself
        self._line.link.set_baud(self._boot_baud)
        self._hello()
        if before != self._boot_baud:  # that rate carried frames: go back to it
            self._try(before)
        return False

    def _ask(self, rate: int) -> bool:
        reply = self._once(baud_request(self._line.number(), rate), Rate)
        return reply == Rate(rate)

    def _proves(self) -> bool:
        return self._once(hello_request(self._line.number()), Hello) is not None

    def _once(self, frame: Frame, kind: type[object]) -> Reply | None:
        self._line.send(encode_request(frame))
        deadline = self._line.timing.deadline(RATE_S)
        reply = self._line.reply(deadline, {frame.seq: check_of(frame)}, kind)
        return reply[1] if reply is not None and isinstance(reply[1], kind) else None
