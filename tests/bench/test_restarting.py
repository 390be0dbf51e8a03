# SPDX-License-Identifier: Apache-2.0
"""A board that restarts at every inference, or at one sample, is not a bad cable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hil.bench import run
from hil.bench.cases import Program
from hil.bench.lab import Firmware
from hil.boards.station import Station
from hil.core.errors import BoardCrashed, NoAnswer
from hil.link import Link
from hil.testing.board import PANIC, FakeLink
from hil.testing.lab import FakeLab
from hil.wire.frames import Decoder, Frame
from hil.wire.messages import Kind
from tests.support.benches import answers, ignore, planned
from tests.support.troubled import AroundLink, Watch

N = 8
WATCHDOG = (
    b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x8 (TG1WDT_SYS_RST),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
    b"entry 0x400805e4\r\n"
)


@dataclass
class Restarting(FakeLab):
    """A lab whose board restarts, and prints ``says``, instead of computing what ``when`` takes;
    or whose board only stays silent then."""

    says: bytes = b""
    when: Callable[[bytes], bool] = lambda _: True
    restarts: bool = True
    clocks: list[float] = field(default_factory=list)

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        with super().open(station, image, firmware) as link:
            assert isinstance(link, FakeLink)
            try:
                yield _Link(link, self)
            finally:
                self.clocks.append(link.clock())


@dataclass
class _Link(AroundLink):
    lab: Restarting
    decoder: Decoder = field(default_factory=Decoder)

    def write(self, data: bytes) -> None:
        frames = [one for one in self.decoder.feed(data) if isinstance(one, Frame)]
        payloads = [one.payload for one in frames if one.type == Kind.INFER]
        if not any(map(self.lab.when, payloads)):
            self.link.write(data)
        elif self.lab.restarts:
            self.decoder.reset()
            self.link.reset(0.3, self.lab.says)


@pytest.mark.parametrize(
    ("says", "quotes"),
    [
        (WATCHDOG, 'the last one with "rst:0x8 \\(TG1WDT_SYS_RST\\)"'),
        (PANIC, "Stack canary watchpoint triggered \\(loopTask\\)"),
        (b"", "; check its power, its watchdog"),
        (b"hello from the board\r\n", "; check its power, its watchdog"),
    ],
)
def test_a_board_that_restarts_at_every_inference(says: bytes, quotes: str, tmp_path: Path) -> None:
    lab = Restarting(says=says)
    with pytest.raises(BoardCrashed, match=f"the board restarts whenever it infers.*{quotes}") as e:
        run(planned(N), tmp_path, ignore, lab, patience=Watch().patience(20))
    assert "cable" not in str(e.value)
    if says in (WATCHDOG, PANIC):
        assert max(lab.clocks) < 65  # seconds, for three attempts; 100 without a text


def test_a_board_that_restarts_at_one_sample(tmp_path: Path) -> None:
    plan = planned(N)
    pixels = plan.data.x[5].tobytes()
    run(plan, tmp_path / "well", ignore, FakeLab())
    lab = Restarting(says=PANIC, when=lambda payload: payload.endswith(pixels))
    where = f"the board restarts whenever it gets sample {plan.data.ids[5]}: .*Stack canary"
    with pytest.raises(BoardCrashed, match=where):
        run(plan, tmp_path / "ill", ignore, lab, patience=Watch().patience(20))
    assert answers(tmp_path / "ill") == answers(tmp_path / "well")[:5]


def test_a_board_that_hangs_at_every_inference_does_not_restart(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer) as caught:
        run(planned(N), tmp_path, ignore, Restarting(restarts=False))
    assert "restarts whenever" not in str(caught.value)
