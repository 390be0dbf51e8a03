# SPDX-License-Identifier: Apache-2.0
"""Facts about this computer."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy
import pytest

from hil.core.host import (
    OtherLoad,
    cpu_features,
    cpu_name,
    governor,
    is_virtual,
    load_average,
    own_cores,
    package_versions,
)
from hil.core.processes import cores

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


def test_a_virtual_machine_by_its_flag(tmp_path: Path) -> None:
    assert not is_virtual(cpuinfo(tmp_path, X86))
    assert is_virtual(cpuinfo(tmp_path, X86.replace("avx2", "avx2 hypervisor")))
    assert not is_virtual(cpuinfo(tmp_path, X86.replace("Imaginary", "hypervisor")))
    assert not is_virtual(cpuinfo(tmp_path, ARM))
    assert not is_virtual(tmp_path / "missing")


def test_the_governor_if_there_is_one(tmp_path: Path) -> None:
    assert governor(cpuinfo(tmp_path, "powersave\n")) == "powersave"
    assert governor(tmp_path / "missing") == ""
    assert governor(tmp_path) == ""


def test_the_load_average_is_a_number_or_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_average()
    assert found is None or found >= 0

    def fails() -> tuple[float, float, float]:
        raise OSError

    monkeypatch.setattr("os.getloadavg", fails)
    assert load_average() is None


def stat(folder: Path, *cores: str) -> Path:
    """/proc/stat with these fields of cores 0, 1, ..."""
    lines = ["cpu 1 2 3 4 5 6 7 8 9 10", *(f"cpu{i} {text}" for i, text in enumerate(cores))]
    file = folder / "stat"
    file.write_text("\n".join([*lines, "intr 5 0 0", "ctxt 9", ""]))
    return file


IDLE = "100 0 100 1000 0 0 0 0 0 0"


def test_cores_that_others_keep_busy(tmp_path: Path) -> None:
    own = iter([3.0, 3.5])
    found = OtherLoad(stat(tmp_path, IDLE, IDLE), lambda: next(own), {0, 1})
    # one second: core 0 worked for all of it, core 1 for 0.3 s of user and stolen time
    stat(tmp_path, "190 5 105 1000 0 0 0 0 9 0", "110 0 100 1050 20 0 0 20 9 0")
    assert found.cores() == pytest.approx(1.3 - 0.5)


def test_only_the_cores_of_this_process_count(tmp_path: Path) -> None:
    found = OtherLoad(stat(tmp_path, IDLE, IDLE), lambda: 0.0, {1})
    stat(tmp_path, "200 0 100 1000 0 0 0 0 0 0", "100 0 125 1075 0 0 0 0 0 0")
    assert found.cores() == pytest.approx(0.25)


def test_a_load_that_cannot_be_known(tmp_path: Path) -> None:
    assert OtherLoad(tmp_path / "missing", lambda: 0.0, {0}).cores() is None
    brief = OtherLoad(stat(tmp_path, IDLE), lambda: 0.0, {0})
    stat(tmp_path, "140 0 100 1000 0 0 0 0 0 0")  # 0.4 s
    assert brief.cores() is None
    own = iter([0.0, 2.0])
    more = OtherLoad(stat(tmp_path, IDLE), lambda: next(own), {0})
    stat(tmp_path, "200 0 100 1000 0 0 0 0 0 0")  # this process counts finer than the system
    assert more.cores() == 0
    strange = OtherLoad(stat(tmp_path, "a b c", "", "-"), lambda: 0.0, {0, 1, 2})
    assert strange.cores() is None


def test_elsewhere_nothing_is_known_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    for system in ("darwin", "win32"):
        monkeypatch.setattr("sys.platform", system)
        assert own_cores() is None
        assert OtherLoad().cores() is None
        assert cores() >= 1
    assert load_average() is None
