# SPDX-License-Identifier: Apache-2.0
"""Runs of a folder in their order: trends, marks, and what is left out."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from scipy.stats import binomtest

from hil.compare.history import (
    Trend,
    markdown,
    page,
    panels,
    read_history,
    rows,
    sentence,
    varying,
)
from hil.compare.limits import Growth, LimitsFile
from hil.core.errors import StorageError, UsageError
from hil.runs.load import StoredRun
from hil.runs.schema import Sample
from tests.support import reports
from tests.support.compared import run, with_manifest, with_memory
from tests.support.timed_boards import bench


def store(folder: Path, name: str, stored: StoredRun, day: int) -> None:
    """Write a run that was made on that day of the month."""
    created = f"2026-03-{day:02}T08:00:00+00:00"
    manifest = msgspec.structs.replace(stored.manifest, run_id=name, created=created)
    samples = [s for part in stored.samples.values() for s in part]
    reports.write(folder / name, manifest, samples, on_host=stored.host)


def ids(trend: Trend) -> list[str]:
    return [entry.run_id for entry in trend.entries]


def test_runs_are_in_the_order_they_were_made(tmp_path: Path) -> None:
    for name, day in (("a", 9), ("b", 2), ("c", 5)):
        store(tmp_path, name, run(), day)
    found = read_history(tmp_path)
    assert [ids(trend) for trend in found.trends] == [["b", "c", "a"]]
    assert not any(entry.changed for entry in found.trends[0].entries)
    assert not panels(found.trends[0])


def test_a_change_is_marked_where_it_is(tmp_path: Path) -> None:
    for day, arena in enumerate((2_544, 2_544, 3_000, 3_000, 2_544), 1):
        store(tmp_path, f"run-{day}", with_memory(run(), arena=arena), day)
    (trend,) = read_history(tmp_path).trends
    assert [sorted(entry.changed) for entry in trend.entries] == [[], [], ["arena"], [], ["arena"]]
    assert varying(trend) == ["arena"]
    (drawn,) = panels(trend)
    assert [(mark.css, mark.label) for mark in drawn.marks] == [
        ("worse beyond", "+17.9 %"),
        ("better", "−15.2 %"),
    ]
    assert len(drawn.dots) == 5
    assert "nothing better or worse" in sentence(trend)


def test_a_creeping_change_shows_against_the_first(tmp_path: Path) -> None:
    for day in range(1, 9):
        store(tmp_path, f"run-{day}", with_memory(run(), stack=940 + day), day)
    (trend,) = read_history(tmp_path).trends
    assert not any(figure.beyond for entry in trend.entries for figure in entry.figures.values())
    assert trend.since["stack"].word == "worse"
    assert "stack +0.7 % (+7 B)" in sentence(trend)


def test_noise_of_a_real_board_gets_no_mark_and_10_percent_does(tmp_path: Path) -> None:
    for day in range(1, 21):
        store(tmp_path, f"run-{day}", bench(day, micros=2000 if day < 11 else 2200), day)
    (trend,) = read_history(tmp_path).trends
    assert [entry.run_id for entry in trend.entries if entry.changed] == ["run-11"]


def test_runs_that_are_not_comparable_start_a_trend(tmp_path: Path) -> None:
    store(tmp_path, "mnist", run(), 1)
    dataset = msgspec.structs.replace(run().manifest.dataset, name="digits")
    store(tmp_path, "digits", with_manifest(run(), dataset=dataset), 2)
    store(tmp_path, "again", run(), 3)
    found = read_history(tmp_path)
    assert [ids(trend) for trend in found.trends] == [["mnist", "again"], ["digits"]]
    assert "dataset mnist/test and digits/test" in found.trends[1].why
    assert "Not comparable with earlier runs: " in markdown(found)


def test_another_network_continues_the_trend(tmp_path: Path) -> None:
    store(tmp_path, "old", run(reports.plan()), 1)
    other = msgspec.structs.replace(reports.plan(), model_sha256="12" * 32)
    store(tmp_path, "new", run(other), 2)
    assert [ids(trend) for trend in read_history(tmp_path).trends] == [["old", "new"]]


def test_what_cannot_be_read_or_was_cut_short_is_named(tmp_path: Path) -> None:
    reports.interrupted(tmp_path / "short")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    (tmp_path / "notes").mkdir()
    found = read_history(tmp_path)
    assert [trend.key for trend in found.trends] == ["mps2/aot/teacher/int8"]
    assert any("broken" in words for words in found.left_out)
    assert any("mps2/aot/student/int8 is incomplete" in words for words in found.left_out)
    assert len(found.left_out) == 3
    with pytest.raises(UsageError, match="holds no complete run"):
        read_history(tmp_path / "notes")
    with pytest.raises(UsageError, match="short is a single run; give the folder that holds it"):
        read_history(tmp_path / "short")
    with pytest.raises(StorageError, match="missing"):
        read_history(tmp_path / "missing")


def test_a_run_with_injected_faults_is_left_out_of_the_others(tmp_path: Path) -> None:
    store(tmp_path, "calm", run(), 1)
    store(tmp_path, "faulty", with_manifest(run(), chaos="7:flip=0.0001"), 2)
    store(tmp_path, "later", run(), 3)
    found = read_history(tmp_path)
    assert [ids(trend) for trend in found.trends] == [["calm", "later"]]
    assert found.left_out == ("faulty: faults were injected (--chaos 7:flip=0.0001)",)
    shutil.rmtree(tmp_path / "calm")
    shutil.rmtree(tmp_path / "later")
    with pytest.raises(UsageError, match=r"holds no complete run: faulty: faults were injected"):
        read_history(tmp_path)


def test_an_accuracy_that_the_first_run_did_not_have_is_drawn_with_its_interval(
    tmp_path: Path,
) -> None:
    def failed(sample: Sample) -> Sample:
        return msgspec.structs.replace(sample, failed="no answer", device=b"", time=None)

    store(tmp_path, "silent", run(change=failed), 1)
    store(tmp_path, "well", run(), 2)
    (trend,) = read_history(tmp_path).trends
    accuracy = next(panel for panel in panels(trend) if panel.title == "accuracy")
    interval = binomtest(192, 200).proportion_ci(method="wilson")
    assert [dot.text for dot in accuracy.dots] == ["well: 96.0%"]
    assert [text for _, text in accuracy.ticks] == [f"{end:.1%}" for end in interval]


def test_limits_say_what_is_beyond(tmp_path: Path) -> None:
    for day, stack in enumerate((944, 1_200), 1):
        store(tmp_path, f"run-{day}", with_memory(run(), stack=stack), day)
    for most, css in ((10, "worse beyond"), (50, "worse")):
        (trend,) = read_history(tmp_path, LimitsFile(compare=Growth(stack=most))).trends
        assert panels(trend)[0].marks[0].css == css


class Balanced(HTMLParser):
    """Fails on a tag that is closed out of turn, and on anything that asks for another file."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onload", "onclick"}
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_one_file_and_strangers_are_escaped(tmp_path: Path) -> None:
    reports.hostile(tmp_path / "one")
    for day, stack in enumerate((944, 1_200), 1):
        store(tmp_path, f"run-{day}", with_memory(run(), stack=stack), day)
    store(tmp_path, reports.HOSTILE.replace("/", "_"), with_memory(run(), stack=944), 9)
    found = read_history(tmp_path)
    text = page(found)
    reader = Balanced()
    reader.feed(text)
    assert reader.open == []
    assert {"svg", "title", "table"} <= reader.seen
    assert "script" not in reader.seen
    assert text.count("<script") == 0
    assert "http" not in text.replace("http-equiv", "").replace("(http:__evil)", "").replace(
        "(http://evil)", ""
    )
    assert "<script" not in markdown(found)
    assert "\x1b" not in text
    assert page(read_history(tmp_path)) == text


def test_rows_have_as_many_cells_as_the_head(tmp_path: Path) -> None:
    for day, stack in enumerate((944, 1_200), 1):
        store(tmp_path, f"run-{day}", with_memory(run(), stack=stack), day)
    (trend,) = read_history(tmp_path).trends
    first, second = rows(trend)
    assert first[3:] == ("944 B", "")
    assert second[3:] == ("1,200 B", "stack +27.1 % (+256 B): worse, beyond its limit")
