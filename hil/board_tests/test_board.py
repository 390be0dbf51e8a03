# SPDX-License-Identifier: Apache-2.0
"""What any board that runs this firmware does, attached or emulated."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from hil.bench.inputs import Inputs, taken_by
from hil.bench.lab import check_image
from hil.compare.limits import exceeded, metrics
from hil.device import Device
from hil.firmware import installed_tree
from hil.link import Deadline
from hil.pytest_plugin.bench import HilBench
from hil.runs.agreement import unexpected
from hil.runs.schema import SCHEMA
from hil.runs.summary import Summary
from hil.wire.frames import OVERHEAD, Decoder, Frame
from hil.wire.messages import ErrorCode, Kind

pytestmark = pytest.mark.hil
T = TypeVar("T")
Record = Callable[[str, object], None]

GOLDEN = installed_tree() / "firmware" / "golden" / "wire.json"
VECTORS = json.loads(GOLDEN.read_text("utf-8"))


def known(value: T | None) -> T:
    assert value is not None
    return value


def playable(vector: dict[str, Any]) -> bool:
    """Whether it ends with a delimiter, is short enough for every board and gets a reply."""
    whole = vector["stream"].endswith("00") and len(vector["stream"]) < 400
    named = {event.get("name") for event in vector["events"]}
    return bool(whole and vector["events"] and "OVERSIZE" not in named)


STREAMS = [pytest.param(v, id=v["name"]) for v in VECTORS["streams"] if playable(v)]


def exchange(device: Device, stream: bytes, count: int) -> list[Frame]:
    """The ``count`` frames that answer ``stream``; the line must be quiet before and after."""
    deadline, decoder = Deadline.after(device.timing.reply), Decoder()
    device.link.write(stream)
    got: list[Frame] = []
    while len(got) < count and (data := device.link.read(deadline)):
        for frame in decoder.feed(data):
            assert isinstance(frame, Frame)
            got.append(frame)
    return got


def test_hello_names_the_models_by_hash(
    hil_bench: HilBench, hil_device: Device, record_property: Record
) -> None:
    hello = hil_device.hello()
    check_image(hello, hil_bench.image)
    assert hello.protocol == VECTORS["protocol"]
    for case, model in zip(hil_bench.cases, hello.models, strict=True):
        assert (model.input, model.output) == (case.network.graph.input, case.network.graph.output)
        record_property(f"{case.key}/sha256", model.sha256)
    record_property("board", hello.board)
    record_property("firmware", hello.firmware)
    record_property("toolchain", hello.toolchain)


def test_golden_hello_request_is_answered(hil_device: Device) -> None:
    (request,) = (v for v in VECTORS["frames"] if v["name"] == "hello request")
    (reply,) = exchange(hil_device, bytes.fromhex(request["encoded"]), 1)
    assert (reply.type, reply.seq, reply.version) == (0x81, request["seq"], VECTORS["protocol"])


@pytest.mark.parametrize("vector", STREAMS)
def test_golden_streams_are_answered(hil_device: Device, vector: dict[str, Any]) -> None:
    events, stream = vector["events"], bytes.fromhex(vector["stream"])
    largest = hil_device.hello().max_payload + OVERHEAD
    blocks = [block for block in stream.split(b"\0") if block]
    assert len(blocks) == len(events)
    replies = exchange(hil_device, stream, len(events))
    assert len(replies) == len(events)
    for event, block, reply in zip(events, blocks, replies, strict=True):
        code = reply.payload[0]
        if len(block) - 1 > largest:  # a network with a small input has a small buffer
            assert (reply.type, reply.seq, code) == (Kind.ERROR, 0, ErrorCode.OVERSIZE)
            continue
        if event["event"] == "error":
            assert (reply.type, reply.seq, code) == (Kind.ERROR, 0, ErrorCode.FRAME)
            continue
        assert reply.seq == event["seq"]
        if event["version"] != VECTORS["protocol"]:
            assert (reply.type, code) == (Kind.ERROR, ErrorCode.VERSION)
        elif event["type"] == Kind.HELLO and not event["payload"]:
            assert reply.type == Kind.HELLO.reply
        else:
            assert reply.type == Kind.ERROR
            assert code not in (ErrorCode.FRAME, ErrorCode.OVERSIZE)


def test_outputs_are_as_expected(hil_bench: HilBench, record_property: Record) -> None:
    rows = hil_bench.run()
    for row in rows:
        record_property(f"{row.key}/differing_oracle", known(row.agreement).differing_oracle)
        record_property(f"{row.key}/differing_litert", known(row.agreement).differing_litert)
    assert [row.n for row in rows] == [len(hil_bench.plan.data)] * len(hil_bench.cases)
    assert unexpected(hil_bench.manifest, Summary(schema=SCHEMA, runs=rows)) == []


def test_accuracy_is_within_the_hosts_interval(
    hil_bench: HilBench, record_property: Record
) -> None:
    """Or the figure of another task, which a network of your own may have; some have none."""
    for row in hil_bench.run():
        scores = {"accuracy": row.accuracy, "auc": row.auc, "rmse": row.rmse, "mse": row.mse}
        for name, found in scores.items():
            host = row.intervals.get(f"{name}.host")
            if not found or found.device is None or host is None:
                continue
            record_property(f"{row.key}/{name}", found.device)
            record_property(f"{row.key}/{name}_host", found.host)
            assert host.low <= found.device <= host.high


def test_time_and_memory_are_within_limits(hil_bench: HilBench, record_property: Record) -> None:
    missing, broken = [], []
    for row in hil_bench.run():
        for name, value in metrics(row).items():
            record_property(f"{row.key}/{name}", value)
        record_property(f"{row.key}/time_unit", row.time.unit)
        limits = hil_bench.limits.get(row.key)
        if limits is None:
            missing.append(f'["{row.key}"] (measured: {metrics(row)})')
        else:
            broken += exceeded(row, limits)
    assert not broken
    if missing:
        pytest.skip(f"limits.toml has no {'; '.join(missing)}")


def test_the_clocks_in_hello_tick(hil_device: Device, record_property: Record) -> None:
    hello, steps = hil_device.hello(), hil_device.clock_steps()
    assert steps is not None
    record_property("clock steps", str(steps))
    assert bool(steps.micros) == hello.has_micros
    assert bool(steps.ticks) == bool(hello.tick_hz)
    if steps.ticks:  # the resolution is limited by the loop that reads it, which is short
        assert steps.ticks / hello.tick_hz < 1e-3


def test_reset_is_survived(hil_bench: HilBench, hil_device: Device) -> None:
    inputs = Inputs(hil_bench.plan.data, taken_by(hil_bench.plan.networks[0]))
    encoding, first = inputs.encoding, inputs[0]
    (before,) = hil_device.infer(0, encoding, [first])
    assert hil_device.status().inferences > 0
    check_image(hil_bench.reset(), hil_bench.image)
    assert hil_bench.device.status().inferences == 0, "the board was not restarted"
    (after,) = hil_bench.device.infer(0, encoding, [first])
    assert after.result.output == before.result.output


def test_a_board_answers_after_changes_of_its_rate(
    hil_bench: HilBench, hil_device: Device, record_property: Record
) -> None:
    """Also if the firmware does not know BAUD: it refuses, and both ends keep the rate."""
    record_property("baud", hil_device.speed_up(hil_bench.board.serial.faster or (921_600,)))
    check_image(hil_device.hello(), hil_bench.image)
    hil_device.slow_down()
    check_image(hil_device.hello(), hil_bench.image)
    assert hil_device.link.baud == hil_bench.board.serial.baud
