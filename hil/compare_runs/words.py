"""Figures of a comparison -> words: names, values with units, changes with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from hil.compare_runs.records import Compared, Fact, Figure, Lost, Word
from hil.report.text import count, listed, percent, plural, points

TITLES: Final = {
    "unanswered": "not answered",
    "accuracy": "accuracy",
    "answers": "answers unlike host",
    "unexpected": "outputs unexpected",
    "litert": "outputs unlike LiteRT",
    "outputs": "outputs unlike BASE",
    "instructions": "instructions",
    "total": "instructions, sum",
    "latency": "latency",
    "first": "first inference",
    "arena": "arena",
    "flash_model": "flash, model",
    "flash_code": "flash, code",
    "ram_static": "RAM, static",
    "stack": "stack",
    "heap": "heap, growth",
    "retries": "link retries",
}
HEAD: Final = ("Figure", "BASE", "NEW", "Change (95% interval)", "Verdict")
_UNITS: Final = {"bytes": " B", "us": " µs", "instructions": "", "count": "", "share": ""}
_LONGEST_HASH: Final = 12


def title(figure: Figure) -> str:
    return TITLES.get(figure.name, figure.name)


def row(figure: Figure) -> tuple[str, ...]:
    """A line of the table, as `HEAD` names its columns."""
    return (
        title(figure),
        value(figure, figure.base),
        value(figure, figure.new),
        changed(figure),
        verdict(figure),
    )


def value(figure: Figure, number: float | None) -> str:
    """A figure with its unit; a dash where there is none."""
    if number is None:
        return "–"
    if figure.kind == "share":
        return percent(number, figure.n)
    return count(number) + _UNITS[figure.kind]


def changed(figure: Figure) -> str:
    """By how much, with the interval where there is one, and what else is to be said."""
    return "; ".join(words for words in (_amount(figure), figure.note) if words)


def _amount(figure: Figure) -> str:
    change = figure.change
    if change is None or (figure.word == "same" and change.low == change.high):
        return ""
    if figure.kind == "share":
        low, high = points(change.low, figure.n), points(change.high, figure.n)
        return f"{points(change.point, figure.n)} points ({low} to {high})"
    if change.kind == "difference":
        return _signed(change.point) + _UNITS[figure.kind]
    if change.low == change.high:
        more = (figure.new or 0) - (figure.base or 0)
        return f"{_percent(change.point)} ({_signed(more)}{_UNITS[figure.kind]})"
    return f"{_percent(change.point)} ({_percent(change.low)} to {_percent(change.high)})"


def _signed(number: float) -> str:
    return f"{'+' if number > 0 else '−' if number < 0 else ''}{count(abs(number))}"


def _percent(ratio: float) -> str:
    """A ratio as a signed percentage, with enough digits to tell it from none."""
    grown = 100 * (ratio - 1)
    for places in (1, 2, 3):
        text = f"{grown:+.{places}f}"
        if float(text) or not grown:
            break
    return text.replace("-", "−") + " %"


def verdict(figure: Figure) -> str:
    """The word, and the limit that it is beyond or within."""
    if figure.word == "missing":
        return "missing, a regression" if figure.beyond else "missing, let pass"
    if figure.beyond:
        return f"{figure.word}, beyond {_limit(figure)}"
    if figure.word == "worse" and figure.limit is not None:
        return f"worse, within {_limit(figure)}"
    return figure.word


def _limit(figure: Figure) -> str:
    assert figure.limit is not None
    if figure.kind == "share":
        return f"{figure.limit:g} points"
    if figure.change is not None and figure.change.kind == "difference":
        return f"{figure.limit:g}{_UNITS[figure.kind]}"
    return f"{figure.limit:g} %"


def problem(figure: Figure) -> str:
    """What is wrong with a figure that is beyond its limit."""
    if figure.word == "missing":
        return f"{title(figure)} is missing, was {value(figure, figure.base)}"
    step = f"{value(figure, figure.base)} to {value(figure, figure.new)}"
    return f"{title(figure)} {step}, {changed(figure)}; {verdict(figure)}"


def summary(runs: Sequence[Compared], lost: Sequence[Lost], problems: Sequence[str]) -> str:
    """The whole in one sentence."""
    words = Counter(figure.word for run in runs for figure in run.figures)
    order: tuple[Word, ...] = ("worse", "missing", "better", "undecided", "new", "same")
    said = listed([f"{words[word]} {word}" for word in order if words[word]])
    scope = f"{plural(sum(words.values()), 'figure')} of {plural(len(runs), 'run')}: {said}"
    if lost:
        scope += f"; {plural(len(lost), 'run')} of BASE missing"
    if problems:
        return f"Regression: {plural(len(problems), 'problem')}. {scope}."
    return f"No regression. {scope}."


def fact(found: Fact) -> tuple[str, str, str]:
    """Name and both values, hashes cut to what tells them apart."""
    cut = _LONGEST_HASH if found.name.endswith("sha256") else None
    name = found.name.removesuffix("_sha256").replace("_", " ")
    return name, found.base[:cut] or "–", found.new[:cut] or "–"
