# SPDX-License-Identifier: Apache-2.0
"""Another program's port, disturbed: what it asks is answered all the same."""

from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.link.chaos import Chaos, ChaosLink
from hil.link.serial_port import SerialLink
from hil.testing.lines import disturbed
from tests.link.test_paced_pty import Far
from tests.support.device import HELLO


def test_a_program_gets_its_answers_through_a_disturbed_pty() -> None:
    chaos = ChaosLink(Far(), Chaos(5, flip=2e-4, duplicate=1e-3, replay=0.05))
    with disturbed(chaos) as port:
        link = SerialLink(port)
        device = Device(link, Timing(boot=30, reply=30))
        assert device.hello() == HELLO
        values = [bytes([i, 1, 2, 3]) for i in range(1, 201)]
        answers = list(device.infer(0, Encoding.INT8, values, window=4))
        link.close()
    assert [answer.result.output for answer in answers] == [value[:2] for value in values]
    assert chaos.done["flip"] > 0
    assert chaos.done["replay"] > 0


def test_a_cable_that_is_out_is_silence() -> None:
    chaos = ChaosLink(Far(), Chaos(1, cut=1, cut_s=1000))
    with disturbed(chaos) as port:
        link = SerialLink(port)
        device = Device(link, Timing(boot=0.5, reply=1))
        link.write(b"end of a frame\0")
        assert link.read(device.timing.deadline(0.2)) == b""
        link.write(b"and nobody fails\0")
        assert link.read(device.timing.deadline(0.1)) == b""
        link.close()
    assert chaos.done == {"cut": 1}
