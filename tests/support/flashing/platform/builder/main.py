# SPDX-License-Identifier: Apache-2.0
"""Builds nothing: the env's ``custom_files`` folder has every file. `upload` runs esptool with the
words that the builders of espressif32 6.13.0 (esptool 4) and pioarduino 55.03 (esptool 5) give it.
"""

import os

from SCons.Script import Copy, Default, DefaultEnvironment

env = DefaultEnvironment()
option = env.GetProjectOption
files, esptool = option("custom_files"), option("custom_esptool")
old = option("custom_words") == "espressif32"

elf = env.Command("$BUILD_DIR/firmware.elf", f"{files}/firmware.elf", Copy("$TARGET", "$SOURCE"))
Default(elf)


def words(text: str) -> str:
    """As esptool 5 spells it, unless esptool 4 is asked."""
    return text.replace("-_", "_" if old else "-")


images = [
    *(option("custom_bootloader_at"), f'"{files}/bootloader.bin"'),
    *("0x8000", f'"{files}/partitions.bin"'),
    *("0xe000", f'"{files}/boot_app0.bin"'),
    *("0x10000", f'"{files}/firmware.bin"'),
]
flags = [
    *("--chip", option("custom_chip"), "--port", '"$UPLOAD_PORT"', "--baud", "460800"),
    *("--before", words("default-_reset"), "--after", words("hard-_reset")),
    *(words("write-_flash"), "-z", words("--flash-_mode"), "dio"),
    *(words("--flash-_freq"), option("custom_flash_freq")),
    *(words("--flash-_size"), option("custom_flash_size") if old else "detect"),
]
env["ENV"]["PYTHONPATH"] = esptool
env["ENV"]["ESPTOOL_CFGFILE"] = f"{files}/esptool.cfg"
command = " ".join([f'"{os.environ["HIL_PYTHON"]}" -m esptool', *flags, *images])
actions = [
    env.VerboseAction(env.AutodetectUploadPort, "Looking for upload port..."),
    env.VerboseAction(command, "Uploading firmware.bin"),
]
env.AddPlatformTarget("upload", elf, actions, "Upload")
