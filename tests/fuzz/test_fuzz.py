# SPDX-License-Identifier: Apache-2.0
"""Every reader survives damaged input: few cases by default, many with the marker slow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hil.core.errors import DataError
from tests.fuzz import driver, guard

# cases that take half a second; 600 of the others
SMOKE = {"lab": 60, "reports": 15, "runs": 150, "config": 300}


def survived(name: str, cases: int, seed: int) -> driver.Ran:
    ran = driver.run(name, cases, seed)
    said = [f"{key}\n{text[-2000:]}{data[:200]!r}" for key, (data, text) in ran.found.items()]
    assert not said, "\n\n".join(said)
    assert ran.cases == cases
    return ran


@pytest.mark.parametrize("name", driver.NAMES)
def test_a_few_cases(name: str) -> None:
    ran = survived(name, SMOKE.get(name, 600), seed=11)
    assert ran.accepted  # the readers do not refuse everything


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", driver.NAMES)
def test_many_cases(name: str) -> None:
    survived(name, 2_000 if name == "reports" else 20_000, seed=12)


def test_the_same_seed_gives_the_same_cases() -> None:
    one, other = (driver.run("tflite", 100, 3) for _ in range(2))
    assert (one.cases, one.accepted) == (other.cases, other.accepted)


class Misbehaving:
    """A target that breaks the rules for cases."""

    SEEDS = (b"write", b"start", b"crash", b"flood", b"refuse", b"read")

    @staticmethod
    def check(data: bytes, folder: Path) -> None:
        match data:
            case b"write":
                (folder / ".." / "fuzz-escaped").write_bytes(b"")
            case b"start":
                os.posix_spawn("/bin/true", ["true"], {})
            case b"crash":
                raise IndexError("not ours")
            case b"flood":
                problem = DataError("x")
                problem.what = "x\n" * 9
                raise problem
            case b"refuse":
                raise DataError("a refusal", "as it should be")


@pytest.mark.parametrize("data", Misbehaving.SEEDS)
def test_the_guard_notices_what_a_case_must_not_do(data: bytes) -> None:
    ran = driver.Ran()
    with guard.sandbox() as folder:
        driver.one(Misbehaving, data, folder, ran)  # type: ignore[arg-type]
        assert not (folder.parent / "fuzz-escaped").exists()
    found = " ".join(ran.found)
    kinds = {b"write": "Escaped", b"start": "Escaped", b"crash": "IndexError"}
    assert found.startswith({**kinds, b"flood": "AssertionError"}.get(data, ""))
    assert bool(found) == (data not in (b"refuse", b"read"))
    assert ran.accepted == (data == b"read")
