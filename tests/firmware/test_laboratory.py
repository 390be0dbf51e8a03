# SPDX-License-Identifier: Apache-2.0
"""The recipes' networks in the firmware: images of 3,072 bytes, float32 features, large models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.events import Event
from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.core.errors import DoesNotFit
from hil.report import Report, write
from hil.runs.agreement import unexpected
from tests.support.firmware import PROJECT
from tests.support.laboratory import cifar10, dense_only
from tests.support.needs import needs
from tests.support.runs import known

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(1200)]
BOARDS = ["native", "mps2", "rv32", "lx106"]
PRECISIONS = ("float32", "int8")


def planned(files: dict[str, bytes], folder: Path, **wanted: Any) -> BenchPlan:
    for name, data in files.items():
        (folder / f"{name}.tflite").write_bytes(data)
    models = tuple(str(folder / f"{name}.tflite") for name in files)
    return make_plan(Request(project=PROJECT, models=models, **wanted))


def benched(plan: BenchPlan, folder: Path) -> Report:
    def ignore(_: Event) -> None:
        """Events do not matter here."""

    run(plan, folder / "run", ignore)
    return write(folder / "run")


def need(board: str) -> None:
    needs(missing_tools(load_board(board)))


def check(report: Report, models: set[str], count: int) -> None:
    assert {row.model for row in report.summary.runs} == models
    for row in report.summary.runs:
        assert row.n == count
        assert known(row.agreement).differing_oracle == 0
        assert row.precision == "int8" or known(row.agreement).differing_litert == 0
    assert unexpected(report.manifest, report.summary) == []


@pytest.mark.parametrize("board", BOARDS)
def test_tabular(board: str, tmp_path: Path) -> None:
    """Features are sent in float32; for the int8 network, the device quantises them."""
    need(board)
    nets = {f"net_{p}": dense_only(20, (128, 64, 3), p) for p in PRECISIONS}
    plan = planned(nets, tmp_path, boards=(board,), dataset="tabular", limit=40)
    check(benched(plan, tmp_path), set(nets), 40)


def test_tabular_in_the_ram_of_an_atmega(tmp_path: Path) -> None:
    need("mega2560")
    nets = {"net": dense_only(20, (32, 3), "int8")}
    plan = planned(nets, tmp_path, boards=("mega2560",), dataset="tabular", limit=10)
    check(benched(plan, tmp_path), {"net"}, 10)


@pytest.mark.parametrize("board", ["native", "mps2"])
def test_cifar10_student(board: str, tmp_path: Path) -> None:
    need(board)
    nets = {f"net_{p}": cifar10("student", p) for p in PRECISIONS}
    plan = planned(nets, tmp_path, boards=(board,), dataset="cifar10-made", limit=6)
    report = benched(plan, tmp_path)
    check(report, set(nets), 6)
    assert all(row.link is not None for row in report.summary.runs)
    # 3,072 bytes per image, and little more
    sent = [row.link.bytes_out / (6 + 3) for row in report.summary.runs if row.link]
    assert all(3_072 < size < 3_300 for size in sent)


def test_the_deep_teacher_in_int8(tmp_path: Path) -> None:
    need("mps2")
    plan = planned(
        {"teacher": cifar10("teacher_v2", "int8")},
        tmp_path,
        boards=("mps2",),
        dataset="cifar10-made",
        limit=2,
    )
    check(benched(plan, tmp_path), {"teacher"}, 2)


def test_a_model_that_does_not_fit_is_reported_and_the_others_run(tmp_path: Path) -> None:
    need("mps2")
    nets = {"teacher": cifar10("teacher_v1", "float32"), "student": cifar10("student", "float32")}
    plan = planned(nets, tmp_path, boards=("mps2",), dataset="cifar10-made", limit=2)
    report = benched(plan, tmp_path)
    check(report, {"student"}, 2)
    (found,) = report.manifest.no_place
    assert (found.model, found.memory, found.has, found.linked) == (
        "teacher",
        "flash",
        4 << 20,
        False,
    )
    assert found.needs == 1_515_018 * 4


def test_a_model_that_only_the_linker_finds_too_large(tmp_path: Path) -> None:
    """Weights that just fit the flash pass the plan, but leave too little room for the code."""
    need("mps2")
    # 20 * 1005 + 1005 and 1005 * 1021 + 1021 values of 4 bytes are 1,380 bytes short of 4 MiB
    net = dense_only(20, (1005, 1021), "float32")
    plan = planned({"net": net}, tmp_path, boards=("mps2",), dataset="tabular", limit=2)
    assert plan.no_place == ()
    says = r"net float32 .* the image takes 4,(19|20)\d,\d{3} B"
    with pytest.raises(DoesNotFit, match=says) as said:
        benched(plan, tmp_path)
    assert said.value.exit_code == 2
    assert said.value.needs > 4 << 20
