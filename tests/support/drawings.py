# SPDX-License-Identifier: Apache-2.0
"""Texts of matplotlib's figures: what they say, and whether they fit."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET
from itertools import combinations

from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def texts(svg: str) -> list[str]:
    """All texts of an SVG document: matplotlib draws letters as paths, and writes the words before
    them as a comment."""
    ET.fromstring(svg)
    return [html.unescape(words) for words in re.findall("<!-- (.*?) -->", svg, re.DOTALL)]


def faults(figure: Figure) -> list[str]:
    """Texts that are partly outside the figure, and pairs that overlap, as matplotlib lays them
    out."""
    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]  # matplotlib's
    figure.draw(renderer)
    beyond = {  # matplotlib keeps a tick beyond each end of an axis and does not draw it
        label
        for axis in figure.findobj(Axis)
        if isinstance(axis, Axis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)
    }
    found = {
        f"{each.get_text()} at {each.get_position()}": each.get_window_extent(renderer)
        for each in figure.findobj(Text)
        if isinstance(each, Text) and each not in beyond
        if each.get_visible() and each.get_text().strip()
    }
    outside = [
        f"outside: {name}"
        for name, box in found.items()
        if not (figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1)
        or not (figure.bbox.y0 - 1 <= box.y0 and box.y1 <= figure.bbox.y1 + 1)
    ]
    return outside + [
        f"overlap: {one} and {other}"
        for (one, a), (other, b) in combinations(found.items(), 2)
        if a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
    ]
