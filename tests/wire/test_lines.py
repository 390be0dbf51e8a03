# SPDX-License-Identifier: Apache-2.0
"""Lines of text -> answers: what counts, what does not, and that chopping changes nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.wire.lines import (
    AMBIGUOUS,
    BAD_TIME,
    CUT,
    INCOMPLETE,
    MAX_LINE,
    NOISE,
    PARTLY,
    TOO_LONG,
    Reader,
    Splitter,
    TextAnswer,
    parse_number,
)
from hil.wire.patterns import choose_patterns

TUTORIAL = (
    b"0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.70,0.01,0.01\n"
    b"Predicted class is: 7\r\n"
    b"Sanity check: 7\r\n"
    b" - Time (ms): 52.00\r\n"
)


def read(
    data: bytes,
    *patterns: str,
    classes: Sequence[str] = (),
    outputs: int | None = None,
    joined: bool = False,
) -> tuple[list[TextAnswer], Reader]:
    reader = Reader(choose_patterns(patterns), classes, outputs)
    splitter = Splitter(joined=joined)
    found = [a for line in splitter.feed(data) for a in reader.take(line)]
    for line in splitter.close():
        found += reader.take(line)
    return [*found, *reader.flush()], reader


def one(data: bytes, *patterns: str, **more: int) -> TextAnswer:
    (found,), _ = read(data, *patterns, outputs=more.get("outputs"))
    return found


# --- ready patterns ---


def test_the_tutorials_sketch() -> None:
    found = one(TUTORIAL, "tutorial")
    assert found.fault == ""
    assert (found.label, found.us, found.step) == (7, 52_000, 1_000)
    assert found.outputs == (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.7, 0.01, 0.01)
    assert found.digit == pytest.approx(0.01)


def test_the_tutorials_sketch_that_prints_nan_does_not_count() -> None:
    found = one(TUTORIAL.replace(b"0.70", b"nan"), "tutorial")
    assert found.fault == "output nan is not finite"


def test_a_second_prediction_that_differs_does_not_count() -> None:
    found = one(TUTORIAL.replace(b"check: 7", b"check: 1"), "tutorial")
    assert found.fault == "the sketch predicted class 7, and then class 1"


def test_a_class_that_contradicts_the_outputs_does_not_count() -> None:
    found = one(TUTORIAL.replace(b": 7\r", b": 3\r"), "tutorial")
    assert found.fault == "class 3 does not have the largest output"


ELOQUENT_3 = (
    b"__TENSORFLOW IRIS__\r\n"
    b"expcted class 0, predicted class 0\r\nexpcted class 1, predicted class 2\r\n"
    b"expcted class 2, predicted class 2\r\nIt takes 123us for a single prediction\r\n"
    b"Predicting sample of idle: expcted id=0, predicted=1\r\n"
)


def test_eloquents_examples() -> None:
    found, reader = read(ELOQUENT_3, "eloquent")
    assert [(a.truth, a.label, a.us) for a in found] == [
        (0, 0, None),
        (1, 2, None),
        (2, 2, 123),
        (0, 1, None),
    ]
    assert not reader.dropped


def test_eloquents_older_examples() -> None:
    digits = (
        b"It took 4321 micros to run inference\r\nTest output is: 2\r\n"
        b"Predicted proba are: 0.10,0.10,0.80\nPredicted class is: 2\r\nSanity check: 2\r\n"
    )
    (found,), _ = read(digits, "eloquent")
    assert (found.truth, found.label, found.outputs, found.us) == (2, 2, (0.1, 0.1, 0.8), 4321)
    wine, _ = read(b"Sample #1: predicted 0 vs 2 actual\r\n", "eloquent")
    assert [(a.label, a.truth) for a in wine] == [(0, 2)]
    sine, _ = read(b"sin(0.50) = 0.48\t predicted: 0.47\r\n", "eloquent")
    assert [a.outputs for a in sine] == [(0.47,)]


@pytest.mark.parametrize(
    ("head", "us"),
    [
        ("Predictions (DSP: 1 ms., Classification: 2 ms., Anomaly: 0 ms.): ", 2_000),
        ("Predictions (DSP: 1.25 ms., Classification: 2.5 ms., Anomaly: 0ms.): ", 2_500),
        ("Timing: DSP 315 ms, inference 28 ms, anomaly 0 ms", 28_000),
        ("Timing: DSP 5 ms, inference 412 us, anomaly 0 ms", 412),
    ],
)
def test_edge_impulses_results(head: str, us: int) -> None:
    block = f"{head}\r\n#Classification predictions:\r\n  no: 0.12500\r\n  yes: 0.87500\r\n"
    text = f"run_classifier returned: 0\r\n{block}Anomaly prediction: 0.500\r\n" * 2
    found, reader = read(text.encode(), "edge-impulse")
    assert [(a.names, a.outputs, a.us) for a in found] == [(("no", "yes"), (0.125, 0.875), us)] * 2
    assert not reader.dropped
    swapped, _ = read(text.encode(), "edge-impulse", classes=("yes", "no"))
    assert [a.outputs for a in swapped] == [(0.875, 0.125)] * 2


def test_a_class_that_edge_impulse_does_not_know_is_missed() -> None:
    text = b"Timing: DSP 1 ms, inference 28 ms, anomaly 0 ms\n  no: 0.12500\n  perhaps: 0.87500\n"
    (found,), _ = read(text, "edge-impulse", classes=("no", "yes"))
    assert found.fault == "1 outputs, expected 2"


def test_tflms_hello_world() -> None:
    found, _ = read(
        b"x_value: 1.256637, y_value: 0.937500\nx_value: 1.0*2^2, y_value: -1.5*2^-1\n",
        "hello_world",
    )
    assert [a.outputs for a in found] == [(0.9375,), (-0.75,)]


# --- expressions of the user ---


def test_two_patterns_make_one_answer() -> None:
    found, _ = read(
        b"class 3\ntook 20 ms\nclass 4\ntook 21 ms\n",
        r"class (?P<label>\d)",
        r"took (?P<ms>\d+) ms",
    )
    assert [(a.label, a.us) for a in found] == [(3, 20_000), (4, 21_000)]


def test_a_last_line_ends_an_answer() -> None:
    patterns = (r"(?P<name>\w+)=(?P<value>\S+)", r"(?P<last>-+)")
    found, _ = read(b"a=1.0\nb=2.0\n--\na=3.0\nb=2.5\n--\n", *patterns)
    assert [(a.names, a.outputs) for a in found] == [
        (("a", "b"), (1.0, 2.0)),
        (("a", "b"), (3.0, 2.5)),
    ]


def test_outputs_one_per_line_without_names() -> None:
    found, _ = read(b"0.5\n0.25\n0.75\n1.0\n", r"(?P<value>[\d.]+)", outputs=2)
    assert [a.outputs for a in found] == [(0.5, 0.25), (0.75, 1.0)]


def test_names_of_classes() -> None:
    found, _ = read(
        b"I see a cat\nI see a cow\n", r"I see a (?P<label>\w+)", classes=("dog", "cat")
    )
    assert [(a.label, a.fault) for a in found] == [
        (1, ""),
        (None, "label 'cow' is not a class (dog, cat)"),
    ]


def test_a_label_out_of_range() -> None:
    found = one(b"0.5 0.5\t3\n", r"(?P<outputs>\S+ \S+)\t(?P<label>\d+)", outputs=2)
    assert found.fault == "label '3' is not a class (0 to 1)"


def test_yes_or_no_of_one_output() -> None:
    found = one(b"0.93 -> 1\n", r"(?P<outputs>\S+) -> (?P<label>\d)", outputs=1)
    assert (found.fault, found.label, found.chosen) == ("", 1, 1)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"1.0 2.0", "2 outputs, expected 3"),
        (b"1.0 2.0 3.0 4.0", "4 outputs, expected 3"),
        (b"1.0 2.0 x", "output 'x' is not a number"),
        (b"1.0,,2.0", "output '' is not a number"),
        (b"1.0 2.0 NaN", "output NaN is not finite"),
        (b"1.0 2.0 -inf", "output -inf is not finite"),
        (b"1.0 2.0 ovf", "output ovf is not finite"),
        (b"1.0 2.0 1e39", "output 1e39 is not finite"),
        (b"1.0 2.0 1_0", "output '1_0' is not a number"),
        (b"1.0 2.0 0x10", "output '0x10' is not a number"),
        ("1.0 2.0 \N{ARABIC-INDIC DIGIT ONE}".encode(), "output '\u0661' is not a number"),
        (b"1.0, 2.0;3.0,", ""),
        (b"1.0\t2.0 \t3.0", ""),
    ],
)
def test_outputs(text: bytes, fault: str) -> None:
    found = one(b"= " + text + b"\n", r"= (?P<outputs>.*)", outputs=3)
    assert found.fault == fault
    assert bool(found.outputs) == (fault == "" or "expected" in fault)


# --- times ---


@pytest.mark.parametrize(
    ("pattern", "text", "us", "step"),
    [
        (r"(?P<ms>\S+)", b"52", 52_000, 1_000),
        (r"(?P<ms>\S+)", b"52.00", 52_000, 1_000),
        (r"(?P<ms>\S+)", b"52.25", 52_250, 10),
        (r"(?P<ms>\S+)", b"0.12345678", 123, 1),
        (r"(?P<us>\S+)", b"52", 52, 1),
        (r"(?P<start_ms>\d+)-(?P<end_ms>\d+)", b"4294967290-46", 52_000, 1_000),
        (r"(?P<start_us>\d+)-(?P<end_us>\d+)", b"4294967290-46", 52, 1),
        (r"(?P<start_us>\d+)-(?P<end_us>\d+)", b"100-152", 52, 1),
    ],
)
def test_times(pattern: str, text: bytes, us: int, step: int) -> None:
    found = one(b"7 " + text + b"\n", r"(?P<label>\d) " + pattern)
    assert (found.us, found.step) == (us, step)


@pytest.mark.parametrize("text", [b"-52.00", b"nan", b"soon", b"1e30", b"99999999999"])
def test_a_time_that_is_not_possible_is_dropped_and_counted(text: bytes) -> None:
    (found,), reader = read(b"7 " + text + b"\n", r"(?P<label>\d) (?P<ms>\S+)")
    assert (found.label, found.us, found.fault) == (7, None, "")
    assert reader.dropped == {BAD_TIME: 1}


def test_stamps_on_two_lines() -> None:
    found, _ = read(
        b"t0=100\n7\nt1=152\n",
        r"t0=(?P<start_ms>\d+)",
        r"(?P<label>\d)",
        r"t1=(?P<end_ms>\d+)",
    )
    assert [(a.label, a.us) for a in found] == [(7, 52_000)]


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 1 << 31))
def test_micros_that_wrapped_are_whole(start: int, taken: int) -> None:
    text = f"1 {start} {(start + taken) % (1 << 32)}\n".encode()
    found = one(text, r"(?P<label>\d) (?P<start_us>\d+) (?P<end_us>\d+)")
    assert found.us == taken


# --- what does not count ---


def test_half_a_number_is_not_a_number() -> None:
    found, reader = read(b"Time: 52.00\n", r"Time: (?P<label>\d+)")
    assert found == []
    assert reader.dropped == {PARTLY: 1}
    assert reader.first[PARTLY] == "Time: 52.00"


def test_a_line_that_two_patterns_match_differently() -> None:
    patterns = (r"(?P<label>\d) .*", r".* (?P<label>\d)")
    found, reader = read(b"1 2\n3 3\n", *patterns)
    assert [a.label for a in found] == [3]  # both give the same
    assert reader.dropped == {AMBIGUOUS: 1}


def test_binary_noise_and_long_lines() -> None:
    data = b"class 1\nclass \xff2\nclass \x003\nclass " + b"4" * MAX_LINE + b"\nclass 5\n"
    found, reader = read(data, r"class (?P<label>.*)")
    assert [a.label for a in found] == [1, 5]
    assert reader.dropped == {NOISE: 2, TOO_LONG: 1}


def test_a_first_line_without_its_beginning_and_a_last_line_without_its_end() -> None:
    found, reader = read(b"7\n8\n9", r"(?P<label>\d+)", joined=True)
    assert [a.label for a in found] == [8]
    assert reader.dropped == {CUT: 2}


def test_an_answer_without_a_part_is_not_completed_by_the_next_one() -> None:
    data = TUTORIAL + TUTORIAL.replace(b" - Time (ms): 52.00\r\n", b"") + TUTORIAL
    found, reader = read(data, "tutorial")
    assert [a.us for a in found] == [52_000, 52_000]
    assert reader.dropped == {INCOMPLETE: 1}
    assert reader.first[INCOMPLETE] == "without time"


@given(st.binary(max_size=400))
def test_noise_is_never_an_answer(noise: bytes) -> None:
    for name in ("tutorial", "eloquent", "edge-impulse"):
        found, _ = read(noise, name)
        assert found == []


@given(st.data())
def test_any_chopping_gives_the_same_answers(data: st.DataObject) -> None:
    kinds = [TUTORIAL, b"boot \xff\n", b"Predicted class is: 9", b"\r\n", b"1,2\n", b"\n"]
    text = b"".join(data.draw(st.lists(st.sampled_from(kinds), max_size=8)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=10)))
    whole, counted = read(text, "tutorial")
    reader, splitter = Reader(choose_patterns(["tutorial"])), Splitter()
    found: list[TextAnswer] = []
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        for line in splitter.feed(text[begin:end]):
            found += reader.take(line)
    for line in splitter.close():
        found += reader.take(line)
    assert [*found, *reader.flush()] == whole
    assert reader.dropped == counted.dropped


@given(st.integers(0, len(TUTORIAL) - 1), st.integers(0, 255))
def test_one_damaged_byte_gives_this_answer_a_wrong_digit_or_none(place: int, byte: int) -> None:
    """Without a check sum a digit may become another; the class may not, since it comes twice and
    has the largest output. A line end that is lost also costs the answer after it."""
    text = bytearray(TUTORIAL)
    text[place] = byte
    found, _ = read(TUTORIAL + bytes(text) + TUTORIAL, "tutorial")
    good = [a for a in found if not a.fault]
    assert 1 <= len(good) <= 3
    assert all(a.label == 7 for a in good)


NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(NUMBERS, st.sampled_from([".2f", ".7f", "g", ".9e"]))
def test_numbers_are_those_of_c(value: float, form: str) -> None:
    found = parse_number(f"{value:{form}}")
    assert not isinstance(found, str)
    assert found.value == float(f"{value:{form}}")


@given(st.text(max_size=12))
def test_what_is_not_a_number_is_refused(text: str) -> None:
    found = parse_number(text)
    if isinstance(found, str):
        assert found
    else:
        assert np.isfinite(np.float32(found.value))
        assert re.search("[0-9]", text)
