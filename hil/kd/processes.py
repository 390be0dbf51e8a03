"""Worker processes with a TensorFlow of one thread each: started, listened to, ended.

One thread: as many workers as cores saturate them, and what a worker computes does not depend
on how many there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final

from hil.errors import HilError
from hil.kd.backend import require

TERMINATED: Final = 143
_STOP_S: Final = 20.0
_SPAWN: Final = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork


@dataclass(frozen=True, slots=True)
class Worker:
    """A process, and this end of its pipe: it sends what went wrong, a `HilError`, last."""

    process: BaseProcess
    pipe: Connection


def start(main: Callable[..., None], *given: Any) -> Worker:
    """A process that calls ``main(*given, pipe)``, which should `serve`; not from a thread."""
    # workers do not hear Ctrl-C: this process does, and ends them
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=main, args=(*given, theirs), daemon=True)
        process.start()
        theirs.close()
    finally:
        signal.signal(signal.SIGINT, before)
    return Worker(process, ours)


def serve(pipe: Connection, work: Callable[[], None]) -> None:
    """In a worker: do ``work``, until it ends, fails, or this process or its parent is ended."""
    signal.signal(signal.SIGTERM, _end)
    sys.unraisablehook = _end_from_callback
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        _, tf = require()
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        work()
    except HilError as problem:
        pipe.send(problem)
    except (EOFError, OSError):
        parent = parent_process()
        if parent is None or parent.is_alive():
            raise


def stop(workers: Iterable[Worker]) -> None:
    """End them, whatever they do."""
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
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def _follow_parent() -> None:
    """End when the parent was killed: nobody would look at the result."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _end_from_callback(ignored: sys.UnraisableHookArgs) -> None:
    """The signal came while a weak reference's callback ran, where Python drops exceptions."""
    if isinstance(ignored.exc_value, SystemExit):
        os._exit(TERMINATED)
    sys.__unraisablehook__(ignored)


def _end(_: int, __: FrameType | None) -> None:
    raise SystemExit(TERMINATED)
