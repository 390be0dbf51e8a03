# SPDX-License-Identifier: Apache-2.0
"""Checks that source files name their licence: ``python -m tools.spdx [--fix] [FILE...]``.

Checks the given files, or every tracked one: Python, C, C++, assembly and shell need the line
``SPDX-License-Identifier: Apache-2.0`` among their first three. ``--fix`` inserts it as the first
line, or after a ``#!`` line. Exit code 1 if a file lacks it and was not fixed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tools import PROJECT, tracked

MARK = "SPDX-License-Identifier: Apache-2.0"
COMMENTS = {
    ".py": f"# {MARK}",
    ".sh": f"# {MARK}",
    ".c": f"/* {MARK} */",
    ".h": f"/* {MARK} */",
    ".S": f"/* {MARK} */",
    ".cpp": f"// {MARK}",
    ".hpp": f"// {MARK}",
}
WITHIN = 3  # lines


def comment(name: str) -> str | None:
    """The line that the file ``name`` needs; None if it needs none."""
    return COMMENTS.get(Path(name).suffix)


def marked(text: str) -> bool:
    """Whether ``text`` names the licence at its start."""
    return any(MARK in line for line in text.splitlines()[:WITHIN])


def fixed(text: str, line: str) -> str:
    """``text`` with ``line`` as its first line, or after its ``#!`` line, and nowhere else."""
    text = re.sub(rf"^{re.escape(line)}\n(\n(?=\n))*", "", text, flags=re.MULTILINE)
    if text.startswith("#!"):
        first, _, rest = text.partition("\n")
        return f"{first}\n{line}\n{rest}"
    return f"{line}\n{text}"


def main(words: list[str]) -> int:
    """Check or fix the named files, or all; the exit code."""
    fix = "--fix" in words
    names = [word for word in words if word != "--fix"] or tracked()
    bad = False
    for name in names:
        path = PROJECT / name
        line = comment(name)
        # a deleted file is tracked until the deletion is committed; an empty one holds no code
        if line is None or not path.is_file():
            continue
        text = path.read_text("utf-8")
        if not text or marked(text):
            continue
        if fix:
            path.write_text(fixed(text, line), "utf-8")
            print(f"{name}: inserted {line}")
        else:
            print(
                f'{name}:1: no "{MARK}" in the first {WITHIN} lines: run python -m tools.spdx --fix'
            )
            bad = True
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
