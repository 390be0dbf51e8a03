"""Nothing that a host sends makes the firmware hang or write outside of its buffers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.firmware.conftest import FIRMWARE, INCLUDES, STRICT, run

SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(params=["", "-DHIL_LAYERS", "-DHIL_UNPACKS=0", "-DHIL_MLPERF=0"])
def fuzzer(request: pytest.FixtureRequest, tmp_path: Path, golden_header: Path) -> Path:
    program = tmp_path / "fuzz_session"
    sources = [
        Path(__file__).with_name("fuzz_session.c"),
        *sorted(FIRMWARE.glob("lib/hil_wire/*.c")),
        *sorted(FIRMWARE.glob("lib/hil_session/*.c")),
        FIRMWARE / "test" / "fake_image" / "hil_image.c",
    ]
    run(
        [
            *("gcc", "-std=c11", *STRICT, *SANITIZE, *INCLUDES, f"-I{golden_header}"),
            *([request.param] if request.param else []),
            *(*map(str, sources), "-lm", "-o", str(program)),
        ]
    )
    return program


@pytest.mark.firmware
@pytest.mark.usefixtures("needs_gcc")
def test_session_survives_anything(fuzzer: Path) -> None:
    said = run([str(fuzzer), "1", "20000"])
    replies = int(said.split()[2])
    assert replies > 20000, "most rounds must reach the session, not only the decoder"


@pytest.mark.firmware
@pytest.mark.usefixtures("needs_gcc")
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_session_survives_anything_for_long(fuzzer: Path, seed: int) -> None:
    run([str(fuzzer), str(seed), "200000"])
