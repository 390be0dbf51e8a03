# SPDX-License-Identifier: Apache-2.0
"""What a physical board needs of this machine: PlatformIO's platform, a driver, permissions.

Drivers, groups and rules are those of Linux; nothing is said about them on other systems.
"""

from __future__ import annotations

import grp
import os
import platform
import pwd
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hil.boards.attached import find_attached
from hil.boards.config import Board, Usb
from hil.boards.needs import Need
from hil.core.errors import HilError
from hil.firmware.platforms import is_installed, platform_of
from hil.firmware.toolchain import registry_answers

# USB vendor, or vendor and product -> Linux's driver; a chip's own USB port is a CDC ACM device
_DRIVERS: Final = {
    "0403": "ftdi_sio",
    "10c4": "cp210x",
    "1a86:5523": "ch341",
    "1a86:7523": "ch341",
}
_NATIVE: Final = "cdc_acm"
_RULES_URL: Final = "https://docs.platformio.org/en/latest/core/installation/udev-rules.html"
_GROUPS: Final = ("dialout", "uucp")  # of serial ports, by distribution


@dataclass(frozen=True, slots=True)
class Linux:
    """Where Linux keeps what is looked up here; tests have their own folders."""

    modules: Path = field(default_factory=lambda: Path("/lib/modules") / platform.release())
    loaded: Path = Path("/sys/module")
    rules: Sequence[Path] = tuple(
        Path(folder) / "udev" / "rules.d" for folder in ("/etc", "/run", "/usr/lib", "/lib")
    )
    root: bool = field(default_factory=lambda: os.geteuid() == 0)


def machine_needs(board: Board, project: Path, linux: Linux | None = None) -> Iterator[Need]:
    """The platform of its env, and what its USB port needs."""
    yield _platform(board, project)
    if board.usb is None:
        return
    if linux is None and sys.platform == "linux":
        linux = Linux()
    ports = [one.port for one in find_attached(project) if board.name in one.boards]
    if linux:
        yield from _drivers(board.usb, linux)
    yield _port(ports, linux)
    if linux and board.usb.udev:
        yield _rule(board.usb.udev, linux)


def _platform(board: Board, project: Path) -> Need:
    """PlatformIO downloads a platform, with compiler and core, before the first build."""
    what = "platform"
    try:
        name = platform_of(board.pio_env, project)
    except HilError as problem:
        return Need(what, (f"env {board.pio_env}",), "", "user", f"{problem.what}: {problem.hint}")
    if is_installed(name, project):
        return Need(what, (), name, "platformio")
    if registry_answers():
        return Need(what, (), f"{name}, which PlatformIO downloads with the first build")
    return Need(
        what,
        (f"PlatformIO's {name}",),
        "",
        "platformio",
        "connect this machine to PlatformIO's registry; the first build downloads it",
    )


def _drivers(usb: Usb, linux: Linux) -> Iterator[Need]:
    names = [_DRIVERS.get(one) or _DRIVERS.get(one[:4]) or _NATIVE for one in usb.ids]
    if not linux.modules.is_dir():
        listed = ", ".join(dict.fromkeys(names))
        yield Need("driver", (), f"{listed}, not checked: there is no {linux.modules}")
        return
    known = [
        (linux.modules / name).read_text("utf-8", "replace")
        for name in ("modules.builtin", "modules.dep")
        if (linux.modules / name).is_file()
    ]
    for name in dict.fromkeys(names):
        files = [f"/{name}.ko", f"/{name.replace('_', '-')}.ko"]
        there = (linux.loaded / name).is_dir() or any(
            file in text for file in files for text in known
        )
        yield Need(
            "driver",
            () if there else (f"{name} in this kernel",),
            name,
            "apt",
            f"sudo apt-get install linux-modules-extra-{platform.release()}, or use a kernel "
            "that has it",
        )


def _port(ports: Sequence[str], linux: Linux | None) -> Need:
    """Whether this user may open the port, or could if it was there."""
    denied = [
        port for port in ports if Path(port).exists() and not os.access(port, os.R_OK | os.W_OK)
    ]
    if denied:
        group = _owner(Path(denied[0]))
        fix = f"sudo usermod -aG {group} $USER, then log in again"
        return Need("port", (f"permission to open {denied[0]}",), "", "user", fix)
    if ports:
        return Need("port", (), f"attached on {', '.join(ports)}")
    group = next((name for name in _GROUPS if _exists(name)), "")
    if linux and not linux.root and group and group not in _groups():
        return Need(
            "port",
            (f"membership of group {group}, which usually owns serial ports",),
            "",
            "user",
            f"sudo usermod -aG {group} $USER, then log in again",
            required=False,
        )
    return Need("port", (), "not attached")


def _owner(port: Path) -> str:
    try:
        return port.group()
    except (KeyError, OSError):
        return _GROUPS[0]


def _exists(group: str) -> bool:
    try:
        return bool(grp.getgrnam(group))
    except KeyError:
        return False


def _groups() -> set[str]:
    """The groups of this process, and those that the user has after the next login."""
    names = set()
    for number in os.getgroups():
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return names
    return names | {one.gr_name for one in grp.getgrall() if user in one.gr_mem}


def _rule(ids: Sequence[str], linux: Linux) -> Need:
    """Without a serial port, only a udev rule lets a user write to the bootloader."""
    if linux.root:
        return Need("udev rule", (), "root needs none")
    said = "\n".join(
        file.read_text("utf-8", "replace").lower()
        for folder in linux.rules
        for file in sorted(folder.glob("*.rules"))
    )
    missing = [one for one in ids if f'"{one[:4]}"' not in said]
    return Need(
        "udev rule",
        tuple(f"one for the bootloader {one}" for one in missing),
        ", ".join(ids),
        "url",
        f"install PlatformIO's udev rules: {_RULES_URL}",
    )
