# SPDX-License-Identifier: Apache-2.0
"""Data sets in the layout of MLCommons' runner: read untrusted ones, export our own."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hil import datasets
from hil.core.errors import DataError, StorageError, UsageError
from hil.core.records import Dataset
from hil.mlperf.data import LABELS, Item, export, open_data
from tests.support.mlperf_devices import sample, write_set

LABELLED = [(label, sample(label)) for label in (0, 1, 2, 1)]


def test_a_data_set_is_read_in_its_order(tmp_path: Path) -> None:
    found = open_data(write_set(tmp_path, LABELLED), "any")
    assert found.classes == 3
    assert found.items == tuple(Item(f"s{i}.bin", y) for i, (y, _) in enumerate(LABELLED))
    assert [found.segments(item) for item in found.items] == [(x,) for _, x in LABELLED]


def test_the_data_set_may_be_in_a_subfolder_named_after_the_model(tmp_path: Path) -> None:
    write_set(tmp_path / "ic01", LABELLED)
    assert open_data(tmp_path, "ic01").path == tmp_path / "ic01"
    for model in ("other", "../ic01", "", "ic01/../ic01", "\x1b[2J", "x" * 300):
        with pytest.raises(DataError, match=r"no y_labels\.csv in") as bad:
            open_data(tmp_path, model)
        assert str(bad.value).isprintable()


def test_the_fingerprint_depends_on_the_files(tmp_path: Path) -> None:
    first = open_data(write_set(tmp_path / "a", LABELLED), "").fingerprint
    assert open_data(write_set(tmp_path / "b", LABELLED), "").fingerprint == first
    (tmp_path / "b" / "s2.bin").write_bytes(sample(2, 81))
    assert open_data(tmp_path / "b", "").fingerprint != first


def test_anomaly_detection_sends_a_file_in_segments(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.bin").write_bytes(bytes(range(11)))
    (tmp_path / LABELS).write_text("0.bin,2,0,4,3\n1.bin,2,1,4,3\n")
    found = open_data(tmp_path, "ad01")
    assert found.items[0] == Item("0.bin", 0, 4, 3, 3)
    assert found.segments(found.items[0]) == (
        bytes(range(4)),
        bytes(range(3, 7)),
        bytes(range(6, 10)),
    )


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("", "has no line"),
        ("s0.bin,3\n", "line 1: 2 columns"),
        ("s0.bin,3,0\ns1.bin,3,1\ns0.bin,3,2\n", "lists s0.bin twice"),
        ("s0.bin,3,x\n", "line 1: 'x' is not a number"),
        ("s0.bin,3,-1\n", "line 1: '-1' is not a number"),
        ("s0.bin,3,3\n", "class 3 of 3"),
        ("s0.bin,1,0\n", "1 classes"),
        ("s0.bin,99999999,0\n", "99999999 classes"),
        ("s0.bin,3,0\ns1.bin,4,1\n", "different numbers of classes"),
        ("s0.bin,3,0\n\ns1.bin,3,1\n", "class 2 of 3 without a file"),
        ("s0.bin,3,0,0,0\n", "segment or stride of 0 bytes"),
        ("s0.bin,2,0,4,1\ns1.bin,2,1,400,1\n", "s1.bin has 0 segments"),
        ("nowhere.bin,2,0\ns1.bin,2,1\n", "nowhere.bin is missing"),
        ("../s0.bin,2,0\ns1.bin,2,1\n", "leads out of the folder"),
        ("a/../../s0.bin,2,0\ns1.bin,2,1\n", "leads out of the folder"),
        ("/etc/passwd,2,0\ns1.bin,2,1\n", "is not a file name in the folder"),
        ("link.bin,2,0\ns1.bin,2,1\n", "leads out of the folder"),
        ("s\x1b[31m.bin,2,0\n", "is not a file name in the folder"),
        (",2,0\n", "is not a file name in the folder"),
        ("folder,2,0\ns1.bin,2,1\n", "folder is missing"),
        ("empty.bin,2,0\ns1.bin,2,1\n", "has 0 bytes"),
        ("huge.bin,2,0\ns1.bin,2,1\n", "has 5,000,000 bytes"),
        ("loop,2,0\ns1.bin,2,1\n", "cannot be read|leads out|is missing"),
        ('"s0.bin,3,0\n', "is not valid CSV"),
    ],
)
def test_a_bad_folder_is_refused_in_one_line(tmp_path: Path, labels: str, says: str) -> None:
    outside = tmp_path / "s0.bin"
    outside.write_bytes(b"secret")
    folder = write_set(tmp_path / "set", LABELLED)
    (folder / "folder").mkdir()
    (folder / "link.bin").symlink_to(outside)
    (folder / "loop").symlink_to("loop")
    (folder / "empty.bin").touch()
    (folder / "huge.bin").touch()
    os.truncate(folder / "huge.bin", 5_000_000)
    (folder / LABELS).write_text(labels)
    with pytest.raises(DataError, match=says) as bad:
        open_data(folder, "")
    assert str(bad.value).isprintable()


FIXTURE = HealthCheck.function_scoped_fixture


@settings(max_examples=100, deadline=None, suppress_health_check=[FIXTURE])
@given(content=st.binary(max_size=120))
def test_random_labels_are_refused(tmp_path: Path, content: bytes) -> None:
    write_set(tmp_path, LABELLED)
    (tmp_path / LABELS).write_bytes(content)
    with pytest.raises(DataError) as bad:
        open_data(tmp_path, "")
    assert str(bad.value).isprintable()


@pytest.mark.parametrize(("name", "limit"), [("digits", None), ("digits", 25), ("tabular", 60)])
def test_an_exported_data_set_is_read_by_the_runner(
    tmp_path: Path, name: str, limit: int | None
) -> None:
    data = datasets.load(name)
    folder = export(data, tmp_path, "student int8 aot", limit)
    count = limit or len(data)
    # read as benchmark/runner/datasets.py does
    with (folder / LABELS).open() as labels:
        fields = ["file", "classes", "class", "bytes_to_send", "stride"]
        truth = list(csv.DictReader(labels, fieldnames=fields))
    assert len(truth) == count
    assert {row["classes"] for row in truth} == {str(len(set(data.y.tolist())))}
    assert {int(row["class"]) for row in truth} == set(data.y.tolist())
    by_id = dict(zip(data.ids, zip(data.x, data.y, strict=True), strict=True))
    kind = data.x.dtype.newbyteorder("<")
    for row in truth:
        x, y = by_id[row["file"].removesuffix(".bin")]
        content = (folder / row["file"]).read_bytes()
        assert np.array_equal(np.frombuffer(content, kind).reshape(x.shape), x)
        assert int(row["class"]) == y
    for file, loop, infer in (
        ("tests_accuracy.yaml", "loop", "infer 1 0"),
        ("tests_performance.yaml", "loop 5", "infer 1000 10"),
        ("tests_energy.yaml", "loop 5", "infer 1000 10"),
    ):
        script = yaml.safe_load((tmp_path / file).read_text())["student int8 aot"]
        assert (script["model"], script["truth_file"]) == (name, LABELS)
        assert script["script"] == [{loop: ["download", infer]}]
    assert len(open_data(folder, "").items) == count
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [name, "tests_accuracy.yaml", "tests_energy.yaml", "tests_performance.yaml"]
    )


def test_exports_that_cannot_work_are_refused(tmp_path: Path) -> None:
    data = datasets.load("digits")
    with pytest.raises(UsageError, match="--limit 9 leaves 1 of 10 classes"):
        export(data, tmp_path, limit=9)
    with pytest.raises(UsageError, match="cannot be a model's id"):
        export(data, tmp_path, "a]b")
    export(data, tmp_path, limit=10)
    with pytest.raises(UsageError, match="already exists"):
        export(data, tmp_path, limit=10)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        export(data, tmp_path / "file", limit=10)


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    whole = datasets.load("digits")
    broken = Dataset("digits", "test", ("no/such/folder",) * len(whole), whole.x, whole.y, "")
    with pytest.raises(StorageError):
        export(broken, tmp_path)
    assert list(tmp_path.iterdir()) == []
