# SPDX-License-Identifier: Apache-2.0
"""A device is found, and every reply belongs to its command; otherwise no result is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import DeviceError, DeviceRefused, NoAnswer, WrongReply
from hil.mlperf.dut import Dut, DutTiming, Identity
from hil.mlperf.protocol import WRAP
from hil.testing.board import Fault
from hil.testing.mlperf import BOOT, FakeDut, FakeDutLink, headless, lost, rebooted, twice
from tests.support.mlperf_devices import infer, sample

IDENTITY = Identity("fake", "ULPMark for tinyML Firmware V0.0.1", "fake01")
COMMANDS = 4  # for a sample of 40 bytes: db load, two lines of db, infer


def device(line: FakeDutLink, **timing: float) -> Dut:
    return Dut(line, DutTiming(clock=line.clock, **timing))


@pytest.mark.parametrize("boots_at", [0.0, 0.1, 0.3, 1.0, 1.31, 2.5, 20.0])
def test_a_board_that_resets_when_its_port_opens_is_found(boots_at: float) -> None:
    line = FakeDutLink(FakeDut(infer), boots_at=boots_at)
    dut = device(line)
    assert dut.identify() == IDENTITY
    assert dut.run(sample(2)).values == (0.1, 0.1, 0.8)


def test_a_stale_ready_does_not_shift_the_replies() -> None:
    line = FakeDutLink(FakeDut(infer))
    line.arrive(b"m-ready\r\n", at=0.5)  # of a boot that ends while `name` is asked
    line.arrive(b"m-ready\r\nm-na", at=0.9)
    dut = device(line)
    assert dut.identify() == IDENTITY
    assert dut.run(sample(1)).values == (0.1, 0.8, 0.1)
    assert dut.retries == 0


def test_an_answer_to_an_earlier_query_is_not_taken() -> None:
    line = FakeDutLink(FakeDut(infer))
    line.arrive(b"m-name-dut-[stale]\r\nm-ready\r\n", at=0.35)  # asked at 0.3
    assert device(line).find() == "fake"


def test_an_unfinished_command_of_another_program_is_ended() -> None:
    line = FakeDutLink(FakeDut(infer))
    line.write(b"db 00112")
    assert device(line).identify() == IDENTITY
    assert line.dut.commands[0] == "db 00112name"


def test_a_silent_port_is_one_line_of_error() -> None:
    line = FakeDutLink(FakeDut(infer), boots_at=1000.0)
    with pytest.raises(NoAnswer, match="no MLPerf Tiny device answered on fake within 3 s") as bad:
        device(line, boot=3.0).identify()
    assert line.clock.now < 6
    assert "\n" not in str(bad.value)


def test_a_port_that_is_never_silent_is_an_error() -> None:
    line = FakeDutLink(FakeDut(infer), chatters=True)
    with pytest.raises(NoAnswer, match="within 3 s"):
        device(line, boot=3.0).identify()
    assert line.clock.now < 6


def test_commands_are_not_empty_and_fit_the_command_buffer() -> None:
    line = FakeDutLink(FakeDut(infer))
    dut = device(line)
    dut.identify()
    dut.run(bytes(784))
    assert all(0 < len(command) <= 80 for command in line.dut.commands)
    assert line.dut.commands.count("db " + "00" * 37) == 784 // 37


@pytest.mark.parametrize("fault", [lost, headless, twice, rebooted])
@pytest.mark.parametrize("command", range(COMMANDS))
def test_one_damaged_reply_costs_a_retry_and_changes_nothing(fault: Fault, command: int) -> None:
    # name, profile, then those of the sample
    line = FakeDutLink(FakeDut(infer, faults=[None] * (2 + command) + [fault]))
    dut = device(line)
    dut.identify()
    assert dut.run(sample(1)).values == (0.1, 0.8, 0.1)
    assert dut.run(sample(2)).values == (0.1, 0.1, 0.8)
    # the reply to a line of `db` is only m-ready: none, or two of them, is a fault too
    assert dut.retries == 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([None, None, None, lost, headless, twice, rebooted]), max_size=40))
def test_no_answer_is_assigned_to_another_sample(faults: list[Fault | None]) -> None:
    line = FakeDutLink(FakeDut(infer, faults=faults))
    dut = device(line)
    try:
        dut.identify()
        for label in (0, 1, 2, 1, 0):
            assert dut.run(sample(label)).values.index(0.8) == label
    except (NoAnswer, WrongReply):
        assert any(faults)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=20))
def test_garbage_in_place_of_replies_is_a_device_error(replies: list[bytes]) -> None:
    def replaced(reply: bytes) -> Fault:
        return lambda _: reply

    line = FakeDutLink(FakeDut(infer, faults=[replaced(reply) for reply in replies]))
    dut = device(line, reply=5.0)
    try:
        assert dut.identify() == IDENTITY
        assert dut.run(sample(2)).values == (0.1, 0.1, 0.8)
    except DeviceError as problem:
        bad = str(problem)
    else:
        bad = ""
    assert not bad or bad.isprintable()


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (
            b"e-[No \x1b[31mway]\r\nm-ready\r\n",
            DeviceRefused,
            r"refused `db load 40`: No \?\[31mway",
        ),
        (b"hello\r\nm-ready\r\n", WrongReply, "`db load 40` was answered with hello, m-ready"),
        (b"m-[Expecting 41 bytes]\r\nm-ready\r\n", WrongReply, "Expecting 41 bytes"),
        (b"m-[Expecting 40 bytes]\r\n", NoAnswer, "no m-ready in 2 s after `db load 40`"),
        (b"m-ready\r\nm-ready\r\nm-rea", WrongReply, "was answered with m-ready"),
        (b"x\r\n" * 5000, WrongReply, "has more than 4,096 lines"),
    ],
)
def test_a_permanent_fault_is_reported_after_ten_attempts(
    reply: bytes, kind: type[DeviceError], says: str
) -> None:
    class Stubborn(FakeDut):
        def answer(self, data: bytes) -> bytes:
            return reply if data.startswith(b"db load") else super().answer(data)

    dut = device(FakeDutLink(Stubborn(infer)))
    dut.identify()
    with pytest.raises(kind, match=says) as bad:
        dut.run(sample(0))
    assert dut.retries == 9
    assert "\n" not in str(bad.value)


WARMED = "m-warmup-start-0\r\nm-warmup-done"
STARTED = "m-infer-start-1"
DONE = "m-infer-done\r\nm-results-[0,1,0]"


def answering(lines: Sequence[str]) -> Callable[[bytes], bytes]:
    return lambda _: "".join(f"{line}\r\n" for line in (*lines, "m-ready")).encode()


@pytest.mark.parametrize(
    "lines",
    [
        ["m-results-[0,1,0]"],
        [WARMED.replace("-0", "-1"), STARTED, "m-lap-us-1", "m-lap-us-2", DONE],
        [WARMED, STARTED.replace("-1", "-2"), "m-lap-us-1", "m-lap-us-2", DONE],
        [WARMED, STARTED, "m-lap-us-1", DONE],  # a lap is missing
        [WARMED, STARTED, "m-lap-us-5000000000", "m-lap-us-2", DONE],  # backwards
        [WARMED, STARTED, "m-lap-us-1", "m-lap-us-2", DONE.replace("1", "x")],
    ],
)
def test_a_reply_to_infer_with_a_wrong_line_is_not_an_answer(lines: list[str]) -> None:
    line = FakeDutLink(FakeDut(infer, faults=[None] * 5 + [answering(lines)]))
    dut = device(line)
    dut.identify()
    assert dut.run(sample(0)).values == (0.8, 0.1, 0.1)
    assert dut.retries == 1


def test_a_clock_may_wrap_during_an_inference() -> None:
    line = FakeDutLink(FakeDut(infer, seconds=2.0, offset=WRAP - 1_500_000))
    dut = device(line)
    found = dut.run(sample(0), iterations=3, warmups=0)
    assert found.end < found.start
    assert found.us == 6_000_000
    assert found.whole == pytest.approx(6.0)


def test_a_slow_device_is_waited_for() -> None:
    line = FakeDutLink(FakeDut(infer, seconds=25.0))
    assert device(line).run(sample(1)).us == 25_000_000


def test_another_device_on_the_port_is_not_measured() -> None:
    line = FakeDutLink(FakeDut(infer, faults=[None, lost]))
    dut = device(line)
    assert dut.find() == "fake"
    line.dut.vendor = "other"
    with pytest.raises(WrongReply, match=r"was \[fake\] and is now \[other\]"):
        dut.run(sample(1))


def test_a_damaged_letter_of_its_name_is_not_another_device() -> None:
    line = FakeDutLink(FakeDut(infer, faults=[None, lost, lambda said: said.replace(b"k", b"j")]))
    dut = device(line)
    assert dut.find() == "fake"
    assert dut.run(sample(1)).values == (0.1, 0.8, 0.1)
    assert dut.retries == 1


def test_every_line_of_the_device_is_passed_on() -> None:
    told: list[str] = []
    line = FakeDutLink(FakeDut(infer), boots_at=0.1)
    Dut(line, DutTiming(clock=line.clock), told.append).identify()
    assert told[:4] == BOOT.decode().split()
    assert "m-model-[fake01]" in told


class Flipping(FakeDut):
    """One digit of the first `db` line, or of the first results, is changed on the way."""

    where: str = ""

    def answer(self, data: bytes) -> bytes:
        if self.where == "load" and data.startswith(b"db 01"):
            self.where, data = "", data.replace(b"db 01", b"db 02", 1)
        reply = super().answer(data)
        if self.where == "results" and b"m-results-[" in reply:
            self.where, reply = "", reply.replace(b"0.800", b"0.000", 1)
        return reply


@pytest.mark.parametrize("where", ["load", "results"])
@pytest.mark.parametrize("read_back", [False, True])
def test_a_changed_digit_is_noticed_only_when_read_back(where: str, read_back: bool) -> None:
    line = FakeDutLink(Flipping(infer))
    dut = Dut(line, DutTiming(clock=line.clock), read_back=read_back)
    dut.find()
    assert isinstance(line.dut, Flipping)
    line.dut.where = where
    right = dut.run(sample(1)).values == (0.1, 0.8, 0.1)
    assert (right, dut.retries) == ((True, 1) if read_back else (False, 0))
