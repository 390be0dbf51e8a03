# SPDX-License-Identifier: Apache-2.0
"""Strings that a stranger chose (a board, a file, a file's name), made safe to show.

printable     a terminal, a log, an error: what cannot be printed becomes "?"
clean         a document: one line, and what cannot be shown is left out
visible       the same, and its line breaks stay
c_comment     the inside of a C comment
strip_ansi    a program's log without colours, to search it
shorten       at most so many characters
"""

import re
import unicodedata

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # colours and cursor moves
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format (bidi), surrogate, ...


def printable(text: str, *, keep: str = "", instead: str = "?") -> str:
    """``text`` with ``instead`` for each character that is not printable (control codes, line ends,
    bidi marks) and not in ``keep``: nothing in it that a terminal obeys."""
    return "".join(c if c.isprintable() or c in keep else instead for c in text)


def visible(text: str) -> str:
    """``text`` without control and format codes; line breaks stay."""
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in _DROPPED)


def clean(text: str, longest: int = 1000) -> str:
    """``text`` on one line, without control and format codes, cut to ``longest`` characters."""
    return shorten(visible(re.sub(r"[\t\r\n]", " ", text)), longest)


def c_comment(text: str) -> str:
    """``text`` as a part of a C comment: it cannot end the comment or seem to begin another.

    ??/ is a backslash where a compiler knows trigraphs.
    """
    return printable(text).replace("*/", "*?").replace("/*", "?*").replace("??/", "???")


def strip_ansi(text: str) -> str:
    """``text`` without a terminal's colours and cursor moves."""
    return _ANSI.sub("", text)


def shorten(text: str, longest: int) -> str:
    """``text``, or its beginning and "…", in at most ``longest`` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
