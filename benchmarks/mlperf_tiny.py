"""The serial protocol of MLPerf Tiny, host and device: what `link.py` compares with.

In words of our own, after its runner and reference device: commands in ASCII end in `%`, replies
in `m-ready`, and a sample is hex in lines of 37 bytes, each of which is answered.
"""

from __future__ import annotations

from collections.abc import Callable

from hil.link import Link
from hil.link.deadline import Deadline

LINE = 37  # bytes of a sample in one command: its buffer holds 80 characters
READY = b"m-ready\r\n"


class TinyDevice:
    """Answers `name`, `db load`, `db`, `infer`; ``infer(values)`` gives one score a class."""

    def __init__(self, infer: Callable[[bytes], list[float]]) -> None:
        self._infer = infer
        self._command = bytearray()
        self._wanted = 0
        self._values = bytearray()

    def answer(self, data: bytes) -> bytes:
        """The bytes that come back for ``data``."""
        replies = bytearray()
        *commands, rest = (bytes(self._command) + data).split(b"%")
        self._command = bytearray(rest)
        for command in commands:
            replies += b"".join(f"{line}\r\n".encode() for line in self._obey(command.decode()))
            replies += READY
        return bytes(replies)

    def _obey(self, command: str) -> list[str]:
        match command.split(" "):
            case ["name"]:
                return ["m-name-dut-[tinyml-hil]"]
            case ["db", "load", count]:
                self._wanted = int(count)
                self._values.clear()
                return [f"m-[Expecting {count} bytes]"]
            case ["db", digits]:
                self._values += bytes.fromhex(digits)
                return ["m-load-done"] if len(self._values) >= self._wanted else []
            case ["infer", times, warmup]:
                scores = ",".join(f"{score:.3f}" for score in self._infer(bytes(self._values)))
                return [
                    f"m-warmup-start-{warmup}",
                    "m-warmup-done",
                    f"m-infer-start-{times}",
                    "m-lap-us-1000000",
                    "m-lap-us-1020000",
                    "m-infer-done",
                    f"m-results-[{scores}]",
                ]
        return [f"e-[Unknown command: {command}]"]


class TinyHost:
    """Loads a sample and asks for one inference, each reply awaited."""

    def __init__(self, link: Link, clock: Callable[[], float]) -> None:
        self._link, self._clock = link, clock

    def infer(self, values: bytes) -> str:
        """The line of results."""
        self._ask(f"db load {len(values)}%")
        for start in range(0, len(values), LINE):
            self._ask(f"db {values[start : start + LINE].hex()}%")
        (results,) = (
            line for line in self._ask("infer 1 0%").splitlines() if line.startswith("m-results")
        )
        return results

    def _ask(self, command: str) -> str:
        self._link.write(command.encode())
        reply = b""
        while not reply.endswith(READY):
            got = self._link.read(Deadline.after(20, self._clock))
            assert got, f"no answer to {command}"
            reply += got
        return reply.decode()
