# SPDX-License-Identifier: Apache-2.0
"""The includes of the firmware point one way, and the session's private state stays private."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.firmware import FIRMWARE, SOURCES

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"[^\S\n]*(.*)$', re.MULTILINE)
SUFFIXES = {".c", ".cpp", ".h", ".hpp"}
LIBRARY = sorted(
    file
    for file in FIRMWARE.glob("lib/**/*")
    if file.suffix in SUFFIXES and not {"examples", "hil_arduino"} & set(file.parts)
)
PRIVATE = "hil_context.h"


def included(file: Path) -> dict[str, str]:
    """The names that a file includes in quotes, each with what follows on its line."""
    return {Path(name).name: rest for name, rest in INCLUDE.findall(file.read_text())}


def graph(files: Iterable[Path]) -> dict[str, set[str]]:
    """Which files of the library each file includes, by name."""
    names = {file.name for file in files}
    return {file.name: names & set(included(file)) for file in files}


def by_module(files: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same between modules: a header and the source file of the same stem."""
    found: dict[str, set[str]] = {}
    for name, others in files.items():
        module = Path(name).stem
        found.setdefault(module, set()).update({Path(one).stem for one in others} - {module})
    return found


def order(found: Mapping[str, set[str]]) -> list[str]:
    return list(TopologicalSorter(found).static_order())


def test_files_and_modules_of_the_library_form_no_cycle() -> None:
    files = graph(LIBRARY)
    modules = by_module(files)
    assert files["hil_session.c"] > {"hil_session.h", "hil_infer.h", PRIVATE}
    assert order(files)
    # nothing in the library needs these
    assert order(modules)[-1] in {"TinymlHil", "hil_device_board", "hil_tflm"}


def test_a_cycle_is_found() -> None:
    files = graph(LIBRARY)
    files["hil_engine.h"].add("hil_session.h")
    with pytest.raises(CycleError):
        order(files)
    split = {"a.h": set[str](), "a.c": {"a.h", "b.h"}, "b.h": set[str](), "b.c": {"b.h", "a.h"}}
    assert order(split)
    with pytest.raises(CycleError):  # only between modules
        order(by_module(split))


def test_only_the_session_includes_its_private_header() -> None:
    """Elsewhere a comment on the line must say why."""
    others = [
        file
        for file in sorted(FIRMWARE.rglob("*"))
        if file.suffix in SUFFIXES and file.parent.name != "hil_session"
    ]
    reasons = {
        file.relative_to(FIRMWARE).as_posix(): included(file)[PRIVATE]
        for file in others
        if PRIVATE in included(file)
    }
    assert set(reasons) == {
        *("src/main.cpp", "test/fake_board.h", "lib/TinymlHil/src/hil_device.h")
    }
    assert all(re.match(r"//|/\*", reason) for reason in reasons.values())
    public = [SOURCES / "hil_session" / name for name in ("hil_session.h", "hil_setup.h")]
    assert not any(PRIVATE in included(header) for header in public)
