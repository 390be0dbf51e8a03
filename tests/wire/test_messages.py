# SPDX-License-Identifier: Apache-2.0
"""Messages: which payloads are read, and which are malformed."""

import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.records import ClockSteps, DType, Encoding, Hello, Status, TensorSpec
from hil.testing.board import pack_hello
from hil.wire.frames import Frame, check_of, decode, encode
from hil.wire.messages import (
    INPUT_LAYER,
    ErrorCode,
    Kind,
    Lap,
    Malformed,
    Piece,
    Profile,
    Rate,
    Refusal,
    Repeated,
    Reply,
    Result,
    StateReset,
    baud_request,
    clock_request,
    infer_request,
    layers_request,
    parse_reply,
    profile_request,
    repeat_request,
    reset_request,
)
from hil.wire.packbits import pack


def text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def tensor(dtype: int, *dims: int) -> bytes:
    return struct.pack(f"<BB{len(dims)}Ifi", dtype, len(dims), *dims, 0.5, -128)


MODEL = text(b"student") + text(b"aot") + bytes(range(32))
MODEL += tensor(9, 1, 28, 28, 1) + tensor(9, 1, 10) + struct.pack("<II", 1400, 22000)
HELLO = struct.pack("<BBBBII", 1, 1, 4, 1, 792, 25_000_000)
HELLO += text(b"mps2") + text(b"0.1.0") + text(b"gcc 12.2") + MODEL


def test_hello() -> None:
    hello = parse_reply(Frame(Kind.HELLO.reply, 0, HELLO))
    assert isinstance(hello, Hello)
    assert (hello.board, hello.window, hello.max_payload) == ("mps2", 4, 792)
    (model,) = hello.models
    assert model.input == TensorSpec(DType.INT8, (1, 28, 28, 1), 0.5, -128)
    assert model.sha256 == bytes(range(32)).hex()
    assert (model.arena, model.flash) == (1400, 22000)


@pytest.mark.parametrize("cut", range(len(HELLO)))
def test_hello_cut_short_is_malformed(cut: int) -> None:
    assert isinstance(parse_reply(Frame(Kind.HELLO.reply, 0, HELLO[:cut])), Malformed)


def test_hello_with_a_tail_is_malformed() -> None:
    assert isinstance(parse_reply(Frame(Kind.HELLO.reply, 0, HELLO + b"\0")), Malformed)


def test_strings_of_a_board_are_printable() -> None:
    evil = struct.pack("<BBBBII", 1, 0, 0, 0, 0, 0) + text(b"\x1b[31mred\n") + text(b"") + text(b"")
    hello = parse_reply(Frame(Kind.HELLO.reply, 0, evil))
    assert isinstance(hello, Hello)
    assert hello.board.isprintable()
    assert hello.window == 1


def test_result_and_wrapped_ticks() -> None:
    payload = struct.pack("<BBHII", 1, 9, 0, 0, 0xFFFFFFFF) + b"\x01\x02"
    assert parse_reply(Frame(Kind.INFER.reply, 3, payload)) == Result(
        1, DType.INT8, 0, None, b"\x01\x02"
    )


def test_status_and_error() -> None:
    status = parse_reply(Frame(Kind.STATUS.reply, 0, struct.pack("<9I", *range(9))))
    assert status == Status(*range(9))
    unknown = parse_reply(Frame(Kind.STATUS.reply, 0, struct.pack("<9I", *[0xFFFFFFFF] * 9)))
    assert isinstance(unknown, Status)
    assert unknown.heap_used is None  # that field alone
    assert unknown.uptime_ms == 0xFFFFFFFF
    error = parse_reply(Frame(Kind.ERROR, 0, struct.pack("<BBHII", 6, 2, 0, 108_160, 90_148)))
    assert error == Refusal(6, 2, 108_160, 90_148)


