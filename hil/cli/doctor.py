# SPDX-License-Identifier: Apache-2.0
"""`hil doctor`: which tools are installed, and how to install the missing ones."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.markup import escape

from hil.api.records import DoctorCheck, DoctorOutput
from hil.boards.config import load_board
from hil.boards.machine import machine_needs
from hil.boards.needs import Source, apt_command, tool_needs
from hil.boards.npm import install as install_npm
from hil.boards.station import packages
from hil.cli.console import Downloads, out
from hil.cli.output import result
from hil.core.errors import HilError, ToolMissing
from hil.datasets import mnist
from hil.engines import sources
from hil.firmware import find_project, firmware_tree
from hil.firmware.build import core_folder
from hil.firmware.toolchain import compilers, ensure_scons

Need = Literal["required", "board", "optional"]

# family -> Debian package: fonts of different widths, in which the tests check drawings
FONTS: Final = {
    "DejaVu Sans": "fonts-dejavu-core",
    "DejaVu Sans Mono": "fonts-dejavu-core",
    "Liberation Sans": "fonts-liberation",
    "Noto Sans": "fonts-noto-core",
    "FreeSans": "fonts-freefont-ttf",
}

REQUIRED: Final = "native"  # without a compiler for the host no firmware runs at all


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; ``fix`` is the command or step that installs what is missing."""

    name: str
    ok: bool
    detail: str
    need: Need = "required"
    fix: str = ""
    packages: tuple[str, ...] = ()
    source: Source = ""


def examine(
    boards: Iterable[str] = (),
    engines: Sequence[str] = (),
    *,
    lab: bool = False,
    tests: bool = False,
) -> Iterator[Check]:
    """Every check: of ``boards`` all that they need, or, if it is empty, of each board that has a
    compiler of its own whether that and the emulator are there.

    The sources of ``engines`` are required, those of others are optional.
    ``lab`` adds what the machines of a lab need: to export boards, and to hold a shared study.
    ``tests`` adds what only hil's own tests need.
    """
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check(
        "Python",
        (3, 11) <= sys.version_info[:2] <= (3, 13),
        version,
        fix="use Python 3.11, 3.12 or 3.13",
    )
    yield _firmware()
    if boards:
        for name in boards:
            yield from _needs(name)
    else:
        yield from map(_board, _emulated())
    yield _module("platformio", "required", "pip install platformio==6.2.0")
    yield _build_tool()
    yield _module("tflite_micro", "optional", "pip install tflite-micro (Linux x86-64 only)")
    install = "pip install tinyml-hil-train (only `hil train` needs it)"
    yield _module("keras", "optional", install)
    yield _mnist()
    for name in sources.NEEDED:
        yield _engine(name, "required" if name in engines else "optional")
    if lab:
        yield _ser2net()
        yield _postgresql()
    if tests:
        yield _chromium()
        yield _fonts()
        yield _libfuzzer()


def missing_packages(checks: Iterable[Check]) -> tuple[str, ...]:
    """Debian packages that fix the failed checks."""
    return tuple(dict.fromkeys(p for check in checks if not check.ok for p in check.packages))


