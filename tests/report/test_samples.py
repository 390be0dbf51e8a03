# SPDX-License-Identifier: Apache-2.0
"""hil/report/samples.py: which samples are shown, in which order, and their pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from hil.report.blocks import Block, Table
from hil.report.document import document
from hil.report.page import page
from hil.report.samples import MOST, gallery, png_uri, samples_section
from hil.runs.schema import Picture, Sample
from tests.support import reports


def _tiny(key: str, answers: Sequence[tuple[int, int]]) -> list[Sample]:
    """(device, host) answers to samples whose label is 0."""

    def vote(k: int) -> bytes:
        return bytes(int(k == j) for j in range(3))

    return [
        Sample(run=key, i=i, id=f"s{i}", label=0, device=vote(d), litert=vote(h))
        for i, (d, h) in enumerate(answers)
    ]


def test_cards_are_sorted_by_kind_of_disagreement() -> None:
    one, two = reports.plan("teacher", classes=3), reports.plan(classes=3)
    stored = [
        *_tiny(one.key, [(0, 0), (1, 1), (0, 0), (2, 2)]),
        *_tiny(two.key, [(0, 0), (1, 1), (1, 1), (2, 0)]),
    ]
    found = reports.cells_of(reports.run_of(reports.manifest(one, two, n=4), stored))
    shown = gallery(found, {}, "digit")
    assert [card.id for card in shown.cards] == ["s3", "s2", "s1"]
    assert shown.counts == (1, 1, 0, 0, 1)
    drawn = gallery(found, {"s2": Picture(shape=(1, 2), pixels=b"\x00\xff")}, "digit")
    assert [(card.id, bool(card.image)) for card in drawn.cards] == [("s2", True)]
    assert drawn.total == 3
    assert shown.cards[0].alt == (
        "Sample s3, label 0; answers: teacher int8 2, student int8 2 (host 0)"
    )
    assert [a.right for a in shown.cards[1].answers] == [True, False]


def test_classes_have_their_names() -> None:
    one, two = reports.plan("teacher", classes=3), reports.plan(classes=3)
    stored = [*_tiny(one.key, [(0, 0), (0, 2)]), *_tiny(two.key, [(1, 1), (0, 0)])]
    of = reports.manifest(one, two, n=2)
    used = msgspec.structs.replace(of.dataset, classes=("cat", "dog", "hen"))
    run = reports.run_of(msgspec.structs.replace(of, dataset=used), stored)
    shown = gallery(reports.cells_of(run), {"s0": Picture(shape=(1, 1), pixels=b"a")}, "digit")
    assert shown.cards[0].alt == (
        "Sample s0, label cat; answers: teacher int8 cat, student int8 dog"
    )
    text = page(document(replace(run, pictures={"s0": Picture(shape=(1, 1), pixels=b"a")})))
    assert '<div class="label">label cat</div>' in text
    assert '<option value="1">dog</option>' in text
    lost = next(
        b for b in samples_section(run, reports.cells_of(run)).blocks if "right" in title(b)
    )
    assert isinstance(lost, Table)
    assert lost.rows[0][2:4] == ("cat", "dog")
    assert "cat: " in lost.rows[0][4]


def title(block: Block) -> str:
    return block.title if isinstance(block, Table) else ""


def test_cards_are_limited_and_the_others_counted() -> None:
    plan = reports.plan(classes=3)
    stored = _tiny(plan.key, [(1, 1)] * (MOST + 9))
    found = reports.cells_of(reports.run_of(reports.manifest(plan), stored))
    shown = gallery(found, {}, "digit")
    assert (len(shown.cards), shown.total) == (MOST, MOST + 9)


def test_the_png_is_the_picture_as_ink_on_paper() -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(5).integers(0, 256, (28, 20), dtype=np.uint8)
    uri = png_uri(Picture(shape=(28, 20), pixels=pixels.tobytes()))
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    with image.open(io.BytesIO(base64.b64decode(data))) as decoded:
        assert np.array_equal(255 - np.asarray(decoded), pixels)


def test_a_colour_picture_keeps_its_colours() -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(5).integers(0, 256, (32, 20, 3), dtype=np.uint8)
    uri = png_uri(Picture(shape=(32, 20), pixels=pixels.tobytes(), channels=3))
    with image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as decoded:
        assert np.array_equal(np.asarray(decoded), pixels)
