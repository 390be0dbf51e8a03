# SPDX-License-Identifier: Apache-2.0
"""Whole benches on fake boards: what the checks store, and what a report shows of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hil import checks, datasets
from hil.api.words import words
from hil.bench import run
from hil.bench.events import Building, Event, Finished, Implausible
from hil.core.errors import StorageError
from hil.core.records import Dataset
from hil.report import write
from hil.runs.load import load_run, verify
from hil.runs.notebook import read
from hil.runs.schema_checks import CHECKS, CheckFinding
from hil.testing.lab import FakeLab
from tests.support.benches import PROJECT, ignore, planned

N = 120
GOOD = datasets.subset(datasets.load("digits", "test"), N)
INVERTED = replace(GOOD, x=255 - GOOD.x, fingerprint="1" * 64)
STUDENT = str(PROJECT / "models" / "digits" / "student_int8.tflite")


def benched(folder: Path, data: Dataset, **changes: object) -> Path:
    wanted = {"models": (STUDENT,), "precisions": (), "data": data, **changes}
    run(planned(N, **wanted), folder, ignore, FakeLab())
    return folder


def test_good_data_leaves_no_file_and_no_section(tmp_path: Path) -> None:
    benched(tmp_path, GOOD)
    assert not (tmp_path / CHECKS).exists()
    assert load_run(tmp_path).checks == ()
    assert write(tmp_path).checks == ()
    assert 'id="checks"' not in (tmp_path / "report.html").read_text("utf-8")
    assert "plausible" not in (tmp_path / "report.md").read_text("utf-8")


def test_a_cause_is_stored_sealed_and_shown(tmp_path: Path) -> None:
    benched(tmp_path, INVERTED, boards=("mps2", "rv32"))
    report = write(tmp_path)
    found = next(one for one in report.checks if one.code == "input-inverted")
    assert found.runs == ("mps2/aot/student_int8/int8", "rv32/aot/student_int8/int8")
    assert verify(tmp_path).faults == ()
    assert CHECKS in load_run(tmp_path).manifest.files
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text("utf-8")
        assert "with inverted input values" in text
        assert "docs/checks.md" in text
        assert "Found by the checks below: input-inverted" in text.replace("\\", "")
    assert found.line.endswith(f". What to do: {found.advice} ({found.page})")


def told(folder: Path, data: Dataset, lab: FakeLab | None = None, **changes: object) -> list[Event]:
    events: list[Event] = []
    wanted = {"models": (STUDENT,), "precisions": (), "data": data, **changes}
    run(planned(N, **wanted), folder, events.append, lab or FakeLab())
    return events


def test_a_cause_is_told_before_the_first_build_and_the_bench_continues(tmp_path: Path) -> None:
    events = told(tmp_path, INVERTED)
    places = {type(one): i for i, one in reversed(list(enumerate(events)))}
    assert places[Implausible] < places[Building] < places[Finished]
    (one,) = (one for one in events if isinstance(one, Implausible))
    assert [found.code for found in one.found] == ["input-inverted"]
    head, line = words(one).splitlines()
    assert head == ("warning: the data does not look like what student_int8 int8 was trained on")
    assert line.startswith("  23.3% of 120 samples are answered right; with inverted input values")
    (stored,) = load_run(tmp_path).checks
    assert msgspec.structs.replace(stored, runs=()) == one.found[0]


def test_good_data_is_not_mentioned(tmp_path: Path) -> None:
    assert not any(isinstance(one, Implausible) for one in told(tmp_path, GOOD))


def test_causes_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    real = checks.of_network

    def counted(of: checks.Subject) -> list[CheckFinding]:
        tried.append(of.name)
        return real(of)

    monkeypatch.setattr(checks, "of_network", counted)
    told(tmp_path, INVERTED, boards=("mps2", "rv32"))
    assert len(tried) == 1
    assert load_run(tmp_path).checks


def test_python_code_gets_the_findings_too(tmp_path: Path) -> None:
    found = read(benched(tmp_path, INVERTED))
    assert [line.endswith("#input-inverted)") for line in found.checks] == [True]
    assert "<p>Checks:</p><ul><li>student_int8 int8: " in found._repr_html_()
    assert "Checks" not in read(PROJECT / "results" / "example")._repr_html_()


def test_a_report_from_the_folder_alone_is_the_same(tmp_path: Path) -> None:
    benched(tmp_path, INVERTED)
    write(tmp_path)
    before = (tmp_path / "report.html").read_bytes()
    write(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == before


def test_samples_without_labels_are_not_judged(tmp_path: Path) -> None:
    benched(tmp_path, replace(INVERTED, y=np.full(N, -1)))
    assert load_run(tmp_path).checks == ()


def test_a_device_that_answers_otherwise_does_not_blame_the_data(tmp_path: Path) -> None:
    wanted = planned(N, models=(STUDENT,), precisions=(), data=GOOD)
    run(wanted, tmp_path, ignore, FakeLab(tamper=lambda outputs: outputs[::-1]))
    assert [one.code for one in load_run(tmp_path).checks] == []


def test_a_finding_of_another_run_is_corrupt(tmp_path: Path) -> None:
    benched(tmp_path, INVERTED)
    (one, *_) = load_run(tmp_path).checks
    other = msgspec.structs.replace(one, runs=("mps2/aot/other/int8",))
    (tmp_path / CHECKS).write_bytes(msgspec.json.encode([other]))
    with pytest.raises(StorageError, match=rf"{CHECKS}: the finding .* does not fit any run"):
        load_run(tmp_path)
