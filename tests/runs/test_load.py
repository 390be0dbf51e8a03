# SPDX-License-Identifier: Apache-2.0
"""A stored run reads back as it was stored; a damaged one is refused in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hil.core.errors import StorageError, WrongSchema
from hil.core.records import DType
from hil.runs.cells import cells
from hil.runs.load import load_run
from hil.runs.schema import Picture
from hil.runs.tensors import is_sequence, outputs_of
from tests.fuzz import example_run
from tests.support import reports


def test_a_stored_run_comes_back(tmp_path: Path) -> None:
    plans = reports.plan("teacher"), reports.plan("student", "float32")
    stored = [s for p in plans for s in reports.samples(p, 12, off_by_one=3)]
    of = reports.manifest(*plans, n=12)
    run = load_run(reports.write(tmp_path / "run", of, stored, reports.pictures(stored)))
    assert run.manifest == of
    assert [s for p in plans for s in run.samples[p.key]] == stored
    assert run.pictures == reports.pictures(stored)
    assert not run.torn


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    run = load_run(reports.interrupted(tmp_path / "run", 30))
    assert run.torn
    assert [len(found) for found in run.samples.values()] == [30, 10, 0]


def test_a_whole_last_line_without_its_end_counts(tmp_path: Path) -> None:
    folder = reports.full(tmp_path / "run", 5)
    lines = folder / "samples.jsonl"
    lines.write_bytes(lines.read_bytes().rstrip(b"\n"))
    run = load_run(folder)
    assert sum(map(len, run.samples.values())) == 20
    assert not run.torn


def test_answers_are_sorted_and_repeats_counted_once(tmp_path: Path) -> None:
    plan = reports.plan()
    stored = reports.samples(plan, 4)
    shuffled = [stored[2], stored[0], stored[3], stored[0], stored[1]]
    run = load_run(reports.write(tmp_path / "run", reports.manifest(plan, n=4), shuffled))
    assert list(run.samples[plan.key]) == stored


def test_a_run_without_samples_file(tmp_path: Path) -> None:
    folder = reports.write(tmp_path / "run", reports.manifest(reports.plan(), ends=()), [])
    (folder / "samples.jsonl").unlink()
    assert load_run(folder).samples == {reports.plan().key: ()}


def _manifest(key: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        raw = msgspec.json.decode(path.read_bytes())
        raw[key] = value
        path.write_bytes(msgspec.json.encode(raw))

    return change


def _output(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        raw = msgspec.json.decode(path.read_bytes())
        raw["runs"][0]["output"].update(changes)
        path.write_bytes(msgspec.json.encode(raw))

    return change


def _line(**changes: object) -> Callable[[Path], None]:
    """Change the second of the stored lines."""

    def change(folder: Path) -> None:
        path = folder / "samples.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        raw = msgspec.json.decode(lines[1]) | changes
        lines[1] = msgspec.json.encode(raw) + b"\n"
        path.write_bytes(b"".join(lines))

    return change


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


CORRUPT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "has no manifest.json"),
    "no json": (_write("manifest.json", b"{"), "manifest.json is corrupt"),
    "no utf-8": (_write("manifest.json", b'{"schema": 2, "run_id": "\xff"}'), "is corrupt"),
    "an array": (_write("manifest.json", b"[]"), "is corrupt"),
    "an older schema": (
        _manifest("schema", 1),
        "was written by hil 0.1.0 in schema 1, this hil reads schema 2",
    ),
    "a newer schema": (_manifest("schema", 3), "use the hil version that wrote it"),
    "an unknown key": (_manifest("surprise", 1), "surprise"),
    "an unknown state": (_manifest("state", "fine"), "state"),
    "an unplanned end": (_manifest("runs", []), "does not fit any planned run"),
    "an unknown type": (_output(dtype=77), "type 77"),
    "an empty output": (_output(shape=[1, 0]), "shape (1, 0)"),
    "a huge output": (_output(shape=[1 << 40]), "shape"),
    "a line that is not JSON": (
        lambda f: (f / "samples.jsonl").write_bytes(b"rubbish\n{}\n"),
        "samples.jsonl, line 1",
    ),
    "a last line that is not JSON": (
        lambda f: (f / "samples.jsonl").write_bytes(b"rubbish\n"),
        "samples.jsonl, line 1",
    ),
    "an unknown run": (_line(run="x/y"), "run 'x/y' is not in manifest.json"),
    "a short output": (_line(device="AAAA"), "line 2: 3 bytes of device output, not 10"),
    "a long reference": (_line(oracle="A" * 44), "bytes of oracle output, not 10"),
    "a negative time": (_line(time=-1), "negative"),
    "two answers": (_line(i=0), "sample 0 of run 'mps2/aot/student/int8' is stored twice"),
    "a picture cut": (
        _write("digits.json", msgspec.json.encode({"a": Picture(shape=(2, 2), pixels=b"123")})),
        "picture 'a' is not 2 x 2",
    ),
    "a picture without sides": (
        _write("digits.json", msgspec.json.encode({"a": Picture(shape=(-1, -1), pixels=b"1")})),
        "picture 'a'",
    ),
    "pictures of nothing": (_write("digits.json", b"7"), "digits.json is corrupt"),
}


@pytest.mark.parametrize("case", CORRUPT)
def test_damage_is_refused(tmp_path: Path, case: str) -> None:
    plan = reports.plan()
    folder = reports.write(tmp_path / "run", reports.manifest(plan, n=3), reports.samples(plan, 3))
    change, message = CORRUPT[case]
    change(folder)
    with pytest.raises(StorageError, match=re.escape(message)) as caught:
        load_run(folder)
    assert caught.value.hint
    assert isinstance(caught.value, WrongSchema) == ("schema" in case)
    assert "\n" not in str(caught.value)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="not a stored run; give the folder of one run"):
        load_run(tmp_path / "nowhere")


def test_a_folder_where_a_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        load_run(tmp_path)


def test_several_outputs_must_fit_the_first_and_the_samples(tmp_path: Path) -> None:
    (stored,) = [one for one in example_run.stored() if "tensors" in str(one["manifest.json"])]

    def lay(change: Callable[[Any], None], device: str = "AAAAAAAA") -> Path:
        found = json.loads(json.dumps(stored["manifest.json"]))
        change(found["runs"][0])
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps(found))
        lines = [{**one, "device": device} for one in stored["samples.jsonl"][1:]]
        (folder / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
        return folder

    run = load_run(lay(lambda _: None))
    (plan,) = run.manifest.runs
    assert [one.dtype for one in outputs_of(plan)] == [DType.INT8, DType.INT16]
    assert is_sequence(plan)
    (cell,) = cells(run.manifest, run.samples)
    assert (cell.device is not None, [one.name for one in cell.others]) == (True, ["wide"])
    assert cell.values == 9

    def other_first(plan: Any) -> None:
        plan["tensors"]["outputs"].reverse()

    def none(plan: Any) -> None:
        plan["tensors"]["outputs"] = []

    def huge(plan: Any) -> None:
        plan["tensors"]["outputs"][1]["shape"] = [1, 1 << 40]

    def unknown(plan: Any) -> None:
        plan["tensors"]["inputs"][0]["dtype"] = 99

    with pytest.raises(StorageError, match="an input of an unknown type"):
        load_run(lay(unknown))
    for change in (other_first, none, huge):
        with pytest.raises(StorageError, match="outputs"):
            load_run(lay(change))
    with pytest.raises(StorageError, match="5 bytes of device output, not 6"):
        load_run(lay(lambda _: None, "AAAAAAA="))
