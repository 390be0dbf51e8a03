# SPDX-License-Identifier: Apache-2.0
"""pytest on a board: fixtures ``hil_board``, ``hil_device``, ``hil_bench`` and the marker ``hil``.

It is a ``pytest11`` entry point, so every pytest of the environment loads this module. Heavy
imports wait for the first test that needs a board.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hil.boards.config import Board
    from hil.device import Device
    from hil.pytest_plugin.bench import Chosen, HilBench


_NAMING = ("--hil-board", "--hil-serial")  # options that name a board
_CHOSEN: pytest.StashKey[Chosen | Exception] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options ``--hil-...``."""
    group = parser.getgroup("hil", "boards (tinyml-hil)")
    add = group.addoption
    add("--hil-board", metavar="NAME", help="Board under test; default: the attached one.")
    add("--hil-port", metavar="URL", help="Its port, if it cannot be found by USB.")
    add("--hil-serial", metavar="NUMBER", help="Its USB serial number, to select one of several.")
    add("--hil-flash", action="store_true", help="Flash the attached board first.")
    add("--hil-limit", metavar="N", type=int, help="Samples per model (100).")
    add("--hil-engine", metavar="NAME", help="Inference engine (aot).")
    add("--hil-precision", metavar="NAME", help="int8 or float32; default: int8, or as flashed.")
    add("--hil-dataset", metavar="NAME", help="Data set and its models (auto).")
    add(
        "--hil-model",
        metavar="FILE",
        action="append",
        default=[],
        help="Your model, as for hil bench --model; repeatable.",
    )
    add("--hil-data", metavar="DATA", help="Your data for it, as for hil bench --data.")
    add("--hil-target", metavar="COLUMN", help="The column of a .csv with labels or targets.")
    add("--hil-resize", metavar="HxW[xC]", help="Scale its pictures to this size.")
    add("--hil-input", metavar="RULE", help="pixels, scaled[:LOW:HIGH] or as-is.")
    add("--hil-limits", metavar="FILE", type=Path, help="Limits; default: limits.toml or hil.toml.")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "hil: needs a board, attached or emulated (--hil-board)")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without a board, skip tests marked ``hil``, even if they use no fixture."""
    if item.get_closest_marker("hil"):
        _chosen(item.config)


@pytest.fixture(scope="session")
def hil_board(request: pytest.FixtureRequest) -> Board:
    """The board under test, from its TOML file."""
    return _chosen(request.config).board


@pytest.fixture(scope="session")
def hil_bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HilBench]:
    """The board, open for the whole session, with its models and their data."""
    from hil.core.errors import HilError
    from hil.pytest_plugin.bench import open_bench

    chosen = _chosen(request.config)
    try:
        bench = open_bench(chosen, request.config, tmp_path_factory.mktemp("hil"))
    except HilError as problem:
        pytest.fail(str(problem), pytrace=False)
    yield bench
    bench.close()


@pytest.fixture
def hil_device(hil_bench: HilBench) -> Device:
    """A `hil.device.Device` on the board, which has just answered HELLO."""
    from hil.core.errors import HilError

    try:
        hil_bench.hello()
    except HilError as problem:
        pytest.fail(str(problem), pytrace=False)
    return hil_bench.device


def _chosen(config: pytest.Config) -> Chosen:
    """The board under test, found once per session.

    Without one, the test is skipped, unless an option names a board: then it fails.
    """
    from hil.core.errors import HilError, NotAttached
    from hil.firmware import find_project
    from hil.pytest_plugin.bench import board_of_settings, choose

    if _CHOSEN not in config.stash:
        try:
            config.stash[_CHOSEN] = choose(config)
        except HilError as problem:
            config.stash[_CHOSEN] = problem
    found = config.stash[_CHOSEN]
    if isinstance(found, NotAttached):
        if named := [name for name in _NAMING if config.getoption(name)]:
            hint = f"plug it in; to skip these tests without a board, leave out {named[-1]}"
            pytest.fail(f"{found.what}; {hint}", pytrace=False)
        if board_of_settings(find_project(config.rootpath)):
            hint = "plug in the board of hil.toml, or choose another one with --hil-board"
            pytest.fail(f"{found.what}; {hint}", pytrace=False)
        pytest.skip(f"{found.what}; plug one in, or use --hil-board mps2 (emulated) or --hil-port")
    if isinstance(found, Exception):
        pytest.fail(str(found), pytrace=False)
    return found
