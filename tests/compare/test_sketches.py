# SPDX-License-Identifier: Apache-2.0
"""Runs of a user's own sketch are compared in what both have, sample by sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hil.compare import compare_stored
from hil.compare.formats import FORMATS
from hil.compare.history import markdown, page, read_history
from hil.runs.load import StoredRun
from tests.support import reports, sketches
from tests.support.compared import figure

FIVE = (5).to_bytes(4, "little")
WHOLE = sketches.run()
FAILED = {3: "it hung", 7: "it hung", 50: "it hung"}


def names(base: StoredRun, new: StoredRun) -> set[str]:
    """The figures that are compared."""
    (run,) = compare_stored(base, new).runs
    return {one.name for one in run.figures}


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (sketches.without_labels, {"accuracy"}),
        (sketches.without_host, {"answers", "unexpected", "litert"}),
        (sketches.by_class, {"litert"}),
        (sketches.as_text, {"arena", "flash_model", "flash_code", "ram_static", "stack"}),
    ],
)
def test_figures_that_neither_run_has_are_left_out(change: object, gone: set[str]) -> None:
    assert callable(change)
    less = change(WHOLE)
    assert names(WHOLE, WHOLE) - names(less, less) == gone
    found = compare_stored(less, less)
    assert not found.regression
    assert {one.word for one in found.runs[0].figures} == {"same"}
    for form in FORMATS.values():
        assert form(found)


def test_a_figure_that_only_base_has_is_missing() -> None:
    found = compare_stored(WHOLE, sketches.without_labels(WHOLE))
    assert figure(found, "accuracy").word == "missing"
    assert found.regression
    back = compare_stored(sketches.without_labels(WHOLE), WHOLE)
    assert figure(back, "accuracy").word == "new"
    assert not back.regression


def test_classes_are_compared_with_classes_and_with_outputs() -> None:
    sent, broken = sketches.by_class(WHOLE), sketches.by_class(sketches.run(broken=3))
    changed = StoredRun(
        sent.manifest,
        {
            key: tuple(
                sketches.changed(one, device=(5).to_bytes(4, "little")) if one.i < 4 else one
                for one in some
            )
            for key, some in sent.samples.items()
        },
        {},
        torn=False,
    )
    answers = [one.device[0] for one in next(iter(sent.samples.values()))[:4]]
    expected = sum(answer != 5 for answer in answers)
    for base in (sent, WHOLE):
        found = figure(compare_stored(base, changed), "outputs")
        assert (found.new, found.beyond) == (expected, True)
        assert found.note.startswith("of 120; ")
    assert figure(compare_stored(sent, broken), "unexpected").new == 3


def test_failed_requests_count_as_unanswered() -> None:
    found = compare_stored(WHOLE, sketches.failing(WHOLE, FAILED))
    unanswered = figure(found, "unanswered")
    assert (unanswered.base, unanswered.new, unanswered.beyond) == (0, 3, True)
    assert figure(found, "outputs").word == "same"  # of the samples that both answered


def test_samples_without_labels_are_paired_by_their_id() -> None:
    bare = sketches.without_labels(WHOLE)
    (key,) = bare.samples
    fewer = replace(bare, samples={key: bare.samples[key][5:]})
    found = compare_stored(bare, fewer)
    latency = figure(found, "latency")
    assert (latency.word, latency.n) == ("same", 115)
    assert figure(found, "outputs").word == "same"


def test_whole_milliseconds_stay_whole() -> None:
    lines = sketches.as_text(WHOLE)
    (end,) = lines.manifest.ends
    first = msgspec.structs.replace(end, first=4_000)
    manifest = msgspec.structs.replace(lines.manifest, ends=(first,))
    base = StoredRun(manifest, lines.samples, {}, torn=False)
    slower = StoredRun(
        manifest,
        {
            key: tuple(sketches.changed(one, time=3_000 if one.i % 2 else 2_000) for one in some)
            for key, some in lines.samples.items()
        },
        {},
        torn=False,
    )
    found = compare_stored(base, slower)
    assert figure(found, "latency").new == 2_500  # the median of an even number of times
    text = FORMATS["md"](found)
    assert "| latency | 2 ms ± 1 ms | 2 ms ± 1 ms |" in text
    assert "| first inference | 4 ms ± 1 ms | 4 ms ± 1 ms |" in text
    assert "µs" not in text
    assert figure(compare_stored(WHOLE, WHOLE), "latency").step is msgspec.UNSET


def test_a_history_has_the_figures_that_are_known(tmp_path: Path) -> None:
    stored = sketches.by_class(sketches.without_labels(WHOLE))
    for day in (1, 2):
        manifest = msgspec.structs.replace(
            stored.manifest, created=f"2026-01-0{day}T00:00:00Z", run_id=f"day {day}"
        )
        (samples,) = stored.samples.values()
        reports.write(tmp_path / str(day), manifest, list(samples))
    found = read_history(tmp_path)
    (trend,) = found.trends
    assert [entry.run_id for entry in trend.entries] == ["day 1", "day 2"]
    assert not found.left_out
    assert "latency" in markdown(found)
    assert "accuracy" not in markdown(found) + page(found)


def test_another_sketch_is_a_fact_and_no_obstacle() -> None:
    other = sketches.run(sketches.plan(sketch="gestures 1.3"))
    (run,) = compare_stored(WHOLE, other).runs
    assert [(one.name, one.base, one.new) for one in run.facts] == [
        ("sketch", "gestures 1.2", "gestures 1.3")
    ]
