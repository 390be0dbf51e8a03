"""A comparison -> Markdown, JSON, JUnit's XML, GitHub's workflow commands. Every string that a
board, a file or a person chose is escaped as the format asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final
from xml.etree import ElementTree as ET

import msgspec

from hil.compare_runs.records import Compared, Comparison, Figure, Side
from hil.compare_runs.words import HEAD, changed, fact, problem, row, title, value, verdict
from hil.report.markdown import escape
from hil.report.text import clean


def markdown(found: Comparison) -> str:
    """The sentence, the problems, then a table a run."""
    return "\n".join(_markdown(found)) + "\n"


def _markdown(found: Comparison) -> Iterator[str]:
    yield f"# {escape(found.new.run_id)} against {escape(found.base.run_id)}"
    yield from ("", f"**{escape(found.sentence)}**")
    if found.problems:
        yield ""
        yield from (f"- {escape(line)}" for line in found.problems)
    for run in found.runs:
        yield from ("", f"## {escape(name(run))}", "")
        yield from _table(HEAD, (row(figure) for figure in run.figures))
        if run.facts:
            yield from ("", "What else differs: " + "; ".join(escape(w) for w in facts(run)) + ".")
    yield from _rest(found)
    yield from ("", f"BASE: {escape(side(found.base))}. NEW: {escape(side(found.new))}.")


def _rest(found: Comparison) -> Iterator[str]:
    lines = [f"{lost.key} is in BASE alone. {lost.why}".rstrip() for lost in found.lost]
    lines += [f"{key} is in NEW alone." for key in found.added]
    if found.allowed:
        lines.append(f"Let pass on request: {', '.join(found.allowed)}.")
    if found.facts:
        said = "; ".join(" ".join((n, a, "→", b)) for n, a, b in map(fact, found.facts))
        lines.append(f"The hosts differ: {said}.")
    if lines:
        yield ""
        yield from (f"- {escape(line)}" for line in lines)


def name(run: Compared) -> str:
    """A run's key, and its key in BASE where that is another."""
    return run.key if run.key == run.base else f"{run.key} (in BASE {run.base})"


def facts(run: Compared) -> list[str]:
    """What is no figure and differs, in words."""
    return [" ".join((n, old, "→", new)) for n, old, new in map(fact, run.facts)]


def side(one: Side) -> str:
    commit = f", commit {one.commit[:12]}" if one.commit else ""
    return f"{one.run_id} of {one.created}{commit}{' (changed since)' if one.dirty else ''}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(escape(cell) for cell in head) + " |"
    yield "|---|" + "---:|" * 2 + "---|" * (len(head) - 3)
    for cells in rows:
        yield "| " + " | ".join(escape(cell) or " " for cell in cells) + " |"


def json(found: Comparison) -> str:
    """`Comparison` as it is."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"


def junit(found: Comparison) -> str:
    """A test suite a run, a test case a figure; what is beyond its limit is a failure."""
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
            said = [line for line in found.problems if line.startswith(f"{lost.key}: not in NEW")]
            if said:
                _failed(suite, lost.key, "run", said[0])
            else:
                skipped = ET.SubElement(suite, "testcase", classname=clean(lost.key), name="run")
                ET.SubElement(skipped, "skipped", message="missing, let pass")
        _counted(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, key: str, figure: Figure) -> None:
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
    """JUnit's readers want the counts as attributes."""
    suite.set("tests", str(len(suite)))
    for kind, attribute in (("failure", "failures"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("errors", "0")


def github(found: Comparison) -> str:
    """An annotation a problem, and the sentence. GitHub shows ten of a kind at most."""
    lines = [_command("error", "hil compare", line) for line in found.problems]
    lines.append(_command("notice", "hil compare", found.sentence))
    return "\n".join(lines) + "\n"


def _command(kind: str, heading: str, text: str) -> str:
    """A workflow command; its own signs in the text are escaped as GitHub's toolkit does."""
    said = clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{kind} title={heading}::{said}"


FORMATS: Final[dict[str, Callable[[Comparison], str]]] = {
    "md": markdown,
    "json": json,
    "junit": junit,
    "github": github,
}
