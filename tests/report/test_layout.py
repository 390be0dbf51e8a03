# SPDX-License-Identifier: Apache-2.0
"""hil/report/draw/layout.py: widths compared with the installed fonts, and room for labels."""

from __future__ import annotations

import pytest
from fontTools.ttLib import TTFont

from hil.cli.doctor import FONTS
from hil.report.draw.layout import Box, clear, shortened, width, wrapped
from tests.support.fonts import file_of, need

PRINTED = "".join(map(chr, range(32, 127))) + "µαβ–—−×²³…·↓±°≤≥éüß"


@pytest.mark.parametrize("weight", ["regular", "bold"])
@pytest.mark.parametrize("font", FONTS)
def test_no_font_is_wider_than_measured(font: str, weight: str) -> None:
    need(font)
    found = TTFont(file_of(font, weight), fontNumber=0)
    letters, advances = found.getBestCmap(), found["hmtx"]
    em = found["head"].unitsPerEm
    wider = {
        letter: advances[letters[ord(letter)]][0] / em
        for letter in PRINTED
        if ord(letter) in letters
        and advances[letters[ord(letter)]][0] / em > width(letter, 1, bold=weight == "bold")
    }
    assert wider == {}


def test_accents_and_east_asian_characters_are_measured() -> None:
    assert width("é") == width("e")
    assert width("漢字") > 2 * width("W")
    assert width("Accuracy", bold=True) > width("Accuracy")


@pytest.mark.parametrize("room", [5, 30, 60, 200, 2000])
@pytest.mark.parametrize("text", ["", "word", "some words of a title", "W" * 50, "漢字" * 9])
def test_shortened_and_wrapped_text_fits(text: str, room: float) -> None:
    least = width("…")
    assert width(shortened(text, room)) <= max(room, least)
    lines = wrapped(text, room, most=3)
    assert 1 <= len(lines) <= 3
    assert all(width(line) <= max(room, width("漢")) for line in lines)
    assert (shortened(text, room) == text) == (width(text) <= room)
    if not lines[-1].endswith("…"):
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_lines_break_at_spaces() -> None:
    room = width("some words of")
    assert wrapped("some words of a title", room) == ("some words of", "a title")
    assert wrapped("some words of a title", width("some words")) == ("some words", "of a title")


def test_labels_that_would_touch_are_dropped() -> None:
    ten = width("10")
    assert clear([(0, 0.5, "10"), (ten / 2, 0.5, "10"), (3 * ten, 0.5, "10")]) == ("10", "", "10")
    assert clear([(0, 0.0, "10"), (ten * 0.9, 0.5, "10")]) == ("10", "")
    assert clear([(0, 0.0, "10"), (ten * 2, 0.5, "10")]) == ("10", "10")


@pytest.mark.parametrize(
    ("other", "free"),
    [
        (Box(0, 10, 0, 10), False),  # the same place
        (Box(9, 20, 9, 20), False),  # a corner
        (Box(2, 8, -50, 50), False),  # across
        (Box(11, 20, 0, 10), True),
        (Box(-20, -1, 0, 10), True),
        (Box(0, 10, 11, 20), True),
        (Box(0, 10, -20, -1), True),
    ],
)
def test_boxes_that_overlap_are_not_free(other: Box, free: bool) -> None:
    box = Box(0, 10, 0, 10)
    assert box.is_free([other]) == other.is_free([box]) == free
    assert box.is_free([Box(100, 110, 0, 10), other]) == free
    assert not box.is_free([other], gap=2)


def test_a_box_lies_inside_only_with_all_four_sides() -> None:
    area = Box(0, 100, 0, 50)
    assert Box(1, 99, 1, 49).inside(area)
    for outside in ((-1, 9, 1, 9), (1, 101, 1, 9), (1, 9, -1, 9), (1, 9, 1, 51)):
        assert not Box(*outside).inside(area)
