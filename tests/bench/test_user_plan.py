# SPDX-License-Identifier: Apache-2.0
"""Which benches of a user's own sketch can be carried out: every mistake is one line, before any
build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.bench.plan import Request, choose_image, make_plan
from hil.boards.config import load_board
from hil.boards.station import Station, only_station
from hil.core.errors import HilError, UsageError
from tests.support.benches import PROJECT

MODEL = str(PROJECT / "models" / "digits" / "student_int8.tflite")
MPS2 = load_board("mps2", PROJECT)
EMULATED, ATTACHED = only_station(MPS2), only_station(MPS2, "fake://1")


def request(station: Station = ATTACHED, /, **changes: Any) -> Request:
    """A sketch on a port, on digits; ``changes`` replace fields."""
    wanted = Request(PROJECT, boards=(station,), engines=("user",), dataset="digits", limit=3)
    return replace(wanted, **changes)


def test_a_sketch_on_a_port_needs_nothing_but_samples() -> None:
    plan = make_plan(request())
    ((station, sketch),) = plan.sketches
    assert (station, sketch.board, sketch.source, sketch.elf) == (ATTACHED, MPS2, None, None)
    assert (plan.cases, plan.networks, plan.runs, len(plan.data)) == ((), (), 1, 3)


def test_the_host_runs_the_named_network_once() -> None:
    plan = make_plan(request(engines=("aot", "user", "aot"), models=(MODEL,)))
    assert [case.key for case in plan.cases] == ["mps2/aot/student_int8/int8"]
    (network,) = plan.networks
    assert network.path == Path(MODEL)
    assert plan.sketches[0][1].model == network
    assert plan.runs == 2


def test_an_emulated_board_builds_a_sketch_or_runs_an_elf_file(tmp_path: Path) -> None:
    (tmp_path / "my.elf").touch()
    ((_, built),) = make_plan(request(EMULATED, sketch=tmp_path)).sketches
    ((_, linked),) = make_plan(request(EMULATED, firmware=tmp_path / "my.elf")).sketches
    assert (built.source, built.elf) == (tmp_path, None)
    assert (linked.source, linked.elf) == (None, tmp_path / "my.elf")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dataset": "auto"}, "needs to know which samples to send; pass --data"),
        ({"precisions": ("int8",)}, "--precision does not apply"),
        ({"models": (MODEL, MODEL)}, "one .tflite file, not with .* and "),
        ({"models": ("student",)}, "one .tflite file, not with student"),
        ({"tolerance": 0.1}, "--tolerance 0.1 needs a --model"),
        ({"tolerance": -1.0, "models": (MODEL,)}, "--tolerance -1 needs .* at least 0"),
        ({"tolerance": float("nan"), "models": (MODEL,)}, "--tolerance nan"),
        ({"sketch": PROJECT}, "on fake://1 has no effect without --flash"),
        ({"flash": True}, "--flash with --engine user needs the sketch"),
        ({"sketch": PROJECT, "firmware": PROJECT}, "--sketch and --firmware both"),
        ({"sketch": Path("nowhere"), "flash": True}, "nowhere does not exist"),
        ({"boards": (EMULATED,)}, "board mps2 is emulated, and there is no sketch"),
        ({"engines": ("aot",), "tolerance": 0.1}, "--tolerance is for a sketch of your own"),
        ({"engines": ("aot",), "sketch": PROJECT}, "--sketch is for a sketch of your own"),
        ({"engines": ("aot",), "firmware": PROJECT}, "--firmware is for a sketch of your own"),
        ({"engines": ("user", "own")}, "no engine is called 'own'; .*user"),
    ],
)
def test_what_cannot_be_benched_is_one_line(changes: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        make_plan(request(**changes))
    assert caught.value.hint


def test_the_named_network_must_take_the_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "my.npz", x=np.zeros((4, 3), np.float32))
    with pytest.raises(HilError, match="a sample has 3 values, student_int8.tflite takes 784"):
        make_plan(request(dataset="auto", data=tmp_path / "my.npz", models=(MODEL,)))
    assert make_plan(request(dataset="auto", data=tmp_path / "my.npz")).sketches


def test_samples_without_labels_are_planned_for_any_engine(tmp_path: Path) -> None:
    np.savez(tmp_path / "my.npz", x=np.zeros((9, 28, 28, 1), np.uint8))
    for engine in ("aot", "user"):
        plan = make_plan(
            request(
                EMULATED if engine == "aot" else ATTACHED,
                engines=(engine,),
                dataset="auto",
                data=tmp_path / "my.npz",
                models=(MODEL,),
            )
        )
        assert (plan.data.labelled, len(plan.data)) == (False, 3)


def test_there_is_no_image_of_a_sketch_to_flash() -> None:
    with pytest.raises(UsageError, match="no image of your own sketch; upload it"):
        choose_image(request())
