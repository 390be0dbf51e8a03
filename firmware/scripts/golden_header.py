# SPDX-License-Identifier: Apache-2.0
"""golden/wire.json and golden/mlperf.json beside it -> golden.h, for the firmware's unit tests:
`golden_header.py OUT WIRE_JSON`."""

import json
import sys
from pathlib import Path

KINDS = {"frame": "HIL_DECODE_FRAME", "FRAME": "HIL_DECODE_BAD", "OVERSIZE": "HIL_DECODE_OVERSIZE"}


def c_bytes(hexadecimal):
    """A C string of these bytes, so that an empty one is legal too."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in bytes.fromhex(hexadecimal)) + '"'


def c_text(text):
    return json.dumps(text)


def frame(vector):
    size = len(vector["payload"]) // 2
    encoded = len(vector["encoded"]) // 2
    return (
        f"    {{{c_text(vector['name'])}, {int(vector['direction'] == 'reply')}, "
        f"{vector['type']}, {vector['seq']}, {c_bytes(vector['payload'])}, {size}u, "
        f"{c_bytes(vector['encoded'])}, {encoded}u}},"
    )


def event(found):
    kind = KINDS[found.get("name", "frame")]
    payload = found.get("payload", "")
    return (
        f"    {{{kind}, {found.get('version', 0)}, {found.get('type', 0)}, "
        f"{found.get('seq', 0)}, {c_bytes(payload)}, {len(payload) // 2}u}},"
    )


def packed(vector):
    return (
        f"    {{{c_text(vector['name'])}, {vector['size']}u, {vector['wanted']}u, "
        f"{c_bytes(vector['packed'])}, {len(vector['packed']) // 2}u, "
        f"{int(vector['unpacked'] is None)}, {c_bytes(vector['unpacked'] or '')}}},"
    )


def step(found):
    reply = "".join(f"{line}\r\n" for line in found["reply"])
    send = c_bytes(found["send"].encode().hex())
    return f"    {{{c_text(found['name'])}, {send}, {c_text(reply)}}},"


def header(golden, dialogue):
    frames = [frame(vector) for vector in golden["frames"]]
    events, streams = [], []
    for vector in golden["streams"]:
        streams.append(
            f"    {{{c_text(vector['name'])}, {vector['max_payload']}u, "
            f"{c_bytes(vector['stream'])}, {len(vector['stream']) // 2}u, "
            f"{len(events)}u, {len(vector['events'])}u}},"
        )
        events += [event(found) for found in vector["events"]]
    return "\n".join(
        [
            "/* Made of golden/wire.json and golden/mlperf.json by scripts/golden_header.py. */",
            "#ifndef GOLDEN_H",
            "#define GOLDEN_H",
            '#include "golden_types.h"',
            "static const golden_frame_t golden_frames[] = {",
            *frames,
            "};",
            "static const golden_event_t golden_events[] = {",
            *events,
            "};",
            "static const golden_stream_t golden_streams[] = {",
            *streams,
            "};",
            "static const golden_packed_t golden_packed[] = {",
            *map(packed, golden["packed"]),
            "};",
            "static const golden_step_t golden_steps[] = {",
            *map(step, dialogue["steps"]),
            "};",
            "#endif",
            "",
        ]
    )


def main(out, wire_json):
    beside = Path(wire_json).with_name("mlperf.json")
    both = (json.loads(path.read_text("utf-8")) for path in (Path(wire_json), beside))
    text = header(*both)
    target = Path(out) / "golden.h"
    if target.is_file() and target.read_text("utf-8") == text:
        return
    temporary = target.with_suffix(".tmp")
    temporary.write_text(text, "utf-8")
    temporary.replace(target)


main(*sys.argv[1:])
