# SPDX-License-Identifier: Apache-2.0
"""This computer: the facts that a measured figure or a trained weight may depend on.

What the system does not show is empty or None, as on macOS and Windows: nothing here raises.
Only this module reads /proc/cpuinfo. Python's `platform.processor` is empty on Linux, and
py-cpuinfo starts a process and takes a second.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable, Collection, Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

CPUINFO: Final = Path("/proc/cpuinfo")
STAT: Final = Path("/proc/stat")
GOVERNOR: Final = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def cpu_name(cpuinfo: Path = CPUINFO) -> str:
    """The processor's model; its architecture if the system does not list it (Linux on ARM)."""
    for line in _lines(cpuinfo):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cpu_features(cpuinfo: Path = CPUINFO) -> str:
    """A digest (12 hex digits) of the processor's architecture and, if the system lists them, its
    features."""
    flags = [line for line in _lines(cpuinfo) if line.lower().startswith(("flags", "features"))][:1]
    return hashlib.sha256(f"{platform.machine()} {flags}".encode()).hexdigest()[:12]


def is_virtual(cpuinfo: Path = CPUINFO) -> bool:
    """Whether this is certainly a virtual machine: only x86 processors say so."""
    flags = (line for line in _lines(cpuinfo) if line.startswith("flags"))
    return "hypervisor" in next(flags, "").split()


def governor(path: Path = GOVERNOR) -> str:
    """The rule by which Linux sets the clock of the first core; empty if it is not known."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def load_average() -> float | None:
    """The average number of running processes in the last minute; None if it is not known."""
    if sys.platform == "win32":
        return None
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def own_cores() -> frozenset[int] | None:
    """The cores that this process may use; None if the system does not restrict them."""
    return frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else None


class OtherLoad:
    """CPU time that other processes take on this process's cores, from now on.

    Linux only, from /proc/stat, which counts in steps of 10 ms. Time that a hypervisor gives to
    other machines counts as taken.
    """

    _LEAST_S: Final = 0.5  # shorter, and a step of each core may pass for a busy core

    def __init__(
        self,
        stat: Path = STAT,
        own: Callable[[], float] = time.process_time,
        cpus: Collection[int] | None = None,
    ) -> None:
        self._stat, self._own = stat, own
        self._cpus = own_cores() if cpus is None else cpus
        self._before = self._read()

    def cores(self) -> float | None:
        """How many cores the others kept busy on average; None if that is not known, also because
        too little time went by."""
        (busy, total, own), n = self._before, len(self._cpus or ())
        busy_now, total_now, own_now = self._read()
        if not n or total_now - total < n * self._LEAST_S:
            return None
        others = busy_now - busy - (own_now - own)
        return max(0.0, others * n / (total_now - total))

    def _read(self) -> tuple[float, float, float]:
        """Seconds since boot, summed over the cores: not idle, and all; and this process's."""
        busy = total = 0
        for line in _read_lines(self._stat):
            name, *fields = line.split()
            if name.removeprefix("cpu") not in map(str, self._cpus or ()):
                continue
            # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user
            ticks = [int(one) for one in fields[:8] if one.isdecimal()]
            total += sum(ticks)
            busy += sum(ticks) - sum(ticks[3:5])
        tick = 1 / os.sysconf("SC_CLK_TCK") if sys.platform != "win32" else 0.01
        return busy * tick, total * tick, self._own()


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Distribution -> version, for those of ``names`` that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def _lines(cpuinfo: Path) -> tuple[str, ...]:
    return _read_lines(cpuinfo)


def _read_lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text("utf-8", "replace").splitlines())
    except OSError:
        return ()
