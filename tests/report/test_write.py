# SPDX-License-Identifier: Apache-2.0
"""hil.report.write: files are complete, self-contained, reproducible and harmless."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from hil import report
from hil.core.errors import StorageError
from tests.support import reports

MAKERS: tuple[Callable[[Path, int], Path], ...] = (
    reports.hosted,
    reports.on_board,
    reports.interrupted,
    reports.hostile,
)
VOID = {"meta", "br", "img", "link", "input"}
MARKUP = re.compile(r"\b(?:src|href|url|xlink:href)\b", re.IGNORECASE)


class Outline(HTMLParser):
    """Checks nesting while it collects tags with their attributes, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def _outline(path: Path) -> Outline:
    outline = Outline()
    outline.feed(path.read_text(encoding="utf-8"))
    outline.close()
    assert outline.open == []
    return outline


@pytest.fixture(params=MAKERS, ids=lambda make: str(make.__name__))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> report.Report:
    make: Callable[[Path, int], Path] = request.param
    return report.write(make(tmp_path / "run", 40))


def test_the_page_is_self_contained(written: report.Report) -> None:
    page = _outline(written.html)
    names = {name for name, _ in page.tags}
    assert not names & {"iframe", "object", "form", "base"}
    assert page.all("link") == [
        {"rel": "icon", "href": "data:,"}
    ]  # otherwise a browser requests one
    for name, attrs in page.tags:
        for key, value in attrs.items():
            assert not key.startswith("on")
            if name == "link":
                continue
            if name == "a":
                assert re.fullmatch("#[a-z]+", value or "")
            elif MARKUP.fullmatch(key):
                assert name == "img"
                assert (value or "").startswith("data:image/png;base64,")
    style = written.html.read_text(encoding="utf-8").split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    policy = [m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert (policy[0]["content"] or "").startswith("default-src 'none'")


def test_the_page_is_accessible(written: report.Report) -> None:
    page = _outline(written.html)
    assert page.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in page.all("img"))
    # a drawing is either described or next to text that says the same
    assert all(svg.get("aria-hidden") == "true" for svg in page.all("svg"))
    for name, attrs in page.tags:
        if attrs.get("role") in ("img", "region"):
            assert attrs["aria-label"], name
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    levels = [int(name[1]) for name, _ in page.tags if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_sections_are_in_order_and_named_in_the_navigation(tmp_path: Path) -> None:
    page = _outline(report.write(reports.hosted(tmp_path / "run", 40)).html)
    keys = [
        "summary",
        "accuracy",
        "time",
        "host",
        "memory",
        "link",
        "digits",
        "layers",
        "quant",
        "provenance",
    ]
    assert [section["id"] for section in page.all("section")] == keys
    assert [link["href"] for link in page.all("a")] == [f"#{key}" for key in keys]


def test_the_same_run_gives_the_same_bytes(written: report.Report) -> None:
    def made() -> dict[Path, bytes]:
        files = (written.html, written.markdown, *written.html.parent.glob("figures/*.svg"))
        return {file: file.read_bytes() for file in files}

    before = made()
    assert len(before) > 4
    report.write(written.html.parent)
    assert made() == before


@pytest.mark.parametrize("name", ["example", "example-latency"])
def test_the_committed_report_is_what_its_run_gives(tmp_path: Path, name: str) -> None:
    """After a change of a report's text: `hil report results/NAME`."""
    committed = Path(__file__).parents[2] / "results" / name
    folder = Path(shutil.copytree(committed, tmp_path / "run"))
    report.write(folder)
    names = [path.relative_to(committed) for path in sorted(committed.rglob("*.*"))]
    assert len(names) > 15
    stale = [n for n in names if (folder / n).read_bytes() != (committed / n).read_bytes()]
    assert stale == []


def test_no_other_file_is_left_in_the_folder(written: report.Report) -> None:
    names = {path.name for path in written.html.parent.iterdir()} - {"host.json", "quant.json"}
    assert names == {
        "manifest.json",
        "samples.jsonl",
        "digits.json",
        "report.md",
        "report.html",
        "summary.json",
        "figures",
    }


def test_markdown_tables_are_rectangular(written: report.Report) -> None:
    lines = written.markdown.read_text(encoding="utf-8").splitlines()
    width = 0
    for line in lines:
        columns = len(re.findall(r"(?<!\\)\|", line))
        if not line.startswith("|"):
            assert columns == 0
            width = 0
        else:
            assert columns == (width or columns)
            width = columns


def test_markdown_opens_the_summary_and_collapses_the_rest(tmp_path: Path) -> None:
    text = report.write(reports.full(tmp_path / "run", 200)).markdown.read_text(encoding="utf-8")
    head, *folded = text.split("<details><summary>")
    assert head.startswith("# 20260102")
    assert "| teacher float32 | 200 |" in head
    # this run's memory is only drawings, whose figures are in the table of results
    names = ["Accuracy", "Time", "Link", "Digits", "Layers", "Provenance"]
    assert [part.partition("<")[0] for part in folded] == names
    # GitHub renders a table only between blank lines
    assert all(part.partition(">")[2].startswith("\n\n") for part in folded)
    assert all(part.rstrip().endswith("\n\n</details>") for part in folded)


@pytest.mark.thorough
def test_markdown_fits_into_a_github_comment(tmp_path: Path) -> None:
    plans = [
        reports.plan(m, p, board=f"board{i:02d}", title=f"Board {i}")
        for i in range(24)
        for m in ("teacher", "student")
        for p in ("float32", "int8")
    ]
    stored = [s for plan in plans for s in reports.samples(plan, 20)]
    folder = reports.write(tmp_path / "run", reports.manifest(*plans, n=20), stored)
    written = report.write(folder).markdown.read_bytes()
    assert 20_000 < len(written) <= 64_000 + 200
    text = written.decode()
    assert text.count("<details>") == text.count("</details>")
    last = text.splitlines()[-1]
    assert last.startswith("Too long for this file, see report.html: ")
    assert "Accuracy" in last
    assert "board23" in text  # in the summary's table


def test_hostile_strings_are_escaped(tmp_path: Path) -> None:
    written = report.write(reports.hostile(tmp_path / "run"))
    page = written.html.read_text(encoding="utf-8")
    text = written.markdown.read_text(encoding="utf-8")
    for content in (page, text):
        assert "\x1b" not in content
        assert "\u202e" not in content
        assert "<script>alert" not in content
    assert "&lt;script&gt;alert(1)&lt;/script&gt;|`x`[31m[a](http://evil) # Ω" in page
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\|\`x\`\[31m\[a\](http&#58;//evil)" in text


def test_a_run_without_pictures(tmp_path: Path) -> None:
    plan = reports.plan()
    folder = reports.write(
        tmp_path / "run", reports.manifest(plan, n=90), reports.samples(plan, 90)
    )
    page = _outline(report.write(folder).html)
    assert page.all("img") == []
    assert any("class" in li and li["class"] == "card" for li in page.all("li"))


def test_samples_that_are_not_pictures_are_a_table(tmp_path: Path) -> None:
    """No cards, the word sample, and the write-up on that data."""
    plan = reports.plan(classes=3)
    flat = msgspec.structs.replace(plan.input, shape=(1, 20), scale=0.1, zero_point=3)
    plan = msgspec.structs.replace(plan, input=flat)
    of = reports.manifest(plan, n=90)
    of = msgspec.structs.replace(of, dataset=msgspec.structs.replace(of.dataset, name="tabular"))
    written = report.write(reports.write(tmp_path / "run", of, reports.samples(plan, 90)))
    page = _outline(written.html)
    assert page.all("img") == []
    assert not any(li.get("class") == "card" for li in page.all("li"))
    text = " ".join(page.text)
    assert "Samples on which answers or label disagree" in text
    assert "write-up, Keras" in text
    for word in ("Digit", "digits ", "picture", "tutorial"):
        assert word not in text.replace("digits.json", "")


def test_a_run_without_an_answer(tmp_path: Path) -> None:
    of = reports.manifest(reports.plan(), state="failed", ends=(), error="no answer from the board")
    written = report.write(reports.write(tmp_path / "run", of, []))
    assert "no answers to judge" in "".join(_outline(written.html).text)
    assert "no answer from the board" in written.markdown.read_text(encoding="utf-8")


def test_a_corrupt_run_keeps_its_earlier_report(tmp_path: Path) -> None:
    folder = reports.full(tmp_path / "run", 20)
    written = report.write(folder)
    before = written.html.read_bytes()
    (folder / "manifest.json").write_bytes(b"{")
    with pytest.raises(StorageError, match="is corrupt"):
        report.write(folder)
    assert written.html.read_bytes() == before


def test_a_full_disk_is_one_clear_line_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = reports.full(tmp_path / "run", 20)

    def full(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match=r"summary\.json \(No space left") as err:
        report.write(folder)
    assert "free space" in err.value.hint
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        "samples.jsonl",
        "digits.json",
    }