def test_infer_layout() -> None:
    frame = infer_request(9, 1, Encoding.PIXELS, b"\xff")
    assert (frame.type, frame.seq, frame.payload) == (2, 9, b"\x01\x01\0\0\xff")


def golden_frames() -> dict[str, bytes]:
    file = Path(__file__).parents[2] / "firmware" / "golden" / "wire.json"
    return {v["name"]: bytes.fromhex(v["encoded"]) for v in json.loads(file.read_text())["frames"]}


def golden_reply(name: str) -> Reply:
    frame = decode(golden_frames()[name][:-1])
    assert isinstance(frame, Frame)
    return parse_reply(frame)


def test_a_result_repeats_half_the_crc_of_its_request() -> None:
    for asked, answered in (
        ("infer int8", "result int8, no microseconds"),
        ("infer float32", "result float32, the tick counter wrapped"),
    ):
        request = decode(golden_frames()[asked][:-1])
        assert isinstance(request, Frame)
        body = struct.pack("<BBH", 1, request.type, request.seq) + request.payload
        reply = golden_reply(answered)
        assert isinstance(reply, Result)
        assert reply.check == check_of(request) == zlib.crc32(body) % 65536


def test_layers_are_golden() -> None:
    values = b"\x80\x7f\x00\xff"
    asked = layers_request(23, 0, Encoding.INT8, values, layer=1, offset=2)
    assert encode(asked) == golden_frames()["layers request"]
    assert golden_reply("layers reply") == Piece(
        0, DType.INT8, 1, 2, 3, 2, b"\x7f", check_of(asked)
    )
    beyond = golden_reply("layers reply, nothing beyond the end")
    asked = layers_request(24, 0, Encoding.INT8, values, layer=1, offset=3)
    assert beyond == Piece(0, DType.INT8, 1, 2, 3, 3, b"", check_of(asked))
    assert golden_reply("error LAYER") == Refusal(ErrorCode.LAYER, Kind.LAYERS, 2, 2)


def test_profile_is_golden() -> None:
    asked = profile_request(27, 0, Encoding.INT8, b"\x80\x7f\x00\xff", 1)
    assert encode(asked) == golden_frames()["profile request"]
    laps = (Lap(300, 11_200), Lap(0, None))
    assert golden_reply("profile reply") == Profile(
        0, 1, 3, Lap(700, 25_600), laps, check_of(asked)
    )


@pytest.mark.parametrize(("layer", "layers", "laps"), [(0, 2, 0), (0, 1, 2), (2, 3, 2)])
def test_durations_that_do_not_fit_the_layers_are_malformed(
    layer: int, layers: int, laps: int
) -> None:
    head = struct.pack("<BBHHHII", 0, 0, layer, layers, 0, 7, 7)
    assert isinstance(parse_reply(Frame(Kind.PROFILE.reply, 0, head + bytes(8 * laps))), Malformed)
    assert isinstance(parse_reply(Frame(Kind.PROFILE.reply, 0, head + bytes(7))), Malformed)


@pytest.mark.parametrize(
    ("layer", "layers", "nbytes", "offset"),
    [(2, 2, 3, 0), (0, 1, 2, 0), (0, 1, 3, 1), (0, 1, 0xFFFFFFFF, 0)],
)
def test_a_piece_that_does_not_fit_its_layer_is_malformed(
    layer: int, layers: int, nbytes: int, offset: int
) -> None:
    head = struct.pack("<BBHHHII", 0, 9, layer, layers, 0, nbytes, offset)
    assert isinstance(parse_reply(Frame(Kind.LAYERS.reply, 0, head + b"abc")), Malformed)


def test_the_input_is_read_as_a_layer() -> None:
    head = struct.pack("<BBHHHII", 0, 9, INPUT_LAYER, 0, 0, 3, 0)
    piece = parse_reply(Frame(Kind.LAYERS.reply, 0, head + b"abc"))
    assert piece == Piece(0, DType.INT8, INPUT_LAYER, 0, 3, 0, b"abc")


