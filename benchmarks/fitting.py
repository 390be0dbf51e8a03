# SPDX-License-Identifier: Apache-2.0
"""Compares the estimates of `hil fit` with linked images. Prints Markdown.

    python benchmarks/fitting.py [BOARD...] [--models FILE.tflite...]

Per board and network: the engine's code and the whole flash, linked and estimated as if the board's
compiler were missing, and the error that the estimate states. What is around the network comes from
a link of another one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from hil.bench.lab import RealLab
from hil.bench.networks import read_network
from hil.bench.sizing import Sizer
from hil.boards.config import load_board
from hil.core.errors import HilError
from hil.engines import model_name

PROJECT = Path(__file__).parents[1]
MODELS = tuple(
    PROJECT / "models" / "mnist" / f"{name}_{precision}.tflite"
    for name in ("teacher", "student")
    for precision in ("float32", "int8")
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares estimates of hil fit with links.")
    parser.add_argument("boards", nargs="*", default=["mps2", "rv32", "lx106"])
    parser.add_argument("--models", nargs="+", type=Path, default=MODELS)
    given = parser.parse_args()
    print("| board | network | code | estimated | flash | estimated | states |")
    print("|---|---|---|---|---|---|---|")
    for name in given.boards:
        board = load_board(name, PROJECT)
        sizer = Sizer(PROJECT, RealLab(PROJECT), {name: board})
        there = msgspec.structs.replace(board, around=sizer.around(board))
        blind = Sizer(PROJECT, RealLab(PROJECT), {}, link=False)
        for file in given.models:
            try:
                network = read_network(model_name(file), file)
                linked, guess = sizer.need(board, "aot", network), blind.need(there, "aot", network)
            except HilError as problem:
                print(f"| {name} | {file.stem} | {problem.what} |")
                continue
            if linked.how == "linked":
                cells = (linked.code, guess.code, linked.flash, guess.flash, guess.error)
                print(f"| {name} | {file.stem} | " + " | ".join(f"{n:,}" for n in cells) + " |")


if __name__ == "__main__":
    main()
