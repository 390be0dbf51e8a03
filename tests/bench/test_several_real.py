# SPDX-License-Identifier: Apache-2.0
"""Real firmware with several inputs or outputs, and with state, on a line with every fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hil.bench import Request, make_plan, run
from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.link.chaos import parse_chaos
from hil.runs.load import load_run
from tests.support.benches import PROJECT, answers, ignore, rows
from tests.support.needs import needs
from tests.support.several import running_sum, two_inputs, two_outputs

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(600)]

N = 200
A = np.random.default_rng(3).integers(-60, 60, (N, 50)).astype(np.float32)
B = np.random.default_rng(4).integers(-60, 60, (N, 50)).astype(np.float32)
FAULTS = "flip=2e-6,drop=5e-6,duplicate=5e-6,reorder=5e-6,inject=0.01,replay=0.05,reset=0.005"
BOARDS = ["native", pytest.param("mps2", marks=pytest.mark.slow)]
CASES = {
    "inputs": (
        two_inputs("ADD", (1, 50), "int8"),
        {"t0": A.astype(np.int8), "t1": B.astype(np.int8)},
        np.clip(A + B, -128, 127).astype(np.int8),
    ),
    "outputs": (
        two_outputs((1, 50)),
        {"x": A},
        np.hstack([np.maximum(A, 0), np.clip(A, 0, 6)]),
    ),
    "state": (running_sum((1, 50)), {"x": A}, np.cumsum(A, axis=0, dtype=np.float32)),
}


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("case", CASES)
def test_every_answer_is_numpys_whatever_the_line_does(
    tmp_path: Path, board: str, case: str
) -> None:
    needs(missing_tools(load_board(board, PROJECT)))
    net, arrays, wanted = CASES[case]
    (tmp_path / "net.tflite").write_bytes(net.finish())
    np.savez(tmp_path / "samples.npz", **arrays)  # type: ignore[arg-type]
    plan = make_plan(
        Request(
            project=PROJECT,
            boards=(board,),
            models=(str(tmp_path / "net.tflite"),),
            data=tmp_path / "samples.npz",
        )
    )
    run(plan, tmp_path / "quiet", ignore, layers=True)
    (samples,) = load_run(tmp_path / "quiet").samples.values()
    assert [one.device for one in samples] == rows_of(wanted)
    (row,) = rows(tmp_path / "quiet")
    assert row.agreement
    assert row.agreement.differing_litert == 0
    (check,) = load_run(tmp_path / "quiet").layer_checks
    assert (check.why, check.same_output) == ("", True)
    assert not any(layer.differing for layer in check.layers)
    assert check.input
    assert not check.input.differing
    run(plan, tmp_path / "disturbed", ignore, chaos=parse_chaos(f"5:{FAULTS}"))
    assert answers(tmp_path / "disturbed") == answers(tmp_path / "quiet")


def rows_of(wanted: npt.NDArray[np.generic]) -> list[bytes]:
    return [one.tobytes() for one in wanted]
