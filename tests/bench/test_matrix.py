# SPDX-License-Identifier: Apache-2.0
"""An engine that cannot take a network, or cannot build, leaves the other results whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.bench import run
from hil.bench.events import Event, LeftOut
from hil.core.errors import BuildFailed, ModelError, NotForBoard
from hil.report import write
from hil.runs.load import read_manifest
from hil.runs.schema import AbsentBoard
from hil.testing.lab import FakeLab
from tests.support.benches import PROJECT, ignore, planned
from tests.support.command_line import hil
from tests.support.tflite import Net


@pytest.fixture
def strange(tmp_path: Path) -> str:
    """A network of 28x28 inputs with an operator that no engine has."""
    path = tmp_path / "strange.tflite"
    path.write_bytes(Net().input((1, 28, 28, 1)).op("UNIQUE", (1, 28, 28, 1)).finish())
    return str(path)


STUDENT = str(PROJECT / "models" / "digits" / "student_int8.tflite")


def with_models(*models: str, **changes: object) -> dict[str, object]:
    return {"models": models, "precisions": (), "dataset": "digits", **changes}


def test_a_build_that_fails_is_a_row_and_the_other_engine_runs(tmp_path: Path) -> None:
    events: list[Event] = []
    plan = planned(3, engines=("tflm", "aot"))
    run(plan, tmp_path, events.append, FakeLab(broken=["tflm"]))
    manifest = read_manifest(tmp_path)
    assert [(one.engine, one.model) for one in manifest.runs] == [("aot", "student")]
    (missing,) = manifest.refused
    assert missing.failed
    assert missing.key not in {one.key for one in manifest.runs}
    said = "student int8 (tflm) on mps2: tflm does not compile (see the log)"
    assert missing.reason == said
    assert [event.what for event in events if isinstance(event, LeftOut)] == [missing]
    written = write(tmp_path)
    assert [row.engine for row in written.summary.runs] == ["aot"]
    for page in (written.markdown, written.html):
        text = page.read_text(encoding="utf-8")
        assert "Not run by this engine" in text
        assert "tflm does not compile" in text


def test_a_build_that_fails_alone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="tflm does not compile"):
        run(planned(3, engines=("tflm",)), tmp_path / "run", ignore, FakeLab(broken=["tflm"]))
    assert not (tmp_path / "run").exists()


def test_a_network_that_one_engine_does_not_take_runs_on_the_other() -> None:
    float32 = str(PROJECT / "models" / "digits" / "student_float32.tflite")
    plan = planned(3, **with_models(STUDENT, float32, engines=("aot", "bakenn")))
    took = {(case.image.engine, case.network.name) for case in plan.cases}
    assert ("aot", "student_int8") in took
    assert ("aot", "student_float32") in took
    assert ("bakenn", "student_float32") not in took


def test_what_no_engine_takes_is_left_out_of_every_image(strange: str) -> None:
    plan = planned(3, **with_models(STUDENT, strange, engines=("aot", "tflm")))
    assert {(case.image.engine, case.network.name) for case in plan.cases} == {
        ("aot", "student_int8"),
        ("tflm", "student_int8"),
    }
    assert all(len(case.image.networks) == 1 for case in plan.cases)
    assert [(one.engine, one.model, one.failed) for one in plan.refused] == [
        ("aot", "strange", False),
        ("tflm", "strange", False),
    ]
    assert all("UNIQUE" in one.why and STUDENT not in one.why for one in plan.refused)


def test_alone_it_is_an_error_before_any_build(strange: str) -> None:
    with pytest.raises(
        ModelError, match=r"strange\.tflite: .*UNIQUE.*no installed engine takes it"
    ):
        planned(3, **with_models(strange, engines=("aot", "tflm")))


def test_an_engine_that_one_board_excludes_runs_on_the_other() -> None:
    plan = planned(3, boards=("mega2560", "mps2"), engines=("aot", "tflm"))
    where = {(case.image.board.name, case.image.engine) for case in plan.cases}
    assert where == {("mega2560", "aot"), ("mps2", "aot"), ("mps2", "tflm")}
    with pytest.raises(NotForBoard):
        planned(3, boards=("mega2560", "mps2"), engines=("tflm",))


def test_what_one_of_all_boards_cannot_take_is_left_out_there() -> None:
    """Requested by name for one board, it is an error: see `tests/bench/test_plan.py`."""
    plan = planned(
        3,
        boards=("mega2560", "mps2"),
        models=("teacher", "student"),
        precisions=(),
        engines=("aot", "tflm"),
        all_boards=True,
    )
    assert {(case.image.engine, case.network.name) for case in plan.cases} >= {
        ("aot", "teacher"),
        ("tflm", "teacher"),
    }
    small = [case for case in plan.cases if case.image.board.name == "mega2560"]
    assert [case.key for case in small] == ["mega2560/aot/student/int8"]
    # 225,034 weights of one byte, and 4 * 175 biases; 64 KB less the vectors
    found = {(one.model, one.precision): one for one in plan.no_place}
    teacher = found["teacher", "int8"]
    assert (teacher.memory, teacher.has) == ("constants", 65_280)
    assert teacher.needs > 225_034
    assert "constants in flash, the board reads 65,280 B" in teacher.reason
    assert set(found) == {("teacher", "float32"), ("student", "float32"), ("teacher", "int8")}
    assert {one.engine for one in plan.refused} == {"tflm"}
    assert all(one.board == "mega2560" and not one.failed for one in plan.refused)


def test_boards_without_their_tools_are_in_the_report(tmp_path: Path) -> None:
    absent = AbsentBoard(
        board="far", board_title="Far", missing=("far-gcc", "far-qemu"), packages=("gcc-far",)
    )
    run(planned(3, all_boards=True, absent=(absent,)), tmp_path, ignore, FakeLab())
    manifest = read_manifest(tmp_path)
    assert manifest.absent == (absent,)
    said = "board far: not installed: far-gcc, far-qemu (sudo apt-get install gcc-far)"
    assert [one.reason for one in manifest.left_out] == [said]
    assert said in write(tmp_path).markdown.read_text(encoding="utf-8")


@pytest.mark.parametrize(("broken", "code"), [(["tflm"], 2), ([], 0)])
def test_the_exit_code_says_whether_a_build_failed(
    broken: list[str],
    code: int,
    strange: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A network whose operators an engine does not have is a fact, as a board's memory is."""
    models = (STUDENT,) if broken else (STUDENT, strange)

    def carried_out(_: object, folder: Path, *__: object, **___: object) -> None:
        made = planned(3, **with_models(*models, engines=("tflm", "aot")))
        run(made, folder, ignore, FakeLab(broken=broken))

    monkeypatch.setattr("hil.api.bench.run", carried_out)
    words = ["bench", "--board", "mps2", "--engine", "tflm", "--engine", "aot", "--limit", "3"]
    words += ["--dataset", "digits", "--out", str(tmp_path / "run"), "--no-open"]
    assert hil(monkeypatch, *words) == code
    missing = "student_int8 int8 (tflm)" if broken else "strange float32 (aot)"
    assert f"not run: {missing} on mps2: " in capsys.readouterr().out
