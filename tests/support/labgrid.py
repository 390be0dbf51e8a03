# SPDX-License-Identifier: Apache-2.0
"""A labgrid lab on loopback: a real coordinator, a real exporter, and emulated boards in it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hil.boards.config import load_board
from hil.boards.emulator import start
from hil.boards.labgrid import CLIENT
from hil.link import Deadline

WAIT_S = 100.0


def missing() -> list[str]:
    """Programs for a lab that are not installed here."""
    programs = {"labgrid-client": _client(), "ser2net": _ser2net()}
    return [name for name, found in programs.items() if not found]


@dataclass(frozen=True)
class LocalLab:
    """The places of the lab, all free at first."""

    environment: dict[str, str]
    folder: Path

    def client(self, *words: str, user: str = "hil") -> str:
        """What `labgrid-client` prints, as ``user``."""
        done = subprocess.run(
            [_client(), *words],
            env={**self.environment, "LG_USERNAME": user},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def holder(self, place: str) -> str:
        """Who has acquired ``place``; empty if it is free."""
        lines = self.client("-p", place, "show").splitlines()
        (line,) = (line for line in lines if line.strip().startswith("acquired:"))
        who = line.split(":", 1)[1].strip()
        return "" if who == "None" else who.partition("/")[2]


@contextmanager
def local_lab(places: dict[str, tuple[str, Path]], folder: Path) -> Iterator[LocalLab]:
    """A lab whose ``places`` (name -> kind of board, firmware) are emulators that run already."""
    address = f"127.0.0.1:{_free_port()}"
    environment = {**os.environ, "LG_COORDINATOR": address, "LG_USERNAME": "hil"}
    environment["PATH"] += f"{os.pathsep}/usr/sbin"  # ser2net's
    bins = Path(_client()).parent
    with ExitStack() as running:

        def serve(*command: str) -> None:
            log = running.enter_context((folder / f"{Path(command[0]).name}.log").open("wb"))
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
            running.callback(process.wait)
            running.callback(process.terminate)

        exports = []
        for place, (kind, firmware) in places.items():
            emulator = load_board(kind).emulator
            assert emulator
            board = start(emulator, firmware, folder / f"{place}.log", Deadline.after(WAIT_S))
            running.callback(board.stop)
            exports.append(f"{place}:\n  RawSerialPort:\n    port: {board.port}\n")
        (folder / "exporter.yaml").write_text("".join(exports))
        serve(str(bins / "labgrid-coordinator"), "-l", address)
        lab = LocalLab(environment, folder)
        _until(lambda: _answers(lab, "places"))
        words = ("-c", address, "-n", "bench", "--hostname", "127.0.0.1", "exporter.yaml")
        serve(str(bins / "labgrid-exporter"), *words)
        _until(lambda: all(f"/{name}/" in _answers(lab, "resources") for name in places))
        for place, (kind, _) in places.items():
            lab.client("-p", place, "create")
            lab.client("-p", place, "add-match", f"bench/{place}/*")
            lab.client("-p", place, "set-tags", f"board={kind}")
        yield lab


def _client() -> str:
    return os.environ.get(CLIENT) or shutil.which("labgrid-client") or ""


def _ser2net() -> str:
    return shutil.which("ser2net", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin") or ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(lab: LocalLab, command: str) -> str:
    done = subprocess.run(
        [_client(), command], env=lab.environment, capture_output=True, text=True, check=False
    )
    return f"{done.stdout}\nanswered" if done.returncode == 0 else ""


def _until(condition: object) -> None:
    """Repeat the check until it succeeds; each one starts a program, which takes half a second."""
    assert callable(condition)
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "the lab did not come up"
