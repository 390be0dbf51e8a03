"""The whole of training on the digits, quick: end to end, resumed, interrupted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hil import datasets, files
from hil.kd import pipeline
from hil.kd.events import Event
from hil.kd.provenance import Provenance
from hil.kd.settings import for_dataset
from hil.records import DType
from hil.tflite import read_model
from tests.kd.support import needs_tensorflow

pytestmark = needs_tensorflow


def kinds(events: list[Event], stage: str) -> list[str]:
    return [e.kind for e in events if e.stage == stage and e.kind != "epoch"]


# one test, as a second one could land on another worker and train again
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_train_resume_and_repair(tmp_path: Path) -> None:
    out = tmp_path / "models"

    def interrupt(event: Event) -> None:
        if event.kind == "epoch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.train("digits", out, quick=True, on_event=interrupt)
    assert not out.exists() or list(out.iterdir()) == []

    events: list[Event] = []
    result = pipeline.train("digits", out, quick=True, on_event=events.append)

    for stage in (*pipeline.STAGES, "export"):
        assert kinds(events, stage) == ["start", "done"]
    assert [e.epoch for e in events if e.stage == "teacher" and e.kind == "epoch"] == list(
        range(1, for_dataset("digits", quick=True).teacher.epochs + 1)
    )
    stored = msgspec.json.decode((out / "provenance.json").read_bytes(), type=Provenance)
    assert stored == result
    assert result.stages["student"].recipe.teacher_sha256 == files.sha256(out / "teacher.keras")
    assert result.stages["student_alone"].recipe.schedule == result.settings.student
    assert result.data.train + result.data.validation == 1297
    assert result.data.test_fingerprint == datasets.load("digits", "test").fingerprint
    assert (result.stages["teacher"].parameters, result.stages["student"].parameters) == (
        225_034,
        21_898,
    )
    assert min(result.test_accuracy.values()) > 0.85
    assert len(result.files) == 4
    for name, file in result.files.items():
        assert files.sha256(out / name) == file.sha256
        assert (out / name).stat().st_size == file.nbytes
        assert file.test_accuracy > 0.85
        wanted = DType.INT8 if "int8" in name else DType.FLOAT32
        assert read_model(out / name).input.dtype is wanted
    assert not [p for p in out.iterdir() if p.name.startswith(".")]

    # everything is there: nothing is trained or exported again
    times = {p: p.stat().st_mtime_ns for p in out.iterdir()}
    events.clear()
    assert pipeline.train("digits", out, quick=True, on_event=events.append) == result
    assert [e.kind for e in events] == ["kept"] * 4
    assert {p: p.stat().st_mtime_ns for p in out.iterdir()} == times

    # a stage that was damaged is trained again, and comes out the same
    before = {n: files.sha256(out / n) for n in result.files}
    (out / "student.keras").write_bytes(b"half a file")
    events.clear()
    pipeline.train("digits", out, quick=True, on_event=events.append)
    assert kinds(events, "teacher") == kinds(events, "student_alone") == ["kept"]
    assert kinds(events, "student") == ["start", "done"]
    assert {n: files.sha256(out / n) for n in result.files} == before
