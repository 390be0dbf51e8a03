# SPDX-License-Identifier: Apache-2.0
"""`Device` over a line with scripted faults: each call ends in the answer or in one clear error."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import (
    BoardCrashed,
    DeviceRefused,
    HilError,
    NoAnswer,
    NotRunning,
    WrongFirmware,
)
from hil.core.records import ClockSteps, DType, Encoding
from hil.device import Device, Timing, ask_layer
from hil.device.line import END_OF_ALL
from hil.link import Deadline
from hil.testing.board import (
    PANIC,
    Fault,
    chatter,
    corrupt,
    cut,
    drop,
    duplicate,
    in_rom_loader,
    panic,
)
from hil.wire.frames import Frame, decode, encode
from hil.wire.messages import INPUT_LAYER
from tests.support.device import HELLO, fake_device

INPUTS = [bytes([i, 255 - i, 0, 0]) for i in range(40)]
FAULTS: list[Fault | None] = [None, None, None, drop, corrupt, cut, duplicate, chatter]


PACKS = replace(HELLO, unpacks=True)


def outputs(
    faults: Iterable[Fault | None], window: int, room: int | None = None, *, pack: bool = False
) -> list[bytes]:
    device, _ = fake_device(faults=faults, hello=PACKS if pack else HELLO)
    answers = device.infer(0, Encoding.INT8, INPUTS, window=window, room=room, pack=pack)
    return [answer.result.output for answer in answers]


@given(
    st.lists(st.sampled_from(FAULTS), max_size=30),
    st.integers(1, 6),
    st.none() | st.integers(0, 100),
    st.booleans(),
)
def test_faults_never_lose_reorder_or_change_an_answer(
    faults: list[Fault | None], window: int, room: int | None, pack: bool
) -> None:
    try:
        found = outputs(faults, window, room, pack=pack)
        assert found == [values[:2] for values in INPUTS]
    except NoAnswer:
        assert sum(fault is not None for fault in faults) >= 5  # five in a row for one sample


def test_attempts_and_retries_are_counted() -> None:
    device, _ = fake_device(faults=[None, drop])
    answers = list(device.infer(0, Encoding.INT8, INPUTS[:3]))
    assert [answer.attempts for answer in answers] == [1, 2, 1]
    assert device.retries == 1


def test_numbering_continues_where_a_run_was_interrupted() -> None:
    device, _ = fake_device()
    answers = device.infer(0, Encoding.INT8, INPUTS[:3], first=17, window=2)
    assert [answer.index for answer in answers] == [17, 18, 19]


def test_the_window_is_not_exceeded() -> None:
    device, link = fake_device()
    link.board.answer = lambda data: sent.append(data) or b""  # type: ignore[func-returns-value,method-assign]
    sent: list[bytes] = []
    with pytest.raises(NoAnswer):
        list(device.infer(0, Encoding.INT8, INPUTS, window=3))
    assert sum(data != END_OF_ALL for data in sent) == 3 * 5


def sent_unanswered(room: int | None, values: list[bytes]) -> list[bytes]:
    """The requests that are sent at once to a board that never answers."""
    device, link = fake_device()
    link.board.answer = lambda data: sent.append(data) or b""  # type: ignore[func-returns-value,method-assign]
    sent: list[bytes] = []
    with pytest.raises(NoAnswer):
        list(device.infer(0, Encoding.INT8, values, window=4, room=room, pack=True))
    requests = [data for data in sent if data != END_OF_ALL]
    assert len(requests) % 5 == 0
    return requests[: len(requests) // 5]


def test_the_room_is_not_exceeded() -> None:
    """Frames of 18 bytes: 4 of input, 4 of INFER, 8 of frame, 2 of COBS."""
    for room, count in ((0, 1), (18, 1), (35, 1), (36, 2), (54, 3), (71, 3), (72, 4), (None, 4)):
        sent = sent_unanswered(room, [bytes([i, 1, 2, 3]) for i in range(1, 9)])
        assert {len(data) for data in sent} == {18}
        assert len(sent) == count, room


def test_each_input_is_packed_if_that_is_shorter() -> None:
    even, odd = bytes(4), bytes(range(4))
    frames = [decode(data[:-1]) for data in sent_unanswered(None, [even, odd])]
    assert [frame.payload for frame in frames if isinstance(frame, Frame)] == [
        b"\0\x82",
        b"\0\x02\0\0\0\x01\x02\x03",
    ]


def test_hello_survives_boot_text_and_a_lost_first_answer() -> None:
    device, _ = fake_device(faults=[drop, chatter])
    assert device.hello() == HELLO


def test_repeated_answers_to_hello_do_not_disturb_what_follows() -> None:
    device, _ = fake_device(faults=[duplicate])
    assert device.hello() == HELLO
    assert not any(answer.disturbed for answer in device.infer(0, Encoding.INT8, INPUTS))
    assert device.counts.unexpected == 0


def test_silence_is_an_error() -> None:
    device, _ = fake_device(faults=[drop] * 100)
    with pytest.raises(NoAnswer, match="nothing answered on port fake within 3 s"):
        device.hello()


def test_noise_is_wrong_firmware() -> None:
    device, _ = fake_device(faults=[lambda _: b"Hello from Arduino\r\n"] * 100)
    with pytest.raises(WrongFirmware, match="sent data for .* but not in this protocol"):
        device.hello()


class Chatter:
    """A board that never stops printing, faster than the host reads."""

    name, baud = "chatter", 115200

    def __init__(self, says: bytes) -> None:
        self.says = says
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def set_baud(self, _: int) -> None:
        pass

    def write(self, _: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    def read(self, _: Deadline) -> bytes:
        self.now += 0.5
        assert self.now < 60, "it reads for ever"
        return self.says


@pytest.mark.parametrize(
    ("says", "error", "quotes"),
    [
        (PANIC, BoardCrashed, "crashed: it printed .Guru Meditation Error"),
        (b"\0" + PANIC, BoardCrashed, "crashed: it printed .Guru Meditation Error"),
        (b"panic: out of tune\r\n", WrongFirmware, 'protocol: it printed "panic: out of tune"'),
        (b"\0\xff\xfe\0ready?\n\0", WrongFirmware, 'protocol: it printed "ready\\?"'),
        (b"\xff\xfe\0", WrongFirmware, "not in this protocol; flash it"),
    ],
)
def test_a_board_that_never_stops_printing_is_quoted(
    says: bytes, error: type[HilError], quotes: str
) -> None:
    link = Chatter(says)
    with pytest.raises(error, match=quotes):
        Device(link, Timing(boot=5, clock=link.clock)).hello()


def test_a_board_that_panics_is_quoted_and_not_to_be_flashed() -> None:
    device, _ = fake_device(faults=[panic] * 100)
    with pytest.raises(BoardCrashed) as said:
        device.hello()
    assert "the board on fake crashed" in said.value.what
    assert "Stack canary watchpoint triggered (loopTask)" in said.value.what
    assert "flash" not in str(said.value)


def test_a_board_in_its_rom_loader_is_recognised() -> None:
    device, _ = fake_device(faults=[in_rom_loader] * 100)
    with pytest.raises(NotRunning, match=r"fake is in its ROM loader .*DOWNLOAD_BOOT\(UART0"):
        device.hello()


def test_a_board_that_panics_at_an_inference_is_quoted() -> None:
    device, _ = fake_device(faults=[None, panic, *[drop] * 99])
    assert device.hello() == HELLO
    with pytest.raises(
        BoardCrashed, match=r"the board on fake crashed: it printed .Guru Meditation"
    ):
        list(device.infer(0, Encoding.INT8, INPUTS))


def test_text_from_before_an_answer_is_not_a_diagnosis() -> None:
    device, _ = fake_device(faults=[panic, None, None, *[drop] * 99])
    assert device.hello() == HELLO
    with pytest.raises(NoAnswer, match="no valid answer on port fake in 5 attempts"):
        device.status()


def test_another_protocol_version_is_reported() -> None:
    device, _ = fake_device(version=2)
    with pytest.raises(WrongFirmware, match="speaks protocol 2, this harness 1"):
        device.hello()


def test_a_missing_model_is_refused() -> None:
    device, _ = fake_device()
    with pytest.raises(DeviceRefused, match="models, but the request was for number"):
        list(device.infer(5, Encoding.INT8, INPUTS))


def test_status_is_repeated_until_it_is_answered() -> None:
    device, _ = fake_device(faults=[corrupt, drop])
    assert device.status(reset=True).stack_size == 4096
    assert device.retries == 2


def test_round_trips_are_those_of_the_last_transmission() -> None:
    device, link = fake_device(faults=[drop])
    inputs = [bytes([i] * 4) for i in range(3)]
    answers = list(device.infer(0, Encoding.INT8, inputs, window=1))
    assert [answer.attempts for answer in answers] == [2, 1, 1]
    # on the fake link time passes only during silence
    assert [answer.round_trip for answer in answers] == [0, 0, 0]
    assert link.now >= 1


def test_a_slow_answer_has_a_long_round_trip() -> None:
    device, link = fake_device()
    answer_now = link.board.answer

    def slow(data: bytes) -> bytes:
        link.now += 0.25
        return answer_now(data)

    link.board.answer = slow  # type: ignore[method-assign]
    (answer,) = device.infer(0, Encoding.INT8, [bytes(4)])
    assert answer.round_trip == pytest.approx(250_000, abs=2)
    assert device.idle_round_trip() == pytest.approx(250_000, abs=2)


@pytest.mark.parametrize("fault", [drop, corrupt])
def test_clock_steps_and_firmware_without_them(fault: Fault) -> None:
    device, link = fake_device(faults=[fault])
    assert device.clock_steps() == ClockSteps(1, 1, 64)
    link.board.steps = None
    assert device.clock_steps() is None


def shown(_: int, values: bytes) -> list[tuple[DType, bytes]]:
    return [(DType.INT8, values), (DType.FLOAT32, bytes(range(200))), (DType.INT8, values[:2])]


@given(st.lists(st.sampled_from(FAULTS), max_size=12))
def test_a_layer_arrives_whole_over_a_bad_line(faults: list[Fault | None]) -> None:
    device, link = fake_device(faults=faults)
    link.board.layers, link.board.chunk = shown, 64
    try:
        found = ask_layer(device, 0, Encoding.INT8, INPUTS[0], 0)
        last = ask_layer(device, 0, Encoding.INT8, INPUTS[0], 1)
        taken = ask_layer(device, 0, Encoding.INT8, INPUTS[0], INPUT_LAYER)
    except NoAnswer:
        assert sum(fault is not None for fault in faults) >= 5  # five in a row for one piece
        return
    assert (found.dtype, found.data, found.layers) == (DType.FLOAT32, bytes(range(200)), 2)
    assert (last.data, taken.data) == (INPUTS[0][:2], INPUTS[0])


def test_layers_that_firmware_does_not_show_are_refused() -> None:
    device, link = fake_device()
    with pytest.raises(DeviceRefused, match="does not show layers; .* HIL_LAYERS=1"):
        ask_layer(device, 0, Encoding.INT8, INPUTS[0], 0)
    link.board.layers = shown
    with pytest.raises(DeviceRefused, match="shows 2 layers of this model, but .* number 2"):
        ask_layer(device, 0, Encoding.INT8, INPUTS[0], 2)


def test_a_reply_for_another_layer_is_wrong_firmware() -> None:
    device, link = fake_device()
    link.board.layers = shown
    answer = link.board.answer

    def other(data: bytes) -> bytes:
        frame = decode(answer(data)[:-1])
        assert isinstance(frame, Frame)
        payload = frame.payload[:2] + b"\1" + frame.payload[3:]
        return encode(Frame(frame.type, frame.seq, payload))

    link.board.answer = other  # type: ignore[method-assign]
    with pytest.raises(WrongFirmware, match="requested layer 0 of model 0, .* sent layer 1"):
        ask_layer(device, 0, Encoding.INT8, INPUTS[0], 0)
