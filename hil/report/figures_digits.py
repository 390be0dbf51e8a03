"""The samples on which models, device, host or label disagree, drawn."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hil.report.cells import Cell
from hil.report.text import clean
from hil.runlog.schema import Picture

MOST = 60  # drawn; the rest are counted

KINDS = (
    "device and host answer differently",
    "the models answer differently",
    "all answer alike, and wrong",
)


@dataclass(frozen=True, slots=True)
class Answer:
    name: str
    device: int
    host: int | None  # None: the same
    right: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One sample; ``image`` is a data URI, empty when the run stores no picture at all."""

    id: str
    label: int
    kind: int  # index of KINDS
    answers: tuple[Answer, ...]
    image: str
    alt: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """``counts`` has a number for each of KINDS; ``cards`` are at most MOST of them, those with
    a picture, by kind."""

    cards: tuple[Card, ...]
    counts: tuple[int, int, int]
    pictorial: bool = True  # False: samples are no pictures, so a table says it better

    @property
    def total(self) -> int:
        return sum(self.counts)


def gallery(cells: Sequence[Cell], pictures: Mapping[str, Picture]) -> Gallery:
    """Every sample with a disagreement, by kind and then in the order they were streamed."""
    answers: dict[str, list[Answer]] = {}
    labels: dict[str, int] = {}
    for cell in cells:
        rows = zip(cell.ids, cell.labels, cell.answers, cell.host_answers, strict=True)
        for key, label, device, host in rows:
            labels.setdefault(key, int(label))
            other = None if device == host else int(host)
            answers.setdefault(key, []).append(
                Answer(cell.name, int(device), other, bool(device == label))
            )
    kinds = {key: _kind(found) for key, found in answers.items()}
    keys = [key for kind in range(len(KINDS)) for key in answers if kinds[key] == kind]
    counts = [sum(kinds[key] == kind for key in keys) for kind in range(len(KINDS))]
    # a bench keeps pictures of the most disputed samples alone: those are drawn
    shown = [key for key in keys if key in pictures] or keys
    cards = tuple(
        _card(key, labels[key], kinds[key] or 0, answers[key], pictures.get(key))
        for key in shown[:MOST]
    )
    pictorial = bool(pictures) or any(len(cell.plan.input.shape) == 4 for cell in cells)
    return Gallery(cards, (counts[0], counts[1], counts[2]), pictorial)


def _kind(answers: Sequence[Answer]) -> int | None:
    """Index of KINDS; None when all agree and are right."""
    if any(answer.host is not None for answer in answers):
        return 0
    if len({answer.device for answer in answers}) > 1:
        return 1
    return None if answers[0].right else 2


def _card(
    key: str, label: int, kind: int, answers: Sequence[Answer], picture: Picture | None
) -> Card:
    said = ", ".join(
        f"{a.name} {a.device}" + ("" if a.host is None else f" (host {a.host})") for a in answers
    )
    alt = f"Sample {clean(key)}, label {label}; answers: {said}"
    return Card(key, label, kind, tuple(answers), png_uri(picture) if picture else "", alt)


def png_uri(picture: Picture) -> str:
    """8-bit PNG as a data URI: grey as ink on paper, colours as they are."""
    height, width = picture.shape
    grey = picture.channels == 1
    values = bytes(255 - value for value in picture.pixels) if grey else picture.pixels
    line = width * picture.channels
    # each row starts with its filter type: 0, none
    rows = b"".join(b"\0" + values[y * line : (y + 1) * line] for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if grey else 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
