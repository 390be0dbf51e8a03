# SPDX-License-Identifier: Apache-2.0
"""Worker processes: start them, receive their messages, stop them.

A worker talks to the process that started it through a pipe. It ends when it is stopped, and when
that process is killed. `concurrent.futures.ProcessPoolExecutor` does not work here: it cannot stop
a running task, and one killed worker breaks the pool for all others.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType, ModuleType
from typing import Any, Final

from hil.core.errors import HilError
from hil.core.host import own_cores

TERMINATED: Final = 143  # exit status of a worker that was stopped
_STOP_S: Final = 20.0
# not a fork: TensorFlow does not survive one, and a child would inherit locks that threads hold
_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, eq=False)
class Worker:
    """A process, and this end of its pipe."""

    process: BaseProcess
    pipe: Connection


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker's last message: it ended, with this exit status."""

    status: int


def start(main: Callable[..., None], *given: Any) -> Worker:
    """A process that calls ``main(*given, pipe)``, which should `serve`.

    Send large data through the pipe instead: Ctrl-C is ignored while a process starts.
    """
    with _ignoring_ctrl_c(), _without_main():
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=main, args=(*given, theirs), daemon=True)
        process.start()
        theirs.close()  # so that the pipe ends when the process does
    return Worker(process, ours)


def serve(pipe: Connection, work: Callable[[], None]) -> None:
    """In a worker: do ``work`` until it ends or fails, or until this process is stopped.

    A `HilError` is sent as the last message.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    sys.unraisablehook = _end_from_callback
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        work()
    except HilError as problem:
        pipe.send(problem)
    except (EOFError, OSError):
        parent = parent_process()
        if parent is None or parent.is_alive():
            raise


def receive(
    workers: Iterable[Worker], timeout: float | None = None
) -> Iterator[tuple[Worker, Any]]:
    """Wait for messages, and yield one from each worker that has sent any; `Ended` is the last.

    Yields nothing if no message arrives within ``timeout`` seconds.
    """
    by_pipe = {worker.pipe: worker for worker in workers}
    for pipe in wait(list(by_pipe), timeout):
        assert isinstance(pipe, Connection)
        worker = by_pipe[pipe]
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            message = Ended(worker.process.exitcode or 0)
        yield worker, message


def stop(workers: Iterable[Worker]) -> None:
    """Stop the workers, whatever they are doing."""
    ending = tuple(workers)
    for worker in ending:
        worker.process.terminate()
    end = time.monotonic() + _STOP_S
    for worker in ending:
        worker.process.join(max(0.0, end - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


def cores() -> int:
    """How many CPU cores this process may use."""
    return len(own_cores() or ()) or os.cpu_count() or 1


@contextmanager
def _ignoring_ctrl_c() -> Iterator[None]:
    """A process started here ignores SIGINT from the beginning: its parent stops it instead.

    Only the main thread can set signal handlers; a worker that another thread starts ignores SIGINT
    only from `serve` on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)  # None: not set by Python


@contextmanager
def _without_main() -> Iterator[None]:
    """A process started here does not import the main module of this one, which needs nothing of
    it: a user's script without ``if __name__ == "__main__"`` would run a second time."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _follow_parent() -> None:
    """End when the parent was killed: nobody would use the result."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _end_from_callback(ignored: sys.UnraisableHookArgs) -> None:
    """End also if the signal came during a weak reference's callback, which drops exceptions."""
    if isinstance(ignored.exc_value, SystemExit):
        os._exit(TERMINATED)
    sys.__unraisablehook__(ignored)


def _end(_: int, __: FrameType | None) -> None:
    raise SystemExit(TERMINATED)
