# SPDX-License-Identifier: Apache-2.0
"""Nothing that a host sends makes the firmware hang or write outside its buffers.

Runs the fuzzers of fuzz/ with ASan and UBSan: built by gcc, on the stored inputs and random changes
of them, and by clang with libFuzzer, which searches for inputs that reach more code.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import fuzzing
from tests.support.firmware import SOURCES, run
from tests.support.needs import skip_without

pytestmark = [pytest.mark.firmware, pytest.mark.usefixtures("needs_gcc")]
by_variant = pytest.mark.parametrize(("name", "flag"), fuzzing.ALL)
needs_libfuzzer = skip_without([] if fuzzing.has_libfuzzer() else ["clang with libFuzzer"])
RUNS = {"packbits": 4_000_000, "decoder": 2_000_000, "session": 2_000_000}  # 12 million in total


def replayed(folder: Path, name: str, flag: str, rounds: int, seed: int = 1) -> str:
    program = fuzzing.with_gcc(folder, name, flag)
    files = fuzzing.unpack(name, folder / "stored")
    assert files, "the corpus is empty"
    return run([str(program), str(seed), str(rounds), *map(str, files)], timeout=600)


@by_variant
def test_stored_inputs_and_changes_of_them_find_nothing(
    name: str, flag: str, tmp_path: Path
) -> None:
    assert "20000 rounds" in replayed(tmp_path, name, flag, 20_000)


@pytest.mark.slow
@pytest.mark.timeout(900)
@by_variant
@pytest.mark.parametrize("seed", range(2, 8))
def test_many_changes_of_stored_inputs_find_nothing(
    name: str, flag: str, seed: int, tmp_path: Path
) -> None:
    replayed(tmp_path, name, flag, 200_000, seed)


@needs_libfuzzer
@by_variant
def test_libfuzzer_finds_nothing_in_seconds(name: str, flag: str, tmp_path: Path) -> None:
    program = fuzzing.with_libfuzzer(tmp_path, name, flag)
    assert "Done 10000 runs" in fuzzing.fuzz(tmp_path, program, name, 10_000)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@needs_libfuzzer
@by_variant
def test_libfuzzer_finds_nothing_in_millions(name: str, flag: str, tmp_path: Path) -> None:
    program = fuzzing.with_libfuzzer(tmp_path, name, flag)
    said = fuzzing.fuzz(tmp_path, program, name, RUNS[name], seed=2)
    assert f"Done {RUNS[name]} runs" in said


@needs_libfuzzer
def test_stored_inputs_reach_the_code(tmp_path: Path) -> None:
    """A corpus that does not get past the CRC any more would find nothing."""
    table = fuzzing.cover(tmp_path, "session", "-DHIL_LAYERS").splitlines()
    (total,) = [line.split() for line in table if line.startswith("TOTAL")]
    regions, lines, branches = (float(total[at].rstrip("%")) for at in (3, 9, 12))
    assert regions > 93, table
    assert lines > 95, table
    assert branches > 85, table


def broken(folder: Path, monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str) -> None:
    """Build the fuzzers from firmware in which ``old`` is replaced by ``new``."""
    text = (SOURCES / file).read_text()
    assert text.count(old) == 1
    changed = folder / Path(file).name
    changed.write_text(text.replace(old, new))
    right = fuzzing.sources

    def sources(name: str) -> list[Path]:
        return [changed if path.name == changed.name else path for path in right(name)]

    monkeypatch.setattr(fuzzing, "sources", sources)


@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [
        ("packbits", "hil_wire/hil_packbits.c", "done + count > at + read", "0"),
        ("decoder", "hil_wire/hil_decoder.c", "h < decoder->capacity)", "h <= decoder->capacity)"),
        ("decoder", "hil_wire/hil_encoder.c", "->used == 254u) {", "->used == 253u) {"),
        ("session", "hil_session/hil_infer.c", "index >= session->", "index > session->"),
        ("session", "hil_session/hil_infer.c", "got != wanted) {", "got > wanted) {"),
        ("session", "hil_session/hil_load.c", "if (length > state->wanted - state->got)", "if (0)"),
        ("session", "hil_session/hil_session.c", "wanted.offset < bytes ?", "wanted.offset ?"),
    ],
)  # fmt: skip
def test_a_missing_check_is_found(
    name: str,
    file: str,
    old: str,
    new: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(tmp_path, monkeypatch, file, old, new)
    with pytest.raises(AssertionError, match="ended with"):
        replayed(tmp_path, name, "-DHIL_LAYERS" if name == "session" else "", 20_000)
