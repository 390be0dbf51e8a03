# SPDX-License-Identifier: Apache-2.0
"""Facts about this computer."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy
import pytest

from hil.core.host import cpu_features, cpu_name, package_versions

X86 = """processor\t: 0
model name\t: Imaginary CPU @ 3.10GHz
flags\t\t: fpu avx2
processor\t: 1
model name\t: Imaginary CPU @ 3.10GHz
flags\t\t: fpu avx2
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"


def cpuinfo(folder: Path, text: str) -> Path:
    file = folder / f"cpuinfo{len(list(folder.iterdir()))}"
    file.write_text(text)
    return file


def test_the_processor_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cpu_name(cpuinfo(tmp_path, X86)) == "Imaginary CPU @ 3.10GHz"
    monkeypatch.setattr(platform, "processor", str)
    assert cpu_name(cpuinfo(tmp_path, ARM)) == platform.machine() != ""
    assert cpu_name(tmp_path / "missing") == platform.machine()


def test_its_features_tell_processors_apart(tmp_path: Path) -> None:
    first = cpu_features(cpuinfo(tmp_path, X86))
    assert first == cpu_features(cpuinfo(tmp_path, X86.replace("3.10", "2.00")))
    others = [X86.replace("avx2", "avx512f"), ARM, ARM.replace("asimd", "asimd sve"), ""]
    digests = {first, *(cpu_features(cpuinfo(tmp_path, text)) for text in others)}
    assert len(digests) == 5
    assert {len(digest) for digest in digests} == {12}


def test_versions_of_the_packages_that_are_installed() -> None:
    assert package_versions(["numpy", "not-installed"]) == {"numpy": numpy.__version__}