def test_hello_reports_whether_the_firmware_shows_layers() -> None:
    for flags in range(8):
        hello = parse_reply(Frame(Kind.HELLO.reply, 0, HELLO[:3] + bytes([flags]) + HELLO[4:]))
        assert isinstance(hello, Hello)
        assert (hello.has_micros, hello.has_layers) == (bool(flags & 1), bool(flags & 2))


@pytest.mark.parametrize(
    ("flags", "unpacks", "room"),
    [
        (0, False, 0),
        (4, True, 0),
        (5 << 3, False, 32),
        (13 << 3 | 7, True, 8192),
        (0xFF, True, None),
    ],
)
def test_hello_reports_the_size_of_the_receive_buffer(
    flags: int, unpacks: bool, room: int | None
) -> None:
    hello = parse_reply(Frame(Kind.HELLO.reply, 0, HELLO[:3] + bytes([flags]) + HELLO[4:]))
    assert isinstance(hello, Hello)
    assert (hello.unpacks, hello.room) == (unpacks, room)
    again = parse_reply(Frame(Kind.HELLO.reply, 0, pack_hello(hello)))
    assert again == hello


def test_a_packed_input_is_golden() -> None:
    frame = infer_request(24, 0, Encoding.PIXELS, pack(b"\xff" * 4), packed=True)
    assert encode(frame) == golden_frames()["infer packed pixels"]
    frame = infer_request(25, 0, Encoding.PIXELS, pack(bytes(784)), packed=True)
    assert encode(frame) == golden_frames()["infer a black digit, packed"]


def test_baud_is_golden() -> None:
    assert encode(baud_request(20, 921_600)) == golden_frames()["baud request"]
    assert encode(baud_request(21, 0)) == golden_frames()["baud request, the rate of boot"]
    assert golden_reply("baud reply") == Rate(921_600)
    assert golden_reply("error BAUD") == Refusal(ErrorCode.BAUD, Kind.BAUD, 3_000_000, 0)


def test_clock_is_golden() -> None:
    assert encode(clock_request(23)) == golden_frames()["clock request"]
    assert golden_reply("clock reply") == ClockSteps(micros=1000, ticks=240, reads=77)


def golden_fields(name: str) -> Any:
    file = Path(__file__).parents[2] / "firmware" / "golden" / "wire.json"
    return next(v for v in json.loads(file.read_text())["frames"] if v["name"] == name)["fields"]


MORE = "hello reply with several tensors and state"


def test_a_hello_with_several_tensors_and_state_is_golden() -> None:
    hello = golden_reply(MORE)
    assert isinstance(hello, Hello)
    fields = golden_fields(MORE)["models"]

    def tensors(found: list[dict[str, Any]]) -> list[TensorSpec]:
        return [
            TensorSpec(DType(one["dtype"]), tuple(one["shape"]), one["scale"], one["zero_point"])
            for one in found
        ]

    assert [model.name for model in hello.models] == ["plain", "pair", "counter", "wide"]
    for model, wanted in zip(hello.models, fields, strict=True):
        assert list(model.inputs) == tensors([wanted["input"], *wanted["more_inputs"]])
        assert list(model.outputs) == tensors([wanted["output"], *wanted["more_outputs"]])
        assert model.stateful == wanted["stateful"]
    assert encode(Frame(Kind.HELLO.reply, 1, pack_hello(hello))) == golden_frames()[MORE]
    plain = pack_hello(replace(hello, models=hello.models[:1]))
    assert plain.endswith(tensor_of(hello.models[0].output) + struct.pack("<II", 0, 0))  # as always


def tensor_of(spec: TensorSpec) -> bytes:
    head = struct.pack(f"<BB{len(spec.shape)}I", spec.dtype, len(spec.shape), *spec.shape)
    return head + struct.pack("<fi", spec.scale, spec.zero_point)


