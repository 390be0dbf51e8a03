# SPDX-License-Identifier: Apache-2.0
"""How long to wait for an answer, and when to give up: both from what this line has shown so far.

A board takes as long for an input as for the one before it, so silence of several round trips means
that something was lost. And a line that damages nine requests of ten still gets the work done, in
ten times its time, so that losses in a row prove nothing: a line is hopeless when nearly nothing
passes, for seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from hil.core.errors import DeviceError, DeviceRefused, HilError, LineHopeless, LinkError, NoAnswer
from hil.core.records import Hello
from hil.device.line import QUIET_S, Line
from hil.wire.frames import Frame, check_of, encode_request
from hil.wire.messages import Rate, Reply, baud_request, hello_request

ATTEMPTS: Final = 5  # of a board that says nothing at all
MARGIN: Final = 4  # times the longest undisturbed round trip
NUDGE_S: Final = 0.1
SAFE_S: Final = 1.0  # and never less: a machine under load may pause for as long
FORGETS: Final = 256
RECENT: Final = 512  # requests that are judged
FEWEST: Final = 20  # of them answered: 4 %, 25 sendings for each answer
JUDGED_S: Final = 5.0
NONE_OF: Final = 128  # requests lost in a row ...
NONE_S: Final = 10.0  # ... for at least so long
LONGEST_S: Final = 60.0  # the same where they are few, for most are waited for in silence
FEW: Final = 16  # sendings that any one request may need
LUCK: Final = 1e-9  # how improbable a request's losses are before it is the request


class Pace:
    """What the requests of one line take, and how many of them are answered."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._longest: dict[object, float] = {}  # undisturbed
        self._rough: dict[object, float] = {}
        self._recent: deque[tuple[float, bool]] = deque(maxlen=RECENT)
        self._answered = 0  # of the recent
        self.losses = 0
        self.begin()

    def begin(self) -> None:
        """Something new is asked: what was lost before does not count against it."""
        self._since = self._silent_since = self._line.now()
        self._lost = 0  # since the last answer
        self._heard = self._line.bytes_in
        self._silences = self._timeouts = 0

    def timeout(self, key: object, guess: float | None = None) -> float:
        """Seconds of silence that mean a loss for requests like ``key``; ``guess``: a round trip
        for those that were never measured. Doubled with each silence, up to ``Timing.reply``."""
        most = self._line.timing.reply
        known = self.measured(key)
        known = guess if known is None else known
        if known is None:
            return most
        return min(most, max(SAFE_S, MARGIN * known) * 2.0**self._timeouts)

    def patience(self, key: object) -> float:
        """Seconds of silence after which a word to the board is worth its bytes: `timeout` without
        the margin of a second."""
        known = self.measured(key)
        return self.timeout(key) if known is None else max(NUDGE_S, MARGIN * known)

    def quiet(self, key: object) -> float:
        """Seconds of silence after which nothing more of what is in flight comes."""
        return min(self.timeout(key), max(QUIET_S, 2 * (self.measured(key) or 0.0)))

    def measured(self, key: object) -> float | None:
        """The longest round trip of ``key``, in seconds, of late; undisturbed if possible."""
        return self._longest.get(key, self._rough.get(key))

    def answered(self, key: object, seconds: float, *, disturbed: bool) -> None:
        """A request was answered, ``seconds`` after it was sent; what a disturbed one took counts
        only as long as there is nothing better."""
        if disturbed:
            self._rough[key] = max(seconds, self._rough.get(key, 0.0))
        else:
            longest = self._longest.get(key, 0.0)
            # a pause of this machine is forgotten in some hundred answers
            self._longest[key] = max(seconds, longest + (seconds - longest) / FORGETS)
        self._since = self._note(answered=True)
        self._lost = self._timeouts = self._silences = 0

    def lost(self) -> None:
        """A request was, for all that is known, lost."""
        self._note(answered=False)
        self._lost += 1
        self.losses += 1

    def timed_out(self) -> None:
        """Nothing more came for as long as `timeout` says."""
        self._timeouts += 1
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
        """Raise LineHopeless, or NoAnswer of a silent board, when it is no use to go on with
        ``what``, which has been sent ``attempts`` times."""
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
        elif attempts > self._bearable():
            raise LineHopeless(
                f"{what}: sent {attempts} times on port {self._line.link.name} without an answer, "
                f"while {self._share():.0%} of the other requests were answered",
                "is there a byte that this line or the board's UART does not carry (XON/XOFF)?",
            )

    def _bearable(self) -> float:
        """Sendings of one request that are bad luck, as things go on this line."""
        passes = min(0.9, max(FEWEST / RECENT, self._share()))
        return max(float(FEW), math.log(LUCK) / math.log1p(-passes))

    def _share(self) -> float:
        return self._answered / max(1, len(self._recent))

    def _hopeless(self, what: str) -> DeviceError:
        line, counts = self._line.link, self._line.counts()
        share, of = self._share(), len(self._recent)
        self._recent.clear()  # whoever asks again may have mended the line
        self._answered = 0
        known = self._line.diagnosis()  # of the board, or of what the line made of it
        aside = f'; between them came "{known.said}"' if known else ""
        return LineHopeless(
            f"{what}: the line {line.name} is hopeless at {line.baud} baud: "
            f"{1 - share:.1%} of the last {of} requests were lost "
            f"(damaged frames so far: {counts.damaged_out} seen by the board, "
            f"{counts.damaged_in} by the host){aside}",
            "check the cable and its ground, take a shorter one, or lower the baud rate",
        )

    def _silent(self, what: str) -> HilError:
        name = self._line.link.name
        if known := self._line.diagnosis():
            return known.error(name)
        return NoAnswer(
            f"{what}: no valid answer on port {name} in {self._silences} attempts",
            "check the cable and the baud rate, or reset the board",
        )


RATE_S: Final = 0.5
RATE_PROOFS: Final = 3


class Rates:
    """Goes up and down from the rate of boot; ``hello`` waits until the board is heard again."""

    def __init__(self, line: Line, boot_baud: int | None, hello: Callable[[], object]) -> None:
        self._line = line
        self._boot_baud = boot_baud or line.link.baud
        self._hello = hello

    def speed_up(self, rates: Iterable[int]) -> int:
        """See `hil.device.device.Device.speed_up`."""
        for rate in sorted(rates):
            if rate > self._line.link.baud and not self._try(rate):
                break
        return self._line.link.baud

    def slow_down(self) -> None:
        """See `hil.device.device.Device.slow_down`."""
        if self._line.link.baud != self._boot_baud:
            self._ask(0)  # a board that does not answer returns by itself
            self._line.link.set_baud(self._boot_baud)

    def leave(self) -> bool:
        """Back to the rate of boot, where frames do not pass at this one; False when it is that.

        The board does the same when frames break; HELLO is repeated until it has."""
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
            pass  # this end cannot do it: the board returns by itself
        self._line.link.set_baud(self._boot_baud)
        self._hello()
        if before != self._boot_baud:  # it carried frames: go there again, no higher
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
