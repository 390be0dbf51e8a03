# SPDX-License-Identifier: Apache-2.0
"""A sketch that is asked by lines of text: what is taken for an answer, and what never is."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hil.core.errors import NoAnswer
from hil.device.text import OTHER_SAMPLE, SECOND, UNASKED, TextDevice, TextTiming, encode_sample
from hil.testing.text import FakeSketch
from hil.wire.lines import CUT, Reader
from hil.wire.patterns import choose_patterns

LABEL = r"class (?P<label>\d+)"


def device(sketch: FakeSketch, *patterns: str) -> TextDevice:
    reader = Reader(choose_patterns(patterns or (LABEL,)))
    return TextDevice(sketch, reader, TextTiming(2.0, 0.3, 10.0, sketch.clock))


def echo(request: bytes) -> bytes:
    return b"class " + request + b"\r\n"


def test_an_answer_and_its_round_trip() -> None:
    asked = device(FakeSketch(echo, seconds=0.25))
    heard = asked.ask(b"7\n")
    assert (heard.answer.label, heard.round_trip) == (7, 250_000)
    assert (asked.bytes_out, asked.bytes_in) == (2, 9)


def test_what_came_before_the_request_is_discarded_and_counted() -> None:
    sketch = FakeSketch(echo)
    sketch.say(b"class 1\nclass 2\n")
    asked = device(sketch)
    assert asked.ask(b"7\n").answer.label == 7
    assert asked.reader.dropped == {UNASKED: 2}


def test_an_answer_that_comes_too_late_is_not_that_of_the_next_sample() -> None:
    delays = iter([2.5, 0.02])
    sketch = FakeSketch()

    def late(request: bytes) -> bytes:
        sketch.seconds = next(delays)
        return echo(request)

    sketch.answer = late
    asked = device(sketch)
    with pytest.raises(NoAnswer, match="no answer on fake within 2 s; nothing arrived"):
        asked.ask(b"1\n")
    asked.wait_out()
    assert asked.ask(b"2\n").answer.label == 2
    assert asked.timeouts == 1
    assert asked.reader.dropped == {UNASKED: 1}


def test_an_index_tells_the_answer_to_the_sample_before() -> None:
    said = iter([b"4: class 1\n", b"4: class 1\n5: class 2\n", b"5: class 2\n"])
    asked = device(FakeSketch(lambda _: next(said)), r"(?P<index>\d+): class (?P<label>\d+)")
    assert asked.ask(b"x\n").answer.label == 1
    assert asked.ask(b"x\n").answer.label == 2
    with pytest.raises(NoAnswer):
        asked.ask(b"x\n")
    assert asked.reader.dropped == {OTHER_SAMPLE: 2}


def test_a_second_answer_is_counted() -> None:
    asked = device(FakeSketch(lambda _: b"class 1\nclass 2\n"))
    assert asked.ask(b"x\n").answer.label == 1
    assert asked.reader.dropped == {SECOND: 1}


def test_a_line_without_end_is_shown() -> None:
    asked = device(FakeSketch(lambda _: b"class 7"))
    with pytest.raises(NoAnswer, match="within 2 s; the last line has no end: 'class 7'"):
        asked.ask(b"x\n")


def test_another_line_is_shown() -> None:
    asked = device(FakeSketch(lambda _: b"ERROR: \x1b[2Jarena\n"))
    with pytest.raises(NoAnswer, match=r"the last line was 'ERROR: \?\[2Jarena'"):
        asked.ask(b"x\n")


def test_the_rest_of_a_line_is_not_a_line() -> None:
    sketch = FakeSketch(echo)
    sketch.say(b"class 1")
    sketch.say(b"2\n", after=0.1)
    asked = device(sketch)
    assert asked.ask(b"7\n").answer.label == 7


def test_a_prompt_without_a_line_end_does_not_hide_the_answer() -> None:
    sketch = FakeSketch(lambda request: echo(request) + b"next: ")
    sketch.say(b"next: ")
    asked = device(sketch)
    assert [asked.ask(b"%d\n" % i).answer.label for i in range(3)] == [0, 1, 2]
    assert CUT not in asked.reader.dropped


def test_a_board_that_boots_is_asked_again() -> None:
    sketch = FakeSketch(echo, boots_at=3.0, boot=b"\xff\x00ready\r\n")
    asked = device(sketch)
    assert asked.start(b"7\n").answer.label == 7
    assert sketch.requests == [b"7"]


def test_a_silent_board_is_given_up() -> None:
    asked = device(FakeSketch(boots_at=100.0))
    with pytest.raises(NoAnswer, match="no answer on fake"):
        asked.start(b"7\n")


def test_a_sketch_that_never_stops_printing_is_given_up() -> None:
    sketch = FakeSketch()
    for i in range(2000):
        sketch.say(b"waiting\n", after=i / 10)
    with pytest.raises(NoAnswer, match="the last line was 'waiting'"):
        device(sketch).start(b"7\n")


def test_an_optional_time_is_waited_for_until_silence() -> None:
    text = b"expcted class 0, predicted class 2\n"
    asked = device(FakeSketch(lambda _: text), "eloquent")
    heard = asked.ask(b"x\n")
    assert (heard.answer.label, heard.answer.us) == (2, None)


# --- what is sent ---


@given(
    npst.arrays(np.float32, 5, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
)
def test_sent_numbers_are_the_same_float32(values: np.ndarray) -> None:
    sent = encode_sample(values, "csv", b"\n").decode()
    again = np.array([np.float32(word) for word in sent.split(",")])
    assert again.tobytes() == (values + np.float32(0)).tobytes() or (again == values).all()
    assert json.loads(encode_sample(values, "json", b"")) == [float(w) for w in sent.split(",")]


@pytest.mark.parametrize(
    ("make", "csv", "raw"),
    [
        (lambda: np.array([[0, 255]], "u1"), b"0,255\r\n", b"\x00\xff"),
        (lambda: np.array([-128, 127], "i1"), b"-128,127\r\n", b"\x80\x7f"),
        (lambda: np.array([0.5, -1], ">f4"), b"0.5,-1.0\r\n", b"\0\0\0?\0\0\x80\xbf"),
    ],
)
def test_formats(make: Callable[[], np.ndarray], csv: bytes, raw: bytes) -> None:
    values = make()
    assert encode_sample(values, "csv", b"\r\n") == csv
    assert encode_sample(values, "json", b"\r\n") == b"[" + csv[:-2] + b"]\r\n"
    assert encode_sample(values, "bytes", b"\r\n") == raw
