# SPDX-License-Identifier: Apache-2.0
"""LAYERS and PROFILE in the session, in firmware built with HIL_LAYERS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.firmware import FAKE_IMAGE, INCLUDES, LIBRARY, STRICT, run

SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.mark.firmware
@pytest.mark.usefixtures("needs_gcc")
def test_the_session_answers_layer_by_layer(tmp_path: Path) -> None:
    program = tmp_path / "layers"
    sources = [Path(__file__).with_name("layers_session.c"), *LIBRARY, FAKE_IMAGE]
    flags = ["-DHIL_LAYERS", "-DHIL_LAYER_CHUNK=3u"]
    words = ["gcc", "-std=c11", *STRICT, *SANITIZE, *flags, *INCLUDES]
    run([*words, *map(str, sources), "-lm", "-o", str(program)])
    lines = run([str(program)]).splitlines()
    assert lines.pop() == "END"
    assert len(lines) == 7
    assert all(line.startswith("PASS\t") for line in lines)
