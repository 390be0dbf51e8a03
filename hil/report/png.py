"""A stored picture -> PNG in a data URI, so that a page needs no file beside it."""

from __future__ import annotations

import base64
import struct
import zlib

from hil.runlog.schema import Picture


def png_uri(picture: Picture) -> str:
    """8-bit PNG as a data URI: grey as ink on paper, colours as they are."""
    height, width = picture.shape
    grey = picture.channels == 1
    values = bytes(255 - value for value in picture.pixels) if grey else picture.pixels
    line = width * picture.channels
    # each row starts with its filter type: 0, none
    rows = b"".join(b"\0" + values[y * line : (y + 1) * line] for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if grey else 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
