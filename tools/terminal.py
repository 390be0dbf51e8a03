# SPDX-License-Identifier: Apache-2.0
"""Runs commands in a terminal and draws what it shows as an animated SVG:
`python -m tools.terminal FILE.svg COMMAND...` (one argument per command).

The picture of the README:
`python -m tools.terminal docs/images/terminal.svg "hil bench --limit 100 --no-open"`.
"""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fcntl import ioctl
from html import escape
from pathlib import Path
from typing import Final

import pyte

COLUMNS: Final = 100
ROWS: Final = 30
_STEP: Final = 0.4  # seconds: shortest time between two pictures
_PAUSE: Final = 1.5  # longest
_LAST: Final = 8.0  # how long the result stays
_TYPE: Final = 0.06  # seconds per typed letter
_WIDTH, _HEIGHT, _SIZE = 8.4, 18.0, 14.0  # of a letter, in pixels
_COLOURS: Final = {
    "default": "#d8dee9",
    "black": "#4c566a",
    "red": "#e06c75",
    "green": "#98c379",
    "brown": "#e5c07b",
    "blue": "#61afef",
    "magenta": "#c678dd",
    "cyan": "#56b6c2",
    "white": "#eceff4",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """The lines of the screen as SVG text, and for how many seconds it stays."""

    lines: tuple[str, ...]
    seconds: float


def record(commands: Sequence[str], folder: Path) -> list[Picture]:
    """What a terminal shows while ``commands`` run in ``folder``, one after another."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    found: list[Picture] = []

    def add(seconds: float) -> None:
        lines = tuple(_line(screen, row) for row in range(ROWS))
        if found and found[-1].lines == lines:
            found[-1] = Picture(lines, min(found[-1].seconds + seconds, _PAUSE))
        else:
            found.append(Picture(lines, min(seconds, _PAUSE)))

    for command in commands:
        stream.feed(b"$ ")
        for letter in command:
            stream.feed(letter.encode())
        add(_TYPE * len(command))
        stream.feed(b"\r\n")
        last = time.monotonic()
        for chunk in _output(command, folder):
            stream.feed(chunk)
            now = time.monotonic()
            if now - last >= _STEP:
                add(now - last)
                last = now
        add(_STEP)
    return [*found[:-1], Picture(found[-1].lines, _LAST)]


def _output(command: str, folder: Path) -> Iterator[bytes]:
    """What ``command`` writes to a terminal, as it comes."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    running = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:  # the terminal's last process has ended
            break
        if not chunk:
            break
        yield chunk
    os.close(master)
    if running.wait():
        raise SystemExit(f"{command}: exit code {running.returncode}")


def _line(screen: pyte.Screen, row: int) -> str:
    """A row as SVG: one `tspan` per run of letters of the same look."""
    cells = [screen.buffer[row][column] for column in range(COLUMNS)]
    parts = []
    start = 0
    for column in range(1, COLUMNS + 1):
        a = cells[start]
        if column < COLUMNS and (cells[column].fg, cells[column].bold) == (a.fg, a.bold):
            continue
        text = "".join(cell.data for cell in cells[start:column])
        if text.strip():
            lead = len(text) - len(text.lstrip())
            x = round((start + lead) * _WIDTH, 1)
            look = f' fill="{_colour(a.fg)}"' if a.fg != "default" else ""
            look += ' font-weight="bold"' if a.bold else ""
            shown = escape(text.strip())
            length = round(len(text.strip()) * _WIDTH, 1)
            parts.append(f'<tspan x="{x:g}" textLength="{length:g}"{look}>{shown}</tspan>')
        start = column
    return "".join(parts)


def _colour(name: str) -> str:
    name = name.removeprefix("bright")
    if re.fullmatch(r"[0-9a-f]{6}", name):
        return f"#{name}"
    return _COLOURS.get(name, _COLOURS["default"])


def draw(pictures: Sequence[Picture]) -> str:
    """The animation as SVG. A line that stays the same in several pictures is drawn once."""
    times = [0.0]
    for picture in pictures:
        times.append(times[-1] + picture.seconds)
    rows = max(row + 1 for one in pictures for row in range(ROWS) if one.lines[row])
    width, height = COLUMNS * _WIDTH + 32, rows * _HEIGHT + 56
    styles: list[str] = []
    texts: list[str] = []
    for row in range(rows):
        start = 0
        for i in range(1, len(pictures) + 1):
            text = pictures[start].lines[row]
            if i < len(pictures) and pictures[i].lines[row] == text:
                continue
            if text:
                name = f"f{len(styles)}"
                styles.append(_shown(name, times[start] / times[-1], times[i] / times[-1]))
                y = round((row + 1) * _HEIGHT, 1)
                texts.append(f'<text class="{name}" y="{y:g}" xml:space="preserve">{text}</text>')
            start = i
    style = "\n".join(styles)
    dots = "".join(
        f'<circle cx="{18 + 18 * i}" cy="16" r="5" fill="{colour}"/>'
        for i, colour in enumerate(("#e06c75", "#e5c07b", "#98c379"))
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" \
width="{width:g}" height="{height:g}" role="img" aria-label="a terminal that runs hil">
<style>
text {{ font: {_SIZE:g}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; \
fill: {_COLOURS["default"]}; animation-duration: {times[-1]:.2f}s; \
animation-iteration-count: infinite; animation-timing-function: step-end }}
{style}
</style>
<rect width="{width:g}" height="{height:g}" rx="8" fill="#22272e"/>
{dots}
<g transform="translate(16 30)">
{chr(10).join(texts)}
</g>
</svg>
"""


def _shown(name: str, start: float, end: float) -> str:
    """CSS that shows class ``name`` from share ``start`` to ``end`` of the animation."""
    steps = ["0% { visibility: hidden }"] if start > 0 else []
    steps.append(f"{100 * start:.2f}% {{ visibility: visible }}")
    if end < 1:
        steps.append(f"{100 * end:.2f}% {{ visibility: hidden }}")
        steps.append("100% { visibility: hidden }")
    else:
        steps.append("100% { visibility: visible }")
    return f".{name} {{ animation-name: {name} }} @keyframes {name} {{ {' '.join(steps)} }}"


def main() -> None:
    """Record the commands and write the picture."""
    file, *commands = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        pictures = record(commands, Path(folder))
    Path(file).write_text(draw(pictures))
    print(f"{file}: {len(pictures)} pictures, {sum(one.seconds for one in pictures):.0f} s")


if __name__ == "__main__":
    main()
