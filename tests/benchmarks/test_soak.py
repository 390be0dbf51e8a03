# SPDX-License-Identifier: Apache-2.0
"""Never a wrong number: what is accepted over a disturbed line is the truth, and would not be
without the checks that see to it."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from cobs import cobs

from hil.device import Device
from hil.link.chaos import Chaos
from hil.wire.frames import HEADER, BadFrame, Frame
from tests.support.needs import skip_without
from tests.support.scripts import load_script

BERS = [1e-5, 1e-4, 1e-3, 1e-2]


@pytest.fixture(scope="module")
def soaking() -> ModuleType:
    return load_script("soaking")


def few_numbers(device: Device) -> None:
    """Sequence numbers come again soon, so that an old answer's is one that is waited for."""
    device._line._numbers = (1 + n % 32 for n in itertools.count())


def hold(soaking: ModuleType, board: object, seed: int, frames: int) -> None:
    """``frames`` at each bit error rate under all other faults; nothing accepted may be wrong."""
    for chaos, flip in zip(soaking.storms(seed), BERS, strict=True):
        assert chaos.flip == flip
        found = soaking.soak(board, board.truth, chaos, frames)  # type: ignore[attr-defined]
        assert found.wrong == 0
        assert found.frames >= frames
        assert found.answers > (frames // 4 if flip < 1e-3 else frames // 1000)
        assert found.counts.retries > frames * flip / 2
        assert found.faults["flip"] > frames * 50 * flip
        assert found.faults["replay"] > frames // 50
        assert set(found.ended) <= {"LinkError", "LineHopeless"}


def test_nothing_wrong_is_accepted(soaking: ModuleType) -> None:
    hold(soaking, soaking.PythonBoard(), 11, 8_000)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_wrong_is_accepted_in_a_million_frames(soaking: ModuleType, seed: int) -> None:
    hold(soaking, soaking.PythonBoard(), seed, 260_000)


needs_gcc = skip_without(tool for tool in ("gcc",) if not shutil.which(tool))


@pytest.mark.firmware
@needs_gcc
def test_nothing_wrong_is_accepted_of_the_firmwares_session(
    soaking: ModuleType, tmp_path: Path
) -> None:
    hold(soaking, soaking.SessionBoard(soaking.build_session(tmp_path)), 12, 8_000)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@needs_gcc
def test_nothing_wrong_is_accepted_of_the_firmwares_session_in_a_million_frames(
    soaking: ModuleType, tmp_path: Path
) -> None:
    hold(soaking, soaking.SessionBoard(soaking.build_session(tmp_path)), 3, 260_000)


def test_without_the_crc_wrong_numbers_are_accepted(
    soaking: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trusting(block: bytes) -> Frame | BadFrame:
        try:
            body = cobs.decode(block)
        except cobs.DecodeError:
            return BadFrame("not COBS", len(block))
        if len(body) < HEADER.size + 4:
            return BadFrame("too short", len(block))
        version, kind, seq = HEADER.unpack_from(body)
        if version != 1:
            return BadFrame("not ours", len(block))
        return Frame(kind, seq, bytes(body[HEADER.size : -4]), version)

    board, chaos = soaking.PythonBoard(), Chaos(1, flip=1e-3)
    assert soaking.soak(board, board.truth, chaos, 4_000).wrong == 0
    monkeypatch.setattr("hil.wire.frames.decode", trusting)
    assert soaking.soak(board, board.truth, chaos, 4_000).wrong > 0


def test_without_the_check_an_old_answer_is_accepted(
    soaking: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its CRC is right and its number is waited for: only `check` knows that it is old."""
    board, chaos = soaking.PythonBoard(), Chaos(1, replay=0.2)
    found = soaking.soak(board, board.truth, chaos, 8_000, prepare=few_numbers)
    assert (found.wrong, found.ended) == (0, {})
    assert found.counts.unexpected > 500
    monkeypatch.setattr("hil.device.line.fits", lambda _reply, _check: True)
    assert soaking.soak(board, board.truth, chaos, 8_000, prepare=few_numbers).wrong > 20


@pytest.mark.firmware
@needs_gcc
def test_the_firmwares_session_says_whose_answer_it_is(
    soaking: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = soaking.SessionBoard(soaking.build_session(tmp_path))
    chaos = Chaos(1, replay=0.2)
    found = soaking.soak(board, board.truth, chaos, 8_000, prepare=few_numbers)
    assert (found.wrong, found.ended) == (0, {})
    monkeypatch.setattr("hil.device.line.fits", lambda _reply, _check: True)
    assert soaking.soak(board, board.truth, chaos, 8_000, prepare=few_numbers).wrong > 20
