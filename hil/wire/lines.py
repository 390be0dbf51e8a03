# SPDX-License-Identifier: Apache-2.0
"""Bytes that a sketch prints -> lines -> answers, by the patterns of `hil.wire.patterns`.

Pure: no port, no clock. What boards print is untrusted: a line has a bounded length. A pattern must
match a whole line (white space at its ends does not count), so that half a number is never taken
for a number.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hil.core.text import printable, shorten
from hil.wire.patterns import PARTS, PREDICTION, Patterns

MAX_LINE: Final = 65_536  # bytes; a thousand outputs take about 12,000
MAX_OUTPUTS: Final = 65_536  # of one answer
_MAX_FLOAT32: Final = 3.4028234663852886e38
WRAP: Final = 1 << 32  # after which millis() and micros() start at 0 again

# what `Reader.dropped` counts
NOISE: Final = "lines with bytes that are not text"
TOO_LONG: Final = f"lines longer than {MAX_LINE:,} bytes"
CUT: Final = "lines without a beginning or an end"
PARTLY: Final = "lines that a pattern matched only in part"
AMBIGUOUS: Final = "lines that two patterns matched differently"
INCOMPLETE: Final = "answers with a missing part"
BAD_TIME: Final = "times that are not possible"


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end; ``fault`` is why it cannot be an answer, or empty."""

    text: str
    fault: str = ""


@dataclass
class Splitter:
    """Bytes as they arrive -> whole lines, which end in LF or CR LF.

    ``joined``: the first bytes may be the rest of a line, which is then `CUT`.
    """

    joined: bool = False
    _line: bytearray = field(default_factory=bytearray)
    _long: bool = False

    def feed(self, data: bytes) -> Iterator[Line]:
        """The lines that ``data`` completes."""
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._add(piece)
            yield self._ended()
        self._add(rest)

    def close(self) -> Iterator[Line]:
        """The line that did not end, if there is one: it may be cut off."""
        text = self._text()
        self._line.clear()
        if text.strip():
            yield Line(text, CUT)

    @property
    def half(self) -> str:
        """The beginning of the line that has not ended."""
        return self._text()

    def discard(self) -> None:
        """Forget the line that has not ended."""
        self._line.clear()
        self._long = self.joined = False

    def _add(self, piece: bytes) -> None:
        room = MAX_LINE - len(self._line)
        self._long |= len(piece) > room
        self._line += piece[:room]

    def _ended(self) -> Line:
        raw, fault = bytes(self._line), ""
        if self._long:
            fault = TOO_LONG
        elif self.joined:
            fault = CUT
        elif not _is_text(raw):
            fault = NOISE
        found = Line(self._text(), fault)
        self._line.clear()
        self._long = self.joined = False
        return found

    def _text(self) -> str:
        return bytes(self._line).decode("utf-8", "backslashreplace").strip()


def _is_text(raw: bytes) -> bool:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\t\r" for c in text)


