# SPDX-License-Identifier: Apache-2.0
"""PlatformIO from Python: find the project, build an image, and measure it."""

from hil.firmware.build import BuiltFirmware, build, upload
from hil.firmware.footprint import Footprint, Share, Sizes, compiler_of, footprint, sizes
from hil.firmware.toolchain import find_project

__all__ = [
    "BuiltFirmware",
    "Footprint",
    "Share",
    "Sizes",
    "build",
    "compiler_of",
    "find_project",
    "footprint",
    "sizes",
    "upload",
]
