# SPDX-License-Identifier: Apache-2.0
"""The animated picture of a terminal: what a command printed, as SVG that needs nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tools.terminal import Picture, draw, record

SVG = "{http://www.w3.org/2000/svg}"


def test_a_command_and_its_output_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    root = ET.fromstring(draw(record(["ls; printf '\\033[32m<b>&\\033[0m\\n'"], tmp_path)))
    words = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert "here" in words
    assert "<b>&" in words
    (green,) = [span for span in root.iter(f"{SVG}tspan") if span.text == "<b>&"]
    assert green.get("fill") == "#98c379"
    assert not [one for one in root.iter() if one.tag.endswith(("script", "image"))]


def test_a_line_that_stays_is_drawn_once() -> None:
    pictures = [Picture(("a", text), 1.0) for text in ("b", "c")]
    text = draw([Picture((*one.lines, *[""] * 28), one.seconds) for one in pictures])
    assert [text.count(f">{word}</text>") for word in "abc"] == [1, 1, 1]
    assert "50.00% { visibility: hidden }" in text  # b, after the first of two seconds


def test_a_command_that_fails_draws_nothing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="exit code 3"):
        record(["exit 3"], tmp_path)
