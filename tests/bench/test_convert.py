# SPDX-License-Identifier: Apache-2.0
"""Models that a bench converts: once per model and calibration, and said in the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hil import datasets
from hil.bench import Request, convert, make_plan
from hil.bench.calibration import RANDOM
from hil.bench.convert import converted, is_source
from hil.bench.events import Calibrated, Converting, Event, Note, Weighed
from hil.bench.plan import choose_image
from hil.bench.prepare import prepare
from hil.core.errors import ModelError, UsageError
from hil.core.records import CALIBRATION, Dataset, Precision
from hil.report.provenance import cell_tables
from hil.runs.schema import Conversion
from hil.testing.lab import FakeLab
from tests.support import reports
from tests.support.conversions import MODELS, FakeExporter, fake_exporter

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeExporter:
    return fake_exporter(monkeypatch, tmp_path / "cache")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "my.keras").write_bytes(b"weights")
    return tmp_path / "my.keras"


def train() -> Dataset:
    return datasets.load("digits", "train")


def test_what_is_converted(source: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    assert not is_source(saved)
    (saved / "saved_model.pb").touch()
    assert [is_source(one) for one in (saved, source, "net.h5", "net.tflite", "teacher")] == [
        *(True, True, True),
        *(False, False),
    ]


def test_the_record_says_how_the_files_were_made(exporter: FakeExporter, source: Path) -> None:
    made = converted(source, train(), lambda _: None)
    assert made.name == "my"
    assert {p: made.files[p].read_bytes() for p in made.files} == exporter.networks
    record = made.record
    assert record.source == "my.keras"
    assert record.source_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert (record.data, record.split, record.n, record.total) == ("digits", "train", 500, 1297)
    assert record.fingerprint == train().fingerprint
    # pixels are divided by 255
    assert (record.low, record.high) == (0.0, 1.0)
    (samples,) = exporter.calls
    assert samples is not None
    assert samples.ids == datasets.subset(train(), CALIBRATION).ids


def test_the_same_conversion_takes_place_once(exporter: FakeExporter, source: Path) -> None:
    said: list[Event] = []
    for _ in range(2):
        converted(source, train(), said.append)
    assert said == [Converting("my.keras")]
    assert len(exporter.calls) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda source, data: (source.write_bytes(b"others"), data)[1],
        # the same file, read in another way
        lambda _, data: replace(data, x=data.x.astype(np.float32)),
        lambda _, data: datasets.subset(data, 100),
    ],
    ids=["model", "samples", "number of samples"],
)
def test_another_model_or_calibration_is_another_conversion(
    change: Callable[[Path, Dataset], Dataset], exporter: FakeExporter, source: Path
) -> None:
    before = converted(source, train(), lambda _: None).folder
    after = converted(source, change(source, train()), lambda _: None).folder
    assert before != after
    assert len(exporter.calls) == 2


def test_another_version_of_tensorflow_is_another_conversion(
    exporter: FakeExporter, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted(source, train(), lambda _: None)
    monkeypatch.setattr(convert, "package_versions", lambda _: {"tensorflow": "99"})
    assert converted(source, train(), lambda _: None).record.by == "tensorflow 99"
    assert len(exporter.calls) == 2


def test_a_damaged_file_is_converted_again(exporter: FakeExporter, source: Path) -> None:
    made = converted(source, train(), lambda _: None)
    made.files[Precision.INT8].write_bytes(b"half")
    again = converted(source, train(), lambda _: None)
    assert again.files[Precision.INT8].read_bytes() == exporter.networks[Precision.INT8]


def test_what_cannot_be_converted(exporter: FakeExporter, source: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no file .*gone\.keras"):
        converted(tmp_path / "gone.keras", train(), lambda _: None)
    x = train().x
    with pytest.raises(UsageError, match="2 arrays of samples"):
        converted(source, replace(train(), named={"a": x, "b": x}), lambda _: None)
    assert exporter.calls == []


def request(source: Path, **changes: object) -> Request:
    whole = {"project": PROJECT, "boards": ("native",), "dataset": "digits", "limit": 5}
    return Request(**{**whole, "models": (str(source),), **changes})  # type: ignore[arg-type]


def test_a_bench_converts_to_both_precisions(exporter: FakeExporter, source: Path) -> None:
    said: list[Event] = []
    found = make_plan(request(source), emit=said.append)
    assert [case.key for case in found.cases] == ["native/aot/my/float32", "native/aot/my/int8"]
    # a data set by name has a training part
    assert [one.split for one in exporter.calls if one] == ["train"]
    assert [type(one) for one in said] == [Converting, Calibrated, Weighed]
    assert [one.benched for one in said if isinstance(one, Calibrated)] == [False]
    prepared, _ = prepare(found, FakeLab(), lambda _: None)
    records = [one.plan.converted for one in prepared]
    assert [one.source for one in records if isinstance(one, Conversion)] == ["my.keras"] * 2


def test_own_data_calibrates_unless_other_data_is_named(
    exporter: FakeExporter, source: Path, tmp_path: Path
) -> None:
    test = datasets.load("digits", "test")
    np.savez(tmp_path / "mine.npz", x=test.x[:40], y=test.y[:40])
    np.savez(tmp_path / "train.npz", x=train().x[:60])
    said: list[Event] = []
    for calibrate in (None, tmp_path / "train.npz"):
        changes = {"dataset": "auto", "data": tmp_path / "mine.npz", "calibrate": calibrate}
        make_plan(request(source, **changes), emit=said.append)
    assert [(one.name, len(one)) for one in exporter.calls if one] == [("mine", 40), ("train", 60)]
    assert [one.benched for one in said if isinstance(one, Calibrated)] == [True, False]


def test_only_the_precisions_that_are_asked_for_are_converted(
    exporter: FakeExporter, source: Path
) -> None:
    """TensorFlow cannot convert every network to integers."""
    del exporter.networks[Precision.INT8]
    said: list[Event] = []
    found = make_plan(request(source, precisions=("float32",)), emit=said.append)
    assert [case.key for case in found.cases] == ["native/aot/my/float32"]
    assert exporter.calls == [None]
    assert [type(one) for one in said] == [Converting, Calibrated, Weighed]


def test_random_inputs_calibrate_with_a_note(exporter: FakeExporter, source: Path) -> None:
    """For time and memory of a model without data: the float32 file shows what it takes."""
    said: list[Event] = []
    changes = {"dataset": "auto", "data": "random:20:7", "limit": None}
    found = make_plan(request(source, **changes), emit=said.append)
    assert [case.network.graph.precision for case in found.cases] == ["float32", "int8"]
    first, second = exporter.calls
    assert first is None
    assert second is not None
    assert second.x.shape == (20, 28, 28, 1)
    assert Note(RANDOM) in said


def test_samples_that_do_not_fit_are_in_the_manifest(
    exporter: FakeExporter, source: Path, tmp_path: Path
) -> None:
    exporter.networks = {
        p: (MODELS.parent / "mnist" / f"student_{p}.tflite").read_bytes() for p in exporter.networks
    }
    test = datasets.subset(datasets.load("digits", "test"), 200)
    np.savez(tmp_path / "inverted.npz", x=255 - test.x, y=test.y)
    said: list[Event] = []
    changes = {"dataset": "auto", "data": tmp_path / "inverted.npz"}
    found = make_plan(request(source, **changes), emit=said.append)
    (weighed,) = (one for one in said if isinstance(one, Weighed))
    assert "values from 0 to 1, inverted" in weighed.misfit
    assert [n.made.misfit for n in found.networks if n.made] == [weighed.misfit] * 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"models": ("student",), "calibrate": Path("x.npz")}, "--calibrate is for a model to"),
        ({"engines": ("user",)}, "a sketch runs a .tflite file, not"),
        ({"dataset": "auto"}, "a model of your own needs data"),
    ],
)
def test_mistakes_are_named(
    changes: dict[str, object], says: str, exporter: FakeExporter, source: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        make_plan(request(source, **changes))
    assert exporter.calls == []


def test_an_image_to_flash_is_not_converted(exporter: FakeExporter, source: Path) -> None:
    with pytest.raises(UsageError, match="is not converted yet, and that needs data"):
        choose_image(request(source))
    assert exporter.calls == []


@pytest.mark.usefixtures("exporter")
def test_a_converted_model_and_a_file_may_not_have_one_name(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "my.tflite"
    file.write_bytes((MODELS / "student_int8.tflite").read_bytes())
    with pytest.raises(UsageError, match="two --model files have the same name"):
        make_plan(request(source, models=(str(source), str(file))))


@pytest.mark.usefixtures("exporter")
def test_the_report_says_what_int8_was_calibrated_on(source: Path) -> None:
    record = converted(source, train(), lambda _: None).record

    def shown(precision: str) -> dict[str, str]:
        made = msgspec.structs.replace(reports.plan(precision=precision), converted=record)
        (table,) = cell_tables([reports.only(reports.run(made))])
        return {row[0]: row[1] for row in table.rows}

    assert shown("int8")["Calibrated on"] == (
        "500 of 1,297 samples of digits (train), values from 0 to 1"
    )
    assert shown("float32")["Converted from"].startswith("my.keras by ")
    assert "Calibrated on" not in shown("float32")
