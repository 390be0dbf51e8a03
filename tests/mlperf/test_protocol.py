# SPDX-License-Identifier: Apache-2.0
"""Lines <-> records, for anything that a device may send."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.mlperf.protocol import (
    COMMAND,
    DONE,
    LINE,
    LOADED,
    MAX_LINE,
    WRAP,
    Buffer,
    Count,
    Expecting,
    Lap,
    Lines,
    Model,
    Name,
    Profile,
    Refusal,
    Results,
    Unknown,
    elapsed,
    load_commands,
    parse,
    shown,
    words,
)


@pytest.mark.parametrize(
    ("line", "record"),
    [
        ("m-name-dut-[unspecified]", Name("unspecified")),
        (
            "m-profile-[ULPMark for tinyML Firmware V0.0.1]",
            Profile("ULPMark for tinyML Firmware V0.0.1"),
        ),
        ("m-model-[ic01]", Model("ic01")),
        ("m-lap-us-4294967295", Lap(WRAP - 1)),
        ("m-[Expecting 784 bytes]", Expecting(784)),
        ("m-load-done", LOADED),
        ("m-warmup-start-10", Count("m-warmup-start", 10)),
        ("m-infer-start-1", Count("m-infer-start", 1)),
        ("m-results-[0.100,0.200,0.700]", Results((0.1, 0.2, 0.7))),
        ("m-results-[0.5,0.5,]", Results((0.5, 0.5))),  # as MLCommons' devices end it
        ("m-results-[1e-3, -2.5E+1]", Results((0.001, -25.0))),
        ("m-buffer-0a-Ff", Buffer(b"\x0a\xff")),
        ("m-buffer-0a-0b-0c-0d-0e-0f-10-11-12", Unknown("m-buffer-0a-0b-0c-0d-0e-0f-10-11-12")),
        ("m-buffer-0a-b", Unknown("m-buffer-0a-b")),
        ("e-[Unknown command: x]", Refusal("Unknown command: x")),
        ("e-[Invalid hex digit '[]']", Refusal("Invalid hex digit '[]'")),
        ("m-results-[nan]", Unknown("m-results-[nan]")),
        ("m-results-[1e999]", Unknown("m-results-[1e999]")),
        ("m-results-[1e13]", Unknown("m-results-[1e13]")),
        ("m-results-[]", Unknown("m-results-[]")),
        ("m-results-[0.1,,0.2]", Unknown("m-results-[0.1,,0.2]")),
        ("m-results-[0.1", Unknown("m-results-[0.1")),
        ("m-name-board-[x]", Unknown("m-name-board-[x]")),
        ("m-lap-us--1", Unknown("m-lap-us--1")),
        ("m-lap-us-١", Unknown("m-lap-us-١")),
        ("xm-load-done", Unknown("xm-load-done")),
        ("", Unknown("")),
    ],
)
def test_a_line_is_read_as_its_record(line: str, record: object) -> None:
    assert parse(line) == record


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=20))
def test_printed_results_are_read_back(values: list[float]) -> None:
    printed = ",".join(f"{value:.9e}" for value in values)
    found = parse(f"m-results-[{printed}]")
    assert isinstance(found, Results)
    assert found.values == tuple(float(f"{value:.9e}") for value in values)


@given(st.text())
def test_any_line_is_read_and_results_are_finite(line: str) -> None:
    found = parse(line)
    if isinstance(found, Results):
        assert all(map(math.isfinite, found.values))


def test_results_with_too_many_values_are_unknown() -> None:
    assert isinstance(parse(f"m-results-[{','.join(['0'] * 10_000)}]"), Results)
    assert isinstance(parse(f"m-results-[{','.join(['0'] * 10_001)}]"), Unknown)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400)))
def test_lines_do_not_depend_on_how_the_bytes_are_split(data: bytes, cuts: list[int]) -> None:
    whole = Lines()
    expected = list(whole.feed(data))
    pieces, at = Lines(), 0
    found: list[str] = []
    for cut in sorted(cuts):
        found += pieces.feed(data[at:cut])
        at = max(at, cut)
    found += pieces.feed(data[at:])
    assert found == expected
    assert pieces.half == whole.half
    assert len(expected) == data.count(b"\n")
    assert all(line.isascii() and "\r" not in line for line in found)


def test_a_line_that_is_too_long_is_cut_and_the_next_is_whole() -> None:
    lines = Lines()
    for _ in range(20):
        assert list(lines.feed(b"x" * 10_000)) == []
    assert len(lines.half) == MAX_LINE
    assert list(lines.feed(b"\nm-ready\r\n")) == ["x" * MAX_LINE, "m-ready"]


@given(st.binary(min_size=1, max_size=4000))
def test_a_load_is_the_sample_in_lines_that_fit_a_device(values: bytes) -> None:
    first, *rest = load_commands(values)
    assert first == f"db load {len(values)}"
    assert all(len(command) <= COMMAND and command.startswith("db ") for command in rest)
    assert all(len(command) == 3 + 2 * LINE for command in rest[:-1])
    assert b"".join(bytes.fromhex(command[3:]) for command in rest) == values


def test_an_empty_sample_cannot_be_loaded() -> None:
    with pytest.raises(ValueError, match="nothing to load"):
        list(load_commands(b""))


@given(st.integers(0, WRAP - 1), st.integers(0, WRAP - 1))
def test_a_clock_of_32_bits_may_wrap_once(start: int, took: int) -> None:
    assert elapsed(start, (start + took) % WRAP) == took


def test_a_clock_of_more_bits_may_not_go_backwards() -> None:
    assert elapsed(WRAP + 5, WRAP + 7) == 2
    with pytest.raises(ValueError, match="went backwards"):
        elapsed(WRAP + 7, WRAP + 5)


@given(st.text(max_size=200))
def test_quoted_text_is_one_short_printable_line(text: str) -> None:
    plain = shown(text)
    assert plain.isprintable()
    assert len(plain) <= 60


def test_a_reply_is_summarised_for_a_message() -> None:
    assert words([]) == "nothing"
    assert words(["a", "b\x1b[2J"]) == "a, b?[2J"
    assert words(list("abcde")) == "a, b, c and 2 more lines"


def test_every_reply_of_our_firmware_is_known() -> None:
    """The firmware's golden dialogue, except for `help`, which is free text."""
    dialogue = Path(__file__).parents[2] / "firmware" / "golden" / "mlperf.json"
    steps = json.loads(dialogue.read_text())["steps"]
    for step in steps:
        *lines, last = [parse(line) for line in step["reply"]]
        assert last == DONE
        free = step["send"].lstrip().startswith("help")
        assert free or not any(isinstance(line, Unknown) for line in lines), step["name"]
    assert len(steps) > 30
