# SPDX-License-Identifier: Apache-2.0
"""What can be found before the first build is found there: it costs no build, and what one
board or network lacks does not end the runs of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hil.bench import BenchPlan, run
from hil.bench.lab import RealLab, flash
from hil.bench.plan import Request, choose_image
from hil.boards.config import load_board
from hil.boards.station import only_station
from hil.core.errors import (
    DoesNotFit,
    HilError,
    LinkError,
    ModelError,
    NotForBoard,
    StorageError,
    ToolMissing,
)
from hil.runs.load import read_manifest
from hil.testing.lab import FakeLab
from tests.support.benches import PROJECT, ignore, planned
from tests.support.ports import USB_BOARD
from tests.support.tflite import Net

N = 3
MODELS = PROJECT / "models" / "digits"


@pytest.fixture
def plan() -> BenchPlan:
    """Both models in int8 on an emulator and on a board on a port."""
    made = planned(N, boards=("mps2", "native"), models=())
    ported = replace(only_station(load_board("native")), port="/dev/ttyUSB7")
    cases = tuple(
        replace(case, station=ported) if case.station.name == "native" else case
        for case in made.cases
    )
    return replace(made, cases=cases)


def test_a_port_that_does_not_exist(plan: BenchPlan, tmp_path: Path) -> None:
    lab = FakeLab(absent=["native"])
    with pytest.raises(LinkError, match="port /dev/ttyUSB7 does not exist"):
        run(plan, tmp_path / "run", ignore, lab)
    assert lab.built == []
    assert not (tmp_path / "run").exists()


def test_an_emulator_that_is_not_installed_is_a_row_and_the_other_board_runs(
    plan: BenchPlan, tmp_path: Path
) -> None:
    lab = FakeLab(not_installed=["mps2"])
    run(plan, tmp_path, ignore, lab)
    assert {image.board.name for image in lab.built} == {"native"}
    manifest = read_manifest(tmp_path)
    assert {one.board for one in manifest.runs} == {"native"}
    assert {(one.board, one.model, one.failed) for one in manifest.refused} == {
        ("mps2", "teacher", True),
        ("mps2", "student", True),
    }
    with pytest.raises(ToolMissing, match="the emulator of mps2 is not installed"):
        run(planned(N), tmp_path / "alone", ignore, lab)


def test_the_real_lab_opens_a_port_and_looks_for_an_emulator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab, mps2 = RealLab(PROJECT), load_board("mps2")
    absent = str(tmp_path / "ttyUSB7")
    with pytest.raises(LinkError, match="does not exist"):
        lab.check(only_station(mps2, absent))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ToolMissing,
        match="qemu-system-arm are not installed.* board mps2 needs them; .* qemu-system-arm",
    ):
        lab.check(only_station(mps2))
    lab.check(only_station(load_board("esp32dev"), "loop://"))


def test_a_model_that_nothing_here_runs_does_not_end_the_others(
    plan: BenchPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusals(path: Path, _: Path) -> dict[str, str]:
        strange = path.name.startswith("teacher")
        return dict.fromkeys(("litert", "oracle", "xnnpack"), "never") if strange else {}

    monkeypatch.setattr("hil.bench.references.refusals", refusals)
    run(plan, tmp_path / "both", ignore, FakeLab())
    manifest = read_manifest(tmp_path / "both")
    assert {one.model for one in manifest.runs} == {"student"}
    assert {one.model for one in manifest.refused} == {"teacher"}
    lab = FakeLab()
    with pytest.raises(ModelError, match=r"no interpreter on this computer runs .*teacher_int8"):
        run(planned(N, models=("teacher",)), tmp_path / "alone", ignore, lab)
    assert lab.built == []


@pytest.mark.parametrize("state", ["complete", "other data", "file"])
def test_a_folder_that_cannot_take_the_run(state: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    if state == "file":
        folder.touch()
    else:
        run(planned(N), folder, ignore, FakeLab())
    lab = FakeLab()
    with pytest.raises(StorageError) as caught:
        run(planned(N + 1 if state == "other data" else N), folder, ignore, lab)
    says = {
        "complete": "already contains a complete run",
        "other data": "contains another run, which differs in data set digits n=3",
        "file": "is a file; choose another --out",
    }
    assert says[state] in str(caught.value)
    assert lab.built == []


SMALL = USB_BOARD.replace("desk", "small") + "[memory]\nflash = 100_000\nram = 50_000\n"


def flashed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was built or uploaded."""
    built: list[object] = []
    monkeypatch.setattr("hil.bench.lab.build", lambda *words, **_: built.append(words))
    monkeypatch.setattr("hil.bench.lab.upload", lambda *words, **_: built.append(words))
    return built


def test_flash_looks_for_the_port_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built = flashed(monkeypatch)
    files = (str(MODELS / "student_int8.tflite"),)
    image = choose_image(Request(project=PROJECT, boards=("esp32dev",), models=files))
    with pytest.raises(LinkError, match="does not exist"):
        flash(image, PROJECT, str(tmp_path / "ttyUSB7"))
    assert built == []


@pytest.mark.parametrize(
    ("board", "file", "error", "says"),
    [
        ("mega2560", "digits/teacher_float32.tflite", NotForBoard, "float32 does not fit"),
        ("small", "digits/teacher_int8.tflite", DoesNotFit, "teacher_int8 int8 .*flash"),
        ("mps2", "broken.tflite", ModelError, "broken.tflite"),
        ("mps2", "unique.tflite", ModelError, "UNIQUE"),
    ],
)
def test_flash_does_not_build_what_cannot_run(
    board: str,
    file: str,
    error: type[HilError],
    says: str,
    tmp_path: Path,
) -> None:
    path = PROJECT / "models" / file
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "small.toml").write_text(SMALL)
    if file == "broken.tflite":
        path = tmp_path / file
        path.write_bytes(b"TFL3 or not")
    elif file == "unique.tflite":
        path = tmp_path / file
        path.write_bytes(Net().input((1, 8)).op("UNIQUE", (1, 8)).finish())
    with pytest.raises(error, match=says):
        choose_image(Request(project=tmp_path, boards=(board,), models=(str(path),)))
