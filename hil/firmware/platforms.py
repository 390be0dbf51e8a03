# SPDX-License-Identifier: Apache-2.0
"""The PlatformIO platform of an env: which one `platformio.ini` names, and whether it is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hil.core.errors import ConfigError
from hil.firmware.build import envs_of, pio_environment
from hil.firmware.project import firmware_tree


def platform_of(env: str, project: Path) -> str:
    """The platform of ``env`` as `platformio.ini` writes it: NAME@VERSION, a URL, `symlink://`.

    ConfigError if PlatformIO cannot read the configuration, or there is no such env.
    """
    tree = firmware_tree(project)
    command = [sys.executable, "-m", "platformio", "project", "config", "--json-output"]
    done = subprocess.run(
        [*command, "-d", str(tree)],
        env=pio_environment() | envs_of(project),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise ConfigError(f"PlatformIO cannot read {tree / 'platformio.ini'}: {last}")
    sections = {name: dict(values) for name, values in json.loads(done.stdout)}
    try:
        return str(sections[f"env:{env}"]["platform"])
    except KeyError:
        raise ConfigError(
            f"{tree / 'platformio.ini'} has no env {env}, or it names no platform",
            f"add one, or put it into {project / 'boards' / f'{env}.ini'}",
        ) from None


def is_installed(platform: str, project: Path) -> bool:
    """Whether ``platform``, as `platform_of` returns it, is where PlatformIO looks for it."""
    if platform.startswith("symlink://"):
        return True
    folder = firmware_tree(project) / ".pio" / "platforms"
    if chosen := os.environ.get("PLATFORMIO_PLATFORMS_DIR"):
        folder = Path(chosen)
    return any(_is(platform, _origin(file)) for file in folder.glob("*/.piopm"))


def _origin(file: Path) -> dict[str, Any]:
    """PlatformIO's record of where a package is from."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is(platform: str, origin: dict[str, Any]) -> bool:
    if "://" in platform:
        return bool(origin) and (origin.get("spec") or {}).get("uri") == platform
    name, _, version = platform.rpartition("/")[2].partition("@")
    return origin.get("name") == name and version.strip() in ("", origin.get("version"))
