# SPDX-License-Identifier: Apache-2.0
"""`hil bench --cycles` on real firmware: the blocks add up to the exact instruction count."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hil.bench import run
from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.cycles.blocks import llvm_major
from hil.cycles.calibration import Calibration, calibration
from hil.report import write
from hil.runs.load import load_run
from hil.runs.schema_cycles import CycleTime
from hil.runs.summary import EstimatedCycles
from hil.testing.lab import FakeLab
from tests.support.benches import ignore, planned
from tests.support.needs import skip_without

_MCA = shutil.which("llvm-mca") or list(Path("/usr/lib").glob("llvm-*/bin/llvm-mca"))
_MISSING = [*missing_tools(load_board("mps2")), *([] if _MCA else ["llvm-mca"])]
OWN_CALL = 2  # instructions of the empty call, which the stopwatch subtracts as well


@pytest.mark.firmware
@pytest.mark.timeout(1200)
@skip_without(_MISSING)
def test_blocks_add_up_to_the_instructions_of_the_inference(tmp_path: Path) -> None:
    plan = planned(2, boards=("mps2",), models=())
    run(plan, tmp_path, ignore, cycles=True, hertz=480e6)
    stored = load_run(tmp_path)
    assert len(stored.estimates) == len(stored.manifest.runs) == 2
    for found in stored.estimates:
        assert found.why == ""
        sample = stored.samples[found.run][0]
        assert sample.id == found.id
        assert found.instructions == (sample.time or 0) + OWN_CALL
        assert (found.core, found.unknown) == ("cortex-m7", 0)
        assert sum(part.instructions for part in found.functions) == found.instructions
        assert sum(part.cycles for part in found.functions) == pytest.approx(found.cycles, abs=1)
        # a Cortex-M7 issues at most two instructions per cycle
        assert found.instructions / 2 <= found.cycles <= 3 * found.instructions
        assert found.layers_why == ""
        assert found.layers
        assert sum(layer.cycles for layer in found.layers) == pytest.approx(found.cycles, rel=0.1)
        assert all(part.bottleneck for part in (*found.functions, *found.hottest))
        assert all(part.runs * len(part.code) == part.instructions for part in found.hottest)
    written = write(tmp_path)
    assert written.estimates is not None
    assert len(written.estimates.rows) == 2
    known = calibration("cortex-m7", llvm_major())
    assert isinstance(known, Calibration)
    for found in stored.estimates:
        assert found.time is not None
        assert found.time.ms == pytest.approx(found.cycles / known.ratio / 480e3, rel=1e-5)
        assert found.time.low == pytest.approx(found.cycles / known.high / 480e3, rel=1e-5)
        assert found.time.high == pytest.approx(found.cycles / known.low / 480e3, rel=1e-5)
    assert "calibrated for cortex-m7 with" in written.estimates.note
    assert written.estimates.head[-1] == "Estimated ms at 480 MHz"
    for row in written.summary.runs:
        assert row.time.unit == "instructions"
        assert isinstance(row.estimated_cycles, EstimatedCycles)
        assert isinstance(row.estimated_cycles.time, CycleTime)
    page = written.html.read_text()
    assert "Hottest basic blocks" in page
    assert "Estimated cycles by layer" in page


def test_a_board_that_cannot_be_counted_says_why(tmp_path: Path) -> None:
    run(planned(3, boards=("native",)), tmp_path, ignore, FakeLab(), cycles=True)
    stored = load_run(tmp_path)
    (why,) = {one.why for one in stored.estimates}
    assert why == "LLVM has no model of the core of board native"
    written = write(tmp_path)
    assert written.estimates is not None
    assert written.estimates.rows == ()
    assert all("its cycles are not estimated" in line for line in written.unestimated)
