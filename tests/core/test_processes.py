# SPDX-License-Identifier: Apache-2.0
"""Worker processes: their messages, their failures, and that none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from hil.core.errors import NoAnswer
from hil.core.processes import TERMINATED, Ended, Worker, receive, serve, start, stop

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(120)


def echo(prefix: str, pipe: Connection) -> None:
    """Send back what comes, until told to fail, die, flood or end."""

    def work() -> None:
        while (word := pipe.recv()) != "end":
            if word == "fail":
                raise NoAnswer("nobody there", "look")
            if word == "die":
                os._exit(7)
            while word == "flood":
                pipe.send(bytes(1 << 20))
            pipe.send(prefix + word)

    serve(pipe, work)


@contextmanager
def working(*prefixes: str) -> Iterator[list[Worker]]:
    workers = [start(echo, prefix) for prefix in prefixes]
    try:
        yield workers
    finally:
        stop(workers)


def messages(worker: Worker) -> list[object]:
    """Everything that a worker sends until it ends."""
    found: list[object] = []
    while not found or not isinstance(found[-1], Ended):
        found += [message for _, message in receive([worker])]
    return found


def test_messages_come_in_order_and_the_end_last() -> None:
    with working("a ") as (worker,):
        for word in ("one", "two", "end"):
            worker.pipe.send(word)
        assert messages(worker) == ["a one", "a two", Ended(0)]


def test_an_error_is_sent_before_the_end() -> None:
    with working("") as (worker,):
        worker.pipe.send("fail")
        problem, end = messages(worker)
        assert isinstance(problem, NoAnswer)
        assert (problem.what, problem.hint, end) == ("nobody there", "look", Ended(0))


def test_a_worker_that_dies_leaves_the_others() -> None:
    with working("a ", "b ") as (one, other):
        one.pipe.send("die")
        assert messages(one) == [Ended(7)]
        other.pipe.send("still here")
        assert list(receive([other])) == [(other, "b still here")]


def test_nothing_is_received_when_nothing_is_sent_in_time() -> None:
    with working("") as workers:
        assert list(receive(workers, timeout=0.0)) == []


@pytest.mark.parametrize("word", ["hello", "flood"])
def test_a_worker_is_stopped_whatever_it_does(word: str) -> None:
    """While it waits for a message, and while its own messages do not fit into the pipe."""
    with working("") as (worker,):
        worker.pipe.send(word)
        next(receive([worker]))
    assert worker.process.exitcode == TERMINATED
    assert active_children() == []


def test_ctrl_c_is_left_to_the_parent() -> None:
    with working("") as (worker,):
        assert worker.process.pid is not None
        os.kill(worker.process.pid, signal.SIGINT)  # even before it serves
        worker.pipe.send("alive")
        assert list(receive([worker])) == [(worker, "alive")]


PARENT = """
import os, signal, sys
from tests.core.test_processes import echo
from hil.core.processes import receive, start

if __name__ == "__main__":
    worker = start(echo, "")
    worker.pipe.send("ready")
    next(receive([worker]))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_worker_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(  # the worker holds both pipes open: this ends when it has
        [sys.executable, str(script)], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGKILL, "", "")


# a signal that comes while a weak reference's callback runs, where Python drops exceptions
CALLBACK = """
import os, signal, weakref
from multiprocessing import Pipe
from hil.core.processes import serve

class Thing: pass

def work():
    thing = Thing()
    alive = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    del thing
    print("went on")

serve(Pipe()[0], work)
"""


def test_a_signal_in_a_callback_ends_the_worker() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CALLBACK], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (TERMINATED, "", "")
