# SPDX-License-Identifier: Apache-2.0
"""Recordings that an instrument's own program saved: `.csv`, `.ppk2` and `.jls`."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError, UsageError
from hil.core.text import printable, shorten
from hil.energy.trace import Bools, Floats, Trace, checked

if TYPE_CHECKING:
    import pandas as pd

LARGEST: Final = 4 << 30  # bytes of a recording
_FRAME: Final = np.dtype([("microamperes", "<f4"), ("bits", "<u2")])  # of session.raw
_UNITS: Final = {
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
    "a": 1.0,
    "ma": 1e-3,
    "ua": 1e-6,
    "na": 1e-9,
    "v": 1.0,
    "mv": 1e-3,
}
_UNIT: Final = re.compile(r"[(\[]\s*(\S{1,3})\s*[)\]]\s*$")
_UNEVEN: Final = 0.5  # of the time between samples; a step that is longer by more lost samples
_MOST_LOST: Final = 0.5  # share of a recording


@dataclass(frozen=True, slots=True)
class Given:
    """What the user states about a recording: ``volts`` where it has no voltage, ``rate`` in
    samples per second where it has no time, ``gate``: name of the digital channel."""

    volts: float | None = None
    rate: float | None = None
    gate: str = ""


def read_trace(path: Path, given: Given = Given()) -> Trace:
    """The recording in ``path``, by its suffix.

    Raises DataError if it is damaged or not what it seems; UsageError if something must be given.
    """
    where = printable(str(path))
    readers = {".csv": _csv, ".ppk2": _ppk2, ".jls": _jls}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{where}: hil reads {', '.join(readers)}",
            "export the recording as CSV from the instrument's program",
        )
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise DataError(f"{where} has {size:,} bytes", f"{LARGEST:,} is the limit")
        return checked(reader(path, where, given))
    except OSError as problem:
        raise DataError(f"cannot read {where} ({problem.strerror})", "check its path") from None


def _voltage(given: Given, n: int, where: str) -> Floats:
    if given.volts is None:
        raise UsageError(f"{where} has no voltage", "give the supply's with --voltage 3.3")
    return np.full(n, given.volts)


def _csv(path: Path, where: str, given: Given) -> Trace:
    """A table with a column of time or --rate, and one of current, whose names end in their unit:
    as nRF Connect Power Profiler, Otii and Joulescope export them."""
    import pandas as pd  # takes half a second

    try:
        frame = pd.read_csv(path, dtype={"D0-D7": str}, skipinitialspace=True)
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as problem:
        raise DataError(
            f"{where} is not a table of comma-separated values "
            f"({shorten(printable(str(problem)), 80)})",
            "export it again",
        ) from None
    names = [str(name) for name in frame.columns]
    current = _column(frame, names, ("current", "main current"), where)
    if current is None:
        raise DataError(
            f"{where} has no column of current: {shorten(printable(', '.join(names)), 120)}",
            'its name must begin with "current" and end in a unit, as "Current(uA)"',
        )
    voltage = _column(frame, names, ("voltage", "main voltage"), where)
    time = _column(frame, names, ("time", "timestamp", "relative time", "elapsed"), where)
    if time is None and given.rate is None:
        raise UsageError(f"{where} has no column of time", "give its sample rate with --rate")
    gate = _gate_of(frame, names, given.gate, where)
    volts = _voltage(given, len(frame), where) if voltage is None else voltage
    if time is None:
        assert given.rate is not None
        return Trace(where, given.rate, current, volts, gate)
    return _even(where, time, current, volts, gate, given.rate)


def _column(
    frame: pd.DataFrame, names: list[str], starts: tuple[str, ...], where: str
) -> Floats | None:
    """The first column whose name begins with one of ``starts``, in SI units."""
    for i, name in enumerate(names):
        if not name.strip().lower().startswith(starts):
            continue
        found = _UNIT.search(name)
        unit = found[1].lower().replace("µ", "u").replace("μ", "u") if found else ""
        if unit not in _UNITS:
            raise DataError(
                f"{where}: column {shorten(printable(name), 60)!r} has no unit that hil knows",
                'name it as "Current(uA)" or "Time(s)"',
            )
        try:
            values = frame.iloc[:, i].to_numpy(np.float64)
        except (ValueError, TypeError):
            raise DataError(
                f"{where}: column {shorten(printable(name), 60)!r} has text where a number belongs",
                "export it again",
            ) from None
        return np.asarray(values * _UNITS[unit])
    return None


def _gate_of(frame: pd.DataFrame, names: list[str], gate: str, where: str) -> Bools | None:
    """The digital channel ``gate``, or the first; eight channels in one column are one string per
    sample, channel D0 first."""
    columns: dict[str, Any] = {}
    for i, name in enumerate(names):
        short = name.strip()
        if short == "D0-D7":
            text = frame.iloc[:, i].fillna("").str.zfill(8)
            columns |= {f"D{bit}": text.str[bit] == "1" for bit in range(8)}
        elif re.match(r"(D\d|GPI|gpi|digital|gate)", short):
            columns[short] = frame.iloc[:, i].to_numpy() > 0
    if gate and gate not in columns:
        known = ", ".join(columns) or "none"
        raise UsageError(f"{where} has no digital channel {gate}", f"it has: {known}")
    if not columns:
        return None
    return np.asarray(columns[gate or next(iter(columns))], np.bool_)


def _even(
    where: str,
    time: Floats,
    current: Floats,
    voltage: Floats,
    gate: Bools | None,
    rate: float | None,
) -> Trace:
    """A trace at a constant rate; where the time jumps, samples are lost."""
    steps = np.diff(time)
    if len(steps) == 0 or not np.isfinite(time).all() or not (steps > 0).all():
        raise DataError(f"{where}: its time does not increase in every line", "export it again")
    # the exported time is rounded, so the mean of the regular steps is better than one of them
    typical = float(np.median(steps))
    regular = steps[np.abs(steps - typical) <= _UNEVEN * typical]
    step = float(regular.mean()) if regular.size else typical
    if rate is not None and abs(rate * step - 1) > 0.01:
        raise UsageError(
            f"{where}: its time says {1 / step:,.6g} samples per second, and --rate {rate:,.6g}",
            "leave out --rate",
        )
    at = np.arange(len(time))
    if (steps > (1 + _UNEVEN) * typical).any():
        at = np.round((time - time[0]) / step).astype(np.int64)
    n = int(at[-1]) + 1
    if len(time) < (1 - _MOST_LOST) * n:
        raise DataError(
            f"{where}: {n - len(time):,} of {n:,} samples are missing",
            "export every sample, not only those that changed",
        )
    full_current, full_voltage = np.full(n, np.nan), np.full(n, np.nan)
    full_current[at], full_voltage[at] = current, voltage
    held: Bools | None = None
    if gate is not None:
        index = np.zeros(n, np.int64)
        index[at] = np.arange(len(at))
        held = gate[np.maximum.accumulate(index)]
    return Trace(where, 1 / step, full_current, full_voltage, held)


def _ppk2(path: Path, where: str, given: Given) -> Trace:
    """A file of nRF Connect Power Profiler 4: a ZIP archive; session.raw has a float32 in
    microamperes and eight pairs of bits per sample, of which 2 is a channel that was always high.
    """
    again = "save the recording again"
    try:
        with zipfile.ZipFile(path) as archive:
            facts = json.loads(_member(archive, "metadata.json", 1 << 20, where))
            raw = _member(archive, "session.raw", LARGEST, where)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as problem:
        raise DataError(
            f"{where} is not a recording of nRF Connect Power Profiler "
            f"({shorten(printable(str(problem)), 80)})",
            again,
        ) from None
    rate = _found(facts, "samplesPerSecond")
    if len(raw) % _FRAME.itemsize or rate is None:
        raise DataError(f"{where} is truncated or has no sample rate", again)
    frames = np.frombuffer(raw, _FRAME)
    channel = given.gate or "D0"
    if not re.fullmatch(r"D[0-7]", channel):
        raise UsageError(f"{where} has no digital channel {channel}", "choose D0 to D7")
    pairs = frames["bits"] >> (2 * int(channel[1])) & 3
    gate = None if (pairs == 0).all() else np.asarray(pairs == 2)
    current = frames["microamperes"].astype(np.float64) * 1e-6
    return Trace(where, rate, current, _voltage(given, len(frames), where), gate)


def _member(archive: zipfile.ZipFile, name: str, most: int, where: str) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise DataError(f"{where} has no {name}", "save the recording again") from None
    if info.file_size > most:
        raise DataError(f"{where}: {name} has {info.file_size:,} bytes", f"{most:,} is the limit")
    with archive.open(info) as stream:
        content = stream.read(most + 1)
    if len(content) != info.file_size:
        raise DataError(f"{where}: {name} is not as long as it says", "save the recording again")
    return content


def _found(facts: object, key: str) -> float | None:
    """The number ``key`` of a JSON object, or of an object in it."""
    if not isinstance(facts, dict):
        return None
    value = facts.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    inside = (_found(one, key) for one in facts.values() if isinstance(one, dict))
    return next((one for one in inside if one is not None), None)


def _jls(path: Path, where: str, given: Given) -> Trace:
    """A Joulescope recording, by its maker's library. Current and voltage may have another rate
    than the digital inputs; all are brought to the current's."""
    try:
        from pyjls import Reader
    except ImportError:
        raise UsageError(
            f"{where}: .jls files need the package pyjls", 'pip install "tinyml-hil[energy]"'
        ) from None
    try:
        with Reader(str(path)) as reader:
            signals = {one.name: one for one in reader.signals.values() if one.length}
            if "current" not in signals:
                raise DataError(f"{where} has no current", "record current and voltage")
            current = signals["current"]
            rate, n = float(current.sample_rate), int(current.length)
            if 4 * n > LARGEST:
                raise DataError(f"{where} has {n:,} samples", f"{LARGEST // 4:,} is the limit")
            amperes = np.asarray(reader.fsr(current.signal_id, 0, n), np.float64)
            volts = _voltage_of(reader, signals, n, rate, where, given)
            gate = _bits_of(reader, signals, n, rate, where, given)
    except (ValueError, RuntimeError, KeyError) as problem:
        raise DataError(
            f"{where} is not a Joulescope recording, or is truncated "
            f"({shorten(printable(str(problem)), 80)})",
            "save the recording again",
        ) from None
    return Trace(where, rate, amperes, volts, gate)


