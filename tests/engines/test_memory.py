# SPDX-License-Identifier: Apache-2.0
"""The arena is as small as an exhaustive search finds, and leads follow the order of the code."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.engines.aot import memory
from hil.engines.aot.memory import Block, place
from hil.engines.aot.places import arrange, least_lead
from hil.engines.aot.plan import plan, plan_nodes
from hil.engines.aot.steps import InPlace
from hil.engines.aot.values.unweighted import Map, Pooling
from hil.engines.aot.weighted.conv import Conv, tile
from hil.engines.aot.weighted.conv_planes import Planar
from hil.tflite import read_model
from hil.tflite.graph import Axis
from tests.support.random_nets import make
from tests.support.tflite import RELU, SAME, Net, float_cnn


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def teacher() -> bytes:
    """The tutorial's teacher in float32."""
    net = Net().input((1, 28, 28, 1))
    net.conv(ones(32, 3, 3, 1), ones(32), act=RELU).pool((2, 2), (2, 2))
    net.conv(ones(64, 3, 3, 32), ones(64), act=RELU).pool((2, 2), (2, 2))
    return net.reshape((1, 1600)).dense(ones(128, 1600), ones(128)).dense(ones(10, 128)).finish()


def test_the_teacher_reuses_its_first_pooling() -> None:
    # 13x13x32 and 5x5x64 floats; one pixel of 64 floats is written while its window is still read
    assert arena(teacher()) == 13 * 13 * 32 * 4 + 64 * 4


def arena(data: bytes) -> int:
    return arrange(plan_nodes(read_model(data))).nbytes


def windows(rows: Axis, columns: Axis) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """(y, x, input pixels below the window) of each output pixel, in order."""
    for y, x in itertools.product(range(rows.count), range(columns.count)):
        top, left = y * rows.stride - rows.before, x * columns.stride - columns.before
        window = itertools.product(range(rows.window), range(columns.window))
        below = [(top + v, left + u) for v, u in window]
        yield y, x, [(v, u) for v, u in below if 0 <= v < rows.size and 0 <= u < columns.size]


def work(step: Conv | Pooling) -> list[tuple[set[int], int]]:
    """What the C code does, in order: (input values it reads, end of the output values it wrote).

    A piece of work reads until it has written everything.
    """
    done = []
    if isinstance(step, Pooling):  # channel by channel: a read, then the write of one value
        columns, channels = step.pool.columns, step.channels
        for y, x, pixels in windows(step.pool.rows, columns):
            for c in range(channels):
                read = {(v * columns.size + u) * channels + c for v, u in pixels}
                end = (y * columns.count + x) * channels + c + 1
                done += [(read, end - 1), (set(), end)]
        return done
    columns, pool = step.columns, step.pool
    pixels_of = {(y, x): pixels for y, x, pixels in windows(step.rows, columns)}
    if pool:  # all channels of a pooled pixel, from all windows below it
        groups = [
            ([pixels_of[y, x] for y, x in sums], py * pool.columns.count + px + 1)
            for py, px, sums in windows(pool.rows, pool.columns)
        ]
    elif isinstance(step, Planar):  # of a band of rows, all channels one after the other
        groups = [
            (
                [pixels_of[y, x] for y in range(first, last) for x in range(columns.count)],
                last * columns.count,
            )
            for first in range(0, step.rows.count, step.band)
            for last in [min(first + step.band, step.rows.count)]
        ]
    elif step.gathered:  # copied before the first output is written
        points = tile(step).points
        every = list(pixels_of.values())
        for first in range(0, len(every), points):
            below = {pixel for part in every[first : first + points] for pixel in part}
            values = {(v * columns.size + u) * step.cin for v, u in below}
            done.append((values, first * step.cout))
            done.append((set(), min(first + points, len(every)) * step.cout))
        return done
    else:  # all channels of a tile; the last tile of a row overlaps its neighbour
        width = tile(step).columns
        starts = [min(x, columns.count - width) for x in range(0, columns.count, width)]
        groups = [
            ([pixels_of[y, x + i] for i in range(width)], y * columns.count + x + width)
            for y in range(step.rows.count)
            for x in starts
        ]
    for parts, end in groups:
        below = {pixel for part in parts for pixel in part}
        values = {(v * columns.size + u) * step.cin + c for v, u in below for c in range(step.cin)}
        done.append((values, end * step.cout))
    return done


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_a_lead_is_what_the_order_of_the_code_needs(kind: str) -> None:
    """No value may be written at or above the lowest one that this or later work still reads."""
    met = Counter[str]()
    for seed in range(40):
        for step in plan(read_model(make(seed, kind))):
            if not isinstance(step, Conv | Pooling) or not isinstance(step.lead, int):
                continue
            needed, lead = 1 << 40, 0
            for read, end in reversed(work(step)):
                needed = min(needed, *read) if read else needed
                lead = max(lead, end - needed)
            item = 4 if kind == "float32" else 1
            most = step.output_bytes
            found, least = least_lead(step), min(lead * item, most)
            assert found % memory.ALIGNMENT == 0
            # padding below a window counts as read: then the output may start a little lower
            assert least <= found
            padded = step.padded if isinstance(step, Conv) else True
            if not padded:
                assert found < least + memory.ALIGNMENT
            met[type(step).__name__] += 1
            met["exact"] += not padded
    assert min(met.values()) > 10, met


def test_functions_of_one_value_work_in_place() -> None:
    for kind, lead in (("activation", 0), ("quantize", 0), ("dequantize", 3 * 100)):
        step = Map("m", "", kind, kind == "quantize", 100)
        assert least_lead(step) == lead


