# SPDX-License-Identifier: Apache-2.0
"""Patterns of users: each mistake is one line that says where it is."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import UsageError
from hil.wire.lines import Line, Reader
from hil.wire.patterns import READY, choose_patterns, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(?P<label>[0-9]+", "missing \\), unterminated subpattern at position 0"),
        ("class (?P<label>*)", "nothing to repeat at position 16"),
        ("(?P<label>a)(?=b)", "invalid perl operator at position 12"),
        (r"(?P<label>a)\1", "invalid escape sequence at position 12"),
        (r"(?P<label>a{1001})", "invalid repetition size at position 11"),
        ("(?P<class>a)", "has a group 'class'; groups are label, again"),
        ("class [0-9]", "has no named group"),
        ("(?P<name>a)", "a group 'name' without 'value'"),
        ("a" * 1001, "of 1001 characters; use at most 1000"),
        ("(" * 999, "(missing|too|maximum)"),
    ],
)
def test_a_wrong_pattern_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        ([], "no --pattern is given; give an expression, or one of tutorial, eloquent"),
        ([r"(?P<ms>\d+)"], "no --pattern has a group label, outputs or value"),
        ([r"(?P<label>\d) (?P<start_ms>\d+)"], "a time needs both start and end"),
    ],
)
def test_patterns_that_do_not_make_an_answer_are_refused(patterns: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        choose_patterns(patterns)


@pytest.mark.parametrize("name", READY)
def test_every_ready_pattern_compiles(name: str) -> None:
    assert choose_patterns([name]).patterns


@given(st.text(max_size=30))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert compile_pattern(text).parts


def test_a_pattern_that_backtracks_for_ever_elsewhere_takes_no_time() -> None:
    """`re` would try 2^60,000 ways; RE2 needs one pass."""
    reader = Reader(choose_patterns([r"(a+)+(?P<label>\d)"]))
    assert list(reader.take(Line("a" * 60_000 + "b"))) == []
