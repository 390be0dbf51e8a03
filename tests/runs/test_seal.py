# SPDX-License-Identifier: Apache-2.0
"""Hashes and seal of a run's folder: any changed byte is found, and a kill is not damage."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hil import report
from hil.core.errors import DamagedRun, StorageError, UsageError
from hil.runs.load import load_run, read_manifest, verify
from hil.runs.log import RunLog
from hil.runs.schema import DIGITS, FIGURES, MANIFEST, SAMPLES, Manifest, State
from hil.runs.seal import DATA, own_files, sealed
from tests.support import reports

N = 4


def stored(folder: Path, state: State = "complete", n: int = N) -> Path:
    """A sealed run, as a bench leaves it."""
    plan = reports.plan()
    answers = reports.samples(plan, n, off_by_one=1)
    with RunLog(folder, reports.manifest(plan, n=n, state="running", ends=())) as log:
        log.save(log.manifest)
        for one in answers:
            log.append(one)
        if state != "running":
            log.finish(reports.end(plan, n))
            log.save_pictures(reports.pictures(answers[:1]))
            log.set_state(state)
    return folder


def found(folder: Path) -> str:
    """All faults of a run, or "intact"."""
    try:
        return "\n".join(verify(folder).faults) or "intact"
    except StorageError as problem:
        return str(problem)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = stored(tmp_path_factory.mktemp("reported") / "run")
    report.write(folder)
    return folder


def test_a_run_stored_before_a_field_was_added_is_intact(tmp_path: Path) -> None:
    folder = stored(tmp_path / "run")
    raw = (folder / MANIFEST).read_bytes()
    older = re.sub(rb'\s*"seal": "[0-9a-f]{64}"', b'\n  "seal": ""', raw)
    older = re.sub(rb',\s*"emulator": ""', b"", older)
    assert b'"emulator": ""' in raw
    assert b'"emulator"' not in older
    seal = hashlib.sha256(older).hexdigest().encode()
    (folder / MANIFEST).write_bytes(older.replace(b'"seal": ""', b'"seal": "' + seal + b'"'))
    assert verify(folder).faults == ()


def test_a_run_is_intact_before_and_after_its_report(tmp_path: Path) -> None:
    folder = stored(tmp_path / "run")
    assert verify(folder).faults == ()
    assert verify(folder).files == 3
    report.write(folder)
    checked = verify(folder)
    assert checked.faults == ()
    figures = [name for name in own_files(folder) if name.startswith(FIGURES)]
    assert figures
    assert checked.files == len(list(own_files(folder))) + 1 == 6 + len(figures)
    assert checked.size == sum((folder / n).stat().st_size for n in (*own_files(folder), MANIFEST))
    assert set(read_manifest(folder).files) == set(own_files(folder))


def test_a_second_report_changes_no_byte(reported: Path) -> None:
    before = {name: (reported / name).read_bytes() for name in (*own_files(reported), MANIFEST)}
    report.write(reported)
    assert {name: (reported / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_an_unfinished_run_is_intact_too(tmp_path: Path, state: State) -> None:
    folder = stored(tmp_path / "run", state)
    report.write(folder)
    assert found(folder) == "intact"
    assert verify(folder).state == state


def flip(path: Path, at: int, mask: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= mask
    path.write_bytes(content)


@pytest.mark.thorough
def test_a_flip_of_every_third_byte_is_found(tmp_path: Path) -> None:
    """Each byte is flipped alone, in one of three bits."""
    folder = stored(tmp_path / "run", n=2)
    for name in (*own_files(folder), MANIFEST):
        path = folder / name
        for at in range(0, path.stat().st_size, 3):
            mask = (1, 4, 32)[at % 9 // 3]
            flip(path, at, mask)
            assert found(folder) != "intact", (name, at)
            flip(path, at, mask)
    assert found(folder) == "intact"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_change_of_any_file_is_found(
    reported: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("changed") / "run"
    shutil.copytree(reported, folder)
    name = data.draw(st.sampled_from(sorted([*own_files(folder), MANIFEST])))
    path = folder / name
    content = bytearray(path.read_bytes())
    kind = data.draw(st.sampled_from(["flip", "insert", "delete", "cut", "append"]))
    at = data.draw(st.integers(0, len(content) - 1))
    match kind:
        case "flip":
            content[at] ^= data.draw(st.integers(1, 255))
        case "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=4))
        case "delete":
            del content[at]
        case "cut":
            del content[at:]
        case "append":
            content += data.draw(st.sampled_from([b"\n", b" ", b"{}", b"\0"]))
    path.write_bytes(content)
    assert found(folder) != "intact"


def test_missing_and_added_files_are_named(reported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(reported, folder)
    (folder / DIGITS).unlink()
    (folder / "report.md").unlink()
    (folder / "report.md").symlink_to("/dev/zero")
    (folder / "notes").mkdir()
    (folder / "notes" / "a:b.txt").write_text("mine")
    (folder / ".hidden").write_text("a lock, say")
    assert verify(folder).faults == (
        "digits.json: missing",
        "report.md: not a regular file",
        "notes/a:b.txt: does not belong to this run",
    )
    (folder / MANIFEST).unlink()
    assert found(folder) == "manifest.json: missing, so no file can be checked"
    with pytest.raises(UsageError, match="there is no folder"):
        verify(tmp_path / "nowhere")


def test_a_manifest_that_points_outside_reads_nothing_there(tmp_path: Path) -> None:
    folder = stored(tmp_path / "run")
    manifest = read_manifest(folder)
    wanted = manifest.files[SAMPLES]
    files = {**manifest.files, "../../dev/zero": wanted, "/dev/zero": wanted}
    (folder / MANIFEST).write_bytes(sealed(msgspec.structs.replace(manifest, files=files)))
    assert found(folder).splitlines() == [
        "../../dev/zero: not in this folder",
        "/dev/zero: not in this folder",
    ]


def test_a_manifest_formatted_differently_is_not_the_sealed_one(tmp_path: Path) -> None:
    """The same values in other bytes: the seal covers bytes."""
    folder = stored(tmp_path / "run")
    path = folder / MANIFEST
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes())))
    with pytest.raises(DamagedRun, match="changed after it was sealed"):
        load_run(folder)
    blank = msgspec.structs.replace(reports.manifest(reports.plan()), seal="")
    path.write_bytes(msgspec.json.encode(blank))
    assert found(folder) == "manifest.json: has no seal"


def test_verifying_a_killed_run_reports_what_is_unsealed(tmp_path: Path) -> None:
    folder = stored(tmp_path / "run", "running")
    with (folder / SAMPLES).open("ab") as file:
        file.write(b'{"run":"mps2')
    report.write(folder)
    said = {line.partition(":")[0]: line for line in verify(folder).faults}
    assert "not sealed: the bench is running or was killed; 4 answers are readable" in said[SAMPLES]
    assert "half a line" in said[SAMPLES]
    names = {"report.html", "report.md", SAMPLES, "summary.json"}
    assert {name for name in said if not name.startswith(FIGURES)} == names
    content = (folder / SAMPLES).read_bytes()
    (folder / SAMPLES).write_bytes(b"rubbish\n" + content)
    assert "samples.jsonl: damaged: " in found(folder)


def test_a_killed_run_that_is_continued_is_sealed(tmp_path: Path) -> None:
    folder = stored(tmp_path / "run", "running")
    with RunLog(folder, read_manifest(folder)) as log:
        log.set_state("complete")
    assert found(folder) == "intact"


@pytest.mark.parametrize("name", [SAMPLES, DIGITS, MANIFEST])
def test_a_report_of_damaged_data_is_refused(reported: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(reported, folder)
    path = folder / name
    before = (folder / "report.html").read_bytes()
    # another digit of a time, of a pixel, of a package's version: all of it still reads
    kinds = {SAMPLES: rb'"time":[0-9]', DIGITS: rb'"pixels":".{9}', MANIFEST: rb'"cpu": ".'}
    content = path.read_bytes()
    last = re.search(kinds[name], content)
    assert last
    at = last.end() - 1
    other = b"8" if content[at:][:1] == b"7" else b"7"
    path.write_bytes(content[:at] + other + content[at + 1 :])
    with pytest.raises(DamagedRun, match=name) as caught:
        report.write(folder)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    assert (folder / "report.html").read_bytes() == before


def test_pictures_added_later_are_refused(tmp_path: Path) -> None:
    folder = stored(tmp_path / "run")
    content = (folder / DIGITS).read_bytes()
    (folder / DIGITS).unlink()
    with RunLog(folder, read_manifest(folder)) as log:
        log.set_state("interrupted")
    (folder / DIGITS).write_bytes(content)
    with pytest.raises(DamagedRun, match="does not belong to this run"):
        report.write(folder)


def test_damaged_pages_are_regenerated(reported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(reported, folder)
    flip(folder / "report.html", 100, 1)
    assert re.match(r"report\.html: changed: SHA-256 \w{16}…", found(folder))
    report.write(folder)
    assert found(folder) == "intact"


class Killed(BaseException):
    """Stands in for SIGKILL within one process."""


@pytest.mark.parametrize("kill_at", [0, 1, 2, 5, -1, None])
def test_a_kill_while_pages_are_written_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int | None
) -> None:
    """Killed before the first replacement, between two, before the last, and not at all."""
    folder = stored(tmp_path / "run")
    report.write(folder)
    with RunLog(folder, read_manifest(folder)) as log:  # other data, so other pages
        log.save(msgspec.structs.replace(log.manifest, run_id="another"))
    pages = [name for name in own_files(folder) if name not in DATA]
    replacements = len(pages) + 2  # the manifest's before and after
    left = [replacements if kill_at is None else kill_at % replacements]
    replace = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    if kill_at is None:
        report.write(folder)
    else:
        with pytest.raises(Killed):
            report.write(folder)
    monkeypatch.undo()
    said = verify(folder).faults
    if kill_at in (0, None):
        assert said == ()
    else:
        assert len(said) == len(pages)
        assert all(
            f"newer than the seal: hil report was stopped; run hil report {folder}" in line
            for line in said
        )
    report.write(folder)
    assert found(folder) == "intact"


def test_a_report_does_not_touch_the_manifest_of_a_running_bench(tmp_path: Path) -> None:
    folder = stored(tmp_path / "run")
    before = (folder / MANIFEST).read_bytes()
    with RunLog(folder, read_manifest(folder)):
        report.write(folder)
        assert (folder / MANIFEST).read_bytes() == before


def test_a_sealed_manifest_reads_back_and_seals_the_same() -> None:
    manifest = reports.manifest(reports.plan(), reports.plan("teacher", "float32"))
    once = msgspec.json.decode(sealed(manifest), type=Manifest)
    assert len(once.seal) == 64
    assert sealed(once) == sealed(manifest)
    changed = msgspec.structs.replace(once, run_id="other")
    assert sealed(changed) != sealed(manifest)


CHANGES: dict[str, Callable[[Manifest], Manifest]] = {
    "a field": lambda m: msgspec.structs.replace(m, hil="9"),
    "a hash": lambda m: msgspec.structs.replace(m, files={}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_value_breaks_the_seal(tmp_path: Path, change: str) -> None:
    folder = stored(tmp_path / "run")
    manifest = CHANGES[change](read_manifest(folder))
    encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    (folder / MANIFEST).write_bytes(encoded)
    assert "changed after it was sealed" in found(folder)
