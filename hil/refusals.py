"""What a board refuses, and why, in words."""

from __future__ import annotations

from hil.errors import DeviceRefused, WrongFirmware
from hil.wire.frames import PROTOCOL_VERSION
from hil.wire.messages import ErrorCode, Kind, Refusal


def other_version(port: str, version: int) -> WrongFirmware:
    """The board speaks another protocol."""
    return WrongFirmware(
        f"the board on {port} speaks protocol {version}, this harness {PROTOCOL_VERSION}",
        "flash the firmware of this checkout: `pio run -e <board> -t upload`",
    )


def refused(reply: Refusal) -> DeviceRefused:
    """What an ERROR frame says."""
    needed, available = reply.needed, reply.available
    said: dict[int, tuple[str, str]] = {
        ErrorCode.LENGTH: (
            f"got {available} bytes of input, wants {needed}",
            "does the data set fit the model?",
        ),
        ErrorCode.MODEL: (f"has {available} models, asked for number {needed}", "flash again"),
        ErrorCode.ENCODING: ("does not take this input encoding", "send float32 or pixels"),
        ErrorCode.ARENA: (
            f"needs an arena of {needed} bytes and has {available}",
            "use a smaller model or the engine `aot`",
        ),
        ErrorCode.LAYER: (
            f"has {available} layers of this model to show, asked for number {needed}",
            "an engine other than aot shows none",
        ),
        ErrorCode.ENGINE: (f"failed in its inference engine, code {needed}", "see the engine"),
    }
    if reply.code == ErrorCode.TYPE and reply.request in (Kind.LAYERS, Kind.PROFILE):
        said[ErrorCode.TYPE] = (
            "does not answer layer by layer",
            "flash firmware built with HIL_LAYERS=1",
        )
    unknown = (f"refused with code {reply.code}", "flash the firmware of this checkout")
    what, hint = said.get(reply.code, unknown)
    return DeviceRefused(f"the board {what}", hint, code=reply.code)
