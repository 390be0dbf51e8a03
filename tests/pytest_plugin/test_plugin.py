# SPDX-License-Identifier: Apache-2.0
"""The plugin in a separate pytest: skips, errors, and the shipped tests on a host process."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from hil import datasets
from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.firmware import build
from hil.firmware.build import core_folder
from tests.support.needs import skip_without
from tests.support.ports import USB_BOARD, plug

pytest_plugins = ["pytester"]

PROJECT = Path(__file__).parents[2]
SHIPPED = PROJECT / "hil" / "board_tests" / "test_board.py"
MODELS = PROJECT / "models" / "digits"
STUDENT = ["-m", "hil", str(SHIPPED), "-p", "no:cacheprovider", "--hil-board", "native"]
STUDENT += ["--hil-model", str(MODELS / "student_int8.tflite")]
CORE = core_folder()  # before pytester moves $HOME

USES_EVERYTHING = """
    import pytest

    @pytest.mark.hil
    def test_board(hil_board): pass

    @pytest.mark.hil
    def test_device(hil_device): pass

    @pytest.mark.hil
    def test_bench(hil_bench): pass

    @pytest.mark.hil
    def test_no_fixture(): pass

    def test_not_hil(): pass
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder for a separate pytest, without an attached board."""
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(CORE))
    plug(monkeypatch)
    return pytester


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """The data set `digits` as a user's data."""
    data = datasets.load("digits")
    np.savez(tmp_path / "my.npz", x=data.x, y=data.y)
    return tmp_path / "my.npz"


def test_the_plugin_is_registered() -> None:
    (entry,) = metadata.entry_points(group="pytest11", name="hil")
    assert entry.value == "hil.pytest_plugin"


def test_a_pytest_without_boards_imports_nothing_heavy() -> None:
    code = "import sys, hil.pytest_plugin; print('\\n'.join(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    loaded = {name.partition(".")[0] for name in said.stdout.split()}
    heavy = {"numpy", "msgspec", "serial", "platformio", "scipy", "tensorflow", "ai_edge_litert"}
    assert not loaded & heavy
    own = {name for name in said.stdout.split() if name.startswith("hil")}
    assert own == {"hil", "hil.pytest_plugin"}


def test_without_a_board_every_test_is_skipped_with_a_hint(inner: pytest.Pytester) -> None:
    inner.makepyfile(USES_EVERYTHING)
    result = inner.runpytest_inprocess("-rs", "-m", "hil")
    result.assert_outcomes(skipped=4, deselected=1)
    result.stdout.fnmatch_lines(
        ["*no board is attached; plug one in, or use --hil-board mps2 (emulated) or --hil-port"]
    )
    inner.runpytest_inprocess().assert_outcomes(skipped=4, passed=1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--hil-board", "mars"), "no board is called 'mars'; choose from cortex-m0, cortex-m3"),
        (("--hil-port", "/dev/null"), "--hil-port needs the board's name; add --hil-board NAME"),
        (("--hil-board", "desk"), "2 boards are attached: /dev/ttyACM0 (*), /dev/ttyACM1 (*)"),
        (("--hil-board", "desk", "--hil-serial", "C"), "no board desk with serial number C is att"),
        (("--hil-serial", "C"), "C is attached; plug it in; *, leave out --hil-serial"),
        (("--hil-board", "esp32-s3"), "no board esp32-s3 is attached; plug it in; *--hil-board"),
    ],
)
def test_a_named_board_that_is_absent_or_ambiguous_is_an_error_of_one_line(
    inner: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    says: str,
) -> None:
    (inner.path / "firmware").mkdir()
    (inner.path / "platformio.ini").touch()
    (inner.path / "boards").mkdir()
    (inner.path / "boards" / "desk.toml").write_text(USB_BOARD)
    plug(monkeypatch, "A", "B")
    inner.makepyfile(USES_EVERYTHING)
    result = inner.runpytest_inprocess("-m", "hil", *words)
    result.assert_outcomes(errors=4, deselected=1)
    result.stdout.fnmatch_lines([f"*{says}*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_sketch_of_the_users_own_is_refused_in_one_line(inner: pytest.Pytester) -> None:
    inner.makepyfile(USES_EVERYTHING)
    result = inner.runpytest_inprocess("-m", "hil", "--hil-board", "native", "--hil-engine", "user")
    result.assert_outcomes(passed=2, errors=2, deselected=1)
    result.stdout.fnmatch_lines(["*--hil-engine user: *bench your own sketch with `hil bench*"])
    result.stdout.no_fnmatch_line("*Traceback*")


needs_gcc = skip_without(missing_tools(load_board("native")))


# in subprocesses: tflite_micro cannot be loaded twice in a process


@pytest.mark.firmware
@needs_gcc
def test_shipped_tests_pass_on_a_host_process_and_leave_their_figures(
    inner: pytest.Pytester, digits: Path
) -> None:
    words = [*STUDENT, "--hil-data", str(digits), "--hil-limit", "30", "--junitxml=figures.xml"]
    result = inner.runpytest_subprocess("-rs", *words)
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed", "skipped"}
    assert outcomes["skipped"] == 1  # limits
    result.stdout.fnmatch_lines(["*limits.toml has no*native/aot/student_int8/int8*arena*"])
    found = {
        element.get("name"): element.get("value")
        for element in ET.parse(inner.path / "figures.xml").iter("property")
    }
    assert found["native/aot/student_int8/int8/differing_oracle"] == "0"
    assert (
        found["native/aot/student_int8/int8/accuracy"]
        == found["native/aot/student_int8/int8/accuracy_host"]
    )
    assert int(found["native/aot/student_int8/int8/arena"] or 0) > 1000
    assert found["board"] == "native"


@pytest.mark.firmware
@needs_gcc
def test_an_exceeded_limit_fails(inner: pytest.Pytester, digits: Path) -> None:
    inner.path.joinpath("limits.toml").write_text('["native/aot/student_int8/int8"]\narena = 100\n')
    words = [*STUDENT, "--hil-data", str(digits), "--hil-limit", "10", "-k", "limits"]
    result = inner.runpytest_subprocess(*words, "--hil-limits", "limits.toml")
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["*arena is *, limit 100*"])


@pytest.fixture
def running() -> Iterator[str]:
    """The port of a board with only the student."""
    board = load_board("native")
    elf = build("native", [("student", MODELS / "student_int8.tflite")], "aot", PROJECT).elf
    with open_board(board, elf) as link:
        name = link.name
        link.close()
        yield name


@pytest.mark.firmware
@needs_gcc
def test_the_error_names_a_board_with_other_models(
    inner: pytest.Pytester, running: str, digits: Path
) -> None:
    words = ("--hil-board", "native", "--hil-port", running, "--hil-data", str(digits))
    inner.makepyfile(USES_EVERYTHING)
    other = inner.runpytest_subprocess(
        *words, "--hil-model", str(MODELS / "teacher_int8.tflite"), "-m", "hil"
    )
    assert other.parseoutcomes() == {"passed": 2, "errors": 2, "deselected": 1}
    other.stdout.fnmatch_lines(["*board native runs student *, expected teacher_int8 *"])
