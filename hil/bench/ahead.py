"""The host's answers, computed in a process of their own while firmware builds and boards answer.

It fills the cache that every run looks into. A run that wants what it is just computing waits for
it (`hil.reference.predict_cached`), and computes itself whatever it has not come to.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from hil.bench.cells import Network
from hil.bench.expecting import cache, predict
from hil.errors import HilError
from hil.records import Dataset
from hil.reference import litert, oracle, xnnpack

LEAST: Final = 1000  # samples: fewer take less than a process takes to start
# against the order of a run, so that the first one and this process share the work
_MAKERS: Final = (xnnpack, oracle, litert)
_PROCESSES: Final = multiprocessing.get_context("forkserver")


class _Stopped(Exception):
    """The bench is over, whether it ended or was killed."""


@contextlib.contextmanager
def computed_ahead(networks: Sequence[Network], data: Dataset) -> Iterator[None]:
    """Fill the cache with what ``networks`` answer, as long as the ``with`` lasts.

    What goes wrong here goes wrong again, and is told, in the run that wants it. Nothing happens
    for few samples, nor where the cache cannot be written.
    """
    directory = cache()
    if len(data) < LEAST or not _writable(directory):
        yield
        return
    theirs, ours = _PROCESSES.Pipe(duplex=False)
    different = {network.graph.sha256: network for network in networks}
    arguments = (tuple(different.values()), data, directory, theirs)
    process = _PROCESSES.Process(target=_work, args=arguments, daemon=True)
    process.start()
    theirs.close()
    try:
        yield
    finally:
        ours.close()
        process.terminate()
        process.join()


def _writable(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
    return os.access(directory, os.W_OK)


def _work(networks: Sequence[Network], data: Dataset, directory: Path, stopped: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the bench, which ends this

    def watch(_: str, __: int, ___: int) -> None:
        if stopped.poll():  # its other end is closed
            raise _Stopped

    with contextlib.suppress(_Stopped):
        for network in networks:
            for make in _MAKERS:
                with contextlib.suppress(HilError):
                    predict(make, network, data, watch, directory)
