# SPDX-License-Identifier: Apache-2.0
"""An instrument by the text that names it, as `hil bench --power` takes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hil.core.errors import UsageError, unknown
from hil.energy.instrument import Instrument
from hil.energy.simulated import Board, Simulated

# what `sim:` simulates between and in the windows that it is told of
_BOARD: Final = Board(
    windows=0, active=0.132, idle=0.0165, seconds=0.02, pause=0.05, jitter=0.01, spread=0.02
)
_NOISE: Final = 0.0002  # amperes
_SETTLE_S: Final = 1.0  # of a board that was just switched on
_MOST_VOLTS: Final = 24.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user says of a measurement. ``place``: what follows the colon of its text: a port, a
    serial number or an address. ``volts``: of the board's supply, which an instrument without a
    voltmeter must know. ``gate``: the digital input of the marker pin; empty: the first.
    ``pulses``: the board sends a pulse where a window begins and where it ends, instead of a level.
    """

    place: str = ""
    volts: float | None = None
    gate: str = ""
    pulses: bool = False


def _simulated(asked: Asked) -> Instrument:
    return Simulated(_BOARD, noise=_NOISE, volts=asked.volts or 3.3)


def _ppk2(asked: Asked) -> Instrument:
    from hil.energy.ppk2 import open_ppk2

    return open_ppk2(asked)


def _lpm01a(asked: Asked) -> Instrument:
    from hil.energy.lpm01a import open_lpm01a

    return open_lpm01a(asked)


def _joulescope(asked: Asked) -> Instrument:
    from hil.energy.joulescope import open_joulescope

    return open_joulescope(asked)


def _otii(asked: Asked) -> Instrument:
    from hil.energy.otii import open_otii

    return open_otii(asked)


KINDS: Final[Mapping[str, Callable[[Asked], Instrument]]] = {
    "sim": _simulated,
    "ppk2": _ppk2,
    "lpm01a": _lpm01a,
    "joulescope": _joulescope,
    "otii": _otii,
}
EXAMPLES: Final = ("sim:", "ppk2:/dev/ttyACM0", "lpm01a:/dev/ttyACM0", "joulescope:", "otii:")


def split(text: str) -> tuple[str, str]:
    """The kind of an instrument and its place; UsageError if there is no such kind."""
    kind, colon, place = text.partition(":")
    if kind not in KINDS:
        raise unknown(f"no instrument is called '{kind}'", kind, KINDS)
    if not colon:
        raise UsageError(f"'{text}' has no colon", f"write {kind}:PORT, as {EXAMPLES[1]}")
    return kind, place


def open_instrument(
    text: str, *, volts: float | None = None, gate: str = "", pulses: bool = False
) -> Instrument:
    """Open the instrument that ``text`` names: its kind, a colon and its place (`EXAMPLES`). The
    board's power stays as it is. The other arguments: `Asked`.

    Raises:
        UsageError: The text names none, or the instrument needs ``volts``.
        ToolMissing: The instrument's library is not installed.
        DeviceError: It is not attached, or another program has its port.
    """
    kind, place = split(text)
    return KINDS[kind](Asked(place, volts, gate, pulses))


def check_voltages(voltage: float | None, supply: float | None) -> None:
    """UsageError unless at most one of --voltage and --supply is given, and is one of a board."""
    for option, volts in (("--voltage", voltage), ("--supply", supply)):
        if volts is not None and not 0 < volts <= _MOST_VOLTS:
            raise UsageError(f"{option} {volts:g} is not a voltage of a board", "as 3.3")
    if voltage is not None and supply is not None:
        raise UsageError(
            "--voltage and --supply contradict",
            "--supply if the instrument is to power the board, else --voltage",
        )


@contextmanager
def powered(
    text: str,
    *,
    voltage: float | None = None,
    supply: float | None = None,
    gate: str = "",
    pulses: bool = False,
    check: Callable[[Instrument], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Instrument]:
    """The instrument that ``text`` names, opened, until the block ends.

    ``supply``: volts at which it is to power the board, which then gets time to settle; without it
    the board's power stays as it is, and ``voltage`` says what it is. ``check`` may refuse the
    instrument before that. Raises as `check_voltages` and `open_instrument`.
    """
    check_voltages(voltage, supply)
    volts = supply if voltage is None else voltage
    instrument = open_instrument(text, volts=volts, gate=gate, pulses=pulses)
    try:
        check(instrument)
        if supply is not None:
            instrument.supply(supply)
            sleep(_SETTLE_S)
        yield instrument
    finally:
        instrument.close()
