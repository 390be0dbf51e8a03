# SPDX-License-Identifier: Apache-2.0
"""Every error that the harness raises on purpose.

    HilError                    one clear line: what, where, and what to do next
    ├── UsageError              the request cannot be carried out
    │   ├── ConfigError         a configuration file is wrong
    │   ├── NotComparable       two stored runs measured different things
    │   ├── NotForBoard         the board's file excludes the network, its precision or the engine
    │   └── MixedUnits          figures of two kinds of time, or of counts and time, were mixed
    ├── MachineError            something on this machine is missing or fails
    │   ├── ToolMissing         a compiler, emulator or package is not installed
    │   ├── BuildFailed         PlatformIO could not build the firmware
    │   │   ├── DoesNotFit      the board's memory is too small for it
    │   │   └── WrongCompiler   the compiler is too old or too new for the board's core
    │   └── StorageError        a results folder cannot be read or written
    │       ├── InUse           another process has the lock
    │       ├── WrongSchema     another version of hil stored the run
    │       └── DamagedRun      a file of a stored run was changed
    ├── DataError               a data set is missing, truncated or not the expected one
    ├── ModelError              a .tflite file is corrupt or unsupported
    ├── TrainingFailed          a training failed and was stopped
    └── DeviceError             something is wrong with a board or its line
        ├── NotAttached         no such board is plugged in
        ├── LabError            a place of a board lab is not available
        ├── LinkError           the port is missing, busy or disconnected
        ├── WrongChip           the chip on the port is not the one the firmware is for
        ├── FlashTooSmall       the board has less flash than its firmware was built for
        ├── LineHopeless        the line damages so much that the work would take hours
        ├── NoAnswer            no valid answer before the deadline
        │   ├── NotRunning      the board's boot loader runs instead of firmware
        │   ├── BoardCrashed    the board panics or restarts in a loop
        │   └── SketchHangs     a user's sketch got a sample and then sent nothing
        ├── WrongReply          the device breaks its protocol
        ├── WrongFirmware       the board runs other firmware than expected
        └── DeviceRefused       the board answered with an ERROR frame

The exit code is 2 for all of them except DamagedRun. A result that is not as expected is not an
error of the harness: the bench reports it and exits with 1.
"""

from collections.abc import Iterable

from hil.core.text import closest, printable, shorten

_LONGEST = 1500  # characters; paths and commands are shorter


class HilError(Exception):
    """``what`` went wrong and where, and a ``hint`` about what to do.

    Both are one printable line of bounded length, since they may contain text from a board or a
    file.
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
    """The request cannot be carried out."""


def unknown(what: str, name: str, known: Iterable[str], others: str = "") -> UsageError:
    """The error for a ``name`` that is not one of ``known``: its hint starts with the closest one.

    ``others``: what else may be given, after the list.
    """
    names = list(known)
    guess = f"did you mean {found}? " if (found := closest(name, names)) else ""
    more = f", or {others}" if others else ""
    return UsageError(what, f"{guess}choose from {', '.join(names)}{more}")


class ConfigError(UsageError):
    """A configuration file is wrong."""


class NotForBoard(UsageError):
    """The board's file excludes the network, its precision or the engine."""


class NotComparable(UsageError):
    """Two stored runs measured different things."""


class MixedUnits(UsageError):
    """Figures of two kinds were compared: emulated counts, an emulator's time, real time."""


class MachineError(HilError):
    """Something on this machine is missing or fails."""


class ToolMissing(MachineError):
    """A compiler, emulator or package is not installed."""


class BuildFailed(MachineError):
    """PlatformIO could not build the firmware."""


class DoesNotFit(BuildFailed):
    """The board's memory is too small for the firmware.

    ``memory`` is "flash" or "ram"; ``needs`` is the bytes it takes, or ``over`` the excess if only
    that is known.
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
    """Another process has the lock."""


class WrongSchema(StorageError):
    """Another version of hil stored the run, in a schema that this one does not read."""


class DamagedRun(StorageError):
    """A file of a stored run was changed: a result that is not as expected."""

    exit_code = 1


class DataError(HilError):
    """A data set is missing, truncated or not the expected one."""


class ModelError(HilError):
    """A .tflite file is corrupt or unsupported."""


class TrainingFailed(HilError):
    """A training failed and was stopped."""


class DeviceError(HilError):
    """Something is wrong with a board or its line."""


class NotAttached(DeviceError):
    """No such board is plugged in."""


class LabError(DeviceError):
    """A place of a board lab is not available."""


class LinkError(DeviceError):
    """The port is missing, busy or disconnected."""


class WrongChip(DeviceError):
    """The chip on the port is not the one the firmware is for."""


class FlashTooSmall(DeviceError):
    """The board has less flash than its firmware was built for."""


class NoAnswer(DeviceError):
    """No valid answer came before the deadline."""


class NotRunning(NoAnswer):
    """The board's boot loader runs instead of firmware: it waits for an upload, or finds none."""


class BoardCrashed(NoAnswer):
    """The board panics or restarts in a loop. Flashing the same firmware again does not help."""


class SketchHangs(NoAnswer):
    """A user's sketch got a sample, and then its board sent nothing."""


class LineHopeless(DeviceError):
    """The board answers, but the line damages so much that the work would take hours."""


class WrongReply(DeviceError):
    """The device breaks its protocol."""


class WrongFirmware(DeviceError):
    """The board runs other firmware than expected."""


class DeviceRefused(DeviceError):
    """The board answered with an ERROR frame."""

    def __init__(self, what: str, hint: str = "", *, code: int = 0) -> None:
        super().__init__(what, hint)
        self.code = code


class StateLost(DeviceRefused):
    """The board is at another step of a sequence than the host: its state is to be reset."""
