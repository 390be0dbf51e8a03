# SPDX-License-Identifier: Apache-2.0
"""tools/spdx.py finds sources that do not name their licence, and adds the line."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

from tools import PROJECT, spdx

BODIES = {
    "a.py": '"""A module."""\n',
    "run.py": '#!/usr/bin/env python3\n"""A program."""\n',
    "a.sh": "#!/bin/sh\nset -eu\n",
    "a.c": "int main(void) { return 0; }\n",
    "a.h": "#ifndef A_H\n#define A_H\n#endif\n",
    "a.S": "  .global main\n",
    "a.cpp": "int main() {}\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_missing_line_is_reported_and_added(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_text(BODIES[name])
    assert spdx.main([str(file)]) == 1
    assert f"{file}:1: " in capsys.readouterr().out
    assert file.read_text() == BODIES[name]

    assert spdx.main(["--fix", str(file)]) == 0
    lines = file.read_text().splitlines(keepends=True)
    at = 1 if BODIES[name].startswith("#!") else 0
    assert "SPDX-License-Identifier: Apache-2.0" in lines[at]
    assert "".join(lines[:at] + lines[at + 1 :]) == BODIES[name]
    fixed = file.read_text()
    assert spdx.main([str(file)]) == 0
    assert spdx.main(["--fix", str(file)]) == 0
    assert file.read_text() == fixed  # once only


def test_the_line_must_be_at_the_start_and_say_apache(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    for text in (
        "# SPDX-License-Identifier: MIT\n",
        "\n\n\n# SPDX-License-Identifier: Apache-2.0\n",
    ):
        file.write_text(text)
        assert spdx.main([str(file)]) == 1


def test_a_line_that_ended_up_below_is_moved_up(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    line = "# SPDX-License-Identifier: Apache-2.0\n"
    file.write_text(f'"""A module."""\n\nimport re\n\n{line}\n\nX = re.A\n')
    assert spdx.main([str(file)]) == 1
    assert spdx.main(["--fix", str(file)]) == 0
    assert file.read_text() == f'{line}"""A module."""\n\nimport re\n\n\nX = re.A\n'


def test_data_and_empty_files_need_no_line(tmp_path: Path) -> None:
    for name in ("a.json", "a.md", "a.toml", "__init__.py"):
        file = tmp_path / name
        file.write_text("" if name == "__init__.py" else "text\n")
        assert spdx.main([str(file)]) == 0


def test_the_licence_is_the_unmodified_apache_text() -> None:
    # of https://www.apache.org/licenses/LICENSE-2.0.txt
    wanted = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert hashlib.sha256((PROJECT / "LICENSE").read_bytes()).hexdigest() == wanted
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
