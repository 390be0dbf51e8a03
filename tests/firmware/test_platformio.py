# SPDX-License-Identifier: Apache-2.0
"""PlatformIO builds that fail: no compiler, no registry, compiler errors, damaged files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hil.boards.config import board_files, load_board
from hil.core.errors import BuildFailed, ModelError, StorageError, ToolMissing, WrongCompiler
from hil.firmware import build, compiler_of, find_project, sizes, toolchain, upload
from hil.firmware.build import core_folder, failure
from hil.firmware.toolchain import ensure_scons

PROJECT = Path(__file__).parents[2]
STUDENT = PROJECT / "models" / "digits" / "student_int8.tflite"
LIBRARIES = ("lib_deps", "lib_ignore")


def test_the_project_is_found_from_a_subfolder() -> None:
    assert find_project(PROJECT / "firmware" / "src") == PROJECT


@pytest.mark.parametrize(
    ("env", "package"),
    [
        ("native", "gcc"),
        ("mps2", "gcc-arm-none-eabi"),
        ("rv32", "gcc-riscv64-unknown-elf"),
        ("lx106", "gcc-xtensa-lx106"),
        ("mega2560", "gcc-avr"),
    ],
)
def test_missing_compiler_names_the_package(
    monkeypatch: pytest.MonkeyPatch, env: str, package: str
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolMissing, match=f"sudo apt-get install {package} "):
        build(env, [("student", STUDENT)], "aot", PROJECT)


def test_scons_is_installed_locally_without_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "registry_answers", lambda: False)
    ensure_scons(tmp_path)
    made = tmp_path / "packages" / "tool-scons"
    assert json.loads((made / ".piopm").read_text())["spec"]["owner"] == "platformio"
    said = subprocess.run(
        [sys.executable, "-I", str(made / "scons.py"), "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "SCons" in said.stdout
    stamp = (made / ".piopm").stat().st_mtime_ns
    ensure_scons(tmp_path)
    assert (made / ".piopm").stat().st_mtime_ns == stamp


def test_scons_is_left_to_platformio_when_the_registry_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "registry_answers", lambda: True)
    ensure_scons(tmp_path)
    assert not (tmp_path / "packages").exists()


def test_without_registry_and_scons_the_hint_names_scons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "registry_answers", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ToolMissing, match=r"pip install scons==4\."):
        ensure_scons(tmp_path)


def test_a_core_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "registry_answers", lambda: False)
    (tmp_path / "packages").touch()
    with pytest.raises(StorageError, match="cannot install PlatformIO's build tool in"):
        ensure_scons(tmp_path)


def test_packages_of_platformio_go_to_the_cache_if_the_home_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLATFORMIO_CORE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert core_folder() == tmp_path / ".platformio"
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert core_folder() == tmp_path / "cache" / "tinyml-hil" / "platformio"


def test_a_file_that_is_not_elf_is_named(tmp_path: Path) -> None:
    (tmp_path / "firmware.elf").write_bytes(b"not an ELF file")
    for read in (sizes, compiler_of):
        with pytest.raises(BuildFailed, match="is not an ELF file"):
            read(tmp_path / "firmware.elf")


@pytest.mark.firmware
def test_sizes_equal_those_of_the_size_tool() -> None:
    """text + data and data + bss, in binutils' Berkeley format."""
    elf = build("native", [("student", STUDENT)], "aot", PROJECT).elf
    said = subprocess.run(["size", str(elf)], capture_output=True, text=True, check=True)
    text, data, bss = map(int, said.stdout.splitlines()[1].split()[:3])
    assert sizes(elf).flash == text + data
    assert sizes(elf).ram == data + bss
    assert "GCC" in compiler_of(elf)


@pytest.mark.firmware
def test_unchanged_images_are_not_built_again() -> None:
    first = build("native", [("student", STUDENT)], "aot", PROJECT)
    stamp = first.elf.stat().st_mtime_ns
    again = build("native", [("student", STUDENT)], "aot", PROJECT)
    assert again == first
    assert again.elf.stat().st_mtime_ns == stamp


