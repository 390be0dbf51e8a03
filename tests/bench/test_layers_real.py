# SPDX-License-Identifier: Apache-2.0
"""Layers of real firmware: breakages are located, and times add up to the inference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hil.bench import run
from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.runs.load import load_run
from tests.support.benches import PROJECT, ignore, planned
from tests.support.breakages import BREAKAGES, layers, whole
from tests.support.needs import skip_without

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]
pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")

N = 4


def bench(folder: Path, board: str, fault: str, *words: str) -> subprocess.CompletedProcess[str]:
    missing = missing_tools(load_board(board))
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"not installed: {', '.join(missing)}")
    return subprocess.run(
        [sys.executable, "-m", "hil", "bench", "--board", board, "--out", str(folder), *words]
        + ["--host-samples", "0"],
        cwd=PROJECT,
        env={**os.environ, "HIL_FAULT": fault},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("board", "fault"), [*(("native", fault) for fault in BREAKAGES), ("mps2", "shift:net:0:2")]
)
def test_a_breakage_is_located(board: str, fault: str, tmp_path: Path) -> None:
    x = np.random.default_rng(8).integers(-128, 128, (N, 9, 7, 2)).astype(np.int8)
    np.savez(tmp_path / "data.npz", x=x, y=np.zeros(N, np.int64))
    (tmp_path / "net.tflite").write_bytes(whole())
    words = ("--model", str(tmp_path / "net.tflite"), "--data", str(tmp_path / "data.npz"))
    done = bench(tmp_path / "run", board, fault, *words)
    assert done.returncode == 1, done.stderr
    stored = load_run(tmp_path / "run")
    assert stored.layer_checks
    for check in stored.layer_checks:
        sample = next(s for s in stored.samples[check.run] if s.id == check.id)
        one = x[sample.i][None, None]
        right, wrong = layers(whole(), one, tmp_path), BREAKAGES[fault](one, tmp_path)
        assert check.same_output
        for seen, expected, broken in zip(check.layers, right, wrong, strict=True):
            places = np.argwhere(expected != broken)
            assert seen.differing == len(places)
            if len(places):
                at = tuple(places[0].tolist())
                assert seen.element == at
                assert (seen.device, seen.expected) == (int(broken[at]), int(expected[at]))
        assert check.layers[0].differing
        if "padding" not in fault:
            assert check.layers[0].element[-1] == 2, "the channel that was broken"
    page = (tmp_path / "run" / "report.md").read_text()
    first = stored.layer_checks[0].layers[0]
    row, column, channel = first.element[1:]
    sentence = (
        f"row {row}, column {column}, channel {channel}: device {first.device}, "
        f"the oracle {first.expected}"
    )
    assert "## First difference" in page
    assert "first differs at layer 1 (CONV_2D conv_2d_0), " + sentence in page.replace("\\_", "_")
    assert sentence in done.stdout


def test_a_deep_layer_of_a_committed_network_on_the_cortex_m7(tmp_path: Path) -> None:
    words = ("--dataset", "digits", "--model", "teacher", "--precision", "int8", "--limit", "10")
    done = bench(tmp_path / "run", "mps2", "shift:teacher:2:17", *words)
    assert done.returncode == 1, done.stderr
    stored = load_run(tmp_path / "run")
    assert stored.layer_checks
    for check in stored.layer_checks:
        conv1, conv2, hidden, logits = check.layers
        assert (conv1.differing, conv2.differing, hidden.differing) == (0, 0, 1)
        assert (hidden.name, hidden.element) == ("hidden", (0, 17))
        assert logits.differing
    assert "layers 1–2 are equal" in done.stdout


def test_an_impossible_fault_is_an_error(tmp_path: Path) -> None:
    words = ("--dataset", "digits", "--model", "teacher", "--precision", "int8", "--limit", "1")
    done = bench(tmp_path / "run", "native", "weight:teacher:99", *words)
    assert done.returncode == 2
    assert "no weight to break in layer 99 of teacher" in done.stderr


@pytest.mark.parametrize(
    "board",
    [
        pytest.param("mps2", marks=skip_without(missing_tools(load_board("mps2")))),
        pytest.param("lx106", marks=skip_without(missing_tools(load_board("lx106")))),
        pytest.param(
            "rv32", marks=[skip_without(missing_tools(load_board("rv32"))), pytest.mark.slow]
        ),
    ],
)
def test_the_layers_of_an_emulated_board_sum_to_the_inference(board: str, tmp_path: Path) -> None:
    """Two runs have equal counts. The layers add up to the inference, except for calls and returns.

    The firmware that is asked is another program than the measured one, with its kernels in other
    registers: 0.13 % is the largest difference seen.
    """
    whole = planned(3, boards=(board,), models=())
    runs = []
    for folder in (tmp_path / "once", tmp_path / "again"):
        run(whole, folder, ignore, profiles=True)
        runs.append(load_run(folder))
    assert runs[0].profiled == runs[1].profiled
    for found in runs[0].profiled:
        assert found.why == ""
        times = [layer.time for layer in found.layers if layer.time]
        assert len(times) == len(found.layers)
        first = runs[0].samples[found.run][0]
        assert first.id == found.id
        assert first.time is not None
        assert found.total is not None
        assert abs(sum(times) - found.total) <= 16 * len(times)
        assert found.total == pytest.approx(first.time, rel=5e-3)
        # the layer with most of the work takes longest
        most = max(found.layers, key=lambda layer: layer.macs)
        assert most.time == max(times)
