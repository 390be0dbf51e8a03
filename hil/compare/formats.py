# SPDX-License-Identifier: Apache-2.0
"""A comparison as Markdown, JSON, JUnit XML and GitHub workflow commands. Each escapes strings from
boards, files and users as its format requires."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final
from xml.etree import ElementTree as ET

import msgspec

from hil.compare.limits import FIGURES
from hil.compare.records import ComparedFigure, ComparedRun, Comparison, Fact, Lost, Side, Word
from hil.core.text import clean
from hil.core.units import si
from hil.report.text import count, escape, listed, percent, plural, points, real
from hil.report.times import duration, latency_words

HEAD: Final = ("Figure", "BASE", "NEW", "Change (95% interval)", "Verdict")
_UNITS: Final = {
    "bytes": " B",
    "us": " µs",
    "host_ns": " ns",
    "instructions": "",
    "cycles": "",
    "count": "",
    "share": "",
    "real": "",
    "area": "",
    "joules": " J",
}
_LONGEST_HASH: Final = 12
_DIGITS: Final = 3  # of the host's latency


def title(figure: ComparedFigure) -> str:
    return FIGURES[figure.name].title


def row(figure: ComparedFigure) -> tuple[str, ...]:
    """A row of the table with the columns of `HEAD`."""
    return (
        title(figure),
        value(figure, figure.base),
        value(figure, figure.new),
        changed(figure),
        verdict(figure),
    )


def value(figure: ComparedFigure, number: float | None) -> str:
    """A figure with its unit; a dash for None."""
    if number is None:
        return "–"
    if figure.kind == "share":
        return percent(number, figure.n)
    if figure.kind == "host_ns":
        return duration(number, _DIGITS)
    return _amount_words(figure, number)


def _amount_words(figure: ComparedFigure, number: float) -> str:
    """A number with its unit, without digits that the clocks cannot give."""
    if figure.kind == "real":
        return real(number)
    if figure.kind == "area":
        return f"{number:.3f}"
    if figure.kind == "joules":
        return si(number, "J")
    if figure.step:
        return " ".join(latency_words(number, figure.step))
    return count(number) + _UNITS[figure.kind]


def changed(figure: ComparedFigure) -> str:
    """The change with its interval, and the note."""
    return "; ".join(words for words in (_amount(figure), figure.note) if words)


def _amount(figure: ComparedFigure) -> str:
    change = figure.change
    if change is None or (figure.word == "same" and change.low == change.high):
        return ""
    if figure.kind == "share":
        low, high = points(change.low, figure.n), points(change.high, figure.n)
        return f"{points(change.point, figure.n)} points ({low} to {high})"
    if change.kind == "difference":
        said = _signed(change.point, figure)
        if change.low == change.high:
            return said
        return f"{said} ({_signed(change.low, figure)} to {_signed(change.high, figure)})"
    if change.low == change.high:
        more = (figure.new or 0) - (figure.base or 0)
        return f"{_percent(change.point)} ({_signed(more, figure)})"
    return f"{_percent(change.point)} ({_percent(change.low)} to {_percent(change.high)})"


def _signed(number: float, figure: ComparedFigure) -> str:
    sign = "+" if number > 0 else "−" if number < 0 else ""
    return f"{sign}{_amount_words(figure, abs(number))}"


def _percent(ratio: float) -> str:
    """A ratio as a signed percentage, with enough digits to differ from 0."""
    grown = 100 * (ratio - 1)
    for places in (1, 2, 3):
        text = f"{grown:+.{places}f}"
        if float(text) or not grown:
            break
    return text.replace("-", "−") + " %"


def verdict(figure: ComparedFigure) -> str:
    """The word, and the limit."""
    if figure.word == "missing":
        return "missing, a regression" if figure.beyond else "missing, allowed"
    if figure.beyond:
        return f"{figure.word}, beyond {_limit(figure)}"
    if figure.word == "worse" and figure.limit is not None:
        return f"worse, within {_limit(figure)}"
    return figure.word


def _limit(figure: ComparedFigure) -> str:
    assert figure.limit is not None
    if figure.kind == "share":
        return f"{figure.limit:g} points"
    if figure.change is not None and figure.change.kind == "difference":
        return f"{figure.limit:g}{_UNITS[figure.kind]}"
    return f"{figure.limit:g} %"


def problem(figure: ComparedFigure) -> str:
    """A figure beyond its limit, in one line."""
    if figure.word == "missing":
        return f"{title(figure)} is missing, was {value(figure, figure.base)}"
    step = f"{value(figure, figure.base)} to {value(figure, figure.new)}"
    return f"{title(figure)} {step}, {changed(figure)}; {verdict(figure)}"


def problem_of_lost(lost: Lost) -> str:
    """A run that is missing from NEW, in one line."""
    return f"{lost.key}: missing from NEW{f' ({lost.why})' if lost.why else ''}"


def summary(runs: Sequence[ComparedRun], lost: Sequence[Lost], problems: Sequence[str]) -> str:
    """The comparison in one sentence."""
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
    """Name and both values, with hashes shortened."""
    cut = _LONGEST_HASH if found.name.endswith("sha256") else None
    name = found.name.removesuffix("_sha256").replace("_", " ")
    return name, found.base[:cut] or "–", found.new[:cut] or "–"


def markdown(found: Comparison) -> str:
    """The sentence, the problems, then one table per run."""
    return "\n".join(_markdown(found)) + "\n"


def _markdown(found: Comparison) -> Iterator[str]:
    yield f"# {escape(found.new.run_id)} compared with {escape(found.base.run_id)}"
    yield from ("", f"**{escape(found.sentence)}**")
    if found.problems:
        yield ""
        yield from (f"- {escape(line)}" for line in found.problems)
    for run in found.runs:
        yield from ("", f"## {escape(heading(run))}", "")
        yield from _table(HEAD, (row(figure) for figure in run.figures))
        if run.facts:
            yield from ("", "Also different: " + "; ".join(escape(w) for w in facts(run)) + ".")
    yield from _rest(found)
    yield from ("", f"BASE: {escape(origin(found.base))}. NEW: {escape(origin(found.new))}.")


def _rest(found: Comparison) -> Iterator[str]:
    lines = [f"{lost.key} is missing from NEW. {lost.why}".rstrip() for lost in found.lost]
    lines += [f"{key} is only in NEW." for key in found.added]
    if found.allowed:
        lines.append(f"Allowed to differ: {', '.join(found.allowed)}.")
    if found.facts:
        said = "; ".join(" ".join((n, a, "→", b)) for n, a, b in map(fact, found.facts))
        lines.append(f"The hosts differ: {said}.")
    if lines:
        yield ""
        yield from (f"- {escape(line)}" for line in lines)


def heading(run: ComparedRun) -> str:
    """A run's key, and its key in BASE if that is different."""
    return run.key if run.key == run.base else f"{run.key} (in BASE {run.base})"


