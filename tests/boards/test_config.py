# SPDX-License-Identifier: Apache-2.0
"""Board files: the shipped ones load, and errors name the file and the key."""

import configparser
import re
from pathlib import Path

import pytest

from hil.boards.config import BoardClock, board_files, load_board
from hil.core.errors import ConfigError, UsageError
from hil.core.records import ClockSteps, Cycles, DType, Instructions, Latency, Precision
from hil.firmware.toolchain import compilers
from hil.wire.messages import Lap, Result

GOOD = """
name = "desk"
title = "a board on the desk"
pio_env = "esp32dev"
[clock]
unit = "us"
source = "micros"
"""


def project(tmp_path: Path, text: str) -> Path:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "desk.toml").write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", sorted(board_files()))
def test_shipped_boards_load(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert (board.emulator is None) == (board.clock.unit == "us")


def test_a_project_adds_a_board(tmp_path: Path) -> None:
    assert load_board("desk", project(tmp_path, GOOD)).clock.unit == "us"


def test_an_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no board is called 'mars'.*mps2, .*native"):
        load_board("mars")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("pio_env", "pio_environment", "pio_environment"),
        ('unit = "us"', 'unit = "ms"', r"\$.clock.unit"),
        ("[clock]", "[clock]\nfoo = 1", r"foo.*\$.clock"),
        ('name = "desk"', 'name = "chair"', "name it like the file"),
        ("[clock]", "[clock", "desk.toml"),
        (
            "[clock]",
            '[emulator]\ncommand = ["x"]\nport_pattern = "(p)"\n[clock]',
            "an emulator has no latency",
        ),
    ],
)
def test_errors_name_the_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_board("desk", project(tmp_path, GOOD.replace(old, new)))


EMULATED = GOOD.replace('unit = "us"\nsource = "micros"', 'unit = "none"') + "[emulator]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('command = ["x"]', "give one of port_pattern, port and stdio"),
        (
            'command = ["x"]\nport = "/dev/a"\nport_pattern = "(p)"',
            "give one of port_pattern, port and stdio",
        ),
        ('command = ["x"]\nport = "/dev/a"\nstdio = true', "port_pattern, port and stdio"),
        (
            'command = ["x"]\nport_pattern = "(p)"\nready = "x"',
            "ready has no effect with port_pattern; leave it out",
        ),
        ('command = ["x"]\nstdio = true\nready = "("', "emulator.ready: missing"),
        ('command = []\nport = "/dev/a"', "a command is empty"),
        ('command = ["x"]\nprepare = [[]]\nport = "/dev/a"', "a command is empty"),
        ('command = ["x"]\nport_pattern = "port"', "it needs a group"),
        ('command = ["x"]\nport_pattern = "(port"', "port_pattern: missing"),
        ('command = ["x", "{flash}"]\nport = "/dev/a"', "'x {flash}' has an unknown placeholder"),
        ('command = ["x", "{elf.gone}"]\nport = "/dev/a"', "use {elf}, .*{tcp}"),
        ('command = ["x", "{"]\nport = "/dev/a"', "double a literal brace"),
        ('command = ["x"]\nprepare = [["y", "{z}"]]\nport = "/dev/a"', "'y {z}' has an unknown"),
        ('command = ["x"]\nport = "socket://localhost"', "is not scheme://host:number"),
        ('command = ["x"]\nport = "socket://localhost:port"', "is not scheme://host:number"),
        (
            'command = ["x"]\nport = "socket://localhost:{tcp}"',
            "port contains {tcp}, but no command does",
        ),
        ('command = "x y"\nport = "/dev/a"', r"array.*\$.emulator.command"),
    ],
)
def test_errors_in_an_emulator_name_the_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"desk.toml: .*{says}"):
        load_board("desk", project(tmp_path, EMULATED + text))


