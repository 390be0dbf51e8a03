# SPDX-License-Identifier: Apache-2.0
"""`hil conform` on real firmware: today's kernels are right, and each planted fault is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hil.boards.config import load_board
from hil.boards.station import missing_tools
from tests.support.benches import PROJECT
from tests.support.needs import needs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]
pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")


def conform(board: str, folder: Path, fault: str, *words: str) -> dict[str, Any]:
    needs(missing_tools(load_board(board)))
    done = subprocess.run(
        [sys.executable, "-m", "hil", "conform", "--board", board, "--out", str(folder), *words]
        + ["--precision", "int8", "--json", "--quiet"],
        cwd=PROJECT,
        env={**os.environ, "HIL_FAULT": fault},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == (1 if fault else 0), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["result"]
    return found


@pytest.mark.parametrize("board", ["native", "mps2"])
def test_todays_kernels_conform(board: str, tmp_path: Path) -> None:
    found = conform(board, tmp_path / "run", "", "--kernel", "conv2d,depthwise", "--count", "6")
    assert [one["shapes"] for one in found["tallies"]] == [6, 6]
    assert found["failures"] == []


@pytest.mark.parametrize(
    ("board", "kind"),
    [("native", "weight"), ("native", "shift"), ("native", "padding"), ("mps2", "shift")],
)
def test_a_planted_fault_is_found(board: str, kind: str, tmp_path: Path) -> None:
    words = ("--kernel", "conv2d", "--count", "12", "--rounds", "1")
    found = conform(board, tmp_path / "run", f"{kind}:conv2d:0", *words)
    assert found["planted"] > 0
    assert len(found["missed"]) < found["planted"] / 2
    assert all(one["planted"] for one in found["failures"])  # nothing else is wrong
