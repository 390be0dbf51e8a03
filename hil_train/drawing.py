# SPDX-License-Identifier: Apache-2.0
"""Figures of matplotlib as SVG: the same bytes for the same figure, whatever fonts and settings the
machine has. Letters are paths, so that no reader's font changes the layout; comments have the text.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from matplotlib import style
from matplotlib.figure import Figure

INK: Final = "#1d2329"
QUIET: Final = "#5a6570"
BLUE: Final = "#0b62b0"
ORANGE: Final = "#c4541c"

_SETTINGS: Final = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.labelcolor": QUIET,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "figure.titlesize": 10,
    "font.family": "DejaVu Sans",  # the one that matplotlib brings
    "font.size": 8,
    "grid.color": "#d9dee3",
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "tinyml-hil",
    "text.color": INK,
    "text.parse_math": False,  # names may contain $
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}


@contextmanager
def settings() -> Iterator[None]:
    """The settings to make and save a figure with, on top of matplotlib's defaults."""
    with style.context(["default", _SETTINGS]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


def svg(figure: Figure) -> str:
    """A figure as an SVG document, without date and producer. Call it within `settings`."""
    buffer = io.StringIO()
    unknown = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=unknown)
    return re.sub(r'\bd="([^"]*)"', _shorter, buffer.getvalue())


def _shorter(path: re.Match[str]) -> str:
    """Path data on one line, in hundredths of a point."""
    return 'd="' + re.sub(r"(\.\d\d)\d+", r"\1", " ".join(path[1].split())) + '"'


def inline(document: str) -> str:
    """The ``<svg>`` element of a document, without comments, for HTML."""
    return re.sub("<!--.*?-->", "", document[document.index("<svg") :], flags=re.DOTALL)
