# SPDX-License-Identifier: Apache-2.0
"""Inferences that fail on the board: in a stream that expects them, and in one that does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import DeviceRefused, NoAnswer
from hil.core.records import Encoding
from hil.device import Answer, Failure
from hil.testing.board import EngineFails, Fault, chatter, corrupt, cut, drop, duplicate
from hil.wire.messages import ErrorCode, SketchFault
from tests.support.device import fake_device

FAULTS: list[Fault | None] = [None, None, None, drop, corrupt, cut, duplicate, chatter]
INPUTS = [bytes([i, 255 - i, 0, 0]) for i in range(12)]


def fails_on_odd(_: int, values: bytes) -> bytes:
    """A predict function that returns false for an input whose first byte is odd."""
    if values[0] % 2:
        raise EngineFails(SketchFault.REFUSED)
    return values[:2]


@given(st.lists(st.sampled_from(FAULTS), max_size=12), st.integers(1, 4))
def test_failures_keep_their_place_on_a_bad_line(faults: list[Fault | None], window: int) -> None:
    device, link = fake_device(faults=faults)
    link.board.infer = fails_on_odd
    try:
        found = list(device.attempt(0, Encoding.INT8, INPUTS, window=window))
    except NoAnswer:
        assert sum(fault is not None for fault in faults) >= 5  # five in a row for one request
        return
    assert [one.index for one in found] == list(range(len(INPUTS)))
    for one, values in zip(found, INPUTS, strict=True):
        if values[0] % 2:
            assert isinstance(one, Failure)
            assert (one.refusal.code, one.refusal.needed) == (ErrorCode.ENGINE, 1)
        else:
            assert isinstance(one, Answer)
            assert one.result.output == values[:2]


def test_a_failure_ends_a_stream_that_does_not_expect_any() -> None:
    device, link = fake_device()
    link.board.infer = fails_on_odd
    answers = device.infer(0, Encoding.INT8, [bytes(4), b"\2222", b"\1111"], window=3)
    assert [next(answers).index, next(answers).index] == [0, 1]
    with pytest.raises(DeviceRefused, match="failed in its inference engine with code 1"):
        next(answers)


def test_other_errors_end_a_stream_that_expects_failures() -> None:
    device, _ = fake_device()
    with pytest.raises(DeviceRefused, match="has . models"):
        list(device.attempt(5, Encoding.INT8, INPUTS))
