# SPDX-License-Identifier: Apache-2.0
"""A bench that is killed, or whose disk is full, at any moment: every answer reported as stored is
stored, and the same command continues to the same result."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from hil.runs.load import load_run, read_manifest, read_samples, verify
from hil.runs.schema import MANIFEST, SAMPLES, Sample
from tests.support.killed import N, Nursery


def samples(folder: Path) -> list[Sample]:
    """Everything that a run stored, except the host's times."""
    found = (msgspec.structs.replace(one, round_trip=None) for one in read_samples(folder))
    return sorted(found, key=lambda one: (one.run, one.i))


def check(folder: Path, whole: list[Sample], said: Sequence[str]) -> int:
    """Check that a killed bench's folder has no lost or changed answers; how many it has."""
    if not (folder / MANIFEST).exists():
        assert not said
        return 0
    found = samples(folder)
    wanted = {(one.run, one.i): one for one in whole}
    assert all(wanted[one.run, one.i] == one for one in found)
    stored = {f"{one.run} {one.i}" for one in found}
    assert set(said) <= stored, "reported as stored, but is not"
    lines = (folder / SAMPLES).read_bytes().count(b"\n") if (folder / SAMPLES).exists() else 0
    assert lines == len(found), "a digit was stored twice"
    return len(found)


@dataclass(frozen=True)
class Quiet:
    """An undisturbed bench: calls of functions while it writes, its answers, its folder."""

    calls: int
    samples: list[Sample]
    folder: Path


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    found = Nursery(tmp_path_factory.mktemp("nursery"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def quiet(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Quiet:
    folder = tmp_path_factory.mktemp("whole") / "run"
    ended = nursery.bench(folder)
    assert (ended.code, ended.error, len(ended.said)) == (0, "", 2 * N)
    return Quiet(ended.calls, samples(folder), folder)


def kill(nursery: Nursery, quiet: Quiet, folder: Path, kills: int) -> None:
    """Kill benches at random moments, each one repeatedly until it completes."""
    chance = random.Random(kills)
    had = done = 0
    while done < kills or (folder / MANIFEST).exists():
        ended = nursery.bench(folder, chance.randrange(1, quiet.calls + 1) if done < kills else 0)
        assert ended.error == ""
        now = check(folder, quiet.samples, ended.said)
        assert now >= had, "a digit was lost"
        had = now
        if ended.code == -signal.SIGKILL:
            done += 1
            continue
        assert ended.code == 0
        check_whole(folder, quiet.samples)
        shutil.rmtree(folder)
        had = 0


def check_whole(folder: Path, whole: list[Sample]) -> None:
    """A completed bench stores the same as an undisturbed one."""
    assert read_manifest(folder).state == "complete"
    assert verify(folder).faults == ()
    assert samples(folder) == whole
    host = load_run(folder).host
    assert host
    assert [len(one.times) for one in host.times] == [2] * 4
    assert sorted(one.name for one in folder.iterdir()) == [
        ".lock",
        "digits.json",
        "host.json",
        "manifest.json",
        "quant.json",
        "samples.jsonl",
    ]


def test_a_bench_killed_at_random_moments_can_be_continued(
    nursery: Nursery, quiet: Quiet, tmp_path: Path
) -> None:
    kill(nursery, quiet, tmp_path / "run", 10)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_bench_killed_at_a_hundred_random_moments_can_be_continued(
    nursery: Nursery, quiet: Quiet, tmp_path: Path
) -> None:
    kill(nursery, quiet, tmp_path / "run", 100)


@pytest.mark.parametrize("seed", range(6))
def test_a_bench_continues_after_a_full_disk(
    nursery: Nursery, quiet: Quiet, tmp_path: Path, seed: int
) -> None:
    """A limit on the size of files, between that of the manifest and that of all answers."""
    folder = tmp_path / "run"
    full = sum(len(msgspec.json.encode(one)) + 1 for one in quiet.samples)
    least = (quiet.folder / MANIFEST).stat().st_size + 500 if seed else 200
    room = random.Random(seed).randrange(least, full)
    ended = nursery.bench(folder, room=room)
    assert ended.code == 2
    assert "cannot write" in ended.error
    assert "free space" in ended.error
    check(folder, quiet.samples, ended.said)
    ended = nursery.bench(folder)
    assert (ended.code, ended.error) == (0, "")
    check_whole(folder, quiet.samples)


@pytest.mark.thorough
def test_a_disk_that_is_full_loses_nothing(quiet: Quiet, tmp_path: Path) -> None:
    """A separate file system of 128 KiB with only a few pages free."""
    disk = tmp_path / "disk"
    disk.mkdir()
    own = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=128k none "$0" && exec "$@"']
    try:
        subprocess.run([*own, str(disk), "true"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("this machine does not allow mounting a tmpfs")
    nursery = Nursery(tmp_path, [*own, str(disk)])
    try:
        folder = disk / "run"
        assert nursery.bench(folder, die_at=1).code == -signal.SIGKILL  # it is up, and mounted
        seen = Path(f"{nursery.root}{folder}")
        ballast = seen.parent / "ballast"
        for pages in (27, 26, 25):
            ballast.write_bytes(bytes(4096 * pages))
            ended = nursery.bench(folder)
            assert (ended.code, "No space left" in ended.error) == (2, True)
            check(seen, quiet.samples, ended.said)
        ballast.unlink()
        ended = nursery.bench(folder)
        assert (ended.code, ended.error) == (0, "")
        check_whole(seen, quiet.samples)
    finally:
        nursery.close()
