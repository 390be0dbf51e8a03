# SPDX-License-Identifier: Apache-2.0
"""Make untrusted strings (from a board, a file, or a file's name) safe to show.

storable      for JSON: bytes of a file's name that are not UTF-8 become "?"
printable     for a terminal, a log, an error: unprintable characters become "?"
clean         for a document: one line without control and format codes
visible       the same, but line breaks stay
c_comment     for the inside of a C comment
strip_ansi    a program's log without colours, to search it
shorten       a limit on the number of characters
closest       the known name that a misspelt one may stand for
"""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # colours and cursor moves
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format (bidi), surrogate, ...


def printable(text: str, *, keep: str = "", instead: str = "?") -> str:
    """``text`` with ``instead`` for each character that is not printable (control codes, line ends,
    bidi marks) and not in ``keep``, so that it cannot control a terminal."""
    return "".join(c if c.isprintable() or c in keep else instead for c in text)


def storable(text: str) -> str:
    """``text`` with "?" for each surrogate: Python's form of a byte that is not UTF-8, as in a file
    name or an argument, which JSON cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def visible(text: str) -> str:
    """``text`` without control and format codes; line breaks stay."""
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in _DROPPED)


def clean(text: str, longest: int = 1000) -> str:
    """``text`` on one line, without control and format codes, cut to ``longest`` characters."""
    return shorten(visible(re.sub(r"[\t\r\n]", " ", text)), longest)


def c_comment(text: str) -> str:
    """``text`` for a C comment: it can neither end the comment nor appear to start another.

    ??/ is a backslash for compilers that support trigraphs.
    """
    return printable(text).replace("*/", "*?").replace("/*", "?*").replace("??/", "???")


def strip_ansi(text: str) -> str:
    """``text`` without a terminal's colours and cursor moves."""
    return _ANSI.sub("", text)


def shorten(text: str, longest: int) -> str:
    """``text``, or its beginning and "…", in at most ``longest`` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def closest(name: str, known: Iterable[str]) -> str:
    """The one of ``known`` that is most like ``name``; empty if none is."""
    folded = {one.lower(): one for one in known}
    found = get_close_matches(name.lower(), folded, n=1)
    return folded[found[0]] if found else ""
