# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the firmware's tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hil.firmware.build import pio_environment
from hil.firmware.toolchain import ensure_scons
from tests.support.firmware import MODELS
from tests.support.needs import needs


@pytest.fixture
def needs_gcc() -> None:
    needs([tool for tool in ("gcc", "g++") if not shutil.which(tool)])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a plain `pio run` of both int8 models, with its own build folder."""
    variables = pio_environment()
    ensure_scons(Path(variables["PLATFORMIO_CORE_DIR"]))
    variables.pop("HIL_ENGINE", None)
    image = [f"{name}={MODELS / f'{name}_int8.tflite'}" for name in ("teacher", "student")]
    return variables | {
        "HIL_IMAGE": os.pathsep.join(image),
        "PLATFORMIO_BUILD_DIR": str(tmp_path / "build"),
    }
