# SPDX-License-Identifier: Apache-2.0
"""This computer: the facts that a measured figure or a trained weight may depend on.

Only this module reads /proc/cpuinfo. Python's `platform.processor` is empty on Linux, and
py-cpuinfo starts a process and takes a second.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

CPUINFO: Final = Path("/proc/cpuinfo")


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
    try:
        return tuple(cpuinfo.read_text("utf-8", "replace").splitlines())
    except OSError:
        return ()