@pytest.mark.firmware
def test_a_compiler_error_is_quoted(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "firmware", tmp_path / "firmware")
    (tmp_path / "hil").symlink_to(PROJECT / "hil")
    shutil.copy(PROJECT / "platformio.ini", tmp_path)
    main = tmp_path / "firmware" / "src" / "main.cpp"
    main.write_text(main.read_text() + "\nint broken = ;\n")
    with pytest.raises(BuildFailed, match=r"main\.cpp.*error: expected .* the whole log") as failed:
        build("native", [("student", STUDENT)], "aot", tmp_path)
    assert "\n" not in str(failed.value)


@pytest.mark.firmware
def test_a_damaged_model_is_named_by_the_build(tmp_path: Path) -> None:
    broken = tmp_path / "student.tflite"
    broken.write_bytes(STUDENT.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"student\.tflite"):
        build("native", [("student", broken)], "aot", PROJECT)


@pytest.mark.firmware
def test_an_unknown_env_is_named_by_platformio() -> None:
    with pytest.raises(BuildFailed, match="building mars failed: .*Unknown environment.*'mars'"):
        build("mars", [("student", STUDENT)], "aot", PROJECT)


@pytest.mark.firmware
def test_an_upload_that_fails_is_quoted(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "firmware", tmp_path / "firmware")
    (tmp_path / "hil").symlink_to(PROJECT / "hil")
    shutil.copy(PROJECT / "platformio.ini", tmp_path)
    uploader = tmp_path / "uploader.py"
    uploader.write_text(
        "import sys\nprint('Connecting...')\n"
        "sys.exit(f'A fatal error: no reply on {sys.argv[1]}')\n"
    )
    builder = tmp_path / "firmware" / "platforms" / "emulated.py"
    action = '[*emulate, "--detach"]'
    assert action in builder.read_text()
    changed = builder.read_text().replace(action, f'["$HIL_PYTHON", "{uploader}", "$UPLOAD_PORT"]')
    builder.write_text(changed)
    wanted = "flashing native failed: A fatal error: no reply on /dev/ttyACM7; the whole log"
    with pytest.raises(BuildFailed, match=wanted):
        upload("native", [("student", STUDENT)], "aot", tmp_path, "/dev/ttyACM7")


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            "Uploading firmware.hex\n\navrdude: stk500v2_getsync(): timeout\n"
            "*** [upload] Error 1\n=== [FAILED] Took 9.4 seconds ===\n",
            "avrdude: stk500v2_getsync(): timeout",
        ),
        ("*** [upload] Error 1\n", "nothing"),
        (
            "Linking firmware.elf\nld: main.o: in function `setup':\nmain.cpp:3: undefined "
            "reference to `nobody'\ncollect2: error: ld returned 1 exit status\n",
            "undefined reference to `nobody'",
        ),
        ("UnknownEnvNamesError: Unknown environment names 'x'.\n", "Unknown environment names 'x'"),
    ],
)
def test_the_uploader_is_quoted_not_scons(tmp_path: Path, log: str, says: str) -> None:
    (tmp_path / "x.log").write_text(log)
    found = str(failure("x", tmp_path / "x.log", "/dev/ttyUSB0"))
    assert found.startswith("flashing x failed: ")
    assert says in found
    assert "***" not in found


def test_a_compiler_that_is_too_old_is_named_with_the_version_needed(tmp_path: Path) -> None:
    log = tmp_path / "esp32dev.log"
    log.write_text(
        "PACKAGES:\n - framework-arduinoespressif32 @ 3.3.11\n"
        " - toolchain-xtensa-esp32 @ 8.4.0+2021r2-patch5\nCompiling main.cpp.o\n"
        "xtensa-esp32-elf-g++: error: unrecognized command line option '-std=gnu++2b'; did you "
        "mean '-std=gnu++2a'?\n*** [.pio/build/esp32dev/src/main.cpp.o] Error 1\n"
    )
    said = failure("esp32dev", log)
    assert isinstance(said, WrongCompiler)
    assert "does not know -std=gnu++2b, which takes GCC 11 or newer" in said.what
    assert "(installed: toolchain-xtensa-esp32 @ 8.4.0+2021r2-patch5)" in said.what
    assert str(log) in said.hint


