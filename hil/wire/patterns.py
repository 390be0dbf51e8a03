# SPDX-License-Identifier: Apache-2.0
"""What a sketch prints, as regular expressions with named groups: those of users, and ready ones.

Expressions and lines are untrusted: RE2 matches in linear time, whatever the expression.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import re2

from hil.core.errors import UsageError
from hil.core.text import shorten

MAX_PATTERN: Final = 1_000  # characters

# group -> the part of an answer that it is
PARTS: Final[Mapping[str, str]] = {
    "label": "label",
    "again": "again",
    "truth": "truth",
    "outputs": "outputs",
    "value": "outputs",
    "name": "outputs",
    "ms": "time",
    "us": "time",
    "start_ms": "start",
    "start_us": "start",
    "end_ms": "end",
    "end_us": "end",
    "index": "index",
    "last": "last",
    "ignore": "ignore",
}
PREDICTION: Final = frozenset({"label", "outputs"})  # an answer has at least one of these


@dataclass(frozen=True, slots=True)
class Pattern:
    """One compiled expression. ``parts``: what its groups are, by `PARTS`."""

    text: str
    compiled: Any = field(repr=False, compare=False)
    parts: frozenset[str]


def compile_pattern(text: str) -> Pattern:
    """A pattern of a user.

    Raises:
        UsageError: it cannot be compiled (with the position), or names no known group.
    """
    if len(text) > MAX_PATTERN:
        raise UsageError(
            f"--pattern of {len(text)} characters", f"use at most {MAX_PATTERN} per pattern"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about syntax that may change
            re.compile(text)  # names the position of a fault
    except re.error as problem:
        raise _bad_pattern(text, problem.msg, problem.pos) from None
    except (OverflowError, RecursionError) as problem:
        raise _bad_pattern(text, str(problem) or "too deep", None) from None
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(text, options)
    except re2.error as problem:
        said = problem.args[0].decode("utf-8", "replace")
        what, _, where = said.partition(": ")
        at = text.find(where) if where else -1
        raise _bad_pattern(text, what, None if at < 0 else at) from None
    groups, shown = set(compiled.groupindex), _shown(text)
    known = ", ".join(PARTS)
    if unknown := sorted(groups - set(PARTS)):
        raise UsageError(f"--pattern {shown} has a group {unknown[0]!r}", f"groups are {known}")
    if not groups:
        raise UsageError(
            f"--pattern {shown} has no named group",
            f"name what it finds, such as (?P<label>[0-9]+); groups are {known}",
        )
    if "name" in groups and "value" not in groups:
        raise UsageError(f"--pattern {shown} has a group 'name' without 'value'", "add one")
    return Pattern(text, compiled, frozenset(PARTS[group] for group in groups))


def _shown(text: str) -> str:
    return f"'{shorten(text, 100)}'"  # not repr: it would double each backslash


def _bad_pattern(text: str, why: str, position: int | None) -> UsageError:
    where = "" if position is None else f" at position {position}"
    return UsageError(
        f"--pattern {_shown(text)}: {why}{where}",
        "it must be a regular expression of RE2 (without look-around and backreferences)",
    )


@dataclass(frozen=True, slots=True)
class Patterns:
    """The patterns of one sketch. ``needs``: parts without which an answer does not count."""

    patterns: tuple[Pattern, ...]
    needs: frozenset[str]

    @property
    def parts(self) -> frozenset[str]:
        """Every part that one of the patterns finds."""
        return frozenset().union(*(one.parts for one in self.patterns)) - {"ignore"}

    @property
    def by_value(self) -> bool:
        """Whether outputs are printed one per line."""
        return any("value" in one.compiled.groupindex for one in self.patterns)


_NUMBER: Final = (
    r"(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+|\*2\^[-+]?\d+)?|[-+]?(?:nan|NaN|inf|INF|ovf))"
)
_LIST: Final = rf"(?P<outputs>{_NUMBER}(?:,{_NUMBER})+)"
# name -> patterns, and the parts that an answer needs; docs/text.md shows what each one reads
READY: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "tutorial": (
        (
            _LIST,
            r"Predicted class is: (?P<label>\S+)",
            r"Sanity check: (?P<again>\S+)",
            r"- Time \(ms\): (?P<ms>\S+)",
        ),
        ("outputs", "label", "again", "time"),
    ),
    "eloquent": (
        (
            r"(?:.*: )?expe?cted (?:class |id=)(?P<truth>\d+)"
            r", predicted(?: class |=)(?P<label>\d+)",
            r"Sample #\d+: predicted (?P<label>\d+) vs (?P<truth>\d+) actual",
            r"Test output is: (?P<truth>\d+)",
            rf"Predicted proba are: {_LIST}",
            r"Predicted class is: (?P<label>\d+)",
            r"Sanity check: (?P<again>\d+)",
            rf"(?:sin|cos)\(.*\) = \S+\s+predicted: (?P<outputs>{_NUMBER})",
            r"It takes (?P<us>\d+)us for a single prediction",
            r"It took (?P<us>\d+) micros to run inference",
        ),
        (),
    ),
    "edge-impulse": (
        (
            r"Predictions \(DSP: .*Classification: (?P<ms>[\d.]+) ?ms\b.*\):",
            r"Timing: DSP .*inference (?P<ms>[\d.]+) ms\b.*",
            r"Timing: DSP .*inference (?P<us>\d+) us\b.*",
            r"(?P<ignore>(?i:anomaly|visual anomaly)[^:]*:.*)",
            r"#Regression prediction: (?P<value>-?\d+\.\d+)",
            r"(?P<name>[^:#]{1,64}):\s+(?P<value>-?\d+\.\d+)",
        ),
        ("outputs",),
    ),
    "hello_world": ((rf"x_value: {_NUMBER}, y_value: (?P<outputs>{_NUMBER})(?:,.*)?",), ()),
}


def choose_patterns(wanted: Sequence[str]) -> Patterns:
    """The patterns that ``--pattern`` gives, by name or as expressions.

    Of expressions, every part that one of them names must be in each answer; for ready patterns,
    `READY` says which. UsageError as `compile_pattern`, and when nothing would be predicted.
    """
    if not wanted:
        raise UsageError(
            "no --pattern is given", f"give an expression, or one of {', '.join(READY)}"
        )
    found: list[Pattern] = []
    needs: set[str] = set()
    for text in wanted:
        if text in READY:
            expressions, needed = READY[text]
            found += map(compile_pattern, expressions)
            needs.update(needed)
        else:
            found.append(compile_pattern(text))
            needs |= found[-1].parts - {"ignore", "last"}
    chosen = Patterns(tuple(dict.fromkeys(found)), frozenset(needs))
    if not chosen.parts & PREDICTION:
        raise UsageError(
            "no --pattern has a group label, outputs or value",
            "name the prediction, such as (?P<label>[0-9]+)",
        )
    if ("start" in chosen.parts) != ("end" in chosen.parts):
        raise UsageError("a time needs both start and end", "add the other group, or use ms or us")
    return chosen