def install(packages: tuple[str, ...]) -> str:
    """Install Debian packages if this user may. Returns "" on success, else the reason."""
    if not shutil.which("apt-get"):
        return "apt-get is not installed"
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    ask = [*prefix, "true"]  # the sudo on PATH
    if prefix and (not shutil.which("sudo") or subprocess.run(ask, check=False).returncode):
        return "not root, and sudo asks for a password"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(
            [*prefix, *words],
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    last = (done.stdout.strip().splitlines() or [""])[-1]
    return "" if done.returncode == 0 else f"apt-get reports: {last}"


def _emulated() -> list[str]:
    """The boards with a compiler of their own, without those whose emulator users install."""
    boards = map(load_board, compilers())
    return [one.name for one in boards if not one.optional]


def _board(name: str) -> Check:
    """The compiler and the emulator of one board."""
    board = load_board(name)
    lacking = [need for need in tool_needs(board) if need.missing]
    missing = ", ".join(one for need in lacking for one in need.missing)
    apt, all_packages = _apt(*packages(board))
    only_apt = all(need.source == "apt" for need in lacking)
    return Check(
        f"board {name}",
        not lacking,
        f"{missing} not found" if missing else board.title,
        "required" if name == REQUIRED else "board",
        apt if only_apt else f"hil doctor --install --board {name}",
        all_packages,
    )


def _needs(name: str) -> Iterator[Check]:
    """Everything that board ``name`` needs, one check each."""
    project = find_project()
    board = load_board(name, project)
    needs = list(tool_needs(board))
    if board.pio_env not in compilers():  # its compiler is part of PlatformIO's platform
        needs += machine_needs(board, project)
    for need in needs:
        yield Check(
            f"board {name}, {need.what}",
            not need.missing,
            f"{', '.join(need.missing)} not found" if need.missing else need.detail,
            "required" if need.required else "optional",
            need.fix if need.missing else "",
            need.packages,
            need.source,
        )


def _module(name: str, need: Need, fix: str) -> Check:
    found = importlib.util.find_spec(name) is not None
    return Check(name, found, "installed" if found else "not installed", need, fix)


def _build_tool() -> Check:
    """Also installs it: without it `pio run` asks PlatformIO's registry, and waits a minute if that
    cannot be reached."""
    try:
        ensure_scons(core_folder())
    except HilError as problem:
        return Check("PlatformIO's SCons", False, problem.what, "required", problem.hint)
    return Check("PlatformIO's SCons", True, "installed, or PlatformIO can download it")


def _ser2net() -> Check:
    path = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"  # where Debian puts daemons
    found = shutil.which("ser2net", path=path)
    detail = found or "ser2net not found"
    return Check("labgrid's ser2net", bool(found), detail, "board", *_apt("ser2net"))


def _postgresql() -> Check:
    # Debian has one folder per version
    path = os.pathsep.join(map(str, [os.environ.get("PATH", ""), *postgresql_folders()]))
    found = shutil.which("initdb", path=path)
    detail = found or "initdb not found: no server for a shared `hil sweep` study"
    return Check("PostgreSQL", bool(found), detail, "optional", *_apt("postgresql"))


def _chromium() -> Check:
    found = shutil.which("chromium")
    detail = found or "chromium not found: reports are not tested in a browser"
    return Check("Chromium", bool(found), detail, "optional", *_apt("chromium"))


def _fonts() -> Check:
    """Drawings are tested in several fonts, since a reader may have any."""
    words = ["fc-list", ":", "family"]
    said = ""
    if shutil.which("fc-list"):
        said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    there = {family.strip() for line in said.splitlines() for family in line.split(",")}
    missing = [font for font in FONTS if font not in there]
    detail = f"not installed: {', '.join(missing)}" if missing else "installed"
    return Check(
        "fonts",
        not missing,
        detail,
        "optional",
        *_apt("fontconfig", *dict.fromkeys(FONTS.values())),
    )


def _libfuzzer() -> Check:
    found = False
    if shutil.which("clang"):
        words = ["clang", "-print-resource-dir"]
        folder = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
        found = any(Path(folder).glob("lib/*/libclang_rt.fuzzer*.a"))
    detail = "installed" if found else "not found: fuzzing the firmware is not guided by coverage"
    # the name of Debian's package has the version of clang
    packages = ("clang", "llvm", f"libclang-rt-{_clang_version() or '14'}-dev")
    return Check("clang's libFuzzer", found, detail, "optional", *_apt(*packages))


def _clang_version() -> str:
    """The version that Debian's package `clang` installs; "" without apt."""
    if not shutil.which("apt-cache"):
        return ""
    words = ["apt-cache", "depends", "clang"]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    found = re.search(r"Depends: clang-(\d+)", said)
    return found[1] if found else ""


def postgresql_folders() -> list[Path]:
    """Folders of the server programs on Debian, newest version first."""
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _apt(*packages: str) -> tuple[str, tuple[str, ...]]:
    return apt_command(packages), packages


def _firmware() -> Check:
    try:
        return Check("firmware", True, str(firmware_tree(find_project())))
    except HilError as problem:
        return Check("firmware", False, problem.what, "required", problem.hint)


def _mnist() -> Check:
    found = mnist.found("test")
    detail = (
        "found"
        if found
        else "not found: downloaded on first use; without a network, digits is used"
    )
    return Check("MNIST", found, detail, "optional", "HIL_DATA_DIR=<folder of the four IDX files>")


def _engine(name: str, need: Need) -> Check:
    """The sources of TFLM, or of the kernels beside it."""
    own = name == "tflm" and os.environ.get("HIL_TFLM_DIR")
    left = () if own else sources.missing(name)
    there = own or f"in {sources.cache()}"
    detail = f"no {', '.join(one.repository for one in left)}" if left else there
    return Check(
        f"sources of {name}", not left, detail, need, f"hil doctor --install --engine {name}"
    )


def download_sources(engines: Iterable[str]) -> None:
    """Download what the cache does not have of the sources of ``engines``, and say so.

    Raises what `hil.engines.sources.install` raises.
    """
    for archive in dict.fromkeys(one for name in engines for one in sources.missing(name)):
        out.print(f"downloading {archive} from GitHub into {sources.cache()}", soft_wrap=True)
        with Downloads() as downloads:
            sources.install(archive, downloads)


def install_npm_packages(boards: Iterable[str]) -> str:
    """Install the emulators of ``boards`` that are npm packages. Returns "" or the last reason why
    one could not be."""
    reason = ""
    for board in (load_board(name, find_project()) for name in boards):
        package = board.emulator.npm if board.emulator else None
        if package and not package.installed:
            out.print(f"installing the npm package {package}", soft_wrap=True)
            try:
                install_npm(package)
            except ToolMissing as problem:
                reason = problem.what
                out.print(f"{escape(reason)}; {escape(problem.hint)}", soft_wrap=True)
    return reason


MISSING = 2


def doctor(
    fix: Annotated[
        bool,
        typer.Option(
            "--install",
            help="Install missing Debian packages, if permitted, and npm packages, and download "
            "the sources of --engine.",
        ),
    ] = False,
    board: Annotated[
        list[str], typer.Option("--board", help="Check all that this board needs; repeatable.")
    ] = [],
    engine: Annotated[
        list[str],
        typer.Option("--engine", help="Also require the sources of: tflm, cmsis-nn, esp-nn."),
    ] = [],
    lab: Annotated[
        bool,
        typer.Option("--lab", help="Also check what a lab needs: labgrid exports, a shared study."),
    ] = False,
    tests: Annotated[
        bool,
        typer.Option(
            "--tests", help="Also check what hil's own tests need: browser, fonts, fuzzer."
        ),
    ] = False,
) -> None:
    """Check which tools are installed. Exit code 2 if a required one is missing."""
    for name in engine:
        sources.missing(name)  # an unknown name is an error before anything is installed
    if fix:
        download_sources(engine)
    checks = list(examine(board, engine, lab=lab, tests=tests))
    packages = missing_packages(checks)
    reason = ""
    if fix and packages:
        out.print(f"installing {' '.join(packages)}")
        if reason := install(packages):
            out.print(f"cannot install them ({escape(reason)}); run: {apt_command(packages)}")
    if fix:
        reason = install_npm_packages(board or _emulated()) or reason
        checks = list(examine(board, engine, lab=lab, tests=tests))
    ok = all(check.ok or check.need != "required" for check in checks)
    found = tuple(DoctorCheck(**dataclasses.asdict(check)) for check in checks)
    result(DoctorOutput(ok=ok, checks=found, install_error=reason))
    for check in checks:
        _show(check)
    if not ok:
        raise typer.Exit(MISSING)


def _show(check: Check) -> None:
    mark = "[green]ok     [/]" if check.ok else _MARKS[check.need]
    out.print(f"{mark} {check.name}: {escape(check.detail)}", soft_wrap=True)
    if not check.ok:
        out.print(f"        -> {escape(check.fix)}", soft_wrap=True)


_MARKS = {
    "required": "[bold red]missing[/]",
    "board": "[yellow]missing[/]",
    "optional": "[dim]without[/]",
}
