# SPDX-License-Identifier: Apache-2.0
"""`hil.load`: records, frames and arrays contain what the run stores."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import hil
from hil.core.errors import StorageError, ToolMissing, UsageError
from hil.report import write
from hil.runs.log import RunLog
from hil.runs.schema_layers import LayerCheck, LayerSeen, LayerTime, Profiled
from tests.support import reports
from tests.support.command_line import PROJECT
from tests.support.runs import known, manifest, sample


def test_records_frames_and_arrays(tmp_path: Path) -> None:
    folder = reports.full(tmp_path / "run", 60)
    run = hil.load(folder)
    assert run.manifest.run_id == "20260102-030405-mps2"
    assert run.summary == write(folder).summary
    assert len(run.samples) == 4 * 60
    right = run.samples.assign(right=run.samples["device"] == run.samples["label"])
    shares = right.groupby(["model", "precision"])["right"].mean().to_dict()
    assert shares == {(c.plan.model, c.plan.precision): known(c.right).mean() for c in run.cells}
    assert run.cell("student", "int8") is run.cells[3]
    assert list(run.results["accuracy.device"]) == [
        known(r.accuracy).device for r in run.summary.runs
    ]
    assert list(run.results["memory.arena"]) == [28_544, 7_936, 5_472, 2_544]
    assert [cell.plan.key for cell in run.cells] == [plan.key for plan in run.manifest.runs]


def test_a_frame_has_one_row_per_sample(tmp_path: Path) -> None:
    with RunLog(tmp_path, manifest()) as log:
        log.save(manifest())
        log.append(sample(0))
        log.append(sample(1, litert=b"\x02\x01", oracle=b"\x02\x02", attempts=3, round_trip=80))
    frame = hil.load(tmp_path).samples
    assert list(frame["device"]) == [1, 1]
    assert list(frame["host"]) == [1, 0]
    assert list(frame["equals_litert"]) == [True, False]
    assert list(frame["equals_oracle"]) == [True, False]
    assert list(frame["attempts"]) == [1, 3]
    assert list(frame["disturbed"]) == [False, True]
    assert list(frame["equals_xnnpack"]) == [None, None]  # it was not run
    assert frame["round_trip"][1] == 80
    assert set(frame["unit"]) == {"instructions"}
    assert frame.groupby("model")["time"].median().to_dict() == {"student": 7.0}


def test_outputs_are_the_stored_bytes(tmp_path: Path) -> None:
    plan = reports.plan()
    stored = reports.samples(plan, 30, off_by_one=4)
    run = hil.load(reports.write(tmp_path / "run", reports.manifest(plan, n=30), stored))
    device = run.outputs("student", "int8")
    assert device.dtype == np.int8
    assert [row.tobytes() for row in device] == [sample.device for sample in stored]
    litert = run.outputs("student", "int8", "litert")
    assert int((device != litert).sum()) == 4
    real = run.outputs("student", "int8", real=True)
    assert real == pytest.approx(0.1 * (device.astype(float) - 3))
    assert run.outputs("student", "int8", "oracle").shape == (30, 10)
    with pytest.raises(UsageError, match="xnnpack was not run for mps2/aot/student/int8"):
        run.outputs("student", "int8", "xnnpack")


def test_an_ambiguous_run_is_refused(tmp_path: Path) -> None:
    plans = [reports.plan(), reports.plan(board="esp32", unit="us")]
    stored = [sample for plan in plans for sample in reports.samples(plan, 5)]
    run = hil.load(reports.write(tmp_path / "run", reports.manifest(*plans, n=5), stored))
    with pytest.raises(UsageError, match="has 2 runs of student int8"):
        run.cell("student", "int8")
    assert run.cell("student", "int8", board="esp32").plan.key == plans[1].key
    with pytest.raises(UsageError, match="has no runs of teacher int8") as error:
        run.cell("teacher", "int8")
    assert "mps2/aot/student/int8" in error.value.hint


def test_pictures_are_arrays(tmp_path: Path) -> None:
    run = hil.load(reports.full(tmp_path / "run", 20))
    key, picture = next(iter(run.pictures.items()))
    assert run.picture(key).shape == (28, 28)
    assert run.picture(key).tobytes() == picture.pixels


def test_layers_join_times_and_differences(tmp_path: Path) -> None:
    run = hil.load(reports.write(tmp_path / "run", reports.manifest(reports.plan(), n=5), []))
    assert run.layers.empty
    assert {"layer", "time", "differing"} <= set(run.layers)
    with RunLog(tmp_path / "seen", manifest()) as log:
        log.save(manifest())
        log.append(sample(0))
        key = sample(0).run
        time = LayerTime(name="conv", op="CONV_2D", macs=90, time=12)
        log.save_profile([Profiled(run=key, id="a", layers=(time,), total=20)])
        seen = LayerSeen(name="conv", op="CONV_2D", shape=(2, 3), differing=4, element=(0, 1))
        last = LayerSeen(name="fc", op="FULLY_CONNECTED", shape=(10,))
        check = LayerCheck(run=key, id="a", reference="tflm", layers=(seen, last))
        log.save_layer_checks([check])
    found = hil.load(tmp_path / "seen").layers
    assert list(found["layer"]) == [1, 2]
    assert list(found["name"]) == ["conv", "fc"]
    assert found["time"][0] == 12
    assert found["time"].isna()[1]  # measured on no sample
    assert list(found["values"]) == [6, 10]
    assert list(found["differing"]) == [4, 0]
    assert list(found["model"]) == ["student"] * 2


def test_memory_is_that_of_the_linked_image() -> None:
    run = hil.load(PROJECT / "results" / "example")
    (end,) = (end for end in run.manifest.ends if end.key == run.manifest.runs[0].key)
    found = run.memory.query("model == 'teacher' and precision == 'float32'")
    assert found["flash"].sum() == sum(share.flash for share in end.shares)
    assert found["ram"].sum() == sum(share.ram for share in end.shares)
    assert {"engine", "arena"} <= set(found["owner"])


def test_a_notebook_shows_a_run_as_escaped_html(tmp_path: Path) -> None:
    run = hil.load(reports.hostile(tmp_path / "run"))
    page = run._repr_html_()
    assert "<script" not in page
    assert "<img" not in page
    ET.fromstring(f"<div>{page}</div>")
    assert repr(run).isprintable()
    assert repr(run).startswith("<hil.Run ")


def test_plot_draws_what_the_run_has(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="extra examples")
    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    plans = [
        reports.plan(m, board="mps2", unit="instructions" if m == "teacher" else "us")
        for m in ("teacher", "student")
    ]
    stored = [one for plan in plans for one in reports.samples(plan, 20)]
    run = hil.load(reports.write(tmp_path / "run", reports.manifest(*plans, n=20), stored))
    axes = run.plot()
    titles = [one.get_xlabel() for one in axes]
    assert titles[0] == "right answers, %"
    assert titles[1].startswith("instructions")
    assert titles[2].startswith("microseconds")
    (bar,) = axes[1].patches  # the two clocks share no axes
    median = known(run.cell("teacher", "int8").time).point
    assert bar.get_path().transformed(bar.get_patch_transform()).get_extents().x1 == median
    plt.close("all")


def test_plot_without_matplotlib_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run = hil.load(reports.full(tmp_path / "run", 20))
    with pytest.raises(ToolMissing, match="needs matplotlib") as error:
        run.plot()
    assert "pip install matplotlib" in error.value.hint


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="has no manifest.json"):
        hil.load(tmp_path)


def test_import_hil_loads_no_heavy_package() -> None:
    heavy = "pandas scipy jinja2 numpy msgspec"
    code = f"import sys, hil; print([m for m in {heavy.split()!r} if m in sys.modules], hil.load)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] <function load")
