# SPDX-License-Identifier: Apache-2.0
"""Benches that are killed while they write, or have little disk space, each in its own process.

`Nursery` starts one process that makes the plan once, and forks it for every bench.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hil.bench import BenchPlan, Request, make_plan, run, store
from hil.bench.events import Event, Streaming
from hil.bench.host import HostTiming
from hil.bench.prepare import prepare
from hil.core.errors import HilError
from hil.runs.log import RunLog
from hil.testing.lab import FakeLab

PROJECT = Path(__file__).parents[2]
N = 60


@dataclass(frozen=True)
class Ended:
    """How a bench ended: its exit code (negative: the signal), calls of functions while it wrote,
    its error, and the samples that it reported as stored, as "run i"."""

    code: int
    calls: int
    error: str
    said: tuple[str, ...]


class Nursery:
    """Runs a bench of two runs of `N` digits each, once per request."""

    def __init__(self, scratch: Path, before: Sequence[str] = ()) -> None:
        self._scratch = scratch
        self._process = subprocess.Popen(
            [*before, sys.executable, "-m", __name__],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def bench(self, folder: Path, die_at: int = 0, room: int = 0) -> Ended:
        """Run a bench into ``folder``.

        It kills itself (SIGKILL) at its ``die_at``-th call of a function, of Python or of C, since
        it began to write; 0: never. ``room``: the largest size of a file in bytes; 0: any.
        """
        assert self._process.stdin
        assert self._process.stdout
        told = self._scratch / "told"
        told.write_bytes(b"")
        asked = {"folder": str(folder), "die_at": die_at, "room": room, "told": str(told)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        *said, last = [json.loads(line) for line in told.read_text().splitlines()] or [""]
        if isinstance(last, str):
            return Ended(code, 0, "", (*said, last) if last else ())
        return Ended(code, last["calls"], last["error"], tuple(said))

    @property
    def root(self) -> Path:
        """The file system as that process sees it."""
        return Path(f"/proc/{self._process.pid}/root")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _nurse() -> None:
    """Read requests from stdin, one per line, and answer each with an exit code."""
    plan = make_plan(Request(project=PROJECT, models=("student",), dataset="digits", limit=N))
    prepare(plan, FakeLab(), lambda _: None)  # what takes long is cached here, for every fork
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _child(plan, **asked)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _child(plan: BenchPlan, folder: str, die_at: int, room: int, told: str) -> None:
    calls = 0

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1
            if calls == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    class Watched(RunLog):
        """Calls are counted from here on."""

        def __enter__(self) -> RunLog:
            sys.setprofile(count)
            return super().__enter__()

    def emit(event: Event) -> None:
        if isinstance(event, Streaming) and event.done:
            tell(f"{event.run} {event.done - 1}")

    def tell(word: object) -> None:
        os.write(out, json.dumps(word).encode() + b"\n")

    error = ""
    try:
        out = os.open(told, os.O_WRONLY | os.O_APPEND)
        vars(store)["RunLog"] = Watched
        if room:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        ticks = itertools.count(0, 10_000_000)  # so that warm-up is short
        host = HostTiming(2, clock=lambda: next(ticks))
        run(plan, Path(folder), emit, FakeLab(), host=host)
    except HilError as problem:
        error = str(problem)
    finally:
        sys.setprofile(None)
    if room:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    tell({"calls": calls, "error": error})
    os._exit(2 if error else 0)


if __name__ == "__main__":
    _nurse()