def facts(run: ComparedRun) -> list[str]:
    """The properties that differ."""
    return [" ".join((n, old, "→", new)) for n, old, new in map(fact, run.facts)]


def origin(one: Side) -> str:
    """A run's id, date and commit."""
    commit = f", commit {one.commit[:12]}" if one.commit else ""
    return f"{one.run_id} of {one.created}{commit}{' with local changes' if one.dirty else ''}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(escape(cell) for cell in head) + " |"
    yield "|---|" + "---:|" * 2 + "---|" * (len(head) - 3)
    for cells in rows:
        yield "| " + " | ".join(escape(cell) or " " for cell in cells) + " |"


def json(found: Comparison) -> str:
    """`Comparison`, indented."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"


def junit(found: Comparison) -> str:
    """One test suite per run, one test case per figure; a figure beyond its limit is a failure."""
    root = ET.Element("testsuites", name="hil compare")
    for run in found.runs:
        suite = ET.SubElement(root, "testsuite", name=clean(run.key))
        for figure in run.figures:
            _case(suite, run.key, figure)
        for number, line in enumerate(run.broken, 1):
            _failed(suite, run.key, f"limit {number}", line)
        _counted(suite)
    if found.lost:
        suite = ET.SubElement(root, "testsuite", name="runs of BASE")
        for lost in found.lost:
            if lost.beyond:
                _failed(suite, lost.key, "run", problem_of_lost(lost))
            else:
                skipped = ET.SubElement(suite, "testcase", classname=clean(lost.key), name="run")
                ET.SubElement(skipped, "skipped", message="missing, allowed")
        _counted(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, key: str, figure: ComparedFigure) -> None:
    case = ET.SubElement(suite, "testcase", classname=clean(key), name=title(figure))
    if figure.beyond:
        ET.SubElement(case, "failure", message=clean(problem(figure)), type=figure.word)
    elif figure.word in ("undecided", "new", "missing"):
        ET.SubElement(
            case, "skipped", message=clean(f"{verdict(figure)} {changed(figure)}".rstrip())
        )
    said = f"{value(figure, figure.base)} to {value(figure, figure.new)}: {verdict(figure)}"
    ET.SubElement(case, "system-out").text = clean(f"{said} {changed(figure)}".rstrip())


def _failed(suite: ET.Element, key: str, what: str, line: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=clean(key), name=what)
    ET.SubElement(case, "failure", message=clean(line), type="limit")


def _counted(suite: ET.Element) -> None:
    """Readers of JUnit XML expect the counts as attributes."""
    suite.set("tests", str(len(suite)))
    for kind, attribute in (("failure", "failures"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("errors", "0")


def github(found: Comparison) -> str:
    """One annotation per problem, and the sentence. GitHub shows up to ten of a kind."""
    lines = [_command("error", "hil compare", line) for line in found.problems]
    lines.append(_command("notice", "hil compare", found.sentence))
    return "\n".join(lines) + "\n"


def _command(kind: str, title: str, text: str) -> str:
    """A workflow command. GitHub's toolkit also escapes line ends, which `clean` has removed."""
    return f"::{kind} title={title}::{clean(text).replace('%', '%25')}"


FORMATS: Final[dict[str, Callable[[Comparison], str]]] = {
    "md": markdown,
    "json": json,
    "junit": junit,
    "github": github,
}
