# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a line, by what passed it: a pure function from `Evidence` to a `Finding`.

`hil.device.probe` gathers the evidence. The causes are tried from the most certain one on: a proof
by CRC comes before a count, and a count before a rate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hil.core.errors import HilError, LineHopeless, NoAnswer
from hil.wire.translations import TRANSLATIONS, explain, named

REPLY_BYTES: Final = 28  # of an ERROR on the line, which answers a probe
PROOFS: Final = 2  # blocks that one translation must explain
_EITHER_END: Final = (
    6  # damaged blocks that are examined, of the first and of the last: each takes 30 ms
)
REPEATS: Final = 4  # probes at either side of a limit that must agree
NEAR: Final = 12  # bytes by which the lengths of such probes vary
FEWEST: Final = 3  # failures that show a rate
_BITS: Final = 8
_RATES: Final = (1e-8, 0.2)  # bit error rates that are considered

# byte values by what a line may do to them; a probe has only ordinary ones and those of one class
CLASSES: Final = {
    "xon": frozenset(b"\x11\x13"),
    "lf": frozenset(b"\n"),
    "cr": frozenset(b"\r"),
    "ff": frozenset(b"\xff"),
    "high": frozenset(range(0x80, 0xFF)),
}
SPECIAL: Final = frozenset().union(*CLASSES.values())
# classes that do not pass -> the translation that does this; None: line ends, in one of many ways
_BY_CLASSES: Final = {
    frozenset({"xon"}): "xon-xoff",
    frozenset({"high", "ff"}): "seven-bits",
    frozenset({"ff"}): "telnet",
}
_LINE_ENDS: Final = frozenset({"lf", "cr"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """One probe: its length on the line in bytes, its class ("" for ordinary bytes only), and
    whether the board answered it."""

    length: int
    kind: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a line.

    ``heard``: blocks between delimiters that are not valid frames; ``expected``: frames that the
    board may have sent. ``echoes``: requests that came back as they were; ``replies``: valid
    replies. ``longest``: bytes of the longest request so far. ``others``: programs that also have
    the port open.
    """

    probes: tuple[Outcome, ...] = ()
    heard: tuple[bytes, ...] = ()
    expected: tuple[bytes, ...] = ()
    echoes: int = 0
    replies: int = 0
    longest: int = 0
    baud: int = 0
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause in words; ``code`` names it for programs."""

    code: str
    what: str
    hint: str
    error: type[HilError] = LineHopeless


def verdict(of: Evidence) -> Finding | None:
    """The cause that explains the evidence best; None if nothing does."""
    tries: tuple[Callable[[Evidence], Finding | None], ...] = (
        _echo,
        _from_board,
        _to_board,
        _limit,
        _other_program,
        _noise,
    )
    found = next((one for one in (attempt(of) for attempt in tries) if one), None)
    if found and of.others and found.code != "other-program":
        also = f"{found.what}; {_has_it_open(of.others)}"
        return Finding(found.code, also, found.hint, found.error)
    return found


def _echo(of: Evidence) -> Finding | None:
    if of.echoes < PROOFS or of.replies:
        return None
    return Finding(
        "echo",
        f"the port sends back what the host sends ({of.echoes} requests came back), and no board "
        "answers",
        "check that TX and RX are not joined, that the cable leads to a board, and that no "
        "terminal or modem echoes (`stty -F PORT raw -echo`)",
        NoAnswer,
    )


def _from_board(of: Evidence) -> Finding | None:
    """A translation that explains damaged replies, by their CRC."""
    heard = of.heard[:_EITHER_END] + of.heard[_EITHER_END:][-_EITHER_END:]
    counts = Counter(name for block in heard for name in explain(block, of.expected))
    if not counts:
        return None
    most = max(counts.values())
    name = next(one.name for one in TRANSLATIONS if counts[one.name] == most)
    return _translated(name, "from the board") if most >= PROOFS else None


def _to_board(of: Evidence) -> Finding | None:
    """Probes of one class never pass, while ordinary ones of the same length do."""
    tried: dict[str, list[bool]] = {}
    for probe in of.probes:
        tried.setdefault(probe.kind, []).append(probe.passed)
    short = [one.passed for one in of.probes if not one.kind and one.length <= _shortest(of) + NEAR]
    if sum(short) < PROOFS or not all(short):
        return None
    never = {kind for kind, passed in tried.items() if kind and not any(passed)}
    if any(len(tried[kind]) < PROOFS for kind in never):
        return None
    mixed = [kind for kind, passed in tried.items() if kind in CLASSES and any(passed)]
    if any(not all(tried[kind]) for kind in mixed):
        return None  # some pass, some do not: that is noise
    if never and never <= _LINE_ENDS:
        bytes_named = " and ".join("0x0A" if one == "lf" else "0x0D" for one in sorted(never)[::-1])
        return Finding(
            "line-ends",
            f"the line translates line ends on the way to the board: {bytes_named} does not arrive "
            "as it was sent",
            named("cr-to-lf").hint,
        )
    name = _BY_CLASSES.get(frozenset(never))
    return _translated(name, "to the board") if name else None


def _shortest(of: Evidence) -> int:
    return min((one.length for one in of.probes if not one.kind), default=0)


def _translated(name: str, way: str) -> Finding:
    one = named(name)
    return Finding(name, f"the line, on the way {way}, {one.what}", one.hint)


def _limit(of: Evidence) -> Finding | None:
    """Requests up to some length pass, longer ones never."""
    plain = [one for one in of.probes if not one.kind]
    passed = [one.length for one in plain if one.passed]
    failed = [one.length for one in plain if not one.passed]
    if not passed or not failed or max(passed) >= min(failed):  # it is not a limit
        return None
    most, least = max(passed), min(failed)
    near = sum(one >= most - NEAR for one in passed), sum(one <= least + NEAR for one in failed)
    if min(near) < REPEATS:
        return None
    return Finding(
        "receive-buffer",
        f"requests longer than about {most:,} bytes never pass, shorter ones always do: a receive "
        f"buffer of about {most:,} bytes overflows",
        f"enlarge the receive buffer of the board (or of the adapter) to {of.longest:,} bytes, the "
        "longest request, for example by Serial.setRxBufferSize or SERIAL_RX_BUFFER_SIZE; a lower "
        "baud rate helps only if the board reads too late",
    )


def _other_program(of: Evidence) -> Finding | None:
    if not of.others:
        return None
    return Finding(
        "other-program",
        f"{_has_it_open(of.others)} and takes bytes from it",
        "close it (a serial monitor, a terminal, ModemManager), then run the same command",
        NoAnswer,
    )


def _has_it_open(others: Sequence[str]) -> str:
    verb = "has" if len(others) == 1 else "have"
    return f"{' and '.join(others)} also {verb} the port open"


def _noise(of: Evidence) -> Finding | None:
    """Damage that grows with length, as single bits that flip do."""
    plain = [one for one in of.probes if not one.kind]
    rate = bit_error_rate(plain)
    if rate is None:
        return None
    middle = sorted(one.length for one in plain)[len(plain) // 2]
    short = [one.passed for one in plain if one.length < middle] or [one.passed for one in plain]
    long = [one.passed for one in plain if one.length >= middle]
    return Finding(
        "bit-errors",
        f"damage grows with length: {sum(short)} of {len(short)} requests shorter than "
        f"{middle:,} bytes passed, {sum(long)} of {len(long)} longer ones, as if one bit in "
        f"{_round(1 / rate):,} were wrong",
        "lower the baud rate (serial.baud in the board's file, and its firmware's), use a shorter "
        "cable with its own ground, and keep it away from motors and power supplies",
    )


def bit_error_rate(probes: Sequence[Outcome]) -> float | None:
    """The rate under which these outcomes are most likely, if each bit may be wrong on its own.

    None if nothing was damaged or nothing passed.
    """
    failed = [one for one in probes if not one.passed]
    if len(failed) < FEWEST or len(failed) == len(probes):
        return None

    def slope(rate: float) -> float:
        """Of the log-likelihood, by -log(1 - rate)."""
        total = 0.0
        for one in probes:
            bits = _BITS * (one.length + REPLY_BYTES)
            clean = math.exp(bits * math.log1p(-rate))
            total += -bits if one.passed else bits * clean / max(1e-300, 1 - clean)
        return total

    low, high = _RATES
    for _ in range(80):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return math.sqrt(low * high)


def _round(number: float) -> int:
    """To two digits."""
    scale = 10.0 ** max(0, int(math.log10(max(1.0, number))) - 1)
    return int(round(number / scale) * scale)
