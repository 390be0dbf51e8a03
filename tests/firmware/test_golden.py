# SPDX-License-Identifier: Apache-2.0
"""The golden vectors, checked with the cobs package and zlib instead of our own code."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from cobs import cobs

GOLDEN = Path(__file__).parents[2] / "firmware" / "golden" / "wire.json"
VECTORS: dict[str, Any] = json.loads(GOLDEN.read_text("utf-8"))
OVERHEAD = 8  # header and CRC


def named(items: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(item, id=item["name"]) for item in items]


def parse(raw: bytes) -> tuple[int, int, int, bytes] | None:
    if len(raw) < OVERHEAD or zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        return None
    version, kind, seq = struct.unpack_from("<BBH", raw)
    return version, kind, seq, raw[4:-4]


def events(stream: bytes, max_payload: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for chunk in stream.split(b"\0")[:-1]:
        if not chunk:
            continue
        try:
            raw = cobs.decode(chunk)
        except cobs.DecodeError:
            raw = b""
        if max(len(raw), 0 if raw else len(chunk) - 1) > max_payload + OVERHEAD:
            found.append({"event": "error", "code": 9, "name": "OVERSIZE"})
        elif (frame := parse(raw)) is None:
            found.append({"event": "error", "code": 8, "name": "FRAME"})
        else:
            version, kind, seq, payload = frame
            found.append(
                {"event": "frame", "version": version, "type": kind, "seq": seq}
                | {"payload": payload.hex()}
            )
    return found


@pytest.mark.parametrize("vector", named(VECTORS["frames"]))
def test_a_frame_is_cobs_of_header_payload_and_crc(vector: dict[str, Any]) -> None:
    header = struct.pack("<BBH", VECTORS["protocol"], vector["type"], vector["seq"])
    body = header + bytes.fromhex(vector["payload"])
    raw = body + struct.pack("<I", zlib.crc32(body))
    assert vector["encoded"] == (cobs.encode(raw) + b"\0").hex()
    assert vector["direction"] == ("reply" if vector["type"] & 0x80 else "request")


@pytest.mark.parametrize("vector", named(VECTORS["streams"]))
def test_a_stream_gives_these_events(vector: dict[str, Any]) -> None:
    assert events(bytes.fromhex(vector["stream"]), vector["max_payload"]) == vector["events"]


def test_names_are_unique() -> None:
    names = [v["name"] for part in ("frames", "streams", "packed") for v in VECTORS[part]]
    assert len(names) == len(set(names))
