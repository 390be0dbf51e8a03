# SPDX-License-Identifier: Apache-2.0
"""The limits of every case.

It must end soon and in little memory, with a result or with one of the project's errors, in one
line. It must not write outside its folder, start a process or open a connection.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from hil.core.errors import HilError

CPU_S: Final = 5.0  # CPU time of this process, because the machine may be busy
MEMORY: Final = 1 << 30  # bytes beyond what the process has when the cases begin
_LONGEST: Final = 4000  # characters of an error: untrusted text must not flood a terminal
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS: Final = {
    **{f"os.{name}": 1 for name in ("mkdir", "remove", "rmdir", "chmod", "truncate", "utime")},
    **{f"os.{name}": 2 for name in ("rename", "link")},
}
_NEVER: Final = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect",
    "pickle.find_class", "webbrowser.open",
)  # fmt: skip


class Escaped(BaseException):
    """A case broke a rule; a reader's `except Exception` does not catch this."""


class _Watch:
    """The audit hook of this process; only one, because hooks cannot be removed."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.installed = False

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if self.folder is None:
            return
        if event in _NEVER:
            self._fail(f"{event}{args!r}"[:300])
        elif event == "open":
            path, mode, flags = args
            if isinstance(flags, int) and flags & _WRITES and isinstance(path, str | bytes):
                self._inside(path, f"open {mode}")
        elif event == "os.symlink":
            self._inside(_entry(args[1]), event)
        elif event in _PATHS:
            count = _PATHS[event]
            folders = [n for n in args[-count:] if isinstance(n, int) and n >= 0]  # dir_fd
            for path in args[:count]:
                if isinstance(path, str | bytes):
                    base = f"/proc/self/fd/{folders[0]}/" if folders else ""
                    self._inside(_entry(base + os.fsdecode(path)), event)

    def _inside(self, path: str | bytes, what: str) -> None:
        name = os.fsdecode(path)
        folder, self.folder = self.folder or "", None  # what follows is not done by the case
        real = os.path.realpath(name)
        self.folder = folder
        if real != folder and not real.startswith(f"{folder}{os.sep}") and real != os.devnull:
            self._fail(f"{what} {name}, which is outside {folder}")

    def _fail(self, what: str) -> None:
        self.folder = None
        raise Escaped(what)


def _entry(path: object) -> str:
    """The folder of an entry that is itself changed, even if it is a link."""
    name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    return str(Path(name).parent)


_WATCH: Final = _Watch()


@contextmanager
def sandbox() -> Iterator[Path]:
    """A temporary folder, the only one that a case may write to; in memory if possible."""
    memory = Path("/dev/shm")  # noqa: S108  (mkdtemp makes a folder of its own)
    made = tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None)
    folder = Path(made).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class End:
    """How a case ended: ``refused`` by one of the project's own errors."""

    refused: bool = False


@contextmanager
def guarded(folder: Path) -> Iterator[End]:
    """Run one case.

    A `HilError` of one line of sensible length is allowed. Any other exception is a finding, and so
    are `CPU_S` seconds, a write outside ``folder``, a process or a connection.
    """
    if not _WATCH.installed:
        sys.addaudithook(_WATCH)
        _WATCH.installed = True
    before = signal.signal(signal.SIGPROF, _late)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    _WATCH.folder = str(folder)
    end = End()
    try:
        yield end
    except HilError as problem:
        end.refused = True
        said = str(problem)
        if not problem.what or "\n" in said or len(said) > _LONGEST:
            raise AssertionError(f"an error of {len(said)} characters: {said[:300]!r}") from problem
    finally:
        _WATCH.folder = None
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _late(_: int, __: FrameType | None) -> None:
    raise Escaped(f"more than {CPU_S} s of processor time")


def limit_memory() -> None:
    """Limit this process to `MEMORY` bytes more than now; beyond that is a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
