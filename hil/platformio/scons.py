"""PlatformIO's build tool without PlatformIO's registry.

`pio run` wants its package tool-scons, which is SCons with a manifest. Where the registry cannot
be reached the package is made from PyPI's scons, which is the same program.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Final

import platformio
from platformio.dependencies import get_core_dependencies
from platformio.package.version import get_original_version

from hil.errors import ToolMissing

_REACH_S: Final = 3.0
_START: Final = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from SCons.Script import main

main()
"""


def ensure_scons(core: Path) -> None:
    """Put tool-scons into the core folder, unless it is there or PlatformIO can fetch it."""
    target = core / "packages" / "tool-scons"
    if target.exists() or _registry_answers():
        return
    source = _installed_scons()
    version = str(get_core_dependencies()["tool-scons"]).lstrip("~=^")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".scons-") as folder:
        made = Path(folder) / "tool-scons"
        shutil.copytree(
            source, made / "SCons", ignore=shutil.ignore_patterns("__pycache__", "Tool/docbook")
        )
        (made / "scons.py").write_text(_START)
        (made / "package.json").write_text(json.dumps({"name": "tool-scons", "version": version}))
        (made / ".piopm").write_text(json.dumps(_origin(version)))
        try:
            made.rename(target)
        except OSError:
            if not target.exists():  # another process may have made it meanwhile
                raise


def _origin(version: str) -> dict[str, object]:
    """PlatformIO's note of where a package came from; the owner makes it match."""
    spec = {"owner": "platformio", "id": None, "name": "tool-scons"}
    return {
        "type": "tool",
        "name": "tool-scons",
        "version": version,
        "spec": {**spec, "requirements": None, "uri": None},
    }


def _installed_scons() -> Path:
    wanted = get_original_version(str(get_core_dependencies()["tool-scons"]).lstrip("~=^"))
    found = importlib.util.find_spec("SCons")
    if found is None or not found.submodule_search_locations:
        raise ToolMissing(
            "PlatformIO's registry cannot be reached, and its build tool is not installed",
            f"pip install scons=={wanted}",
        )
    return Path(found.submodule_search_locations[0])


def _registry_answers() -> bool:
    for host in platformio.__registry_mirror_hosts__:
        try:
            socket.create_connection((f"api.{host}", 443), timeout=_REACH_S).close()
        except OSError:
            continue
        return True
    return False
