# SPDX-License-Identifier: Apache-2.0
"""A run's folder: stored answers stay, whatever happens; other folders are left alone."""

import errno
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from hil.core.errors import StorageError
from hil.core.files import replace_file
from hil.runs.load import read_manifest, read_samples
from hil.runs.log import RunLog
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
