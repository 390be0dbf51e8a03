# SPDX-License-Identifier: Apache-2.0
"""Configuration: boards, recipes, limits, and the small records that `hil` keeps for itself."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hil.boards.config import Board
from hil.boards.emulator import find_detached
from hil.compare.limits import read_limits
from hil.core.files import read_toml
from hil_train import networks, plan, provenance
from hil_train.recipe import Recipe, quickly
from hil_train.trial import read_costs
from tests.fuzz.damage import deep, text_like

_ROOT = Path(__file__).parents[3]
_TOML = [*_ROOT.glob("hil/boards/*.toml"), *_ROOT.glob("hil_train/recipes/*.toml")]
_TOML += [_ROOT / "limits.toml", _ROOT / "models/tabular/provenance.json"]
SEEDS = [path.read_bytes() for path in sorted(_TOML)]
SEEDS += [
    b'{"pid": 1, "port": "/dev/pts/1", "firmware": "a.elf", "started": "1"}',
    b'{"arena": 1.5}',
    b"a = " + deep(b"[", b"]", 3000),
    deep(b'{"a":', b"}", 3000).replace(b":}", b":1}"),
]


def damage(random: Random, data: bytes) -> bytes:
    return text_like(random, data, SEEDS[:12])


def check(data: bytes, folder: Path) -> None:
    """The first bytes tell the kind of file; noise is tried as every kind."""
    file = folder / "given"
    file.write_bytes(data)
    if data.lstrip().startswith(b"{"):
        provenance.read(file, provenance.Provenance)
        read_costs(file)
        _detached(folder, data)
    elif b"pio_env" in data or b"emulator" in data:
        board = read_toml(file, Board)
        if board.emulator:
            board.emulator.fill(board.emulator.command, file, folder, 1)
    elif b"stages" in data or b"networks" in data:
        recipe = read_toml(file, Recipe)
        plan.check_recipe(recipe, "given")
        quickly(recipe)
        for network in recipe.networks.values():
            networks.classes(network)
            networks.names(network)
        plan.plans(recipe)
    else:
        limits = read_limits(file)
        for key in limits.runs:
            limits.growth(key)


def _detached(folder: Path, data: bytes) -> None:
    place = folder / ".pio" / "hil" / "b.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    find_detached(folder, "b")
