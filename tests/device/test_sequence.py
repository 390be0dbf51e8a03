# SPDX-License-Identifier: Apache-2.0
"""A model with state computes each step of its sequence once, whatever the line does."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import pytest

from hil.core.errors import StateLost
from hil.core.records import DType, Encoding, TensorSpec
from hil.device import Device, Timing
from hil.device.line import refused
from hil.link.chaos import Chaos, ChaosLink
from hil.testing.board import FakeBoard, FakeLink, Fault, corrupt, drop, duplicate
from hil.wire.frames import Frame, encode, encode_request
from hil.wire.messages import (
    ErrorCode,
    Kind,
    Refusal,
    infer_request,
    reset_request,
    step_of,
)
from tests.support.device import HELLO

COUNTER = replace(
    HELLO.models[0],
    input=TensorSpec(DType.INT8, (1,)),
    output=TensorSpec(DType.INT32, (1,)),
    stateful=True,
)
STEPS = [bytes([i % 100 + 1]) for i in range(300)]
SUMS = [struct.pack("<i", sum(one[0] for one in STEPS[: i + 1])) for i in range(len(STEPS))]


@dataclass
class Counter:
    """The sum of all inputs since it was reset."""

    sum: int = 0
    computed: list[bytes] = field(default_factory=list)

    def infer(self, _: int, values: bytes) -> bytes:
        self.sum += values[0]
        self.computed.append(values)
        return struct.pack("<i", self.sum)

    def forget(self, _: int) -> None:
        self.sum = 0
        self.computed.clear()


def board_of(counter: Counter, faults: Iterable[Fault | None] = ()) -> FakeBoard:
    hello = replace(HELLO, models=(COUNTER,), unpacks=True)
    return FakeBoard(hello, counter.infer, faults, forget=counter.forget)


def device_of(board: FakeBoard, chaos: Chaos | None = None) -> Device:
    line = FakeLink(board)
    link = ChaosLink(line, chaos) if chaos else line
    return Device(link, Timing(boot=3, reply=2, clock=line.clock), number=1)


def ask(device: Device, steps: Iterable[bytes] = STEPS, first: int = 0) -> list[bytes]:
    asked = device.infer(0, Encoding.INT8, steps, window=4, pack=True, first=first, sequence=True)
    return [one.result.output for one in asked]


@pytest.mark.parametrize("fault", [drop, corrupt, duplicate])
@pytest.mark.parametrize("at", [0, 1, 7])
def test_a_lost_answer_does_not_advance_the_state(fault: Fault, at: int) -> None:
    counter = Counter()
    device = device_of(board_of(counter, [None] * (1 + at) + [fault]))
    device.reset_state(0)
    assert ask(device) == SUMS
    assert counter.computed == STEPS


def test_a_lost_reply_to_the_reset_is_asked_for_again() -> None:
    counter = Counter()
    device = device_of(board_of(counter, [drop]))
    device.reset_state(0)
    assert ask(device) == SUMS


def test_after_a_reset_the_sequence_starts_again() -> None:
    device = device_of(board_of(Counter()))
    for _ in range(2):
        device.reset_state(0)
        assert ask(device) == SUMS


def test_a_sequence_continues_in_a_second_call() -> None:
    device = device_of(board_of(Counter()))
    device.reset_state(0)
    assert ask(device, STEPS[:10]) + ask(device, STEPS[10:], first=10) == SUMS


def test_a_board_at_another_step_is_noticed() -> None:
    board = board_of(Counter())
    device = device_of(board)
    device.reset_state(0)
    ask(device, STEPS[:10])
    board.reset()
    with pytest.raises(StateLost, match="at step 0 of its sequence, the request was for step 10"):
        ask(device, STEPS[10:], first=10)


OLD: dict[str, Callable[[int], Frame]] = {
    "an earlier step": lambda seq: infer_request(seq, 0, Encoding.INT8, STEPS[3], sample=3),
    "the latest step": lambda seq: infer_request(seq, 0, Encoding.INT8, STEPS[9], sample=9),
    "the first step": lambda seq: infer_request(seq, 0, Encoding.INT8, STEPS[0]),
    "another input": lambda seq: infer_request(seq, 0, Encoding.INT8, b"Z", sample=9),
}


@pytest.mark.parametrize("what", sorted(OLD))
def test_old_requests_that_the_line_repeats_change_nothing(what: str) -> None:
    counter = Counter()
    device = device_of(board_of(counter))
    device.reset_state(0)
    found = ask(device, STEPS[:10])
    device.link.write(encode_request(OLD[what](60_000)))
    assert found + ask(device, STEPS[10:], first=10) == SUMS
    assert counter.computed == STEPS


def test_an_old_reset_that_the_line_repeats_is_noticed() -> None:
    device = device_of(board_of(Counter()))
    device.reset_state(0)
    ask(device, STEPS[:10])
    device.link.write(encode(reset_request(60_000, 0)))
    with pytest.raises(StateLost):
        ask(device, STEPS[10:], first=10)


@pytest.mark.parametrize("seed", range(12))
def test_no_step_is_computed_twice_on_a_line_with_every_fault(seed: int) -> None:
    """Every answer is right, or the loss of the state is noticed; then the sequence starts again,
    as `hil.bench.session` does it."""
    chaos = Chaos(
        seed=seed, flip=2e-4, drop=1e-3, duplicate=1e-3, reorder=1e-3, inject=1e-2, replay=5e-2
    )
    counter = Counter()
    device = device_of(board_of(counter), chaos)
    found: list[bytes] = []
    position = 0
    for _ in range(200):
        try:
            if not position:
                device.reset_state(0)
            for one in device.infer(
                0, Encoding.INT8, STEPS[position:], first=position, sequence=True
            ):
                position = one.index + 1
                assert one.result.output == SUMS[one.index]
                found[one.index :] = [one.result.output]
            break
        except StateLost:
            position = 0
    assert found == SUMS
    assert counter.computed == STEPS
    assert device.retries > 0


def test_firmware_that_does_not_know_the_request() -> None:
    refusal = refused(Refusal(ErrorCode.TYPE, Kind.RESET_STATE, 0, 0))
    assert refusal.what == "the board cannot reset the state of a model"


def test_steps_after_65535_continue_at_1() -> None:
    """0 is the number of a step after a reset alone."""
    assert [step_of(i) for i in (0, 1, 65_535, 65_536, 65_537, 131_070, 131_071)] == [
        *(0, 1, 65_535, 1, 2, 65_535, 1)
    ]
