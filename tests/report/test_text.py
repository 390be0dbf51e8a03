# SPDX-License-Identifier: Apache-2.0
"""hil/report/text.py: numbers and untrusted strings as text."""

from __future__ import annotations

import pytest

from hil.report.text import count, escape, known, magnitude, moment, percent, plural, points, short


def test_numbers() -> None:
    assert [count(v) for v in (1234567, 2.5, 0)] == ["1,234,567", "2.5", "0"]
    assert [short(v) for v in (950, 1500, 2e6, 3e9)] == ["950", "1.5 k", "2 M", "3 G"]
    assert (percent(0.98765, 500), percent(0.98765, 10_000)) == ("98.8%", "98.77%")
    assert [points(v, 100) for v in (-0.002, 0.031, 0.0, -1e-9)] == ["−0.2", "+3.1", "0.0", "0.0"]
    assert (plural(1, "digit"), plural(1200, "digit")) == ("1 digit", "1,200 digits")
    assert (known(None), known(944)) == ("unknown", "944 B")
    assert [magnitude(v) for v in (1.0, 3.14e-05, 3.4028e38)] == ["1", "3.1e-05", "not finite"]


def test_a_moment_is_shown_in_utc_to_the_minute() -> None:
    assert moment("2026-11-27T01:51:14+00:00") == "2026-11-27 01:51 UTC"
    assert moment("2026-11-27T01:51:14+02:00") == "2026-11-26 23:51 UTC"
    assert [moment(text) for text in ("", "<b>")] == ["", "<b>"]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("\\|", r"\\\|"),
        ("`x`", r"\`x\`"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("https://x www.x a@b", "https&#58;//x www&#46;x a&#64;b"),
        ("a\nb", "a b"),
        ("![i](u)", r"\!\[i\](u)"),
    ],
)
def test_markdown_is_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped
