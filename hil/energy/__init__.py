# SPDX-License-Identifier: Apache-2.0
"""Joules per inference from what an instrument recorded.

trace         current, voltage and gate at a constant rate
files         recordings: CSV, nRF Connect Power Profiler, Joulescope
instrument    what the harness needs of an instrument
opened        an instrument by its text, as ppk2:/dev/ttyACM0
joulescope    Joulescope JS110, JS220 and JS320
lpm01a        ST X-NUCLEO-LPM01A
otii          Qoitech Otii Arc and Ace
ppk2          Nordic Power Profiler Kit II
simulated     an instrument whose board's energy is known
windows       where inferences are, by the gate or by the power
device_clock  the gate's time beside the device's
joules        energy of the windows, idle power, battery life
"""

from hil.energy.device_clock import Aligned, align
from hil.energy.instrument import Capabilities, Instrument, Told, recorded
from hil.energy.joules import Measured, battery_days, measure
from hil.energy.opened import open_instrument, powered
from hil.energy.simulated import Board, Faults, Injected, Simulated
from hil.energy.trace import Trace, checked
from hil.energy.windows import FAULTS, SHORTEST, Window, find_windows

__all__ = [
    "FAULTS",
    "SHORTEST",
    "Aligned",
    "Board",
    "Capabilities",
    "Faults",
    "Injected",
    "Instrument",
    "Measured",
    "Simulated",
    "Told",
    "Trace",
    "Window",
    "align",
    "battery_days",
    "checked",
    "find_windows",
    "measure",
    "open_instrument",
    "powered",
    "recorded",
]
