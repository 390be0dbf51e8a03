"""Where answers go: the run's folder, or the pipe to the process that writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hil.runlog.schema import RunEnd, Sample


class Sink(Protocol):
    """Takes what a run brings. `hil.runlog.log.RunLog` is one."""

    @property
    def done(self) -> Mapping[str, int]:
        """How many answers of each run are stored."""
        ...

    def append(self, sample: Sample) -> None:
        """Store one answer."""
        ...

    def finish(self, end: RunEnd) -> None:
        """Store how a run ended."""
        ...