_PLAIN: Final = re.compile(
    r"([+-]?)(?:([0-9]{1,40})(?:\.([0-9]{0,40}))?|\.([0-9]{1,40}))"
    r"(?:[eE]([+-]?[0-9]{1,4})|\*2\^([+-]?[0-9]{1,4}))?"
)
_NOT_FINITE: Final = re.compile(r"[+-]?(?:nan|inf|infinity|ovf)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Number:
    """``value`` as printed, and the value of its last printed digit; 0 for a whole number."""

    value: float
    digit: float


def parse_number(text: str) -> Number | str:
    """A decimal number, or what is wrong with it. "1.5*2^-1" is how older TFLM prints 0.75."""
    text = text.strip()
    if _NOT_FINITE.fullmatch(text):
        return f"{printable(text)} is not finite"
    found = _PLAIN.fullmatch(text)
    if found is None:
        return f"{shorten(printable(text), 30)!r} is not a number"
    sign, whole, decimals, only, exponent, power = found.groups()
    digits = decimals or only or ""
    base = float(f"{sign}{whole or '0'}.{digits or '0'}e{exponent or 0}")
    scale = 10.0 ** min(300, int(exponent or 0)) * 2.0 ** min(1000, int(power or 0))
    value = base * 2.0 ** min(1000, int(power or 0))
    if not abs(value) <= _MAX_FLOAT32:
        return f"{shorten(printable(text), 30)} is not finite"
    fraction = bool(digits or exponent or power)
    return Number(value, 10.0 ** -len(digits) * scale if fraction else 0.0)


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """One answer. ``fault``: why it does not count, or empty.

    ``label``: the class that the sketch names, ``truth`` the one that it expects. ``us``: the time
    in microseconds, to ``step``. ``digit``: the last printed digit of an output (`Number`).
    """

    label: int | None = None
    outputs: tuple[float, ...] = ()
    names: tuple[str, ...] = ()  # of the outputs, where the sketch prints them
    us: int | None = None
    step: int = 1
    index: int | None = None
    truth: int | None = None
    digit: float = 0.0
    fault: str = ""

    @property
    def predicted(self) -> tuple[int | None, tuple[float, ...]]:
        """What two answers to one sample must have in common."""
        return self.label, self.outputs

    @property
    def chosen(self) -> int:
        """The class: as named, or that of the largest output, the first of equals."""
        return self.label if self.label is not None else self.outputs.index(max(self.outputs))


class Reader:
    """Lines -> answers, in order.

    An answer is complete when it has every part that the patterns find, or at a line with the
    group ``last``; otherwise as soon as one of its parts comes again, or at `flush`. It counts if
    it has the parts in `Patterns.needs`. ``classes``: names of the classes, for labels that are
    not numbers. ``outputs``: how many an answer has; None: as many as come. ``dropped`` counts
    lines and answers that do not count, ``first`` has an example of each.
    """

    def __init__(
        self, patterns: Patterns, classes: Sequence[str] = (), outputs: int | None = None
    ) -> None:
        self.patterns = patterns
        self.classes = tuple(classes)
        self.outputs = outputs or len(self.classes) or None
        self.dropped: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        self._found: dict[str, dict[str, str]] = {}  # part -> its groups
        self._values: dict[str, str] = {}  # name, or number, of an output -> its value

    @property
    def begun(self) -> bool:
        """Whether a part of an answer has come."""
        return bool(self._found or self._values)

    @property
    def counts(self) -> bool:
        """Whether the answer so far would count."""
        parts = self._parts()
        return bool(parts & PREDICTION) and self.patterns.needs <= parts

    def take(self, line: Line) -> Iterator[TextAnswer]:
        """The answers that ``line`` completes."""
        if line.fault:
            self.drop(line.fault, line.text)
            return
        groups = self._match(line.text)
        if groups is None or "ignore" in groups:
            return
        if "name" in groups and self.classes and groups["name"].strip() not in self.classes:
            return  # such as "run_classifier returned: 0.0"
        if self._repeats(groups):
            yield from self.flush()
        for group, text in groups.items():
            if group == "value":
                self._values[groups.get("name", str(len(self._values))).strip()] = text
            elif group != "name":
                self._found.setdefault(PARTS[group], {})[group] = text
        if "last" in groups or self._is_whole():
            yield from self.flush()

    def flush(self) -> Iterator[TextAnswer]:
        """The answer so far, if it counts."""
        if self.counts:
            yield self._answer()
        elif self.begun:
            self.drop(INCOMPLETE, f"without {', '.join(sorted(self._missing()))}")
        self.discard()

    def discard(self) -> bool:
        """Forget the answer so far; False: there was none."""
        found = self.begun
        self._found, self._values = {}, {}
        return found

    def drop(self, why: str, example: str = "") -> None:
        """Count something that does not count."""
        self.dropped[why] += 1
        self.first.setdefault(why, shorten(printable(example), 80))

    def _parts(self) -> set[str]:
        return {*self._found, *(["outputs"] if self._values else [])}

    def _missing(self) -> set[str]:
        parts = self._parts()
        return set(self.patterns.needs - parts) or (
            set() if parts & PREDICTION else set(PREDICTION)
        )

    def _is_whole(self) -> bool:
        if self.patterns.by_value and len(self._values) != self.outputs:
            return False
        return self.patterns.parts - {"last"} <= self._parts() and self.counts

    def _repeats(self, groups: Mapping[str, str]) -> bool:
        if "value" in groups:
            if "name" in groups:
                return groups["name"].strip() in self._values
            return len(self._values) in (self.outputs, MAX_OUTPUTS)
        return bool({PARTS[group] for group in groups} & self._parts())

    def _match(self, text: str) -> dict[str, str] | None:
        """The groups of the pattern that matches the whole line; None if none or several do."""
        found: list[dict[str, str]] = []
        for one in self.patterns.patterns:
            if match := one.compiled.fullmatch(text):
                groups = {k: v for k, v in match.groupdict().items() if v is not None}
                if "ignore" in groups:
                    return groups
                if groups and groups not in found:
                    found.append(groups)
        if len(found) == 1:
            return found[0]
        if found:
            self.drop(AMBIGUOUS, text)
            self.discard()  # it is not known what the line is
        elif any(one.compiled.search(text) for one in self.patterns.patterns):
            self.drop(PARTLY, text)
        return None

    def _answer(self) -> TextAnswer:
        faults: list[str] = []
        outputs, digit = self._outputs(faults)
        label = self._class("label", faults)
        again = self._class("again", faults)
        if label is not None and again is not None and label != again:
            faults.append(f"the sketch predicted class {label}, and then class {again}")
        if label is not None and len(outputs) > 1:
            if label >= len(outputs):
                faults.append(f"class {label} of {len(outputs)} outputs")
            elif outputs[label] != max(outputs):
                faults.append(f"class {label} does not have the largest output")
        us, step = self._time()
        return TextAnswer(
            label=label,
            outputs=outputs,
            names=tuple(self._values) if self._is_named() else (),
            us=us,
            step=step,
            index=self._whole("index", faults),
            truth=self._class("truth", faults),
            digit=digit,
            fault="; ".join(faults[:1]),
        )

    def _is_named(self) -> bool:
        return bool(self._values) and not all(name.isdigit() for name in self._values)

    def _outputs(self, faults: list[str]) -> tuple[tuple[float, ...], float]:
        if self._values:
            order = self.classes if self._is_named() and self.classes else tuple(self._values)
            words = [self._values[name] for name in order if name in self._values]
        elif "outputs" in self._found:
            text = self._found["outputs"]["outputs"].strip().rstrip(",;")
            words = re.split(r"[ \t]*[,;][ \t]*|[ \t]+", text)
        else:
            return (), 0.0
        wanted = self.outputs
        if wanted is not None and len(words) != wanted:
            faults.append(f"{len(words)} outputs, expected {wanted}")
        elif len(words) > MAX_OUTPUTS:
            faults.append(f"more than {MAX_OUTPUTS:,} outputs")
            return (), 0.0
        numbers = [parse_number(word) for word in words]
        good = [one for one in numbers if isinstance(one, Number)]
        if len(good) < len(numbers):
            faults.append("output " + next(one for one in numbers if isinstance(one, str)))
            return (), 0.0
        digits = [one.digit for one in good if one.digit]
        return tuple(one.value for one in good), min(digits, default=0.0)

    def _class(self, part: str, faults: list[str]) -> int | None:
        found = self._found.get(part)
        if found is None:
            return None
        text = found[part].strip()
        if text in self.classes:
            return self.classes.index(text)
        number = _small(text)
        limit = len(self.classes) or max(2, self.outputs or MAX_OUTPUTS)  # one output: yes or no
        if number is None or number >= limit:
            shown = shorten(printable(text), 30)
            known = ", ".join(self.classes[:5]) or f"0 to {limit - 1}"
            faults.append(f"{part} {shown!r} is not a class ({known})")
            return None
        return number

    def _whole(self, part: str, faults: list[str]) -> int | None:
        found = self._found.get(part)
        if found is None:
            return None
        number = _small(found[part].strip())
        if number is None:
            faults.append(f"{part} {shorten(printable(found[part]), 30)!r} is not a whole number")
        return number

    def _time(self) -> tuple[int | None, int]:
        """Microseconds and their step; None for a time that is not possible."""
        groups = {
            k: v for part in ("time", "start", "end") for k, v in self._found.get(part, {}).items()
        }
        if not groups:
            return None, 1
        found = _stamps(groups) if "start" in self._found else _duration(groups)
        if isinstance(found, str):
            self.drop(BAD_TIME, found)
            return None, 1
        return found


def _small(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _duration(groups: Mapping[str, str]) -> tuple[int, int] | str:
    unit, text = next(iter(groups.items()))
    number = parse_number(text)
    if isinstance(number, str):
        return number
    scale = 1000 if unit == "ms" else 1
    if number.value < 0 or number.value * scale >= WRAP * 1000:
        return f"{shorten(printable(text), 30)} {unit}"
    whole = number.value == math.floor(number.value)  # a float difference prints 52 as 52.00
    step = scale if whole or not number.digit else max(1, round(number.digit * scale))
    return round(number.value * scale), step


def _stamps(groups: Mapping[str, str]) -> tuple[int, int] | str:
    """From two readings of millis() or micros(), which may have wrapped once between them."""
    for unit, scale in (("ms", 1000), ("us", 1)):
        if (start := groups.get(f"start_{unit}")) and (end := groups.get(f"end_{unit}")):
            one, other = (parse_number(text) for text in (start, end))
            if isinstance(one, str) or isinstance(other, str):
                return one if isinstance(one, str) else str(other)
            both = (one.value, other.value)
            if not all(0 <= value < WRAP and value == math.floor(value) for value in both):
                return f"from {printable(start)} to {printable(end)} {unit}"
            return int(both[1] - both[0]) % WRAP * scale, scale
    return "start and end in different units"
