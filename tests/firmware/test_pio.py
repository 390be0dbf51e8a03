# SPDX-License-Identifier: Apache-2.0
"""`pio test` and `pio run` as a user types them, without PlatformIO's registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hil.boards.config import load_board
from hil.boards.station import missing_tools
from hil.core.errors import ConfigError
from hil.firmware.build import build
from hil.firmware.toolchain import compilers
from tests.support.firmware import MODELS, PROJECT, SOURCES, copied_project, pio
from tests.support.needs import needs

TOOLS = {
    "mps2": ("arm-none-eabi-gcc", "qemu-system-arm"),
    "native": ("gcc", "g++"),
    "rv32": ("riscv64-unknown-elf-gcc", "qemu-system-riscv32"),
    "lx106": ("xtensa-lx106-elf-gcc", "qemu-system-xtensa"),
}
pytestmark = pytest.mark.firmware


def needs_tools(env: str) -> None:
    needs([tool for tool in TOOLS[env] if not shutil.which(tool)])


@pytest.mark.parametrize("env", sorted(TOOLS))
def test_unit_tests_pass(env: str, environment: dict[str, str], tmp_path: Path) -> None:
    needs_tools(env)
    report = tmp_path / "report.json"
    done = pio(["test", "-e", env, "--json-output-path", str(report)], environment)
    assert done.returncode == 0, done.stdout[-4000:]
    suites = {
        suite["test_name"]: {case["name"]: case["status"] for case in suite["test_cases"]}
        for suite in json.loads(report.read_text())["test_suites"]
        if suite["env_name"] == env and suite["status"] != "SKIPPED"
    }
    assert {
        "test_wire",
        "test_session",
        "test_more",
        "test_device",
        "test_rate",
        "test_repeat",
        "test_mlperf",
        "test_engine",
    } <= set(suites)
    assert ("test_stopwatch" in suites) == (env != "native")
    assert all(cases and set(cases.values()) == {"PASSED"} for cases in suites.values())


def in_qemu(env: str) -> bool:
    """The other emulators have tests of their own: `pio test` prints through semihosting."""
    emulator = load_board(env).emulator
    return emulator is not None and emulator.command[0].startswith("qemu-")


@pytest.mark.parametrize("env", sorted(set(filter(in_qemu, compilers())) - set(TOOLS)))
def test_instructions_are_counted_on_every_core(env: str, environment: dict[str, str]) -> None:
    """By a loop whose instructions are counted by hand; also when the counter wraps."""
    needs(missing_tools(load_board(env)))
    done = pio(["test", "-e", env, "-f", "test_stopwatch"], environment)
    assert done.returncode == 0, done.stdout[-4000:]
    for case in ("instructions_are_counted_one_by_one", "a_wrapped_counter_is_reported"):
        assert f"PASS\t{case}" in done.stdout


@pytest.mark.parametrize(
    ("file", "right", "wrong", "suite", "case"),
    [
        ("hil_wire/hil_crc32.c", "return ~crc;", "return crc;", "test_wire", "crc_is_zlibs"),
        (
            "hil_session/hil_input.c",
            "mantissa + (",
            "mantissa - 1u + (",
            "test_session",
            "int8_takes_all_three_encodings",
        ),
        (
            "hil_session/hil_steps.c",
            "return 0;\n}",
            "return 1;\n}",
            "test_more",
            "a_step_that_is_asked_for_again_is_not_computed_again",
        ),
    ],
)
def test_unit_tests_fail_when_the_code_is_wrong(
    environment: dict[str, str],
    tmp_path: Path,
    file: str,
    right: str,
    wrong: str,
    suite: str,
    case: str,
) -> None:
    needs_tools("native")
    project = copied_project(tmp_path)
    source = project / SOURCES.relative_to(PROJECT) / file
    assert right in source.read_text()
    source.write_text(source.read_text().replace(right, wrong))
    done = pio(["test", "-e", "native", "-f", suite], environment, project)
    assert done.returncode != 0
    assert f"FAIL\t{case}" in done.stdout


def test_a_test_that_ends_early_does_not_pass(environment: dict[str, str], tmp_path: Path) -> None:
    needs_tools("native")
    project = copied_project(tmp_path)
    source = project / "firmware/test/test_wire/test_wire.c"
    broken = source.read_text().replace("return FINISH();", "return 0;")
    source.write_text(broken)
    done = pio(["test", "-e", "native", "-f", "test_wire"], environment, project)
    assert done.returncode != 0
    assert "ended early" in done.stdout


def test_an_unknown_arduino_core_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    needs_tools("native")
    mine = {"HIL_ESP32_CORE": "4", "PLATFORMIO_BUILD_DIR": str(tmp_path)}
    done = pio(["run", "-e", "native"], environment | mine)
    assert done.returncode != 0
    assert "HIL_ESP32_CORE=4 is not known; set it to 3, or unset it for core 2" in done.stdout


@pytest.mark.parametrize("env", ["native", "mps2"])
def test_a_project_path_with_shell_characters_builds(
    env: str, environment: dict[str, str], tmp_path: Path
) -> None:
    needs_tools(env)
    project = tmp_path / "a \"b\" 'c' (d), é & ü;" / "hil"
    project.mkdir(parents=True)
    for name in ("firmware", "hil", "models"):
        (project / name).symlink_to(PROJECT / name)
    shutil.copy(PROJECT / "platformio.ini", project)
    variables = environment | {
        "PLATFORMIO_BUILD_DIR": str(project / "build"),
        "PYTHONPATH": str(PROJECT),
        "HIL_IMAGE": f"student={project / 'models/digits/student_int8.tflite'}",
    }
    done = pio(["run", "-e", env], variables, project)
    assert done.returncode == 0, done.stdout[-2000:]
    assert list((project / "build" / env).glob("*.map"))
    done = pio(["run", "-e", env, "-t", "size"], variables, project)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (b"a$x", "expands the '[$]' in the path; move the project to a path without '[$]'"),
        (b"caf\xe9", "and a name in the path is not; move the project to a path without such a"),
    ],
)
def test_a_path_that_platformio_does_not_support_is_named_in_one_line(
    name: bytes, says: str, tmp_path: Path
) -> None:
    project = tmp_path / os.fsdecode(name)
    (project / "firmware" / "scripts").mkdir(parents=True)
    (project / "platformio.ini").touch()
    with pytest.raises(ConfigError, match=f"cannot build in .*{says}"):
        build("native", [("student", MODELS / "student_int8.tflite")], "aot", project)


def test_a_build_is_not_repeated(environment: dict[str, str]) -> None:
    needs_tools("native")
    first = pio(["run", "-e", "native"], environment)
    assert first.returncode == 0, first.stdout[-4000:]
    again = pio(["run", "-e", "native"], environment)
    assert again.returncode == 0
    assert "Compiling" not in again.stdout
    other = {"HIL_IMAGE": f"one={MODELS / 'student_int8.tflite'}"}
    changed = pio(["run", "-e", "native"], environment | other)
    assert changed.returncode == 0, changed.stdout[-4000:]
    assert "Compiling" in changed.stdout


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("student", "is not NAME=FILE.tflite"),
        ("student=nowhere.tflite", "there is no model"),
        (f"student={os.path.relpath(__file__, PROJECT)}", "tflite"),
    ],
)
def test_a_wrong_image_is_named_in_one_line(
    environment: dict[str, str], image: str, wanted: str
) -> None:
    needs_tools("native")
    done = pio(["run", "-e", "native"], environment | {"HIL_IMAGE": image})
    assert done.returncode != 0
    errors = [line for line in done.stdout.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert wanted in errors[0]
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("arena", ["0", "-5", "1k"])
def test_a_wrong_arena_is_one_line(environment: dict[str, str], arena: str) -> None:
    needs_tools("native")
    done = pio(["run", "-e", "native"], environment | {"HIL_ARENA": arena})
    assert done.returncode != 0
    (error,) = (line for line in done.stdout.splitlines() if line.startswith("Error: "))
    assert f"{arena} is not a positive number of bytes; correct HIL_ARENA" in error


@pytest.mark.parametrize("env", ["mps2", "rv32", "lx106"])
def test_the_size_target_prints_sizes(env: str, environment: dict[str, str]) -> None:
    needs_tools(env)
    done = pio(["run", "-e", env, "-t", "size"], environment)
    assert done.returncode == 0, done.stdout[-4000:]
    table = done.stdout.partition("   text")[2]
    assert "firmware.elf" in table
    assert int(table.splitlines()[1].split()[0]) > 200_000  # the teacher's weights


@pytest.mark.parametrize("env", ["mps2", "rv32", "lx106"])
def test_a_missing_compiler_is_named_in_one_line(env: str, environment: dict[str, str]) -> None:
    ensured = environment | {"PATH": str(Path(sys.executable).parent)}
    done = pio(["run", "-e", env], ensured)
    assert done.returncode != 0
    (error,) = (line for line in done.stdout.splitlines() if line.startswith("Error: "))
    assert (
        f"{TOOLS[env][0]} is not installed; install it: hil doctor --install --board {env}" in error
    )
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("env", sorted(TOOLS))
def test_upload_starts_the_board(env: str, environment: dict[str, str], tmp_path: Path) -> None:
    needs_tools(env)
    project = copied_project(tmp_path)
    done = pio(["run", "-e", env, "-t", "upload"], environment, project)
    try:
        assert done.returncode == 0, done.stdout[-4000:]
        assert f"hil bench --board {env} --port /dev/" in done.stdout
    finally:
        words = [sys.executable, "-m", "hil", "emulate", env, "--stop"]
        stopped = subprocess.run(
            words, cwd=project, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    assert b"stopped" in stopped.stdout
