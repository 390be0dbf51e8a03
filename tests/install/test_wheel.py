# SPDX-License-Identifier: Apache-2.0
"""The wheel and the sdist: what is in them, and what PyPI's page says."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.support.wheel import PROJECT, build_wheel

pytestmark = pytest.mark.thorough

REPOSITORY = "https://github.com/tinyml-hil/tinyml-hil"
RAW = "https://raw.githubusercontent.com/tinyml-hil/tinyml-hil/main/"
_LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


def test_the_wheel_has_the_firmware_and_the_networks_and_no_tests(wheel: zipfile.ZipFile) -> None:
    found = {name for name in wheel.namelist() if name.startswith("hil/tree/")}
    assert "hil/tree/platformio.ini" in found
    assert "hil/py.typed" in wheel.namelist()
    left_out = {".json", ".md", ".svg"}
    wanted = {
        f"hil/tree/{path.relative_to(PROJECT).as_posix()}"
        for top in ("firmware", "models")
        for path in (PROJECT / top).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and not (top == "models" and path.suffix in left_out)
    }
    tests = {name for name in wanted if re.match(r"hil/tree/firmware/(test/|golden/mlperf)", name)}
    assert found - {"hil/tree/platformio.ini"} == (
        wanted
        - tests
        - {"hil/tree/firmware/scripts/golden_header.py", "hil/tree/models/.gitignore"}
    )


def test_the_wheel_is_smaller_than_five_megabytes(wheel: zipfile.ZipFile) -> None:
    assert sum(item.compress_size for item in wheel.infolist()) < 5_000_000


def test_links_of_the_page_lead_to_the_repository(metadata: Message) -> None:
    text = str(metadata.get_payload())
    links = _LINK.findall(text)
    assert len(links) == len(_LINK.findall((PROJECT / "README.md").read_text("utf-8")))
    for image, target in links:
        if target.startswith("#"):
            continue
        assert target.startswith("https://"), target
        for start in (RAW,) if image else (f"{REPOSITORY}/blob/main/",):
            if target.startswith(start):
                path = target.removeprefix(start).partition("#")[0]
                assert (PROJECT / path).exists(), target


def test_the_metadata_names_who_made_it_and_where_it_is(metadata: Message) -> None:
    assert metadata["Author"] == "The tinyml-hil developers"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert f"Homepage, {REPOSITORY}" in metadata.get_all("Project-URL", [])
    pythons = {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)}
    assert pythons <= set(metadata.get_all("Classifier", []))
    assert any(one.startswith("scons==") for one in metadata.get_all("Requires-Dist", []))


def test_the_sdist_builds_the_same_wheel(tmp_path: Path, wheel: zipfile.ZipFile) -> None:
    words = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(words, cwd=PROJECT, check=True, capture_output=True, timeout=500)
    (sdist,) = tmp_path.glob("*.tar.gz")
    (tmp_path / "source").mkdir()
    # not tarfile: before Python 3.11.4, which Debian 12 does not have, its filters do not exist
    subprocess.run(["tar", "-xzf", sdist, "-C", tmp_path / "source"], check=True, timeout=60)
    (source,) = (tmp_path / "source").iterdir()
    again = zipfile.ZipFile(build_wheel(tmp_path / "again", source))
    assert sorted(again.namelist()) == sorted(wheel.namelist())
    for name in wheel.namelist():
        assert again.read(name) == wheel.read(name), name
