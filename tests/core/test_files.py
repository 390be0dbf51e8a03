# SPDX-License-Identifier: Apache-2.0
"""Whole files, and locks between processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.core.errors import InUse, StorageError
from hil.core.files import locked

HOLD = """
import sys
from pathlib import Path
from hil.core.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
ENTER = """
import sys
from pathlib import Path
from hil.core.files import locked
print("asks", flush=True)
with locked(Path(sys.argv[1])):
    print(Path(sys.argv[2]).read_text(), flush=True)
"""


@contextmanager
def holder(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has the lock until its stdin closes."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_lock_that_another_process_holds_is_refused_at_once(tmp_path: Path) -> None:
    lock = tmp_path / "a" / ".lock"
    with holder(lock), pytest.raises(InUse, match=r"another process has locked .*/a/\.lock"):
        locked(lock, wait=False).__enter__()
    with locked(lock, wait=False):
        assert lock.read_bytes() == b""


def test_a_lock_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with holder(lock) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        with locked(lock, wait=False):
            pass


def test_a_second_process_waits(tmp_path: Path) -> None:
    lock, note = tmp_path / ".lock", tmp_path / "note"
    note.write_text("before")
    with locked(lock):
        second = subprocess.Popen(
            [sys.executable, "-c", ENTER, lock, note], stdout=subprocess.PIPE, text=True
        )
        assert second.stdout
        assert second.stdout.readline() == "asks\n"
        note.write_text("after")
    with second:
        assert second.stdout.read() == "after\n"


def test_a_lock_in_one_process_keeps_out_a_second(tmp_path: Path) -> None:
    with locked(tmp_path / ".lock"), pytest.raises(InUse):
        locked(tmp_path / ".lock", wait=False).__enter__()


def test_a_lock_that_cannot_be_created_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot lock .*/file/\.lock \(File exists\)"):
        locked(tmp_path / "file" / ".lock").__enter__()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="cannot lock .*/link"):
        locked(tmp_path / "link").__enter__()
    assert not (tmp_path / "elsewhere").exists()
