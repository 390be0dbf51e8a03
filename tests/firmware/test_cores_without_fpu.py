# SPDX-License-Identifier: Apache-2.0
"""All four models on emulated cores with neither SIMD nor FPU: every output byte is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil import datasets
from hil.bench import Request, make_plan, run
from hil.bench.events import Event
from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.report import write
from hil.runs.load import read_samples
from tests.support.firmware import PROJECT
from tests.support.needs import needs
from tests.support.runs import known

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]

# (model, precision) -> digits, upper limit of the arena in bytes
MODELS = {
    ("student", "int8"): (500, 2_600),
    ("teacher", "int8"): (500, 28_192),
    ("student", "float32"): (200, 6_000),
    ("teacher", "float32"): (15, 30_000),  # in software: a second per digit
}
INSTRUCTIONS = {  # upper limit of one inference
    "rv32": {
        ("student", "int8"): 250_000,
        ("teacher", "int8"): 6_500_000,
        ("student", "float32"): 12_000_000,
        ("teacher", "float32"): 400_000_000,
    },
    "lx106": {
        ("student", "int8"): 380_000,
        ("teacher", "int8"): 11_500_000,
        ("student", "float32"): 7_500_000,
        ("teacher", "float32"): 300_000_000,
    },
}


@pytest.fixture(params=INSTRUCTIONS)
def board(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    needs(missing_tools(load_board(name)))
    return name


def ignore(_: Event) -> None:
    """Events do not matter here."""


def request(board: str, model: str, precision: str, limit: int) -> Request:
    return Request(
        project=PROJECT,
        dataset=datasets.choose("auto")[0],
        boards=(board,),
        models=(model,),
        precisions=(precision,),
        limit=limit,
    )


@pytest.mark.parametrize(("model", "precision"), list(MODELS))
def test_every_output_is_the_oracles(
    board: str, model: str, precision: str, tmp_path: Path
) -> None:
    digits, arena = MODELS[model, precision]
    run(make_plan(request(board, model, precision, digits)), tmp_path, ignore)
    (row,) = write(tmp_path).summary.runs
    assert row.n == digits
    assert known(row.agreement).differing_oracle == 0
    assert known(row.agreement).argmax == 1.0
    if precision == "float32":
        assert known(row.agreement).differing_litert == 0
    accuracy = known(row.accuracy)
    assert accuracy.device == known(accuracy.host) > 0.9
    assert row.time.unit == "instructions"
    assert row.time.p95 is not None
    assert 10_000 < row.time.p95 <= INSTRUCTIONS[board][model, precision]
    memory = known(row.memory)
    assert known(memory.arena) <= arena
    assert 0 < known(memory.stack) < 4096
    assert row.link is not None
    assert row.link.retries == 0


def test_instruction_counts_repeat_exactly(board: str, tmp_path: Path) -> None:
    plan = make_plan(request(board, "student", "int8", 50))
    times = []
    for name in ("once", "again"):
        run(plan, tmp_path / name, ignore)
        times.append([sample.time for sample in read_samples(tmp_path / name)])
    assert None not in times[0]
    assert times[0] == times[1]
