# SPDX-License-Identifier: Apache-2.0
"""The box of each text in an SVG file, by hil.report.draw.layout: an oracle without a browser."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from hil.report.draw.layout import width

SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True, slots=True)
class TextBox:
    words: str
    left: float
    right: float
    top: float
    bottom: float


def faults(svg: str) -> list[str]:
    """Texts outside the picture, and pairs of texts that touch."""
    root = ET.fromstring(svg)
    *_, wide, tall = map(float, root.attrib["viewBox"].split())
    found = list(boxes(root, _styles(root), 0, 0, wide))
    out = [
        f"outside: {one}"
        for one in found
        if one.left < 0 or one.right > wide or one.top < 0 or one.bottom > tall
    ]
    return out + [
        f"touch: {a} and {b}"
        for a, b in combinations(found, 2)
        if a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom
    ]


def boxes(
    element: ET.Element,
    styles: dict[str, str],
    x: float,
    y: float,
    wide: float,
    turned: bool = False,
) -> Iterator[TextBox]:
    """The boxes below ``element``, whose children's positions are relative to (x, y)."""
    for child in element:
        said = child.attrib
        moved = re.search(r"translate\(([-\d.]+)(?: ([-\d.]+))?\)", said.get("transform", ""))
        at_x = x + (float(moved[1]) if moved else 0)
        at_y = y + (float(moved[2] or 0) if moved else 0)
        turns = turned or "rotate(-90)" in said.get("transform", "")
        if child.tag == f"{SVG}svg":
            inner = float(said["width"]) if "width" in said else wide
            left = at_x + _place(said.get("x", "0"), wide)
            yield from boxes(child, styles, left, at_y + float(said.get("y", 0)), inner, turns)
        elif child.tag == f"{SVG}text":
            yield _box(child, styles, at_x, at_y, wide, turns)
        else:
            yield from boxes(child, styles, at_x, at_y, wide, turns)


def _box(
    text: ET.Element, styles: dict[str, str], x: float, y: float, wide: float, turned: bool
) -> TextBox:
    said, words = text.attrib, "".join(text.itertext())
    rules = "".join(styles.get(css, "") for css in ("", *said.get("class", "").split()))
    sizes = re.findall(r"font-size: (\d+)px", rules)
    size = float(said.get("font-size") or (sizes[-1] if sizes else 12))
    bold = said.get("font-weight") == "bold" or bool(re.search("font-weight: [67]00", rules))
    long = width(words, size, bold=bold)
    before = {"middle": 0.5, "end": 1.0}.get(said.get("text-anchor", ""), 0.0) * long
    at_x = x + _place(said.get("x", "0"), wide) + float(said.get("dx", 0)) - before
    at_y = y + float(said.get("y", 0))
    if turned:  # upwards, with the letters to the left of the position
        return TextBox(words, x - 0.8 * size, x + 0.2 * size, y - long + before, y + before)
    return TextBox(words, at_x, at_x + long, at_y - 0.8 * size, at_y + 0.2 * size)


def _place(text: str, wide: float) -> float:
    return float(text[:-1]) / 100 * wide if text.endswith("%") else float(text)


def _styles(root: ET.Element) -> dict[str, str]:
    """Class -> rules of its texts; "" -> rules of all texts."""
    style = "".join(each.text or "" for each in root.iter(f"{SVG}style"))
    return dict(re.findall(r"^text\.?(\w*) \{([^}]*)\}", style, re.MULTILINE))
