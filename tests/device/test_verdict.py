# SPDX-License-Identifier: Apache-2.0
"""Each kind of bad line gets its own words, on a scripted line without waiting."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import HilError, LineHopeless, NoAnswer
from hil.core.records import DType, Encoding, TensorSpec
from hil.device import Device, Timing
from hil.device.verdict import Evidence, Outcome, bit_error_rate, verdict
from hil.link import Link
from hil.link.chaos import Chaos, ChaosLink
from hil.testing.board import FakeBoard, FakeLink, drop
from hil.testing.filters import EchoLink, FilteredLink, SharedLink, ShortBuffer, Thief
from hil.wire.translations import TRANSLATIONS, named
from tests.support.device import HELLO, MODEL

INPUTS = 1200
WIDE = replace(
    HELLO,
    max_payload=4096,
    models=(replace(MODEL, input=TensorSpec(DType.INT8, (1, INPUTS), 1 / 256, -128)),),
)
CABLE = "check the cable"


def board(faults: object = ()) -> FakeLink:
    return FakeLink(FakeBoard(WIDE, lambda _model, values: values[:2], faults=faults))  # type: ignore[arg-type]


def failure(link: Link, clock: Callable[[], float]) -> HilError:
    """How a bench of 40 samples fails: HELLO, then inferences with all bytes."""
    device = Device(link, Timing(boot=10, reply=5, clock=clock), number=1)
    luck = random.Random(4)
    samples = [bytes(luck.randrange(256) for _ in range(INPUTS)) for _ in range(40)]
    samples[3] = b"\r\n" + samples[3][2:]  # the board answers with the first two bytes
    try:
        device.hello()
        list(device.infer(0, Encoding.INT8, samples))
    except HilError as problem:
        return problem
    raise AssertionError("it does not fail")


@pytest.mark.parametrize("name", [one.name for one in TRANSLATIONS])
def test_a_translation_on_the_way_to_the_board(name: str) -> None:
    inner = board()
    said = failure(FilteredLink(inner, out=named(name).forward), inner.clock)
    assert isinstance(said, LineHopeless)
    assert "on the way to the board" in said.what
    assert CABLE not in str(said)
    words = {
        "xon-xoff": "swallows the bytes 0x11 and 0x13 (XON/XOFF",
        "seven-bits": "carries seven bits: bit 7 of each byte is cleared",
        "telnet": "doubles the byte 0xFF, as telnet does",
        "lf-to-crlf": "0x0A does not arrive as it was sent",
        "lf-to-cr": "0x0A does not arrive as it was sent",
        "cr-to-lf": "0x0D does not arrive as it was sent",
        "no-cr": "0x0D does not arrive as it was sent",
    }
    assert words[name] in said.what


@pytest.mark.parametrize("name", [one.name for one in TRANSLATIONS])
def test_a_translation_on_the_way_from_the_board(name: str) -> None:
    inner = board()
    said = failure(FilteredLink(inner, back=named(name).forward), inner.clock)
    assert isinstance(said, LineHopeless)
    assert named(name).what in said.what
    assert "on the way from the board" in said.what
    assert said.hint == named(name).hint


@pytest.mark.parametrize("room", [64, 256, 700])
def test_a_receive_buffer_that_is_too_short(room: int) -> None:
    inner = board()
    said = failure(FilteredLink(inner, out=ShortBuffer(room)), inner.clock)
    assert isinstance(said, LineHopeless)
    assert "a receive buffer of about " in said.what
    found = int(said.what.partition("a receive buffer of about ")[2].split()[0].replace(",", ""))
    assert abs(found - room) <= 8
    assert "enlarge the receive buffer" in said.hint
    assert "1,22" in said.hint or "1,21" in said.hint  # the longest request


@pytest.mark.parametrize("rate", [1e-3, 3e-3])
def test_damage_that_grows_with_length(rate: float) -> None:
    inner = board()
    said = failure(ChaosLink(inner, Chaos(5, flip=rate), clock=inner.clock), inner.clock)
    assert isinstance(said, LineHopeless)
    assert "damage grows with length" in said.what
    one_in = int(said.what.partition("as if one bit in ")[2].split()[0].replace(",", ""))
    assert 0.2 / rate < one_in < 5 / rate
    assert "lower the baud rate" in said.hint


def test_an_echo_without_a_board() -> None:
    inner = board()
    said = failure(EchoLink(inner, alone=True), inner.clock)
    assert isinstance(said, NoAnswer)
    assert "the port sends back what the host sends" in said.what
    assert "TX and RX are not joined" in said.hint


def test_an_echo_beside_a_board_is_survived() -> None:
    inner = board()
    device = Device(EchoLink(inner), Timing(boot=3, reply=1, clock=inner.clock), number=1)
    device.hello()
    assert len(list(device.infer(0, Encoding.INT8, [bytes(INPUTS)] * 3))) == 3


def test_another_program_on_the_port() -> None:
    inner = board()
    link = SharedLink(inner, back=Thief(1, 1), programs=("screen (process 1234)",))
    said = failure(link, inner.clock)
    assert isinstance(said, NoAnswer)
    assert "screen (process 1234) also has the port open and takes bytes from it" in said.what
    assert "close it" in said.hint


def test_another_program_is_named_beside_a_certain_cause() -> None:
    inner = board()
    back = named("lf-to-crlf").forward
    said = failure(SharedLink(inner, back=back, programs=("agetty (process 7)",)), inner.clock)
    assert "0x0A arrives as 0x0D 0x0A" in said.what
    assert "agetty (process 7) also has the port open" in said.what


def test_without_a_cause_the_old_words_remain() -> None:
    inner = board(faults=[None, *[drop] * 10_000])
    said = failure(inner, inner.clock)
    assert isinstance(said, NoAnswer)
    assert CABLE in said.hint


def test_probes_take_seconds_at_most() -> None:
    inner = board(faults=[None, *[drop] * 10_000])
    device = Device(inner, Timing(boot=3, reply=1, clock=inner.clock), number=1)
    device.hello()
    began = inner.clock()
    with pytest.raises(NoAnswer):
        list(device.infer(0, Encoding.INT8, [bytes(INPUTS)]))
    assert inner.clock() - began < 5 * 1 + 0.6


# --- the pure function ---


def outcomes(luck: random.Random, rate: float, lengths: list[int]) -> tuple[Outcome, ...]:
    return tuple(Outcome(n, "", luck.random() < (1 - rate) ** (8 * (n + 28))) for n in lengths)


@given(st.integers(0, 10_000), st.sampled_from([3e-5, 1e-4, 1e-3]))
@settings(max_examples=30)
def test_the_bit_error_rate_is_found(seed: int, rate: float) -> None:
    sizes = [32, 64, 128, 256, 512, 1024, 2048, 4096] * 40
    found = bit_error_rate(outcomes(random.Random(seed), rate, sizes))
    assert found is not None
    assert rate / 2 < found < rate * 2


@given(st.integers(40, 2000), st.integers(0, 1000))
def test_a_sharp_limit_is_a_buffer_and_nothing_else(room: int, seed: int) -> None:
    luck = random.Random(seed)
    sizes = [32] * 3 + [luck.randrange(32, 4096) for _ in range(20)] + [room] * 4 + [room + 4] * 4
    found = verdict(Evidence(tuple(Outcome(n, "", n <= room) for n in sizes), longest=4096))
    assert found
    assert found.code == "receive-buffer"
    assert f"about {room:,} bytes" in found.what


@given(st.integers(0, 300))
def test_a_line_on_which_everything_passes_has_no_fault(seed: int) -> None:
    luck = random.Random(seed)
    kinds = ["", "", "", "xon", "lf", "cr", "ff", "high"]
    probes = tuple(Outcome(luck.randrange(30, 2000), luck.choice(kinds), True) for _ in range(30))
    assert verdict(Evidence(probes, replies=30)) is None


@given(
    st.lists(
        st.builds(
            Outcome,
            st.integers(1, 9000),
            st.sampled_from(["", "xon", "lf", "cr", "ff", "high"]),
            st.booleans(),
        ),
        max_size=60,
    ),
    st.lists(st.binary(max_size=40), max_size=5),
    st.integers(0, 3),
)
def test_any_evidence_is_judged(probes: list[Outcome], heard: list[bytes], echoes: int) -> None:
    found = verdict(Evidence(tuple(probes), tuple(heard), echoes=echoes))
    assert found is None or (found.what and found.hint)
