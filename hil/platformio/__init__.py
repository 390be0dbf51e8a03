"""PlatformIO from Python: find the project, build an image, look into what was built."""

from hil.platformio.build import BuiltFirmware, build, upload
from hil.platformio.elf import Sizes, sizes, toolchain
from hil.platformio.project import find_project

__all__ = ["BuiltFirmware", "Sizes", "build", "find_project", "sizes", "toolchain", "upload"]
