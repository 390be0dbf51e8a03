# SPDX-License-Identifier: Apache-2.0
"""Untrusted strings are made safe to show."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.text import c_comment, clean, printable, shorten, strip_ansi, visible

HOSTILE = "a\x1b[31mb\r\nc\u202ed\x00\u2028e"


def test_printable_replaces_what_a_terminal_obeys() -> None:
    assert printable(HOSTILE) == "a?[31mb??c?d??e"
    assert (
        printable(HOSTILE, keep="\n", instead="\ufffd")
        == "a\ufffd[31mb\ufffd\nc\ufffdd\ufffd\ufffde"
    )
    assert printable("Ω µs – é") == "Ω µs – é"


def test_clean_drops_what_a_terminal_obeys() -> None:
    assert clean(HOSTILE) == "a[31mb  cde"
    assert clean("Ω µs – é") == "Ω µs – é"
    assert visible("1\r\n\x1b[m2") == "1\n[m2"
    assert clean("x" * 5000) == "x" * 999 + "…"


@given(st.text())
def test_neither_function_lets_a_control_character_pass(text: str) -> None:
    assert printable(text).isprintable()
    assert not any(c in clean(text) for c in map(chr, [*range(32), 127, *range(128, 160)]))


@pytest.mark.parametrize("name", ["a*/b", "*\\\n/", "/*", "??/", "**//", "*/*/", "/*/", "??/\n"])
def test_a_c_comment_does_not_end_early(name: str) -> None:
    """The compiler is the oracle: a comment that ends early or contains another one is an error."""
    source = f"/* {c_comment(name)} */ int x;\n// {c_comment(name)}\nint y;\n"
    done = subprocess.run(
        ["cc", "-std=c11", "-trigraphs", "-Wall", "-Werror", "-fsyntax-only", "-x", "c", "-"],
        input=source.encode(),
        capture_output=True,
        check=False,
    )
    assert not done.returncode, done.stderr.decode()


def test_strip_ansi() -> None:
    assert strip_ansi("\x1b[1;31merror:\x1b[0m no\x1b[2K \x1b[?25lroom") == "error: no room"


def test_shorten() -> None:
    assert shorten("12345", 5) == "12345"
    assert shorten("123456", 5) == "1234…"
