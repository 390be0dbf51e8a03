"""A lab that opens each board once and keeps it, for as many runs as are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hil.bench.cells import Image
from hil.bench.lab import Firmware, Lab
from hil.boards.session import HeldBoard
from hil.boards.station import Station
from hil.errors import LinkError, NoAnswer
from hil.link import Link


class HeldLab:
    """Builds by ``lab``, once an image; `held` is the board of the image that runs."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._built: dict[tuple[str, ...], Firmware] = {}
        self._held: HeldBoard | None = None
        self._lost = False

    def build(self, image: Image, project: Path) -> Firmware:
        """See `Lab.build`."""
        if image.key not in self._built:
            self._built[image.key] = self._lab.build(image, project)
        return self._built[image.key]

    def hold(self, station: Station, firmware: Firmware | None = None) -> HeldBoard:
        """The board, opened (and started with ``firmware`` if emulated) on the first call."""
        if self._held is None:
            file = firmware.file if firmware else None
            self._held = HeldBoard(station.board, file, station.port)
        return self._held

    @contextmanager
    def open(
        self,
        station: Station,
        image: Image,  # noqa: ARG002 - whoever calls `hold` has seen to it
        firmware: Firmware,
    ) -> Iterator[Link]:
        """See `Lab.open`; the link stays open, and is opened anew only when it was lost."""
        held = self.hold(station, firmware)
        if self._lost:
            held.reopen()
            self._lost = False
        try:
            yield held.link
        except (LinkError, NoAnswer):
            self._lost = True
            raise

    def unobservable(self, station: Station) -> str:
        """See `Lab.unobservable`: the board is held open with what it runs."""
        return f"board {station.name} is held by a test; `hil bench` shows the layers"

    def close(self) -> None:
        """Let the board go."""
        if self._held:
            self._held.close()