def test_a_registry_out_of_reach_is_named(tmp_path: Path) -> None:
    log = tmp_path / "esp32dev.log"
    log.write_text("Platform Manager: Installing espressif32\nHTTPClientError: \n")
    assert "PlatformIO's registry, which cannot be reached" in str(failure("esp32dev", log))


@pytest.mark.parametrize(
    ("variables", "brought"),
    [
        ({"HIL_ENGINE": "tflm"}, True),
        ({"HIL_ENGINE": "aot"}, False),
        ({}, False),
        ({"HIL_ENGINE": "tflm", "HIL_TFLM_DIR": "/a/tree"}, False),
    ],
)
def test_only_real_boards_get_the_engines_library(
    variables: dict[str, str], *, brought: bool
) -> None:
    config = configured(variables)
    assert config["env:esp32dev"]["extends"] == ["arduino"]
    assert [("esp-tflite-micro" in str(config["arduino"][o])) for o in LIBRARIES] == [brought] * 2
    assert config["mbed"]["extends"] == "arduino"
    for board in map(load_board, board_files()):
        base = config[f"env:{board.pio_env}"].get("extends")
        real = [["arduino"], ["mbed"]]
        if board.emulator:  # one that users install may run the firmware of a physical board
            assert base in [None, *(real if board.emulator.optional else [])]
        else:
            assert base in real
    emulated = ("mps2", "native", "rv32", "lx106")
    assert not any(o in config[f"env:{board}"] for board in emulated for o in LIBRARIES)


def configured(variables: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The sections of platformio.ini with these variables in the environment."""
    hidden = {"HIL_ENGINE", "HIL_TFLM_DIR", "HIL_ESP32_CORE"}
    clean = {key: value for key, value in os.environ.items() if key not in hidden}
    words = ["project", "config", "-d", str(PROJECT), "--json-output"]
    done = subprocess.run(
        [sys.executable, "-m", "platformio", *words],
        env=clean | variables,
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return {section: dict(options) for section, options in json.loads(done.stdout)}


CORE_3 = (
    "https://github.com/pioarduino/platform-espressif32/releases/download/55.03.311/"
    "platform-espressif32.zip"
)
# Length of dram0_0_seg in memory.ld of the SDK
STATIC = {
    "esp32dev": 0x2C200 - 0xDB5C,
    "esp32-s3": 0x3FCDB700 - 0x3FC88000,
    "esp32-c3": 0x3FCCE710 - 0x3FC80000,
}


@pytest.mark.parametrize(
    ("variables", "platform"),
    [
        ({}, "espressif32@6.13.0"),
        ({"HIL_ESP32_CORE": "3"}, CORE_3),
        ({"HIL_ESP32_CORE": "3", "HIL_ENGINE": "tflm"}, CORE_3),
    ],
)
def test_every_esp32_has_core_2_or_core_3(variables: dict[str, str], platform: str) -> None:
    config = configured(variables)
    assert {config[f"env:{name}"]["platform"] for name in STATIC} == {platform}
    assert ("esp-tflite-micro" in str(config["arduino"]["lib_deps"])) == ("HIL_ENGINE" in variables)
    for name, ram in STATIC.items():
        board = load_board(name)
        assert board.memory is not None
        assert board.pio_env == name
        assert config[f"env:{name}"]["board_upload.maximum_ram_size"] == str(ram)
        assert board.memory.ram == ram


@pytest.mark.firmware
def test_a_project_outside_of_the_checkout_brings_an_env_of_its_own(tmp_path: Path) -> None:
    project = tmp_path / "my [project]"  # brackets have a meaning in a pattern
    (project / "boards").mkdir(parents=True)
    (project / "boards" / "mine.ini").write_text(
        "[env:mine]\nextends = env:native\nbuild_flags = -DHIL_MINE\n"
    )
    built = build("mine", [("student", STUDENT)], "aot", project)
    assert built.elf.parent.name == "mine"
    with pytest.raises(BuildFailed, match="mine"):
        build("mine", [("student", STUDENT)], "aot", tmp_path)
