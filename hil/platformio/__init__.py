"""PlatformIO from Python: find the project, build an image, look into what was built."""

from hil.platformio.build import BuiltFirmware, build, upload
from hil.platformio.elf import toolchain
from hil.platformio.footprint import Footprint, Share, Sizes, footprint, sizes
from hil.platformio.project import find_project

__all__ = [
    "BuiltFirmware",
    "Footprint",
    "Share",
    "Sizes",
    "build",
    "find_project",
    "footprint",
    "sizes",
    "toolchain",
    "upload",
]
