# SPDX-License-Identifier: Apache-2.0
"""Finds archaic and unidiomatic words in the project's text: ``python -m tools.words [FILE...]``.

Checks the given files, or every tracked one, against the patterns of ``words.txt`` beside this
script. Code is checked too, so comments, strings, docstrings, test names and identifiers all are.
Prints ``FILE:LINE: "WORD": write SUGGESTION`` for each hit; exit code 1 if there is one, 2 if
``words.txt`` cannot be read. A line that must quote such a word ends with ``words: ignore``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools import PROJECT, tracked

RULES = Path(__file__).with_name("words.txt")
IGNORE = "words: ignore"
SUFFIXES = {".py", ".md", ".c", ".h", ".cpp", ".S", ".sh", ".j2", ".toml", ".yml", ".yaml", ".ini"}
NAMES = {"Makefile"}
# stored data, and the files that have to name the words
SKIPPED = (
    "results/",
    "models/",
    "tools/words.txt",
    "tests/tools/test_words.py",
)
KEPT = ("models/README.md",)

# what may stand between two words: white space, an underscore, the end of one line's string or
# comment and the start of the next one's
_GAP = r"""(?:[\s_#*/"'|>\\]|[fr](?=["']))+"""


class Rule(NamedTuple):
    """A pattern and what to write instead; None: the pattern is allowed."""

    pattern: re.Pattern[str]
    instead: str | None


class Hit(NamedTuple):
    """A word that should not be there, with its line, counted from 1."""

    line: int
    word: str
    instead: str


def _compiled(pattern: str) -> re.Pattern[str]:
    spaced = pattern.strip().replace(" ", _GAP)
    return re.compile(rf"(?<![A-Za-z])(?:{spaced})(?![A-Za-z])", re.IGNORECASE)


def rules(text: str) -> list[Rule]:
    """The rules of ``text``.

    Raises:
        ValueError: a line is neither a rule, a comment nor empty, or its pattern is malformed.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, arrow, instead = line.partition(" => ")
        try:
            if line.startswith("allow ") and not arrow:
                found.append(Rule(_compiled(line.removeprefix("allow ")), None))
            elif arrow:
                found.append(Rule(_compiled(pattern), instead.strip()))
            else:
                raise ValueError("no => in this line")
        except (ValueError, re.error) as problem:
            raise ValueError(f"words.txt:{number}: {problem}") from problem
    return found


def check(text: str, known: list[Rule]) -> Iterator[Hit]:
    """The words of ``text`` that ``known`` does not accept, in the order of its lines."""
    allowed = [m.span() for r in known if r.instead is None for m in r.pattern.finditer(text)]
    lines = text.splitlines()
    hits = []
    for rule in known:
        if rule.instead is None:
            continue
        for match in rule.pattern.finditer(text):
            start, end = match.span()
            if any(low < end and start < high for low, high in allowed):
                continue
            line = text.count("\n", 0, start) + 1
            if IGNORE not in lines[line - 1]:
                hits.append(Hit(line, re.sub(_GAP, " ", match[0]), rule.instead))
    yield from sorted(hits)


def checked(name: str) -> bool:
    """Whether the file ``name``, relative to the project, is text of ours."""
    if name in KEPT:
        return True
    path = Path(name)
    return (path.suffix in SUFFIXES or path.name in NAMES) and not name.startswith(SKIPPED)


def main(words: list[str]) -> int:
    """Check the named files, or all; the exit code."""
    try:
        known = rules(RULES.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    names = words or tracked()
    bad = False
    for name in names:
        path = PROJECT / name
        # a deleted file is still tracked until the deletion is committed
        if not checked(name) or not path.is_file():
            continue
        for hit in check(path.read_text("utf-8"), known):
            print(f'{name}:{hit.line}: "{hit.word}": write {hit.instead}')
            bad = True
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
