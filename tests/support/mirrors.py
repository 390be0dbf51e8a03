# SPDX-License-Identifier: Apache-2.0
"""HTTP servers on this machine, from which tests download."""

from __future__ import annotations

import functools
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Calls ``asked`` with the path of each GET; sends ``cut`` bytes less than it announced."""

    def __init__(
        self, *args: object, asked: Callable[[str], None] | None, cut: int, directory: str
    ) -> None:
        self._asked, self._cut = asked, cut
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]  # of socketserver

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self._asked:
            self._asked(self.path)
        super().do_GET()

    def copyfile(self, source: object, outputfile: object) -> None:
        data = source.read()  # type: ignore[attr-defined]  # a file
        outputfile.write(data[: len(data) - self._cut])  # type: ignore[attr-defined]


@contextmanager
def serving(
    folder: Path, asked: Callable[[str], None] | None = None, cut: int = 0
) -> Iterator[str]:
    """The URL that serves ``folder``."""
    handler = functools.partial(_Handler, asked=asked, cut=cut, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def refused_url() -> str:
    """A URL that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"
