# SPDX-License-Identifier: Apache-2.0
"""Reports of runs of a user's own sketch claim only what is known of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from hil import report
from hil.report.document import document
from hil.report.markdown import markdown
from hil.report.provenance import cell_tables, run_table
from hil.report.summary import key_figures
from hil.runs.load import StoredRun
from hil.runs.schema import RunPlan, Tensor
from tests.support import reports, sketches
from tests.support.browser import chromium, needs_chromium, shown
from tests.support.command_line import hil
from tests.support.runs import known

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAIR = sketches.plan("teacher"), sketches.plan("student")
FAILED = {3: "predict returned false", 7: "predict returned false", 50: "it took too long"}


def said(stored: StoredRun) -> str:
    """The verdict."""
    found = document(stored).verdict
    return f"{found.word}. {found.sentence}"


def written(folder: Path, stored: StoredRun) -> Path:
    samples = list(chain.from_iterable(stored.samples.values()))
    return reports.write(folder, stored.manifest, samples, reports.pictures(samples))


def pages(folder: Path, stored: StoredRun) -> str:
    """Everything that a report writes, as text."""
    report.write(written(folder, stored))
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*.*")) if _is_page(path))


def _is_page(path: Path) -> bool:
    return path.suffix in (".md", ".html", ".svg")


@pytest.mark.parametrize("plans", [(), PAIR], ids=["one", "pair"])
def test_samples_without_labels_have_no_accuracy_on_any_page(
    tmp_path: Path, plans: tuple[RunPlan, ...]
) -> None:
    text = pages(tmp_path / "run", sketches.without_labels(sketches.run(*plans, broken=3)))
    lower = text.lower()
    assert "accura" not in lower
    assert not re.search(r"label -?\d|[✓✗]|all give the same wrong answer", text)
    assert "Confusion" not in text
    assert "McNemar" not in text
    assert "97.5%" in text  # the same answers, on device and host
    assert "Latency per inference" in text
    assert 'id="memory"' in text


def test_a_student_without_labels_still_saves_time() -> None:
    found = said(sketches.without_labels(sketches.run(*PAIR)))
    assert "device and host give the same answer for every digit" in found
    assert found.endswith("student int8 takes 1/16 of the time of the teacher.")


def test_labels_alone_are_called_that() -> None:
    stored = sketches.without_host(sketches.run())
    found = said(stored)
    assert found.startswith("Labels alone.")
    assert "nothing was compared with the host (labels alone)" in found
    assert "mine int8 is right on 95.8%" in found
    text, methods = markdown(document(stored)).split("<summary>Provenance")
    assert "Expected" not in methods
    for word in ("LiteRT", "oracle", "Exact", "Same answer", "Paired comparisons"):
        assert word not in text
    assert document(stored).table("Results").head[1:4] == (
        "Digits",
        "Accuracy, device",
        "Time per inference",
    )


def test_without_labels_and_model_nothing_is_claimed() -> None:
    stored = sketches.without_labels(sketches.without_host(sketches.run()))
    assert said(stored) == (
        "Not compared. 1 model × 120 digits on esp32, by the user's sketch gestures 1.2: nothing "
        "was compared with the host."
    )
    assert [section.key for section in document(stored).sections] == [
        "summary",
        "time",
        "memory",
        "link",
        "provenance",
    ]


def test_classes_alone_give_the_same_answers_and_never_the_same_bytes() -> None:
    stored = sketches.by_class(sketches.run())
    found = said(stored)
    assert found.startswith("Same answers.")
    assert "only the answers of mine int8 are known, not the outputs" in found
    assert "device and host give the same answer for every digit" in found
    text = markdown(document(stored))
    assert "Exact" not in found
    assert "byte" not in found
    assert "bit for bit" not in text
    rows = document(stored).table("Output values against the references").rows
    assert [row[2:] for row in rows] == [("unknown", "unknown", "unknown", "–", "0")] * 2
    assert document(stored).table("Validation").rows == ()


def test_a_class_beyond_the_tolerance_differs_and_one_within_it_does_not() -> None:
    broken = sketches.by_class(sketches.run(broken=3))
    assert said(broken).startswith("Differs. ")
    assert "3 of 120 answers differ from the oracle" in said(broken)
    (of,) = broken.manifest.runs
    wide = msgspec.structs.replace(of, tolerance=255.0)
    manifest = msgspec.structs.replace(broken.manifest, runs=(wide,))
    near = StoredRun(manifest, broken.samples, {}, torn=False)
    assert said(near).startswith("Within tolerance. ")
    assert "device and host answer 3 digits differently" in said(near)


def test_failed_requests_are_counted_by_reason() -> None:
    stored = sketches.failing(sketches.run(), FAILED)
    found = document(stored)
    assert found.verdict.grade == "failed"
    assert (
        "3 of 120 requests got no answer that counts: predict returned false (2), "
        "it took too long (1)"
    ) in found.verdict.sentence
    assert found.table("Requests without an answer").rows == (
        ("mine int8", "predict returned false", "2 of 120"),
        ("mine int8", "it took too long", "1 of 120"),
    )
    assert found.table("Results").rows[0][1] == "117 of 120"
    assert not [line for line in found.warnings if "117" in line]  # no answer is missing


def test_rare_reasons_are_counted_together() -> None:
    reasons = {i: f"line {i} is odd" for i in range(20)} | {20: "it hung", 21: "it hung"}
    found = document(sketches.failing(sketches.run(), reasons))
    assert "it hung (2), line 0 is odd (1), line 1 is odd (1), other reasons (18)" in (
        found.verdict.sentence
    )
    rows = found.table("Requests without an answer").rows
    assert len(rows) == 13
    assert rows[-1][1:] == ("other reasons", "9 of 120")


def test_a_run_of_failures_alone_is_reported(tmp_path: Path) -> None:
    stored = sketches.failing(sketches.run(n=5), dict.fromkeys(range(5), "it hung"))
    assert said(stored).endswith(
        "5 of 5 requests got no answer that counts: it hung (5); no answers to judge."
    )
    assert "5 of 5" in pages(tmp_path / "run", stored)


def test_wrong_values_of_a_sketch_are_not_blamed_on_our_firmware() -> None:
    text = markdown(document(sketches.run(broken=3)))
    assert "3 of 1,200 output values differ from the oracle" in text
    assert "the sketch computes something else" in text
    assert "firmware" not in said(sketches.run(broken=3))
    assert "this device round twice" not in text


def test_float_outputs_of_an_int8_network_have_no_steps() -> None:
    output = Tensor(dtype=0, shape=(1, 10), scale=0.0, zero_point=0)
    of = sketches.plan(output=output, oracle="", tolerance=0.5, tolerance_why="of the network")
    like = reports.plan("mine", "float32")
    samples = [
        msgspec.structs.replace(sample, run=of.key, time=1_700 + sample.i)
        for sample in reports.samples(like, 120, off_by_one=3)
    ]
    stored = reports.run_of(reports.manifest(of, n=120), samples)
    assert said(stored).startswith("Within tolerance. ")
    assert "within 3.8e-06 of LiteRT, as expected" in said(stored)
    (row, _) = document(stored).table("Output values against the references").rows
    assert (row[4], row[5]) == ("3.8e-06", "at most 0.5")
    assert "Up to 0.5 is expected: of the network." in markdown(document(stored)).replace("\\", "")


def test_lines_of_text_have_no_check_sum_and_whole_milliseconds() -> None:
    stored = sketches.as_text(sketches.run())
    found = document(stored)
    text = markdown(found)
    assert text.count("no check sum") == 1
    assert found.table("Time in detail").rows[0][2] == "2 ms ± 1 ms"
    assert "µs" not in text.replace("microseconds", "")
    assert "2,000" not in text
    assert "Arena" not in found.table("Results").head
    assert "memory" not in [section.key for section in found.sections]
    (_, _, figure) = key_figures(reports.cells_of(stored), "digit")
    assert (figure.value, figure.detail) == ("2", "ms ± 1 ms, median")


def test_the_time_of_a_saved_log_is_unknown_and_contradicts_no_clock() -> None:
    stored = sketches.as_text(sketches.run())
    live = msgspec.structs.replace(stored.manifest.ends[0], answered=120, seconds=0.01)
    saved = msgspec.structs.replace(live, seconds=0.0)
    for end, wrong in ((live, True), (saved, False)):
        manifest = msgspec.structs.replace(stored.manifest, ends=(end,))
        found = document(replace(stored, manifest=manifest))
        assert any("clock is wrong" in line for line in found.warnings) == wrong
    (row,) = found.table("Bytes and wall time on the link").rows
    assert row[3:] == ("unknown", "unknown", "unknown", "0")
    assert found.table("Results").rows[0][-1] == "0 retries"


def test_provenance_has_no_empty_rows() -> None:
    stored = sketches.without_labels(sketches.without_host(sketches.run()))
    data = msgspec.structs.replace(stored.manifest.dataset, split="", total=0, fingerprint="")
    bare = msgspec.structs.replace(stored.manifest.runs[0], toolchain="", firmware_sha256="")
    manifest = msgspec.structs.replace(stored.manifest, dataset=data, runs=(bare,))
    facts = {row[0]: row[1] for row in run_table(manifest).rows}
    assert facts["Data"] == "mnist: 120 samples, without labels"
    (table,) = cell_tables(reports.cells_of(replace(stored, manifest=manifest)))
    assert all(row[1] for row in (*facts.items(), *table.rows))
    assert ("Model file", "none was named") in table.rows
    assert ("Sketch", "gestures 1.2") in table.rows


def test_unknown_memory_is_never_zero() -> None:
    of = sketches.plan()
    memory = msgspec.structs.replace(
        known(reports.end(of, 120).memory), flash_model=None, flash_code=0, arena=None
    )
    end = msgspec.structs.replace(reports.end(of, 120), memory=memory)
    stored = reports.run_of(reports.manifest(of, n=120, ends=(end,)), reports.samples(of, 120))
    found = document(stored)
    row = dict(zip(found.table("Results").head, found.table("Results").rows[0], strict=True))
    assert (row["Arena"], row["Flash"], row["Stack"]) == ("unknown", "unknown", "944 B")
    assert " 0 B" not in markdown(found)


@pytest.mark.parametrize(
    ("stored", "code", "line"),
    [
        (sketches.by_class(sketches.run()), 0, "every answer is as expected"),
        (sketches.without_host(sketches.run()), 0, "no output was compared with the host's"),
        (
            sketches.failing(sketches.run(), FAILED),
            1,
            "not as expected: esp32/user/mine/int8: 3 of 120 requests got no answer that counts",
        ),
        (sketches.by_class(sketches.run(broken=3)), 1, "3 answers of the sketch differ"),
        (sketches.as_text(sketches.without_labels(sketches.run())), 0, "2 ms"),
    ],
    ids=["class", "labels", "failing", "wrong", "text"],
)
def test_the_terminal_says_what_was_compared(
    tmp_path: Path,
    stored: StoredRun,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = written(tmp_path / "run", stored)
    assert hil(monkeypatch, "report", folder) == code
    printed = capsys.readouterr().out
    assert line in printed
    assert "every output" not in printed or code == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@needs_chromium
@pytest.mark.parametrize("kind", ["without labels", "failing lines"])
def test_the_page_works_in_a_browser(browser: Browser, tmp_path: Path, kind: str) -> None:
    stored = sketches.run(*PAIR, broken=3)
    if kind == "without labels":
        stored = sketches.without_labels(stored)
    else:
        stored = sketches.failing(sketches.as_text(sketches.by_class(stored)), FAILED)
    folder = written(tmp_path / "run", stored)
    report.write(folder)
    with shown(browser, folder / "report.html") as seen:
        cards = seen.page.locator(".card")
        total = cards.count()
        assert total
        assert seen.page.locator("select[name=label]").count() == (kind != "without labels")
        seen.page.locator("select[name=kind]").select_option(index=1)
        assert 0 < seen.page.locator(".card:visible").count() < total
        assert (seen.complaints, seen.refused, seen.dialogs) == ([], [], [])
