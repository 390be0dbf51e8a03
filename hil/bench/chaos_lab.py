"""A lab whose links go wrong on purpose: `hil bench --chaos`."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from hil.bench.cells import Image
from hil.bench.lab import Firmware, Lab
from hil.boards.station import Station
from hil.errors import LinkError
from hil.link import Link
from hil.link.chaos import Chaos, ChaosLink, Trouble
from hil.link.serial_port import SerialLink


@dataclass
class ChaosLab:
    """``lab`` with a `hil.link.chaos.ChaosLink` around every link that it opens.

    Every board has trouble of its own, drawn from the seed and its name, which goes on over links
    that are opened again. A cable that is out keeps its port from being opened. A reset restarts
    the board where something here can: by its reset line; an emulator is started anew.
    """

    lab: Lab
    chaos: Chaos
    clock: Callable[[], float] = time.monotonic  # of all its links
    _troubles: dict[str, Trouble] = field(default_factory=dict)

    def build(self, image: Image, project: Path) -> Firmware:
        """See `Lab.build`."""
        return self.lab.build(image, project)

    @contextmanager
    def open(self, station: Station, image: Image, firmware: Firmware) -> Iterator[Link]:
        """See `Lab.open`; LinkError also while the cable is out."""
        name = "/".join((station.name, *image.key))
        trouble = self._troubles.get(name)
        if trouble is None:
            seed = self.chaos.seed ^ zlib.crc32(name.encode())
            trouble = self._troubles[name] = Trouble(replace(self.chaos, seed=seed))
        # an emulator is not started to find that out
        if trouble.out_until is not None and self.clock() < trouble.out_until:
            where = station.port or station.name
            raise LinkError(f"port {where} vanished (chaos: the cable is out)")
        for way in (trouble.out, trouble.back):
            way.waiting.clear()  # it was on a line that is no more
        with self.lab.open(station, image, firmware) as link:
            restart = _restart(station, link)
            yield ChaosLink(link, trouble.chaos, clock=self.clock, reset=restart, trouble=trouble)

    def unobservable(self, station: Station) -> str:
        """See `Lab.unobservable`."""
        return self.lab.unobservable(station)


def injected(link: Link) -> dict[str, int]:
    """How often each fault was injected so far on the line that ``link`` is now."""
    return {name: n for name, n in link.done.items() if n} if isinstance(link, ChaosLink) else {}


def _restart(station: Station, link: Link) -> Callable[[], None] | None:
    """What restarts the board behind ``link``; None where nothing here can."""
    line = station.board.serial.reset
    own: Callable[[], None] | None = getattr(link, "reset", None)  # of links whose board is played
    if own:
        return own
    if not station.port:
        return _stop
    if line != "none" and isinstance(link, SerialLink):
        return lambda: link.pulse(line)
    return None


def _stop() -> None:
    """An emulator that is reset is another emulator."""
    raise LinkError("the emulator was stopped (chaos: reset)")