CYCLES = 'unit = "cycles"\nsource = "ticks"'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace('unit = "us"\nsource = "micros"', f"{CYCLES}\nhertz = 1"), "of an emulator"),
        (EMULATED.replace('unit = "none"', CYCLES) + 'command = ["x"]\nstdio = true', "hertz is"),
        (
            EMULATED.replace('unit = "none"', 'unit = "none"\nhertz = 1')
            + 'command = ["x"]\nstdio = true',
            "hertz needs clock.unit",
        ),
        (GOOD.replace('unit = "us"', 'unit = "us"\nhertz = -1'), "hertz must be positive"),
    ],
)
def test_cycles_are_of_an_emulated_core_with_a_clock(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_board("desk", project(tmp_path, text))


def test_a_physical_board_may_state_the_clock_of_its_core(tmp_path: Path) -> None:
    text = GOOD.replace('unit = "us"', 'unit = "us"\nhertz = 64_000_000')
    assert load_board("desk", project(tmp_path, text)).clock.hertz == 64_000_000


def test_the_boards_of_the_documentation_load(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / "docs"
    pages = [docs / "adding-a-board.md", *sorted(docs.glob("boards/*.md"))]
    text = "\n".join(page.read_text() for page in pages)
    whole = [one for one in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "name =" in one]
    assert len(whole) >= 3
    (tmp_path / "boards").mkdir()
    for one in whole:
        name = re.search(r'name = "(.*?)"', one)
        assert name
        (tmp_path / "boards" / f"{name[1]}.toml").write_text(one)
        assert load_board(name[1], tmp_path).title


def test_placeholders_of_an_emulator(tmp_path: Path) -> None:
    text = (
        'command = ["{elf.parent}/run", "{build}/a.bin", "{run}/b", "tcp:{tcp}", "{{}}"]\n'
        'port = "socket://127.0.0.1:{tcp}"'
    )
    emulator = load_board("desk", project(tmp_path, EMULATED + text)).emulator
    assert emulator is not None
    assert emulator.fill(emulator.command, Path("a/firmware.elf"), Path("r"), 7) == [
        "a/run",
        "a/a.bin",
        "r/b",
        "tcp:7",
        "{}",
    ]


def test_a_time_has_the_type_of_its_clock() -> None:
    result = Result(0, DType.INT8, micros=500, ticks=2560, output=b"")
    emulated = BoardClock(unit="instructions", source="ticks", numerator=10, denominator=256)
    assert emulated.time(result) == Instructions(100)
    assert BoardClock(unit="us", source="micros").time(result) == Latency(500)
    assert BoardClock(unit="none").time(result) is None
    counted = BoardClock(unit="cycles", source="ticks", hertz=16_000_000)
    assert counted.time(result) == Cycles(2560)
    assert counted.time(Result(0, DType.INT8, micros=9, ticks=0, output=b"")) is None  # no counter
    assert counted.time(Lap(0, 0)) == Cycles(0)  # a layer without work
    wrapped = Result(0, DType.INT8, micros=0, ticks=None, output=b"")
    assert emulated.time(wrapped) is None


def test_steps_are_in_the_unit_of_the_clock() -> None:
    seen = ClockSteps(micros=4, ticks=256, reads=30)
    assert BoardClock(unit="us", source="micros").step(seen) == 4
    counted = BoardClock(unit="instructions", source="ticks", numerator=10, denominator=256)
    assert counted.step(seen) == 10
    assert counted.step(ClockSteps(micros=4, ticks=0, reads=30)) is None  # it did not step
    assert BoardClock(unit="none").step(seen) is None


def test_every_board_has_its_env_and_real_ones_are_pinned() -> None:
    """Real platforms come from a registry: exact versions, and never built by a plain `pio run`."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(Path(__file__).parents[2] / "platformio.ini")
    default = ini["platformio"]["default_envs"].split(", ")
    for name in board_files():
        board = load_board(name)
        env = ini[f"env:{board.pio_env}"]
        if board.emulator is None:
            platform = re.sub(r"\$\{(\w+)\.(\w+)\}", lambda m: ini[m[1]][m[2]], env["platform"])
            assert re.fullmatch(r"[a-z0-9]+@\d+\.\d+\.\d+", platform)
            assert board.pio_env not in default
            assert (board.clock.unit, board.clock.source) == ("us", "micros")
            base = ini[env["extends"]]
            if env["extends"] == "mbed":
                assert "platformio/toolchain-gccarmnoneeabi@~1.12" in base["platform_packages"]
            assert base.get("extends", env["extends"]) == "arduino"
            assert ini["arduino"]["monitor_speed"] == str(board.serial.baud)
        elif not board.emulator.optional:
            assert env["platform"].startswith("symlink://${PROJECT_DIR}/firmware/platforms/")


def test_restricted_boards_name_known_precisions(tmp_path: Path) -> None:
    text = GOOD.replace("[clock]", 'models = ["student"]\nprecisions = ["int8"]\n[clock]')
    assert load_board("desk", project(tmp_path, text)).precisions == (Precision.INT8,)
    (tmp_path / "boards" / "desk.toml").write_text(text.replace("int8", "int4"))
    with pytest.raises(ConfigError, match=r"int4.*\$.precisions"):
        load_board("desk", tmp_path)


def test_a_board_like_another_names_an_emulated_one_with_a_compiler() -> None:
    """`hil fit` links for it."""
    every = {name: load_board(name) for name in board_files()}
    for board in every.values():
        if board.around and board.around.like:
            twin = every[board.around.like]
            assert twin.emulator
            assert twin.pio_env in compilers()
