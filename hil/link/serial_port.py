# SPDX-License-Identifier: Apache-2.0
"""Ports that pyserial can open: a device, a pty, socket://, rfc2217://, loop://."""

from __future__ import annotations

import errno
import grp
import time
import warnings
from pathlib import Path
from typing import Final, Literal

import serial

from hil.core.errors import LinkError
from hil.link import Deadline
from hil.link.programs import programs_on

WRITE_TIMEOUT_S: Final = 30.0
SLICE_S: Final = 0.02
PULSE_S: Final = 0.1  # as long as esptool holds a reset line

_ADVICE: Final = {
    errno.ENOENT: ("does not exist", "`hil boards` lists the ports of this machine"),
    errno.EBUSY: ("is in use", "close the serial monitor or other program that uses it"),
    errno.EWOULDBLOCK: ("is in use", "close the serial monitor or other program that uses it"),
    errno.ENOTTY: ("is not a serial port", "`hil boards` lists the ports of this machine"),
}


class SerialLink:
    """A pyserial port that no other program can open at the same time."""

    def __init__(self, url: str, baud: int = 115200, *, dtr: bool = True, rts: bool = True) -> None:
        self.name = url
        try:
            self._port = serial.serial_for_url(url, do_not_open=True, baudrate=baud)
            self._local = isinstance(self._port, serial.Serial)
            if self._local:
                self._port.exclusive = (
                    True  # two programs on one port would take each other's bytes
                )
                self._port.write_timeout = WRITE_TIMEOUT_S  # rfc2217:// refuses it
            self._port.dtr, self._port.rts = dtr, rts  # before opening: a level may mean reset
            # changing the timeout of a remote port (rfc2217://) takes several round trips
            self._port.timeout = SLICE_S
            with warnings.catch_warnings():  # pyserial's rfc2217:// still calls setDaemon
                warnings.simplefilter("ignore", DeprecationWarning)
                self._port.open()
        except (serial.SerialException, OSError, ValueError) as problem:
            raise cannot_open(url, problem) from problem

    def write(self, data: bytes) -> None:
        """See `hil.link.Link.write`."""
        try:
            self._port.write(data)
        except serial.SerialTimeoutException as problem:
            raise LinkError(
                f"port {self.name} accepted no bytes for {WRITE_TIMEOUT_S:.0f} s",
                "reset the board, and check that its firmware runs",
            ) from problem
        except (serial.SerialException, OSError) as problem:
            raise self._gone(problem) from problem

    def read(self, deadline: Deadline) -> bytes:
        """See `hil.link.Link.read`."""
        try:
            if self._local:
                self._port.timeout = deadline.remaining
            first: bytes = self._port.read(1)
            while not first and not self._local and not deadline.expired:
                first = self._port.read(1)
            waiting = self._port.in_waiting if first else 0
            return first + self._port.read(waiting) if waiting else first
        except (serial.SerialException, OSError, TypeError) as problem:
            # pyserial raises TypeError when the port is closed under a pending read
            raise self._gone(problem) from problem

    @property
    def baud(self) -> int:
        """The rate this end sends and listens at."""
        return int(self._port.baudrate)

    def set_baud(self, baud: int) -> None:
        """Send and listen at ``baud`` from now on; LinkError when the port cannot."""
        try:
            self._port.flush()
            self._port.baudrate = baud
        except (serial.SerialException, OSError, ValueError) as problem:
            raise LinkError(
                f"port {self.name} cannot be set to {baud} baud ({problem})",
                "remove that rate from the board's serial.faster",
            ) from problem

    def pulse(self, line: Literal["dtr", "rts"]) -> None:
        """Invert a control line and restore it, which restarts a board wired for that."""
        try:
            level = bool(getattr(self._port, line))
            setattr(self._port, line, not level)
            time.sleep(PULSE_S)
            setattr(self._port, line, level)
        except (serial.SerialException, OSError) as problem:
            raise self._gone(problem) from problem

    def others(self) -> tuple[str, ...]:
        """See `hil.link.Shared`. None of them locks the port, or it could not have been opened."""
        return programs_on(self.name) if self._local else ()

    def close(self) -> None:
        """See `hil.link.Link.close`."""
        # pyserial's socket:// does not close a socket after its peer has disconnected
        left_open = getattr(self._port, "_socket", None)
        self._port.close()
        if left_open:
            left_open.close()

    def _gone(self, problem: Exception) -> LinkError:
        return LinkError(
            f"port {self.name} vanished ({problem})", "check the cable or the emulator's log"
        )


def cannot_open(url: str, problem: Exception) -> LinkError:
    """The error for a port that cannot be opened because of ``problem``."""
    # pyserial wraps some errors without their errno
    causes = [problem, problem.__context__]
    codes = [code for cause in causes if isinstance(code := _code(cause), int)]
    if errno.EACCES in codes or errno.EPERM in codes:
        return LinkError(f"this user has no permission to open port {url}", _permission(url))
    unknown = (f"cannot be opened ({problem})", "check its name")
    what, hint = next((_ADVICE[code] for code in codes if code in _ADVICE), unknown)
    if (errno.EBUSY in codes or errno.EWOULDBLOCK in codes) and (others := programs_on(url)):
        what = f"{what} by {' and '.join(others)}"
    return LinkError(f"port {url} {what}", hint)


def _permission(path: str) -> str:
    """How to get access to a port that belongs to another user."""
    try:
        owned = Path(path).stat()
        group = grp.getgrgid(owned.st_gid).gr_name
    except (OSError, KeyError):
        return "ask its owner for access (`ls -l` shows the owner)"
    if owned.st_mode & 0o060 == 0o060 and owned.st_gid != 0:
        return f"join its group {group}: `sudo usermod -aG {group} $USER`, then log in again"
    return (
        f"add a udev rule that gives it group dialout and mode 660 (it has group {group} and mode "
        f"{owned.st_mode & 0o777:03o})"
    )


def _code(problem: BaseException | None) -> object:
    if isinstance(problem, OSError) and problem.errno:
        return problem.errno
    return problem.args[0] if problem and problem.args else None  # of a termios.error
