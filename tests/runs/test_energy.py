# SPDX-License-Identifier: Apache-2.0
"""energy.json of a run's folder is checked before anything is made of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hil.core.errors import StorageError
from hil.report import write
from hil.runs.load import load_run
from hil.runs.log import RunLog
from hil.runs.schema_energy import ENERGY, EnergyMeasured, Shown, Span

TIMED = Path("results/example-latency")
SPAN = Span(1e-3, 0.9e-3, 1.1e-3)


def stored(tmp_path: Path, **changes: Any) -> Path:
    folder = Path(shutil.copytree(TIMED, tmp_path / "run"))
    manifest = load_run(folder).manifest
    good = EnergyMeasured(
        run=manifest.runs[0].key,
        instrument="instrument <b>",
        rate=1e5,
        volts=3.3,
        windows=10,
        joules=SPAN,
        above_idle=SPAN,
        idle=SPAN,
        seconds=SPAN,
        edge=1e-3,
        samples=1000,
        shown=Shown(1e-3, (0.01, 0.02, None), 0.0, 0.002),
    )
    with RunLog(folder, manifest) as log:
        log.save_energy([msgspec.structs.replace(good, **changes)])
        log.set_state("complete")
    return folder


def test_a_record_is_shown_with_its_texts_escaped(tmp_path: Path) -> None:
    page = write(stored(tmp_path)).html.read_text()
    assert "instrument &lt;b&gt;" in page
    assert "instrument <b>" not in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run": "another/run/of/int8"}, "does not fit any run"),
        ({"lost": -1}, "does not fit any run"),
        ({"joules": None}, "is incomplete"),
        ({"rate": 0.0}, "no instrument measures"),
        ({"volts": 0.0}, "no instrument measures"),
        ({"inferences": 0}, "no instrument measures"),
        ({"edge": 2.0}, "no instrument measures"),
        ({"shown": Shown(1e-3, (None, None), 0, 1)}, "cannot be drawn"),
        ({"shown": Shown(0.0, (0.1, 0.2), 0, 1)}, "cannot be drawn"),
        ({"shown": Shown(1e-3, (0.1,) * 5000, 0, 1)}, "cannot be drawn"),
    ],
)
def test_a_record_that_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    folder = stored(tmp_path, **changes)
    with pytest.raises(StorageError, match=said) as raised:
        load_run(folder)
    assert ENERGY in raised.value.what


def test_energies_of_zero_are_shown_without_an_error(tmp_path: Path) -> None:
    zero = Span(0.0, 0.0, 0.0)
    folder = stored(tmp_path, joules=zero, above_idle=zero, idle=zero, average=0.0, peak=0.0)
    assert write(folder).energy is not None
