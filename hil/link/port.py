"""What the harness needs of a port."""

from __future__ import annotations

from typing import Protocol

from hil.link.deadline import Deadline


class Link(Protocol):
    """A byte stream to one board. Every failure is a `hil.errors.LinkError`."""

    @property
    def name(self) -> str:
        """The port as a person would name it."""
        ...

    @property
    def baud(self) -> int:
        """The rate at which this end sends and listens."""
        ...

    def set_baud(self, baud: int) -> None:
        """Send and listen at ``baud`` from now on, after all that was written has left."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of ``data``; a board that takes nothing for long is a LinkError."""
        ...

    def read(self, deadline: Deadline) -> bytes:
        """Whatever has arrived, waiting for the first byte; empty when the deadline passes."""
        ...

    def close(self) -> None:
        """Let the port go; closing twice is fine."""
        ...
