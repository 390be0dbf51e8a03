# SPDX-License-Identifier: Apache-2.0
"""Start MLCommons' runner, unmodified, with ptys in place of USB serial ports.

    python tests/mlperf/on_pty.py RUNNER PORT[,PORT...] [the runner's own options]

RUNNER is benchmark/runner of an unmodified checkout of mlcommons/tiny. It looks for its devices by
USB ids, which a pty does not have, so pyserial is made to list only the given ports, the first with
ids 1:1, the second with 2:2 and so on, and pyusb to find nothing. The runner writes its folder
`sessions` into the current one.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo


def pretend(ports: list[str]) -> None:
    """Let pyserial list ``ports``, and pyusb nothing."""
    found = [ListPortInfo(port) for port in ports]
    for number, port in enumerate(found, 1):
        port.vid = port.pid = number
        port.description = "pty"
    list_ports.comports = lambda _links=False: found
    usb, core = ModuleType("usb"), ModuleType("usb.core")
    core.find = lambda **_: []  # type: ignore[attr-defined]
    usb.core = core  # type: ignore[attr-defined]
    sys.modules |= {"usb": usb, "usb.core": core}


def main(runner: Path, ports: list[str], options: list[str]) -> None:
    """Become the runner."""
    pretend(ports)
    sys.path.insert(0, str(runner))
    sys.argv = ["main.py", *options]
    runpy.run_path(str(runner / "main.py"), run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2].split(","), sys.argv[3:])
