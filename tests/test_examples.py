# SPDX-License-Identifier: Apache-2.0
"""examples/redraw.py draws the tutorial's four figures from the committed run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import reports
from tests.support.needs import skip_without

pytestmark = pytest.mark.thorough

PROJECT = Path(__file__).parents[1]
needs_matplotlib = skip_without([] if importlib.util.find_spec("matplotlib") else ["matplotlib"])


def redraw(*words: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROJECT / "examples" / "redraw.py", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_matplotlib
def test_it_draws_four_figures(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    done = redraw(PROJECT / "results" / "example", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"history.png", "sizes.png", "accuracy-and-time.png", "disagreements.png"}
    for name in names:
        with image.open(tmp_path / name) as drawn:
            assert min(drawn.size) > 200
            assert len(drawn.convert("RGB").getcolors(1 << 24)) > 20  # not blank


@needs_matplotlib
def test_instructions_and_time_never_share_an_axis(tmp_path: Path) -> None:
    """`hil.stats.series` refuses runs with two clocks before anything is drawn."""
    plans = [
        reports.plan(m, board="mps2", unit="instructions" if m == "teacher" else "us")
        for m in ("teacher", "student")
    ]
    stored = [sample for plan in plans for sample in reports.samples(plan, 20)]
    folder = reports.write(tmp_path / "run", reports.manifest(*plans, n=20), stored)
    done = redraw(folder, tmp_path / "figures")
    assert done.returncode != 0
    assert "MixedUnits" in done.stderr
    assert not (tmp_path / "figures" / "accuracy-and-time.png").exists()
