# SPDX-License-Identifier: Apache-2.0
"""Deadlines, and what a link can do besides moving bytes."""

import time
from collections.abc import Callable

import pytest

from hil.link import Clocked, Deadline, Link, Resettable, clock_of
from hil.link.chaos import ChaosLink, parse_chaos
from hil.link.serial_port import SerialLink
from hil.testing.board import FakeBoard, FakeLink
from hil.testing.lines import PacedLink
from tests.support.device import HELLO


def fake() -> FakeLink:
    return FakeLink(FakeBoard(HELLO, lambda _model, values: values))


@pytest.mark.parametrize(
    ("make", "clocked", "resettable"),
    [
        (fake, True, True),
        (lambda: PacedLink(fake().board), True, False),
        (lambda: ChaosLink(fake(), parse_chaos("1:flip=0")), True, False),
        (lambda: SerialLink("loop://"), False, False),
    ],
    ids=["fake", "paced", "chaos", "serial"],
)
def test_a_link_shows_its_capabilities_by_protocol(
    make: Callable[[], Link], clocked: bool, resettable: bool
) -> None:
    link = make()
    assert isinstance(link, Clocked) is clocked
    assert isinstance(link, Resettable) is resettable
    link.close()


def test_a_deadline_uses_the_clock_of_a_link_that_simulates_time() -> None:
    link = fake()
    link.now = 7.0
    assert clock_of(link)() == 7.0
    deadline = Deadline.after(2, clock_of(link))
    assert (deadline.at, deadline.remaining, deadline.expired) == (9.0, 2.0, False)
    link.now = 9.5
    assert (deadline.remaining, deadline.expired) == (0.0, True)
    assert clock_of(object()) is time.monotonic


def test_the_sooner_of_two_moments_counts() -> None:
    deadline = Deadline(5.0, lambda: 1.0)
    assert deadline.sooner(3).at == 4.0
    assert deadline.sooner(9).at == 5.0
