# SPDX-License-Identifier: Apache-2.0
"""A built wheel, and an environment that it is installed in, as at a user's who has no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hil.firmware.build import core_folder

PROJECT: Final = Path(__file__).parents[2]
_OURS: Final = ("tinyml_hil", "hil", "__editable__")  # the checkout's own entries
# plugins of pytest that only this project's tests need
_PLUGINS: Final = ("pytest_timeout", "pytest_xdist", "xdist", "hypothesis", "_hypothesis")


def build_wheel(out: Path, project: Path = PROJECT) -> Path:
    """The wheel of ``project`` in ``out``."""
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(words, cwd=project, check=True, capture_output=True, timeout=500)
    (wheel,) = out.glob("*.whl")
    return wheel


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the wheel and its dependencies, and the home of its user."""

    prefix: Path
    home: Path

    @property
    def site(self) -> Path:
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.prefix)}))

    def environment(self, **more: str) -> Mapping[str, str]:
        """The variables of a user's shell: no path of the checkout is in it.

        PlatformIO's packages are those of the tests, so that nothing is installed twice.
        """
        kept = ("HIL_DATA_DIR", "LANG", "TMPDIR")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "PATH": f"{self.prefix / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "PLATFORMIO_CORE_DIR": str(core_folder().resolve()),
            **more,
        }

    def run(self, folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment in ``folder``."""
        return subprocess.run(
            words,
            cwd=folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=500,
        )


def install(wheel: Path, folder: Path) -> Installed:
    """Install ``wheel`` into a new environment in ``folder``, without downloading anything: the
    dependencies are links to those of this environment."""
    made = Installed(folder / "venv", folder / "home")
    made.home.mkdir()
    venv.create(made.prefix, symlinks=True)
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith((*_OURS, *_PLUGINS)) and path.suffix != ".pth":
            (made.site / path.name).symlink_to(path)
    python = str(made.prefix / "bin" / "python")
    words = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps"]
    words += ["--disable-pip-version-check", "--no-index", str(wheel)]
    subprocess.run(words, check=True, capture_output=True, timeout=500)
    return made
