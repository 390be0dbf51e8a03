# SPDX-License-Identifier: Apache-2.0
"""PlatformIO from Python: find the project and its firmware, build an image, and measure it."""

from hil.firmware.build import BuiltFirmware, build, upload
from hil.firmware.footprint import Footprint, Share, Sizes, compiler_of, footprint, sizes
from hil.firmware.places import places
from hil.firmware.project import (
    cache_folder,
    find_project,
    firmware_tree,
    installed_tree,
    is_checkout,
)

__all__ = [
    "BuiltFirmware",
    "Footprint",
    "Share",
    "Sizes",
    "build",
    "cache_folder",
    "compiler_of",
    "find_project",
    "firmware_tree",
    "footprint",
    "installed_tree",
    "is_checkout",
    "places",
    "sizes",
    "upload",
]
