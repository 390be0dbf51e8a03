# SPDX-License-Identifier: Apache-2.0
"""Flashing: the board's HELLO confirms it, whichever port the board comes back on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hil.bench import Request, lab
from hil.bench.cases import Image
from hil.bench.lab import flash
from hil.bench.plan import choose_image
from hil.boards.attached import Attached
from hil.boards.config import Timeouts, load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.errors import LinkError, NoAnswer, WrongFirmware
from hil.firmware import build
from tests.support.benches import PROJECT
from tests.support.needs import skip_without
from tests.support.ptys import silent_pty

MODELS = PROJECT / "models" / "digits"

pytestmark = [
    pytest.mark.firmware,
    skip_without(missing_tools(load_board("native"))),
]


def image(model: str = "student", boot: float = 60.0) -> Image:
    """An image of one model, for a board that is not emulated and has ``boot`` seconds."""
    request = Request(project=PROJECT, boards=("native",))
    made = choose_image(replace(request, models=(str(MODELS / f"{model}_int8.tflite"),)))
    timeouts = Timeouts(boot=boot)
    board = msgspec.structs.replace(made.board, emulator=None, timeouts=timeouts, name="desk")
    return replace(made, board=board)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The port of a running board that was flashed with the student."""
    uploads: list[str] = []
    monkeypatch.setattr(lab, "upload", lambda *words, **_: uploads.append(words[-1]))
    models = [("student_int8", MODELS / "student_int8.tflite")]
    elf = build("native", models, "aot", PROJECT).elf
    with open_board(load_board("native"), elf) as link:
        name = link.name
        link.close()
        yield name
    assert uploads, "nothing was flashed"


def test_the_right_image_is_confirmed(port: str) -> None:
    hello, where = flash(image(), PROJECT, port)
    assert [model.name for model in hello.models] == ["student_int8"]
    assert where == port


def test_another_image_is_an_error_that_names_it(port: str) -> None:
    with pytest.raises(WrongFirmware, match=r"runs student_int8 .*, expected teacher_int8 "):
        flash(image("teacher"), PROJECT, port)


def test_a_board_that_returns_on_another_port_is_found(
    port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = Attached("/dev/ttyACM9", "", "303a:1001", "A", ("desk",))
    other = replace(was, port="/dev/ttyACM8", serial="B")
    monkeypatch.setattr(lab, "find_attached", lambda _: [other, replace(was, port=port)])
    assert flash(image(), PROJECT, was)[1] == port


def test_a_board_that_does_not_return_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = tmp_path / "ttyACM0"
    monkeypatch.setattr(lab, "upload", lambda *_, **__: port.unlink())
    with silent_pty() as pty:
        port.symlink_to(pty.name)
        with pytest.raises(LinkError, match="does not exist"):
            flash(image(boot=0.6), PROJECT, str(port))
    assert not port.is_symlink()  # it was flashed


@pytest.mark.usefixtures("port")
def test_silence_after_flashing_says_that_the_board_was_flashed() -> None:
    with (
        silent_pty() as pty,
        pytest.raises(NoAnswer, match="desk was flashed, but then nothing answered on port"),
    ):
        flash(image(boot=0.6), PROJECT, pty.name)
