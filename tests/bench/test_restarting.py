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
from hil.bench.events import Event, Restarted
from hil.bench.lab import Firmware
from hil.boards.station import Station
from hil.core.errors import BoardCrashed, NoAnswer
from hil.link import Deadline, Link
from hil.runs.load import read_manifest
from hil.runs.restarts import pattern
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
        assert max(lab.clocks) < 15  # seconds, for three attempts; 100 without a text


def test_a_board_that_restarts_at_one_sample(tmp_path: Path) -> None:
    plan = planned(N)
    pixels = plan.data.x[5].tobytes()
    run(plan, tmp_path / "well", ignore, FakeLab())
    lab = Restarting(says=PANIC, when=lambda payload: payload.endswith(pixels))
    where = f"the board restarts whenever it gets sample {plan.data.ids[5]}: .*Stack canary"
    with pytest.raises(BoardCrashed, match=where):
        run(plan, tmp_path / "ill", ignore, lab, patience=Watch().patience(20))
    assert answers(tmp_path / "ill") == answers(tmp_path / "well")[:5]


@dataclass
class Counting(Restarting):
    """A board that restarts at every ``nth`` inference since its boot."""

    nth: int = 1
    inferences: int = 0

    def __post_init__(self) -> None:
        self.when = self._is_due

    def _is_due(self, _: bytes) -> bool:
        self.inferences = (self.inferences + 1) % self.nth
        return self.inferences == 0


@pytest.mark.parametrize("nth", [5, 7])
def test_a_board_that_restarts_at_every_nth_inference(nth: int, tmp_path: Path) -> None:
    plan = planned(40)
    run(plan, tmp_path / "well", ignore, FakeLab())
    events: list[Event] = []
    lab = Counting(says=PANIC, nth=nth)
    run(plan, tmp_path / "ill", events.append, lab, patience=Watch().patience(20))
    assert answers(tmp_path / "ill") == answers(tmp_path / "well")
    last = [event for event in events if isinstance(event, Restarted)][-1]
    assert f"it restarts after every {nth - 1} inferences" in last.said
    (end,) = read_manifest(tmp_path / "ill").ends
    assert end.faults
    assert pattern(end.faults.restarts) == f"after every {nth - 1} inferences"
    assert "Stack canary" in end.faults.restarts[0].said


def test_a_board_that_would_restart_for_hours_ends_its_run(tmp_path: Path) -> None:
    lab = Counting(says=PANIC, nth=5)  # one sample per boot
    with pytest.raises(BoardCrashed, match="the board restarts after every 4 inferences: .*canary"):
        run(planned(150), tmp_path, ignore, lab, patience=Watch().patience(20))
    assert 3 < len(answers(tmp_path)) < 20


@pytest.mark.parametrize("nth", [2, 3])
def test_a_board_that_never_ends_its_warm_up(nth: int, tmp_path: Path) -> None:
    with pytest.raises(BoardCrashed, match=f"at inference {nth} after it has booted: .*canary"):
        run(planned(N), tmp_path, ignore, Counting(says=PANIC, nth=nth))


def test_a_board_that_restarts_at_the_first_sample_after_its_warm_up(tmp_path: Path) -> None:
    """Sample 0 was answered in the warm-up, so the fault is not in that sample."""
    lab = Counting(says=PANIC, nth=4)
    with pytest.raises(BoardCrashed, match="the board restarts at inference 4 after it has booted"):
        run(planned(N), tmp_path, ignore, lab, patience=Watch().patience(20))


def test_the_last_request_is_named(tmp_path: Path) -> None:
    plan = planned(N)
    size = len(plan.data.x[0].tobytes())
    last = f"the last request was sample {plan.data.ids[0]} for student int8 \\({size} bytes\\)"
    with pytest.raises(BoardCrashed, match=last):
        run(plan, tmp_path, ignore, Restarting(says=PANIC))


@dataclass
class Looping(Restarting):
    """A board that stops in a boot loop at an inference, and never answers again."""

    dead: bool = False

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        with FakeLab.open(self, station, image, firmware) as link:
            assert isinstance(link, FakeLink)
            try:
                yield _LoopLink(link, self)
            finally:
                self.clocks.append(link.clock())


@dataclass
class _LoopLink(_Link):
    lab: Looping

    def write(self, data: bytes) -> None:
        if not self.lab.dead:
            frames = [one for one in self.decoder.feed(data) if isinstance(one, Frame)]
            self.lab.dead = any(
                one.type == Kind.INFER and self.lab.when(one.payload) for one in frames
            )
        if not self.lab.dead:
            self.link.write(data)

    def read(self, deadline: Deadline) -> bytes:
        data = self.link.read(deadline)
        if self.lab.dead and not data:
            return self.lab.says
        return data


def test_a_boot_loop_is_not_waited_for_as_long_as_a_cable(tmp_path: Path) -> None:
    plan = planned(N)
    pixels = plan.data.x[5].tobytes()
    watch = Watch()
    lab = Looping(says=PANIC, when=lambda payload: payload.endswith(pixels))
    with pytest.raises(BoardCrashed, match="canary.*it does not start any more") as caught:
        run(plan, tmp_path, ignore, lab, patience=watch.patience(20))
    assert f"the last request was sample {plan.data.ids[5]}" in caught.value.what
    assert watch.now < 120  # timeouts.away
    assert sum(lab.clocks) < 60
    assert len(answers(tmp_path)) == 5


def test_a_board_that_hangs_at_every_inference_does_not_restart(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer) as caught:
        run(planned(N), tmp_path, ignore, Restarting(restarts=False))
    assert "restarts whenever" not in str(caught.value)