def test_a_pooling_works_in_place() -> None:
    steps = plan(read_model(Net().input((1, 6, 6, 5)).pool((2, 2), (2, 2)).finish()))
    assert least_lead(steps[0]) == 0


def test_a_padded_convolution_leads_by_what_it_still_reads() -> None:
    net = Net().input((1, 4, 4, 1)).conv(ones(1, 3, 3, 1), ones(1), padding=SAME).finish()
    (step,) = plan(read_model(net))
    # row 1 of the output needs row 0 of the input: a row and a tile of four floats ahead
    assert least_lead(step) == 2 * 4 * 4


def test_one_step_needs_no_arena() -> None:
    assert arena(Net().input((1, 4)).dense(ones(3, 4)).finish()) == 0


def test_reshapes_are_free() -> None:
    net = float_cnn()
    assert arena(net.reshape((3, 1)).reshape((1, 3)).finish()) == 3 * 3 * 4 * 4


def smallest(sizes: list[int], leads: list[int]) -> int:
    """The smallest arena, by trying every placement in steps of four bytes."""
    for arena in range(max(sizes), sum(sizes) + 1, 4):
        ranges = [range(0, arena - size + 1, 4) for size in sizes]
        for places in itertools.product(*ranges):
            if all(
                a - b >= lead or b - a >= size
                for a, b, size, lead in zip(places, places[1:], sizes, leads, strict=False)
            ):
                return arena
    raise AssertionError


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_placement_is_smaller(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 6).map(lambda n: 4 * n), min_size=1, max_size=4))
    leads = [4 * data.draw(st.integers(0, size // 4)) for size in sizes[1:]]
    chain = [Block(size, i, i + 1) for i, size in enumerate(sizes)]
    overlaps = {(i, i + 1): lead for i, lead in enumerate(leads)}
    assert place(chain, overlaps).arena == smallest(sizes, leads)


@pytest.mark.parametrize("kind", ["float32", "int8", "mixed"])
def test_offsets_keep_every_lead(kind: str) -> None:
    for seed in range(80):
        planned = plan_nodes(read_model(make(seed, kind)))
        places = arrange(planned)
        for node in planned.nodes[1:-1]:
            step, source = node.step, planned.root(node.inputs[0])
            before, after = places.tensors[source], places.tensors[node.outputs[0]]
            apart = after - before >= step.sources[0].nbytes
            same = step.leads[0] is InPlace.EXACTLY and before == after
            assert apart or same or before - after >= least_lead(step)
        for node in planned.nodes[:-1]:
            offset = places.tensors[node.outputs[0]]
            assert 0 <= offset <= places.nbytes - node.step.targets[0].nbytes


def _apart(a: int, b: int, sizes: tuple[int, int]) -> bool:
    return a + sizes[0] <= b or b + sizes[1] <= a


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_blocks_in_use_together_overlap_only_as_allowed(data: st.DataObject) -> None:
    spans = st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 40))
    blocks = [
        Block(size, at, at + more) for at, more, size in data.draw(st.lists(spans, max_size=9))
    ]
    numbers = range(len(blocks))
    may = [(i, j) for i in numbers for j in numbers if i != j and blocks[i].last == blocks[j].first]
    overlaps = {
        pair: data.draw(st.one_of(st.integers(-4, 40), st.just(InPlace.EXACTLY)))
        for pair in may
        if pair[::-1] not in may and data.draw(st.booleans())
    }
    places = place(blocks, overlaps)
    assert place(blocks, overlaps) == places, "the same in every run"
    for i, j in itertools.combinations(numbers, 2):
        a, b = blocks[i], blocks[j]
        if a.first > b.last or b.first > a.last:
            continue
        x, y = places.offsets[i], places.offsets[j]
        allowed = _apart(x, y, (a.nbytes, b.nbytes))
        for source, target, lead in ((x, y, overlaps.get((i, j))), (y, x, overlaps.get((j, i)))):
            if lead is InPlace.EXACTLY:
                allowed |= source == target
            elif lead is not None:
                allowed |= target + max(lead, 0) <= source
        assert allowed, (i, j)
    ends = [o + b.nbytes for o, b in zip(places.offsets, blocks, strict=True)]
    assert all(o >= 0 and o % 4 == 0 for o in places.offsets)
    assert max(ends, default=0) <= places.arena


def test_a_search_near_good_offsets_keeps_them() -> None:
    blocks = [Block(100, 0, 2), Block(60, 1, 3), Block(40, 2, 3), Block(60, 3, 4)]
    known = place(blocks, {})
    more = [*blocks, Block(36, 0, 0)]
    found = place(more, {}, (*known.offsets, -1), known.arena)
    assert found.arena == known.arena
    assert found.offsets[:-1] == known.offsets
    assert place(more, {}, (4,) * 4 + (-1,)).arena == known.arena, "bad offsets do no harm"


def test_an_exact_place_is_the_only_one_that_overlaps() -> None:
    both = [Block(8, 0, 1), Block(8, 1, 2)]
    assert place(both, {(0, 1): InPlace.EXACTLY}).arena == 8
    below = [*both, Block(4, 0, 0), Block(4, 2, 2)]
    assert place(below, {(0, 1): InPlace.EXACTLY}).arena == 12


def test_a_graph_needs_no_more_than_the_largest_moment() -> None:
    # two branches of one tensor and their sum, which may overwrite one of them
    blocks = [Block(100, 0, 2), Block(60, 1, 3), Block(40, 2, 3), Block(60, 3, 4)]
    assert place(blocks, {(1, 3): 0}).arena == 200
    assert place(blocks, {}).arena == 200
    assert place([Block(8, 0, 1), Block(8, 1, 2)], {(0, 1): 0}).arena == 8
