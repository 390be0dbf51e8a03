# SPDX-License-Identifier: Apache-2.0
"""Networks too large for a board are skipped, with figures, and the others run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hil.bench import BenchPlan, Request, make_plan, run
from hil.bench.cases import Case
from hil.bench.events import Event, LeftOut
from hil.bench.fit import fit_memory
from hil.boards.config import BoardMemory, load_board
from hil.core.errors import DoesNotFit
from hil.engines import ENGINES
from hil.firmware.toolchain import emulated_envs
from hil.report import write
from hil.runs.agreement import unexpected
from hil.runs.load import read_manifest
from hil.testing.lab import FakeLab
from tests.support.benches import PROJECT, ignore

N = 3
BARE_METAL = sorted(
    name
    for name, env in emulated_envs(PROJECT / "platformio.ini").items()
    if env["platform"] == "bare_metal"
)


def planned(room: BoardMemory | None = None, **changes: object) -> BenchPlan:
    """Both models in both precisions on a board with that memory."""
    wanted = Request(**{"project": PROJECT, "dataset": "digits", "limit": N, **changes})  # type: ignore[arg-type]
    plan = make_plan(wanted)
    if room is None:
        return plan
    cases, no_place = fit_memory([on(case, room) for case in plan.cases])
    return replace(plan, cases=cases, no_place=no_place)


def on(case: Case, room: BoardMemory) -> Case:
    board = msgspec.structs.replace(case.image.board, memory=room)
    return replace(case, image=replace(case.image, board=board))


def images(plan: BenchPlan) -> list[list[str]]:
    """The networks of each image, in order."""
    keys = dict.fromkeys(case.image.key for case in plan.cases)
    return [list(key[3:]) for key in keys]


def test_everything_fits_a_large_board() -> None:
    plan = planned()
    assert plan.no_place == ()
    assert images(plan) == [["teacher", "student"]] * 2


def test_weights_larger_than_the_flash() -> None:
    """The teacher's 225,034 float32 values take 900,136 bytes; its int8 ones a quarter."""
    plan = planned(BoardMemory(flash=500_000, ram=1 << 20))
    (found,) = plan.no_place
    assert (found.model, found.precision, found.memory) == ("teacher", "float32", "flash")
    assert (found.needs, found.has, found.linked) == (225_034 * 4, 500_000, False)
    assert [case.key.rsplit("/", 2)[1:] for case in plan.cases] == [
        ["student", "float32"],
        ["teacher", "int8"],
        ["student", "int8"],
    ]
    # the image of that precision leaves it out
    assert images(plan) == [["student"], ["teacher", "student"]]


def test_arena_input_and_output_larger_than_the_ram() -> None:
    """The stack's share is not available."""
    student = next(c for c in planned().cases if c.key.endswith("student/float32"))
    graph = student.network.graph
    takes = ENGINES["aot"].at_least(graph)[1] + 28 * 28 * 4 + 10 * 4
    wanted = {"precisions": ("float32",), "models": ("student",)}
    room = BoardMemory(flash=1 << 22, ram=takes + 1_000, stack=1_000)
    assert planned(room, **wanted).no_place == ()
    says = f"{takes:,} B of RAM, the board has {takes - 1:,} B"
    with pytest.raises(DoesNotFit, match=says):
        planned(msgspec.structs.replace(room, stack=1_001), **wanted)


def test_networks_that_do_not_fit_together_get_an_image_each() -> None:
    plan = planned(BoardMemory(flash=240_000, ram=1 << 20), precisions=("int8",))
    assert plan.no_place == ()
    assert images(plan) == [["teacher"], ["student"]]


def test_nothing_fits_is_an_error_with_the_figures() -> None:
    with pytest.raises(
        DoesNotFit, match=r"at least 900,136 B of flash, the board has 9,999 B"
    ) as e:
        planned(BoardMemory(flash=9_999, ram=1 << 20))
    assert e.value.exit_code == 2
    assert str(e.value).count("does not fit on") == 4


def test_an_image_that_overflows_is_built_again_with_each_network_alone(tmp_path: Path) -> None:
    plan = planned(precisions=("int8",))
    events: list[Event] = []
    lab = FakeLab(too_large=["teacher"])
    run(plan, tmp_path, events.append, lab)
    names = [[network.name for network in image.networks] for image in lab.built]
    assert names == [["teacher", "student"], ["teacher"], ["student"]]
    (found,) = read_manifest(tmp_path).no_place
    assert (found.model, found.needs, found.has) == ("teacher", (4 << 20) + 1_000, 4 << 20)
    assert [event.what for event in events if isinstance(event, LeftOut)] == [found]
    written = write(tmp_path)
    assert [row.model for row in written.summary.runs] == ["student"]
    assert unexpected(written.manifest, written.summary) == []
    said = "the image takes 4,195,304 B of flash, the board has 4,194,304 B"
    assert said in found.reason
    for page in (written.markdown, written.html):
        text = page.read_text(encoding="utf-8")
        assert "Does not fit" in text
        assert said in text


def test_a_linked_image_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """The fake lab's images have 50,000 bytes of flash: more than this board."""
    plan = planned(
        BoardMemory(flash=45_000, ram=1 << 20), precisions=("int8",), models=("student",)
    )
    with pytest.raises(
        DoesNotFit, match=r"the image takes 50,000 B of flash, the board has 45,000"
    ):
        run(plan, tmp_path / "run", ignore, FakeLab())
    assert not (tmp_path / "run").exists()


def test_without_known_memory_a_failed_build_is_an_error(tmp_path: Path) -> None:
    plan = planned(boards=("native",), precisions=("int8",), models=("student",))
    with pytest.raises(DoesNotFit, match="overflowed by 1000 bytes"):
        run(plan, tmp_path, ignore, FakeLab(too_large=["student"]))


def test_without_known_memory_the_other_network_runs(tmp_path: Path) -> None:
    plan = planned(boards=("native",), precisions=("int8",))
    run(plan, tmp_path, ignore, FakeLab(too_large=["student"]))
    manifest = read_manifest(tmp_path)
    assert [plan.model for plan in manifest.runs] == ["teacher"]
    (missing,) = manifest.refused
    assert (missing.model, missing.failed) == ("student", True)


def test_a_resumed_run_leaves_out_the_same_networks(tmp_path: Path) -> None:
    plan = planned(BoardMemory(flash=500_000, ram=1 << 20))

    def stop(event: Event) -> None:
        if type(event).__name__ == "Finished":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, stop, FakeLab())
    run(plan, tmp_path, ignore, FakeLab())
    manifest = read_manifest(tmp_path)
    assert manifest.state == "complete"
    assert manifest.no_place == plan.no_place


@pytest.mark.parametrize("board", BARE_METAL)
def test_the_figures_of_emulated_boards_are_those_of_their_linker(board: str) -> None:
    env = emulated_envs(PROJECT / "platformio.ini")[load_board(board).pio_env]
    file = PROJECT / "firmware/platforms/bare_metal/boards" / f"{env['board']}.json"
    linker = json.loads(file.read_text())
    room = load_board(board).memory
    assert room is not None
    assert room.flash == linker["upload"]["maximum_size"]
    assert room.ram == linker["upload"]["maximum_ram_size"]
    assert room.stack == linker["build"]["stack"]