def _voltage_of(reader: Any, signals: Any, n: int, rate: float, where: str, given: Given) -> Floats:
    if "voltage" not in signals or given.volts is not None:
        return _voltage(given, n, where)
    voltage = signals["voltage"]
    values = np.asarray(reader.fsr(voltage.signal_id, 0, int(voltage.length)), np.float64)
    return _at_rate(values, n, float(voltage.sample_rate) / rate)


def _bits_of(
    reader: Any, signals: Any, n: int, rate: float, where: str, given: Given
) -> Bools | None:
    names = [name for name in signals if name.startswith("gpi") or name == given.gate]
    if given.gate and given.gate not in signals:
        known = ", ".join(names) or "none"
        raise UsageError(f"{where} has no digital channel {given.gate}", f"it has: {known}")
    if not names:
        return None
    one = signals[given.gate or names[0]]
    length = int(one.length)
    packed = np.asarray(reader.fsr(one.signal_id, 0, length), np.uint8)
    bits: npt.NDArray[np.uint8] = np.unpackbits(packed, bitorder="little")[:length]
    return np.asarray(_at_rate(bits, n, float(one.sample_rate) / rate) > 0)


def _at_rate(values: npt.NDArray[Any], n: int, ratio: float) -> npt.NDArray[Any]:
    """(n,) values of a signal with ``ratio`` times as many samples per second: the latest ones."""
    if len(values) == 0:
        raise ValueError("a signal has no samples")
    index = (np.arange(n) * ratio).astype(np.int64)
    return values[np.minimum(index, len(values) - 1)]
