# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server for one test: in a folder, behind a Unix socket, with a password."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hil.cli.doctor import postgresql_folders

PASSWORD = "s3cret-word"


def missing() -> list[str]:
    """Programs that are not installed here."""
    return [name for name in ("initdb", "pg_ctl") if not _program(name)]


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="hil-pg-"))  # short: a socket's path has a limit
    user = _server_user()
    data, word = folder / "data", folder / "word"
    word.write_text(PASSWORD)
    if user:
        for path in (folder, word):
            shutil.chown(path, user)
    try:
        as_user = ("-A", "scram-sha-256", "-U", "hil", f"--pwfile={word}")
        _run(user, "initdb", "-D", data, "-N", "--no-locale", "-E", "UTF8", *as_user)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        log = folder / "log"
        _run(user, "pg_ctl", "-D", data, "-w", "-t", "90", "-l", log, "-o", options, "start")
        try:
            yield f"postgresql://hil:{PASSWORD}@/postgres?host={folder}"
        finally:
            _run(user, "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _run(user: str | None, program: str, *words: str | Path) -> None:
    # a server inherits its output: a pipe would stay open as long as it runs
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [_program(program), *words],
            user=user,
            extra_groups=[] if user else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said.seek(0)
        assert done.returncode == 0, said.read().decode()


def _server_user() -> str | None:
    """A server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    return next(e.pw_name for e in pwd.getpwall() if e.pw_name in ("postgres", "nobody"))


def _program(name: str) -> str:
    path = os.pathsep.join(map(str, [*postgresql_folders(), os.environ["PATH"]]))
    return shutil.which(name, path=path) or ""
