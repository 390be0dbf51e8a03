# SPDX-License-Identifier: Apache-2.0
"""Injected line faults: each has its effect, at its rate, and is reproducible from its seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hil.core.errors import LinkError, UsageError
from hil.link import Deadline
from hil.link.chaos import (
    BOOT_TEXT,
    BYTES,
    FAULTS,
    OTHER_PROGRAMS,
    Chaos,
    ChaosLink,
    Event,
    FaultInjector,
    mixture,
    parse_chaos,
)
from hil.testing.board import InstantLink

FRAME = b"a frame\0"


def crossed(chaos: Chaos, data: bytes, cuts: list[int] | None = None) -> list[bytes | Event]:
    injector = FaultInjector(chaos, "out", Counter())
    edges = [0, *sorted(cuts or []), len(data)]
    return [one for start, end in pairwise(edges) for one in injector.carry(data[start:end])]


def joined(parts: list[bytes | Event]) -> bytes:
    return b"".join(part for part in parts if isinstance(part, bytes))


class Echo:
    """Sends back what is written."""

    def answer(self, data: bytes) -> bytes:
        return data


def loop() -> InstantLink:
    return InstantLink(Echo(), "loop")


def read_all(link: ChaosLink, seconds: float) -> bytes:
    deadline, found = Deadline.after(seconds, link.clock), b""
    while not deadline.expired:
        found += link.read(deadline)
    return found


def test_no_fault_changes_nothing() -> None:
    link = ChaosLink(loop(), Chaos(3))
    data = bytes(range(256)) * 40
    link.write(data)
    assert read_all(link, 1) == data
    assert link.injected == {}


def test_bits_are_flipped_at_the_rate_and_anywhere() -> None:
    data = bytes(200_000)
    found = np.frombuffer(joined(crossed(Chaos(1, flip=1e-3), data)), np.uint8)
    bits = np.flatnonzero(np.unpackbits(found, bitorder="little"))
    expected = 8 * len(data) * 1e-3
    assert abs(len(bits) - expected) < 5 * expected**0.5
    assert abs(bits.mean() / (8 * len(data)) - 0.5) < 5 / (12 * len(bits)) ** 0.5
    gaps = np.diff(bits)  # mean and deviation of a geometric distribution are about equal
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.15)
    assert {int(bit) % 8 for bit in bits} == set(range(8))


@pytest.mark.parametrize(("fault", "change"), [("drop", -1), ("duplicate", 1)])
def test_bytes_are_lost_and_duplicated_at_the_rate(fault: str, change: int) -> None:
    data = np.random.default_rng(5).integers(0, 256, 200_000, np.uint8).tobytes()
    done: Counter[str] = Counter()
    found = FaultInjector(parse_chaos(f"2:{fault}=1e-3"), "in", done).carry(data)
    assert abs(done[fault] - 200) < 5 * 200**0.5
    assert len(joined(found)) == len(data) + change * done[fault]


def test_every_byte_is_duplicated_or_lost_at_rate_one() -> None:
    assert joined(crossed(Chaos(duplicate=1), b"abc")) == b"aabbcc"
    assert joined(crossed(Chaos(drop=1), b"abc")) == b""
    assert joined(crossed(Chaos(flip=1), b"\x0f\xff")) == b"\xf0\x00"
    assert joined(crossed(Chaos(drop=1, duplicate=1), b"abc")) == b""  # one fault per byte


def test_a_byte_overtakes_the_one_before_it_even_in_the_next_write() -> None:
    done: Counter[str] = Counter()
    injector = FaultInjector(Chaos(4, reorder=0.02), "out", done)
    data = bytes(range(1, 200))
    found = b"".join(joined(injector.carry(data[at : at + 1])) for at in range(len(data)))
    assert done["reorder"] > 0
    assert sorted(found) == list(data)
    swapped = sum(a > b for a, b in pairwise(found))
    assert swapped == done["reorder"]


@given(st.lists(st.integers(0, 900), max_size=12), st.integers(0, 50))
@example([100], 27)  # between a delimiter and a byte, both with a fault
def test_a_seed_does_the_same_however_the_bytes_are_split(cuts: list[int], seed: int) -> None:
    chaos = Chaos(seed, 1e-3, *[0.01] * 4, *[0.05] * 4)
    data = (b"some frame of bytes" + bytes(1)) * 45
    whole, parts = crossed(chaos, data), crossed(chaos, data, cuts)
    assert joined(whole) == joined(parts)
    events = [[part for part in found if isinstance(part, Event)] for found in (whole, parts)]
    assert events[0] == events[1]


def test_seeds_and_directions_differ() -> None:
    data = bytes(5_000)
    ways = [
        FaultInjector(Chaos(seed, flip=1e-3), where, Counter())
        for seed in (1, 2)
        for where in ("out", "in")
    ]
    assert len({joined(injector.carry(data)) for injector in ways}) == 4


def test_boot_text_is_injected_inwards_and_other_programs_outwards() -> None:
    board = FaultInjector(Chaos(1, inject=1), "in", Counter())
    host = FaultInjector(Chaos(1, inject=1), "out", Counter())
    for injector, texts in ((board, BOOT_TEXT), (host, OTHER_PROGRAMS)):
        found = joined(injector.carry(FRAME))
        assert found.startswith(FRAME)
        assert found[len(FRAME) :] in texts


def test_an_old_frame_is_replayed_undamaged() -> None:
    done: Counter[str] = Counter()
    injector = FaultInjector(Chaos(1, replay=1), "in", done)
    assert joined(injector.carry(FRAME)) == FRAME * 2
    found = joined(injector.carry(b"other\0"))
    assert found in (b"other\0" + FRAME, b"other\0" * 2)
    assert done["replay"] == 2


def test_a_delay_keeps_the_order() -> None:
    inner = loop()
    link = ChaosLink(inner, Chaos(1, delay=0.2, delay_s=1.0))
    data = bytes(range(100))
    link.write(data)
    at_once = link.read(Deadline(0.0, inner.clock))
    assert len(at_once) < len(data)
    assert at_once + read_all(link, 60) == data
    assert link.injected["delay"] > 5


def test_a_freeze_loses_nothing() -> None:
    inner = loop()
    link = ChaosLink(inner, Chaos(1, freeze=1, freeze_s=3))
    link.write(FRAME)  # arrives, and then the line is frozen
    link.write(FRAME)
    assert link.read(Deadline(2.9, inner.clock)) == b""
    assert inner.now == 2.9
    assert read_all(link, 20) == FRAME * 2


def test_a_cut_is_a_pulled_cable_until_it_is_plugged_in_again() -> None:
    inner = loop()
    link = ChaosLink(inner, Chaos(1, cut=1, cut_s=5))
    with pytest.raises(LinkError, match="port loop vanished"):
        link.write(FRAME)
    inner.arrive(b"said meanwhile\0")
    inner.now = 4.9
    with pytest.raises(LinkError):
        link.read(Deadline.after(1, inner.clock))
    with pytest.raises(LinkError):  # as when the port is opened again too soon
        ChaosLink(inner, link.state.chaos, state=link.state)
    inner.now = 5.1
    again = ChaosLink(inner, link.state.chaos, state=link.state)
    assert read_all(again, 1) == b""
    again.write(b"no delimiter, no frame")
    assert read_all(again, 1) == b"no delimiter, no frame"
    assert again.injected == {"cut": 1}


def test_a_reset_without_a_callback_is_not_counted() -> None:
    resets: list[float] = []
    inner = loop()
    link = ChaosLink(inner, Chaos(1, reset=1), reset=lambda: resets.append(inner.now))
    link.write(FRAME)
    assert (len(resets), link.injected) == (1, {"reset": 1})
    without = ChaosLink(loop(), Chaos(1, reset=1))
    without.write(FRAME)
    assert without.injected == {}


def test_other_calls_go_to_the_inner_link() -> None:
    inner = loop()
    link = ChaosLink(inner, Chaos())
    link.set_baud(9600)
    assert (link.name, link.baud, inner.baud) == ("loop", 9600, 9600)
    link.close()
    assert inner.closed


def test_a_seed_alone_is_the_mixture_of_all_faults() -> None:
    assert parse_chaos("7") == mixture(7)
    assert all(getattr(mixture(7), name) > 0 for name in FAULTS)


def test_text_form() -> None:
    chaos = parse_chaos("7:flip=1e-4, drop=1e-5,cut_s=60")
    assert chaos == Chaos(7, flip=1e-4, drop=1e-5, cut_s=60)
    assert parse_chaos(str(chaos)) == chaos
    assert parse_chaos("3:") == Chaos(3)
    assert parse_chaos(str(mixture(5))) == mixture(5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x", "'x' is not a whole number"),
        ("7:flap=1", "'flap=1' is not a fault; known: cut, cut_s"),
        ("7:flip", "'flip' is not a fault"),
        ("7:seed=1", "is not a fault"),
        ("7:flip=often", "'often' is not a number"),
        ("7:flip=2", "flip=2.0 is not a probability"),
        ("7:flip=nan", "flip=nan is not a probability"),
        ("7:cut_s=-1", "cut_s=-1.0 is not a duration; use seconds"),
        ("7:cut_s=inf", "cut_s=inf is not a duration; use seconds"),
    ],
)
def test_an_invalid_text_form_is_an_error_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_chaos(text)


def test_a_rare_fault_costs_almost_nothing() -> None:
    """The distance to the next fault is drawn, not a number for each of 8 million bits."""
    injector = FaultInjector(Chaos(1, *[1e-12] * 5), "out", Counter())
    drawn = {name: luck.getstate() for name, luck in injector._luck.items()}
    assert injector.carry(bytes(1_000_000)) == [bytes(1_000_000)]
    assert {name: luck.getstate() for name, luck in injector._luck.items()} == drawn
    assert set(BYTES) <= set(injector._next)
