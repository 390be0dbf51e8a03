# SPDX-License-Identifier: Apache-2.0
"""Only lost requests are sent again; a hopeless line is reported in bounded time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from hil.core.errors import LineHopeless, NoAnswer, WrongFirmware
from hil.core.records import Encoding, LineCounts
from hil.device import Device, Timing
from hil.device.line import END_OF_ALL
from hil.device.pace import ATTEMPTS, NONE_S, SAFE_S
from hil.device.stream import BABBLE
from hil.link import Deadline
from hil.link.chaos import Chaos, ChaosLink, ChaosState
from hil.testing.board import FakeBoard, Fault, chatter, corrupt, drop, duplicate
from hil.testing.lines import Computing, PacedLink
from hil.wire.frames import Frame, decode, encode
from tests.support.device import HELLO, fake_device

INPUTS = [bytes([i, 255 - i, 0, 0]) for i in range(40)]
WANTED = [values[:2] for values in INPUTS]
COMPUTES = 0.01  # seconds


def paced_device(
    faults: Iterable[Fault | None] = (), chaos: Chaos | None = None, baud: int = 115200
) -> tuple[Device, PacedLink]:
    computing = Computing(lambda _model, values: values[:2], COMPUTES)
    line = PacedLink(FakeBoard(HELLO, computing, faults), baud, computing.spent)
    link = ChaosLink(line, chaos) if chaos else line
    timing = Timing(boot=3, reply=20, clock=line.clock)
    return Device(link, timing, number=1), line  # which bits chaos flips depends on the number


def ask(device: Device, window: int = 4) -> list[bytes]:
    return [a.result.output for a in device.infer(0, Encoding.INT8, INPUTS, window=window)]


@pytest.mark.parametrize("fault", [drop, corrupt])
@pytest.mark.parametrize("at", [0, 1, 2, 17])
def test_a_lost_answer_costs_one_inference_and_no_waiting(fault: Fault, at: int) -> None:
    clean, undisturbed = paced_device()
    assert ask(clean) == WANTED
    device, line = paced_device([None] * at + [fault])
    assert ask(device) == WANTED
    assert device.retries == 1
    assert device.counts.timeouts == 0
    assert line.now < undisturbed.now + 2.5 * COMPUTES


def test_a_request_that_arrives_damaged_is_sent_again_at_once() -> None:
    device, line = paced_device()
    write, sent = line.write, 0

    def damage_the_third(data: bytes) -> None:
        nonlocal sent
        sent += 1
        write(bytes([data[0], data[1] ^ 2]) + data[2:] if sent == 3 else data)

    line.write = damage_the_third  # type: ignore[method-assign]
    assert ask(device) == WANTED
    counts = device.counts
    assert (counts.retries, counts.damaged_out, counts.damaged_in, counts.timeouts) == (1, 1, 0, 0)
    assert counts.resent_bytes == len(INPUTS[0]) + 4 + 8 + 2


def test_a_lost_last_answer_times_out_by_the_measured_round_trips() -> None:
    device, line = paced_device([None] * 39 + [drop])
    began = line.now
    assert ask(device) == WANTED
    assert device.counts.timeouts == 1
    assert SAFE_S < line.now - began < SAFE_S + 1


def test_an_answer_that_is_later_than_ever_still_counts() -> None:
    """It is not waited for a second time."""
    device, link = fake_device()
    device = Device(link, Timing(boot=3, reply=20, clock=link.clock))
    link_answer = link.board.answer
    due: list[tuple[float, bytes]] = []

    def late(data: bytes) -> bytes:
        if replies := link_answer(data):
            due.append((link.now + 1.5, replies))
        return b""

    read = link.read

    def read_late(deadline: Deadline) -> bytes:
        while not (data := read(Deadline(min([deadline.at, *(at for at, _ in due)]), link.clock))):
            if deadline.expired:
                break
            link.arrive(due.pop(0)[1])
        return data

    assert len(list(device.infer(0, Encoding.INT8, INPUTS[:3]))) == 3  # measured: at once
    link.board.answer = late  # type: ignore[method-assign]
    link.read = read_late  # type: ignore[method-assign]
    (answer,) = device.infer(0, Encoding.INT8, INPUTS[:1])
    assert answer.disturbed
    assert answer.attempts == 2


def test_answers_in_flight_during_a_fault_are_marked() -> None:
    device, _ = fake_device(faults=[None] * 10 + [corrupt])
    answers = list(device.infer(0, Encoding.INT8, INPUTS, window=4))
    marked = {answer.index for answer in answers if answer.disturbed}
    assert 10 in marked
    assert marked <= set(range(7, 18))
    assert len(marked) >= 4
    assert all(answer.disturbed for answer in answers if answer.attempts > 1)


@pytest.mark.parametrize("fault", [duplicate, chatter])
def test_answers_beside_unexpected_bytes_are_marked(fault: Fault) -> None:
    device, _ = fake_device(faults=[None] * 10 + [fault])
    answers = list(device.infer(0, Encoding.INT8, INPUTS, window=1))
    assert any(answer.disturbed for answer in answers[10:12])
    assert not any(answer.disturbed for answer in answers[:10] + answers[12:])


def test_a_clean_line_disturbs_and_counts_nothing() -> None:
    device, _ = fake_device()
    assert not any(a.disturbed for a in device.infer(0, Encoding.INT8, INPUTS, window=4))
    assert device.counts == LineCounts(frames_out=40, frames_in=40)


def test_two_reports_of_damage_for_one_request_lose_no_answer() -> None:
    def halved(reply: bytes) -> bytes:
        return reply[:5] + b"\0" + reply[6:]

    device, _ = fake_device(faults=[None, halved, None, halved, halved])
    assert ask(device, 3) == WANTED
    assert device.counts.damaged_in == 6


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_a_stream_finishes_although_most_frames_are_lost(seed: int, window: int) -> None:
    device, line = paced_device(chaos=Chaos(seed, flip=4e-3))
    assert ask(device, window) == WANTED
    assert device.retries > 40
    assert line.now < 60


@pytest.mark.parametrize("window", [1, 4, 8])
@pytest.mark.parametrize(
    "chaos", [Chaos(1, flip=3e-2), Chaos(2, flip=0.2), Chaos(3, drop=0.1), Chaos(4, duplicate=0.5)]
)
def test_a_hopeless_line_is_reported_within_75_seconds(chaos: Chaos, window: int) -> None:
    device, line = paced_device(chaos=chaos)
    with pytest.raises(LineHopeless, match=r"sample \d+: line paced is hopeless at 115200 baud"):
        ask(device, window)
    assert line.now < 75


def test_many_losses_in_a_row_are_reported_after_ten_seconds() -> None:
    device, line = paced_device(chaos=Chaos(4, duplicate=0.5))
    with pytest.raises(LineHopeless, match=r"100\.0% of the last \d{3} requests were lost"):
        ask(device)
    assert line.now == pytest.approx(NONE_S, abs=1)


def test_the_error_of_a_hopeless_line_has_the_losses_and_advice() -> None:
    device, _ = paced_device(chaos=Chaos(1, flip=1e-2))
    many = (bytes([1, i % 251, i % 256, 7]) * 16 for i in range(100_000))
    with pytest.raises(LineHopeless) as caught:
        list(device.infer(0, Encoding.INT8, many, window=4))
    said = str(caught.value)
    assert re.search(r"9\d\.\d% of the last \d+ requests were lost", said) or "100.0%" in said
    assert f"{device.counts.damaged_out} seen by the board" in said
    assert "check the cable" in said


def test_a_line_that_was_repaired_is_used_again() -> None:
    device, _ = paced_device(chaos=Chaos(1, flip=3e-2))
    for _ in range(5):  # more requests than are judged
        with pytest.raises(LineHopeless):
            ask(device)
    chaos = device.link
    assert isinstance(chaos, ChaosLink)
    chaos.state = ChaosState(Chaos(1, flip=3e-3))
    assert ask(device) == WANTED


def test_status_on_a_hopeless_line_ends_too() -> None:
    device, line = paced_device(chaos=Chaos(1, flip=0.1))
    with pytest.raises(LineHopeless, match="STATUS: line paced is hopeless"):
        device.status()
    assert line.now < 75


def test_hello_is_repeated_at_once_on_a_bad_line() -> None:
    device, line = paced_device(chaos=Chaos(1, flip=1e-3))
    assert device.hello() == HELLO
    assert line.now < 3


def test_hello_on_a_hopeless_line_is_an_error() -> None:
    device, line = paced_device(chaos=Chaos(1, flip=6e-3))
    with pytest.raises(LineHopeless, match="HELLO: line paced is hopeless .* arrived damaged"):
        device.hello()
    assert line.now < 4


@pytest.mark.parametrize("measured", [False, True])
def test_a_silent_board_is_an_error_after_its_timeouts(measured: bool) -> None:
    device, link = fake_device(faults=[None] * (20 if measured else 0) + [drop] * 1000)
    with pytest.raises(NoAnswer, match=r"INFER of sample \d+: no valid answer on port fake in"):
        ask(device, 2)
    patience = ATTEMPTS * device.timing.reply
    assert patience * 0.99 <= link.now <= patience + device.timing.reply


def test_an_input_that_the_line_never_carries_is_reported() -> None:
    """For example because of XON/XOFF: all other inputs pass."""
    device, link = fake_device()
    answer = link.board.answer

    def deaf_to_one(data: bytes) -> bytes:
        return answer(b"\x05\x01\x01\0" if b"\x07\xf8" in data else data)

    link.board.answer = deaf_to_one  # type: ignore[method-assign]
    many = INPUTS * 200
    with pytest.raises(
        LineHopeless, match=r"INFER of sample 7: sent \d+ times .* while [789]\d% of the"
    ):
        list(device.infer(0, Encoding.INT8, many, window=4))
    assert device.counts.retries < 200


@pytest.mark.parametrize(
    "change",
    [
        lambda payload: payload[:2] + b"\0\0" + payload[4:],  # firmware without the check
        lambda payload: payload[:3],
    ],
)
def test_answers_that_never_fit_are_wrong_firmware(change: Callable[[bytes], bytes]) -> None:
    device, link = fake_device()
    answer = link.board.answer

    def other(data: bytes) -> bytes:
        replies = b""
        for block in answer(data).split(b"\0")[:-1]:
            frame = decode(block)
            assert isinstance(frame, Frame)
            replies += encode(replace(frame, payload=change(frame.payload)))
        return replies

    link.board.answer = other  # type: ignore[method-assign]
    with pytest.raises(WrongFirmware, match="do not fit the requests .* flash it: "):
        ask(device)
    assert link.now < 1


def test_a_frame_without_its_delimiter_is_still_read() -> None:
    device, _ = fake_device(faults=[None] * 3 + [lambda reply: reply[:-1]])
    answers = list(device.infer(0, Encoding.INT8, INPUTS[:4]))
    assert [answer.attempts for answer in answers] == [1, 1, 1, 1]


def test_a_reset_in_the_middle_is_survived() -> None:
    device, line = paced_device()
    board = line.board
    assert isinstance(board, FakeBoard)
    answer, asked = board.answer, 0

    def reset_at_ten(data: bytes) -> bytes:
        nonlocal asked
        asked += 1
        if 10 <= asked < 20:  # off, then booting
            return chatter(b"") if asked == 19 else b""
        return answer(data)

    board.answer = reset_at_ten  # type: ignore[method-assign]
    assert ask(device) == WANTED
    assert device.counts.timeouts > 0


class OneAtATime:
    """A line on which the board reads a request only when the host reads, so that excess requests
    pile up; ``most``: the most bytes that did."""

    name, baud = "queue", 115200

    def __init__(self) -> None:
        self.board = FakeBoard(HELLO, lambda _model, values: values[:2])
        self.now = 0.0
        self.most = 0
        self._waiting = b""

    def clock(self) -> float:
        return self.now

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def write(self, data: bytes) -> None:
        self._waiting += data
        self.most = max(self.most, len(self._waiting))

    def read(self, deadline: Deadline) -> bytes:
        while self._waiting:
            request, end, self._waiting = self._waiting.partition(b"\0")
            if replies := self.board.answer(request + end):
                return replies
        self.now = max(self.now, deadline.at)
        return b""

    def close(self) -> None:
        pass


@pytest.mark.parametrize("seed", range(3))
def test_false_reports_of_damage_do_not_fill_the_line(seed: int) -> None:
    """Such as replayed ERROR frames: each would cause one more request."""
    line = OneAtATime()
    chaos = Chaos(seed, flip=5e-3, replay=0.3, inject=0.05)
    device = Device(ChaosLink(line, chaos), Timing(reply=20, clock=line.clock))
    many = [bytes([i % 256, i % 251, 1, 0]) for i in range(300)]
    answers = device.infer(0, Encoding.INT8, many, window=4)
    assert [answer.result.output for answer in answers] == [values[:2] for values in many]
    assert line.most < 4 * 18 * 16


def test_echoes_of_the_requests_are_ignored() -> None:
    """As on a half-duplex line: each request comes back, then its answer."""
    device, link = fake_device()
    answer = link.board.answer
    link.board.answer = lambda data: data + answer(data)  # type: ignore[method-assign]
    assert ask(device) == WANTED
    counts = device.counts
    assert (counts.unexpected, counts.retries, counts.damaged_in) == (len(INPUTS), 0, 0)


@pytest.mark.parametrize("window", [1, 4])
def test_garbage_does_not_cause_requests_for_long(window: int) -> None:
    """Each damaged frame is a reason to repeat a request; a few in a row are not replies."""
    device, link = fake_device()
    sent = 0

    def garbage(data: bytes) -> bytes:
        nonlocal sent
        sent += link.now == 0 and data != END_OF_ALL  # until the first silence
        return b"\x05\x01\x01\0" if link.now == 0 else b""

    link.board.answer = garbage  # type: ignore[method-assign]
    with pytest.raises(NoAnswer):
        ask(device, window)
    assert sent == window + 2 * window + BABBLE
