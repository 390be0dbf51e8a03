# SPDX-License-Identifier: Apache-2.0
"""A run's folder: stored answers stay, whatever happens; other folders are left alone."""

import errno
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from hil.core.errors import StorageError
from hil.core.files import replace_file
from hil.runs.load import read_manifest, read_samples
from hil.runs.log import RunLog, new_folder, run_folder
from hil.runs.schema import SAMPLES
from tests.support.runs import KEY, manifest, sample


def test_samples_come_back_as_they_were_stored(tmp_path: Path) -> None:
    sent = [sample(0), sample(1, litert=b"\xff\x00", attempts=2), sample(2, time=None)]
    with RunLog(tmp_path / "run", manifest()) as log:
        log.save(manifest())
        for one in sent:
            log.append(one)
    assert list(read_samples(tmp_path / "run")) == sent
    stored = read_manifest(tmp_path / "run")
    assert stored.seal
    assert replace(stored, seal="") == manifest()


def test_a_torn_line_is_cut_off_and_the_run_continues(tmp_path: Path) -> None:
    with RunLog(tmp_path, manifest()) as log:
        log.save(manifest())
        log.append(sample(0))
    whole = (tmp_path / SAMPLES).read_bytes()
    (tmp_path / SAMPLES).write_bytes(whole + whole[: len(whole) // 2])
    assert list(read_samples(tmp_path)) == [sample(0)]
    with RunLog(tmp_path, manifest()) as log:
        assert log.done[KEY] == 1
        log.append(sample(1))
    assert list(read_samples(tmp_path)) == [sample(0), sample(1)]


def test_benches_of_the_same_second_get_a_folder_each(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(new_folder, "mps2", "mps2", "native", parent=tmp_path) for _ in "x" * 40
        ]
        found = [job.result() for job in jobs]
    assert len(set(found)) == 40
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-mps2-native(-\d+)?", one.name) for one in found)
    assert sorted(found) == sorted(tmp_path.iterdir())


def test_a_new_folder_that_stays_empty_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = []
    with suppress(ZeroDivisionError), run_folder(None, "mps2") as empty:
        made = list(Path("results").iterdir())
        raise ZeroDivisionError
    assert made == [empty]
    assert not empty.exists()
    with run_folder(None, "mps2") as used:
        (used / SAMPLES).touch()
    assert used.parent == Path("results")
    assert used.is_dir()
    with run_folder(tmp_path / "mine", "mps2") as given:
        given.mkdir()
    assert given.is_dir()  # it is the user's


def test_a_folder_that_cannot_be_created_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    with pytest.raises(StorageError, match=r"cannot create .*results.*; choose another --out"):
        new_folder("mps2", parent=tmp_path / "results")


def test_two_benches_do_not_write_one_folder(tmp_path: Path) -> None:
    with (
        RunLog(tmp_path, manifest()),
        pytest.raises(StorageError, match="another bench is writing"),
        RunLog(tmp_path, manifest()),
    ):
        pass


def test_a_full_disk_error_names_the_folder_and_how_to_continue(tmp_path: Path) -> None:
    with RunLog(tmp_path, manifest()) as log:
        log.save(manifest())
        log.append(sample(0))
        assert log._samples is not None
        with Path("/dev/full").open("wb") as full:
            os.dup2(full.fileno(), log._samples.fileno())
        with pytest.raises(StorageError, match="No space left.*same --out to continue"):
            log.append(sample(1))
    assert list(read_samples(tmp_path)) == [sample(0)]


def test_failed_replacement_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file"
    replace_file(target, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        replace_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
