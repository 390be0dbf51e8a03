# SPDX-License-Identifier: Apache-2.0
"""Download one file from the fastest mirror: bounded in time, verified, then moved into place."""

from __future__ import annotations

import contextlib
import os
import queue
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pooch

from hil.core.errors import DataError

# (file name, bytes so far, bytes in all or 0 if unknown)
Progress: TypeAlias = Callable[[str, int, int], None]


CONNECT_S = 5.0
STALL_S = 15.0
TOTAL_S = 300.0

_OFFLINE = "set HIL_DATA_DIR to a folder that has the file, or use --dataset digits"


def answering(mirrors: tuple[str, ...], name: str) -> tuple[str, ...]:
    """The mirrors that have ``name``, fastest first, after at most ``CONNECT_S`` seconds.

    Asked in daemon threads: name resolution has no timeout of its own.
    """
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask(mirror: str) -> None:
        request = urllib.request.Request(mirror + name, method="HEAD")  # noqa: S310  (our mirrors)
        try:
            with urllib.request.urlopen(request, timeout=CONNECT_S):  # noqa: S310  (our mirrors)
                answers.put(mirror)
        except (OSError, ValueError):
            answers.put(None)

    for mirror in mirrors:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    deadline = time.monotonic() + CONNECT_S
    first: list[str] = []
    with contextlib.suppress(queue.Empty):
        for _ in mirrors:
            answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            if answer is not None:
                first.append(answer)
    return tuple(first)


def fetch(
    name: str,
    mirrors: tuple[str, ...],
    folder: Path,
    *,
    verify: Callable[[Path], object],
    progress: Progress | None = None,
    hint: str = _OFFLINE,
    total_s: float | None = None,
) -> Path:
    """Download ``name`` into ``folder``.

    Args:
        name: file name, appended to a mirror's URL.
        mirrors: base URLs.
        folder: created if missing.
        verify: raises DataError if the file is not the expected one.
        progress: called with (name, bytes so far, bytes in all).
        hint: what to do if all fail.
        total_s: limit of the whole download in seconds; `TOTAL_S` by default.

    Raises:
        DataError: no mirror answers, all fail, or the folder cannot be written.
    """
    able = answering(mirrors, name)
    if not able:
        raise DataError(f"no mirror of {name} answers", hint)
    failures: list[str] = []
    for mirror in able:
        try:
            bar = _Bar(name, progress, total_s)
            return _fetch_one(mirror + name, name, folder, verify, bar)
        except (OSError, ValueError) as error:
            failures.append(f"{mirror}: {error}")
        except DataError as error:
            failures.append(f"{mirror}: {error.what}")
    raise DataError(f"{name} could not be downloaded ({'; '.join(failures)})", hint)


def _fetch_one(
    url: str,
    name: str,
    folder: Path,
    verify: Callable[[Path], object],
    bar: _Bar,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    os.close(handle)
    part = Path(temporary)
    try:
        downloader = pooch.HTTPDownloader(
            progressbar=bar, chunk_size=1 << 16, timeout=(CONNECT_S, STALL_S)
        )
        downloader(url, str(part), None)
        verify(part)
        part.chmod(0o644)  # mkstemp's 0600 would lock out other users of a shared cache
        part.replace(folder / name)
    finally:
        part.unlink(missing_ok=True)
    return folder / name


class _Bar:
    """A progress bar as pooch expects it; it also ends a download that is too slow."""

    def __init__(self, name: str, progress: Progress | None, total_s: float | None) -> None:
        self.name = name
        self.progress = progress
        self.total = 0
        self.done = 0
        self.limit = TOTAL_S if total_s is None else total_s
        self.deadline = time.monotonic() + self.limit

    def update(self, count: int) -> None:
        if time.monotonic() > self.deadline:
            raise TimeoutError(f"not finished within {self.limit:.0f} s")
        self.done = min(self.done + count, self.total or self.done + count)
        if self.progress is not None:
            self.progress(self.name, self.done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Nothing to do: the caller owns the bar."""
