# SPDX-License-Identifier: Apache-2.0
"""Ptys that are as slow as a line, or as bad as one."""

import time

import pytest

from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.link.chaos import ChaosLink
from hil.link.faults import Chaos
from hil.link.serial_port import SerialLink
from hil.testing.lines import BITS, PacedBytes, disturbed, paced
from tests.support.device import HELLO
from tests.support.ptys import RealTimeLink

BYTE = 0.001


def test_bytes_come_out_when_their_last_bit_has_crossed() -> None:
    line = PacedBytes(BYTE)
    line.put(b"abc", 5.0)
    assert line.due(5.0009) == b""
    assert line.due(5.0011) == b"a"
    line.put(b"de", 5.002)  # behind the others
    assert line.due(5.0035) == b"bc"
    assert line.ahead(5.0035) == pytest.approx(0.0015)
    assert line.due(9.0) == b"de"
    line.put(b"f", 9.0)
    assert line.due(9.0005) == b""
    assert line.due(9.0015) == b"f"


@pytest.mark.usefixtures("patient")
def test_a_host_over_the_pty_is_as_slow_as_the_line() -> None:
    with paced(RealTimeLink(), 115200) as link:
        device = Device(link, Timing(boot=30, reply=30))
        assert device.hello() == HELLO
        sent, started = device.bytes_out, time.monotonic()
        values = [bytes([i, 1, 2, 3]) for i in range(1, 41)]
        answers = list(device.infer(0, Encoding.INT8, values, window=4))
        seconds = time.monotonic() - started
    assert [answer.result.output for answer in answers] == [value[:2] for value in values]
    assert device.retries == 0
    assert seconds >= (device.bytes_out - sent) * BITS / 115200


def test_a_program_gets_its_answers_through_a_disturbed_pty() -> None:
    chaos = ChaosLink(RealTimeLink(), Chaos(5, flip=2e-4, duplicate=1e-3, replay=0.05))
    with disturbed(chaos) as port:
        link = SerialLink(port)
        device = Device(link, Timing(boot=30, reply=30))
        assert device.hello() == HELLO
        values = [bytes([i, 1, 2, 3]) for i in range(1, 201)]
        answers = list(device.infer(0, Encoding.INT8, values, window=4))
        link.close()
    assert [answer.result.output for answer in answers] == [value[:2] for value in values]
    assert chaos.injected["flip"] > 0
    assert chaos.injected["replay"] > 0


def test_a_cable_that_is_out_is_silent() -> None:
    chaos = ChaosLink(RealTimeLink(), Chaos(1, cut=1, cut_s=1000))
    with disturbed(chaos) as port:
        link = SerialLink(port)
        device = Device(link, Timing(boot=0.5, reply=1))
        link.write(b"end of a frame\0")
        assert link.read(device.timing.deadline(0.2)) == b""
        link.write(b"and no error\0")
        assert link.read(device.timing.deadline(0.1)) == b""
        link.close()
    assert chaos.injected == {"cut": 1}