@pytest.mark.parametrize("cut", range(1, 58))
def test_a_hello_with_several_tensors_cut_short_is_malformed(cut: int) -> None:
    whole = decode(golden_frames()[MORE][:-1])
    assert isinstance(whole, Frame)
    end = len(whole.payload)
    assert isinstance(parse_reply(replace(whole, payload=whole.payload[: end - cut])), Malformed)


def test_wrong_counts_of_tensors_are_malformed() -> None:
    for tail in (b"\x01\0\0", b"\0\x01\0", b"\xff\0\0", b"\0\0\0\0", b"\0\0"):
        assert isinstance(parse_reply(Frame(Kind.HELLO.reply, 0, HELLO + tail)), Malformed)
    for wrong in (tensor(9), tensor(9, 0), tensor(5, 1), tensor(9, *[1] * 7), tensor(9, 1 << 23)):
        tail = b"\x01" + wrong + b"\0\0"
        assert isinstance(parse_reply(Frame(Kind.HELLO.reply, 0, HELLO + tail)), Malformed)
    good = parse_reply(Frame(Kind.HELLO.reply, 0, HELLO + b"\x01" + tensor(7, 2) + b"\0\0"))
    assert isinstance(good, Hello)
    assert [one.dtype for one in good.models[0].inputs] == [DType.INT8, DType.INT16]


def test_inputs_in_their_own_types_and_steps_are_golden() -> None:
    values = bytes.fromhex(golden_fields("infer several inputs")["input"])
    frame = infer_request(28, 1, Encoding.OWN, values)
    assert encode(frame) == golden_frames()["infer several inputs"]
    reply = golden_reply("result with several outputs")
    output = bytes.fromhex(golden_fields("result with several outputs")["output"])
    assert reply == Result(1, DType.INT8, 0, 1000, output, check_of(frame))
    frame = infer_request(29, 2, Encoding.INT8, b"\x05", sample=258)
    assert encode(frame) == golden_frames()["infer step 258 of a sequence"]
    assert golden_reply("error STEP") == Refusal(ErrorCode.STEP, Kind.INFER, 2, 0)


def test_a_reset_of_the_state_is_golden() -> None:
    assert encode(reset_request(30, 2)) == golden_frames()["reset state request"]
    assert golden_reply("reset state reply") == StateReset()
    assert isinstance(parse_reply(Frame(Kind.RESET_STATE.reply, 30, b"\0")), Malformed)


def test_a_repeated_inference_is_golden() -> None:
    asked = repeat_request(40, 0, Encoding.PIXELS, bytes.fromhex("0080ff07"), 1000)
    assert encode(asked) == golden_frames()["repeat request"]
    output = bytes.fromhex("808778")
    assert golden_reply("repeat reply") == Repeated(
        0, DType.INT8, 1000, 5_000_000_000, 1_200_000_000_000, output, check_of(asked)
    )
    assert golden_reply("repeat reply, stopped early, the tick counter wrapped") == Repeated(
        0, DType.INT8, 7, 0, None, output, check_of(asked)
    )
    assert golden_reply("error REPEAT") == Refusal(ErrorCode.REPEAT, Kind.REPEAT, 0, 65_535)


@pytest.mark.parametrize("count", [0, 65_536])
def test_a_count_of_inferences_out_of_range_is_malformed(count: int) -> None:
    payload = struct.pack("<BBHIQQ", 0, 9, 0, count, 7, 7)
    assert isinstance(parse_reply(Frame(Kind.REPEAT.reply, 0, payload)), Malformed)


@given(
    st.sampled_from([0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0xFF, 0x00]),
    st.binary(max_size=200),
)
def test_no_payload_raises(kind: int, payload: bytes) -> None:
    reply = parse_reply(Frame(kind, 0, payload))
    assert isinstance(reply, Malformed) or kind != 0x00
