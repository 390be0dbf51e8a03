# SPDX-License-Identifier: Apache-2.0
"""Ending a worker process."""

from __future__ import annotations

import subprocess
import sys

from hil_train.workers import TERMINATED

# `serve` as a worker calls it, and a signal that comes while a weak reference's callback runs
WORKER = """
import os, signal, weakref
from multiprocessing import Pipe
from hil_train import workers

class Thing: pass

def work():
    thing = Thing()
    alive = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    del thing
    print("went on")

class Nothing:
    class config:
        class threading:
            set_intra_op_parallelism_threads = set_inter_op_parallelism_threads = staticmethod(int)

workers.require = lambda: (None, Nothing)
workers._follow_parent = lambda: None
workers.serve(Pipe()[0], work)
"""


def test_a_signal_in_a_callback_ends_the_worker() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKER], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (TERMINATED, "", "")
