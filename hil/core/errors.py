# SPDX-License-Identifier: Apache-2.0
"""Every error the harness raises on purpose.

    HilError                    one clear line: what, where, and what to do next
    ├── UsageError              the request cannot be carried out as asked
    │   ├── ConfigError         a configuration file is wrong
    │   ├── NotComparable       two stored runs measured different things
    │   └── MixedUnits          figures of two kinds of time, or of counts and time, were mixed
    ├── MachineError       something on this machine is missing or refuses
    │   ├── ToolMissing         a compiler, emulator or package is not installed
    │   ├── BuildFailed         PlatformIO could not build the firmware
    │   │   ├── DoesNotFit      the board's memory is too small for it
    │   │   └── WrongCompiler   the compiler is too old or too new for the board's core
    │   └── StorageError        a results folder cannot be read or written
    │       ├── InUse           another process holds the lock
    │       └── DamagedRun      a stored run is not what was stored
    ├── DataError               a data set is missing, truncated or foreign
    ├── ModelError              a .tflite file is corrupt or unsupported
    ├── TrainingFailed          a training went wrong and was stopped
    └── DeviceError             the board, once it runs
        ├── NotAttached         no such board is plugged in
        ├── LabError            a place of a board lab cannot be had
        ├── LinkError           the port is missing, busy or gone
        ├── WrongChip           the chip on the port is not the one the firmware is for
        ├── FlashTooSmall       the board has less flash than its firmware was built for
        ├── LineHopeless        the line damages so much that it would take hours
        ├── NoAnswer            nothing (valid) came back before the deadline
        │   ├── NotRunning      the board's loader runs, and no firmware
        │   └── BoardCrashed    the board panics, or restarts in a loop
        ├── WrongReply          the device answers, but not as its protocol has it
        ├── WrongFirmware       the board answers, but it is not the image we expect
        └── DeviceRefused       the board answered with an ERROR frame

All of them but DamagedRun leave the command line with exit code 2. A result that is not as
expected is not an error of the harness: the bench says so and exits with 1.
"""

from hil.core.text import printable, shorten

_LONGEST = 1500  # characters; paths and commands are shorter


class HilError(Exception):
    """``what`` went wrong (and where), and the ``hint`` that says what to do.

    Both on one line, without what a terminal obeys and of bounded length: a stranger may have
    chosen a name in them.
    """

    exit_code = 2

    def __init__(self, what: str, hint: str = "") -> None:
        self.what = _line(what)
        self.hint = _line(hint)
        super().__init__(self.what)

    def __str__(self) -> str:
        return f"{self.what}; {self.hint}" if self.hint else self.what


def _line(text: str) -> str:
    return shorten(printable(text), _LONGEST)


class UsageError(HilError):
    """The request cannot be carried out as asked."""


class ConfigError(UsageError):
    """A configuration file is wrong."""


class NotComparable(UsageError):
    """Two stored runs measured different things."""


class MixedUnits(UsageError):
    """Figures of two kinds were compared: emulated counts, an emulator's time, real time."""


class MachineError(HilError):
    """Something on this machine is missing or refuses."""


class ToolMissing(MachineError):
    """A compiler, emulator or package is not installed."""


class BuildFailed(MachineError):
    """PlatformIO could not build the firmware."""


class DoesNotFit(BuildFailed):
    """The board's memory is too small for the firmware.

    ``memory`` is "flash" or "ram"; ``needs`` are the bytes it takes, or, where only the excess
    over the board's memory is known, ``over``.
    """

    def __init__(
        self, what: str, hint: str = "", *, memory: str = "", needs: int = 0, over: int = 0
    ) -> None:
        super().__init__(what, hint)
        self.memory = memory
        self.needs = needs
        self.over = over


class WrongCompiler(BuildFailed):
    """The compiler is too old or too new for the board's core."""


class StorageError(MachineError):
    """A results folder cannot be read or written."""


class InUse(StorageError):
    """Another process holds the lock."""


class DamagedRun(StorageError):
    """A file of a stored run is not the one that was stored: a result not as expected."""

    exit_code = 1


class DataError(HilError):
    """A data set is missing, truncated or foreign."""


class ModelError(HilError):
    """A .tflite file is corrupt or unsupported."""


class TrainingFailed(HilError):
    """A training went wrong and was stopped."""


class DeviceError(HilError):
    """The board, once it runs."""


class NotAttached(DeviceError):
    """No such board is plugged in."""


class LabError(DeviceError):
    """A place of a board lab cannot be had."""


class LinkError(DeviceError):
    """The port is missing, busy or gone."""


class WrongChip(DeviceError):
    """The chip on the port is not the one the firmware is for."""


class FlashTooSmall(DeviceError):
    """The board has less flash than its firmware was built for."""


class NoAnswer(DeviceError):
    """Nothing valid came back before the deadline."""


class NotRunning(NoAnswer):
    """The board's loader runs, and no firmware: it waits for an upload, or nothing starts."""


class BoardCrashed(NoAnswer):
    """The board panics, or restarts in a loop. Flashing the same firmware again is no help."""


class LineHopeless(DeviceError):
    """The board answers, but the line damages so much that the work would take hours."""


class WrongReply(DeviceError):
    """The device answers, but not as its protocol has it."""


class WrongFirmware(DeviceError):
    """The board answers, but it is not the image we expect."""


class DeviceRefused(DeviceError):
    """The board answered with an ERROR frame."""

    def __init__(self, what: str, hint: str = "", *, code: int = 0) -> None:
        super().__init__(what, hint)
        self.code = code
