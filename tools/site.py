# SPDX-License-Identifier: Apache-2.0
"""Builds the documentation site, strictly: `python -m tools.site [FOLDER]`.

The pages are those of docs/, a reference of all commands, and one of the Python API. Links to files
outside of docs/ lead to the repository.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tools import PROJECT
from tools.cli_reference import reference

CONFIG = "zensical.toml"
_API = """\
# Python API

What `import hil` gives. [How to use it](python-api.md).

::: hil.api.functions.bench
::: hil.load
::: hil.runs.notebook.Run
::: hil.api.functions.compare
::: hil.api.functions.boards
::: hil.core.errors
"""


def stage(target: Path) -> None:
    """Write the site's sources to ``target``."""
    settings = (PROJECT / CONFIG).read_text()
    source = f"{tomllib.loads(settings)['project']['repo_url']}/blob/main/"
    (target / CONFIG).write_text(settings)
    shutil.copytree(PROJECT / "docs", target / "docs")
    (target / "docs" / "cli.md").write_text(reference())
    (target / "docs" / "api.md").write_text(_API)
    for page in (target / "docs").rglob("*.md"):
        page.write_text(_links(page.read_text(), page.parent, target, source))


def _links(text: str, folder: Path, target: Path, source: str) -> str:
    """``text`` with links that leave docs/ replaced by those to ``source``."""

    def link(found: re.Match[str]) -> str:
        path = (folder / found[1]).resolve()
        if path.is_relative_to(target / "docs"):
            return found[0]
        return f"]({source}{path.relative_to(target)}{found[2] or ''})"

    return re.sub(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)]*)?\)", link, text)


def build(output: Path) -> str:
    """Build the site into ``output``, and return what the builder printed.

    CalledProcessError if it fails or warns, for example of a link to a page that is not there.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        stage(root)
        done = subprocess.run(
            [sys.executable, "-m", "zensical", "build", "--strict", "-f", CONFIG],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.stderr.write(done.stdout)
            done.check_returncode()
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(root / "site", output)
    return done.stdout


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "site"
    build(target)
    print(f"{target / 'index.html'}")
