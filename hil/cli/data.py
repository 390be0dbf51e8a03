# SPDX-License-Identifier: Apache-2.0
"""The options that say which samples a command takes; docs/data.md describes them."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

DATA_HELP: Final = (
    ".npz (x, or an array per input; y), .npy, .csv with --target, or a folder of pictures "
    "CLASS/*.png; a name: mnist, digits, sklearn:iris, keras:fashion_mnist, ...; or "
    "random[:N[:SEED]]. See docs/data.md."
)

DataOption: TypeAlias = Annotated[
    str | None, typer.Option("--data", metavar="DATA", help=f"Your samples: {DATA_HELP}")
]
TargetOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="COLUMN",
        help="The column of a .csv with the labels, or with the targets of a regression.",
    ),
]
InputOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="RULE",
        help="What the values stand for: pixels (0..255, divided by 255), scaled[:LOW:HIGH] or "
        "as-is; default: uint8 are pixels, others are taken as they are.",
    ),
]
ResizeOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--resize",
        metavar="HxW[xC]",
        help="Scale pictures to this height and width, and to 1 (grey) or 3 channels; default: "
        "they are taken as they are.",
    ),
]
