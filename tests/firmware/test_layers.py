"""LAYERS in the session: firmware built with the flag answers, firmware without it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.firmware.conftest import FIRMWARE, INCLUDES, STRICT, run

SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.mark.firmware
@pytest.mark.usefixtures("needs_gcc")
def test_the_session_answers_layer_by_layer(tmp_path: Path, golden_header: Path) -> None:
    program = tmp_path / "layers"
    sources = [
        Path(__file__).with_name("layers_session.c"),
        *sorted(FIRMWARE.glob("lib/hil_wire/*.c")),
        *sorted(FIRMWARE.glob("lib/hil_session/*.c")),
        FIRMWARE / "test" / "fake_image" / "hil_image.c",
    ]
    flags = ["-DHIL_LAYERS", "-DHIL_LAYER_CHUNK=3u"]
    include = [*INCLUDES, f"-I{golden_header}", f"-I{FIRMWARE / 'test'}"]
    words = ["gcc", "-std=c11", *STRICT, *SANITIZE, *flags, *include]
    run([*words, *map(str, sources), "-lm", "-o", str(program)])
    assert "FAIL" not in run([str(program)])
