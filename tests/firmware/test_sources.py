"""The shared C is C11 and C++11 at once, warns of nothing, and is laid out by clang-format."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.firmware.conftest import FIRMWARE, INCLUDES, STRICT, run

SHARED = sorted(
    [
        *FIRMWARE.glob("lib/*/*.[ch]"),
        *FIRMWARE.glob("port/*.h"),
        *FIRMWARE.glob("test/fake_image/*.[ch]"),
    ]
)
ALL = sorted(
    file for kind in ("*.c", "*.h", "*.cpp") for file in FIRMWARE.rglob(kind) if file.is_file()
)


@pytest.mark.firmware
@pytest.mark.usefixtures("needs_gcc")
@pytest.mark.parametrize("file", SHARED, ids=lambda file: file.name)
@pytest.mark.parametrize("language", ["c", "c++"])
def test_shared_code_is_c11_and_cpp11(file: Path, language: str) -> None:
    compiler, standard = {"c": ("gcc", "-std=c11"), "c++": ("g++", "-std=c++11")}[language]
    kind = f"{language}-header" if file.suffix == ".h" else language
    run([compiler, "-x", kind, standard, *STRICT, *INCLUDES, "-fsyntax-only", str(file)])


@pytest.mark.firmware
@pytest.mark.usefixtures("needs_gcc")
def test_main_is_cpp11() -> None:
    main = str(FIRMWARE / "src" / "main.cpp")
    run(["g++", "-std=c++11", *STRICT, *INCLUDES, "-fsyntax-only", main])


def program(name: str) -> str | None:
    """A program of the environment that the tests run in, or of PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name)


def test_layout() -> None:
    found = program("clang-format")
    if not found:
        pytest.skip("clang-format is not installed (extra: dev)")
    run([found, "--dry-run", "--Werror", *map(str, ALL)])
