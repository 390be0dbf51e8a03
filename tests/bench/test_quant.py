# SPDX-License-Identifier: Apache-2.0
"""Whole benches on fake boards with both precisions of a network: what int8 loses is stored and
shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hil import datasets
from hil.bench import run
from hil.bench.events import Event, Note, QuantChecking
from hil.core.errors import ModelError, StorageError
from hil.core.records import Dataset
from hil.quant import Budget
from hil.report import write
from hil.runs.load import load_run, verify
from hil.runs.notebook import read
from hil.runs.schema_quant import QUANT, QuantPair
from hil.testing.lab import FakeLab
from tests.support.benches import PROJECT, ignore, planned

N = 60
CASES = PROJECT / "tests" / "bench" / "data"
MODELS = PROJECT / "models" / "digits"
DIGITS = datasets.load("digits", "test")
CASE_DATA = datasets.load_npz(CASES / "digits.npz")
FLOAT = str(CASES / "digits_float32.tflite")
WIDE = str(CASES / "digits_calibrated_x255_int8.tflite")


def benched(folder: Path, data: Dataset, *models: str, precisions: tuple[str, ...] = ()) -> Path:
    plan = planned(N, models=models, precisions=precisions, data=data)
    run(plan, folder, ignore, FakeLab())
    return folder


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bench whose int8 network was calibrated on other values."""
    folder = benched(tmp_path_factory.mktemp("wide"), CASE_DATA, FLOAT, WIDE)
    write(folder)
    return folder


def test_a_good_pair_is_stored_sealed_and_shown(tmp_path: Path) -> None:
    data = replace(DIGITS, name="mine")
    files = [str(MODELS / f"student_{one}.tflite") for one in ("float32", "int8")]
    benched(tmp_path, data, *files)
    (pair,) = write(tmp_path).quant
    assert (pair.model, pair.n, pair.findings) == ("student_int8", N, ())
    assert not pair.loses
    assert verify(tmp_path).faults == ()
    assert QUANT in load_run(tmp_path).manifest.files
    page = (tmp_path / "report.html").read_text("utf-8")
    assert 'id="quant"' in page
    assert "error of each layer" in page
    assert "replaced one by one" not in page  # only where int8 loses
    assert "See Quantisation" not in page


def test_both_precisions_of_an_example_network(tmp_path: Path) -> None:
    benched(tmp_path, DIGITS, "student", precisions=("float32", "int8"))
    (pair,) = load_run(tmp_path).quant
    assert (pair.model, pair.float_file) == ("student", "student_float32.tflite")
    assert pair.findings == ()
    assert pair.int8.right is not None


def test_a_loss_is_shown_with_its_cause(wide: Path) -> None:
    (pair,) = load_run(wide).quant
    assert pair.model == "digits_calibrated_x255_int8"
    assert [one.code for one in pair.findings] == ["quant-calibration"]
    for name in ("report.html", "report.md"):
        text = (wide / name).read_text("utf-8").replace("\\", "")
        assert "ranges of int8 do not fit this data" in text
        assert "See Quantisation: quant-calibration" in text
    figures = {path.name for path in (wide / "figures").glob("quant-*.svg")}
    assert figures == {
        "quant-digits-calibrated-x255-int8-error-of-each-layer.svg",
        "quant-digits-calibrated-x255-int8-layers-replaced-one-by-one.svg",
    }
    assert read(wide).quant == (pair,)


@pytest.mark.parametrize(
    "models",
    [
        (str(MODELS / "student_int8.tflite"),),
        (str(MODELS / "student_float32.tflite"),),
        (str(MODELS / "student_float32.tflite"), str(MODELS / "teacher_int8.tflite")),
    ],
)
def test_networks_without_a_counterpart_leave_no_file(
    models: tuple[str, ...], tmp_path: Path
) -> None:
    benched(tmp_path, replace(DIGITS, name="mine"), *models)
    assert not (tmp_path / QUANT).exists()
    assert 'id="quant"' not in _page(tmp_path)


def _page(folder: Path) -> str:
    return write(folder).html.read_text("utf-8")


def test_random_samples_are_not_compared(tmp_path: Path) -> None:
    files = [str(MODELS / f"student_{one}.tflite") for one in ("float32", "int8")]
    plan = planned(20, models=files, precisions=(), data="random:20", dataset="digits")
    assert plan.order is None
    run(plan, tmp_path, ignore, FakeLab())
    assert not (tmp_path / QUANT).exists()


def test_a_network_that_cannot_be_compared_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> QuantPair:
        raise ModelError("LiteRT cannot run it", "use others")

    monkeypatch.setattr("hil.quant.compare", fails)
    events: list[Event] = []
    run(
        planned(N, models=(FLOAT, WIDE), precisions=(), data=CASE_DATA),
        tmp_path,
        events.append,
        FakeLab(),
    )
    notes = [one.text for one in events if isinstance(one, Note)]
    assert (
        "digits_calibrated_x255_int8: int8 was not compared with float32: LiteRT cannot run it"
        in notes
    )
    assert not (tmp_path / QUANT).exists()


def test_its_progress_is_told(tmp_path: Path) -> None:
    events: list[Event] = []
    run(
        planned(N, models=(FLOAT, WIDE), precisions=(), data=CASE_DATA),
        tmp_path,
        events.append,
        FakeLab(),
    )
    steps = [one for one in events if isinstance(one, QuantChecking)]
    assert {one.what for one in steps} == {"layers", "trials"}
    for what in ("layers", "trials"):
        last = [one for one in steps if one.what == what][-1]
        assert last.done == last.total
        assert last.model == "digits_calibrated_x255_int8 int8"


def test_the_work_of_a_bench_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.bench.quant.BENCH", Budget(exact=1.0, trials=1.0))
    benched(tmp_path, CASE_DATA, FLOAT, WIDE)
    (pair,) = load_run(tmp_path).quant
    assert (pair.n, pair.tried) == (16, 16)


def test_a_pair_of_no_run_is_refused(tmp_path: Path) -> None:
    folder = benched(tmp_path, CASE_DATA, FLOAT, WIDE)
    (pair,) = load_run(folder).quant
    for odd in (
        msgspec.structs.replace(pair, model="other"),
        msgspec.structs.replace(pair, p=2.0),
    ):
        (folder / QUANT).write_bytes(msgspec.json.encode([odd]))
        with pytest.raises(StorageError, match="does not fit any run"):
            load_run(folder)
