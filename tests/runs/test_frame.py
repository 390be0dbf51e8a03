# SPDX-License-Identifier: Apache-2.0
"""The table of a stored run says what its samples say."""

from pathlib import Path

from hil.runs.log import RunLog
from hil.runs.notebook import read_frame
from tests.support.runs import manifest, sample


def test_rows_and_answers(tmp_path: Path) -> None:
    with RunLog(tmp_path, manifest()) as log:
        log.save(manifest())
        log.append(sample(0))
        log.append(sample(1, litert=b"\x02\x01", oracle=b"\x02\x02", attempts=3, round_trip=80))
    frame = read_frame(tmp_path)
    assert list(frame["device"]) == [1, 1]
    assert list(frame["host"]) == [1, 0]
    assert list(frame["equals_litert"]) == [True, False]
    assert list(frame["equals_oracle"]) == [True, False]
    assert list(frame["attempts"]) == [1, 3]
    assert list(frame["equals_xnnpack"]) == [None, None]  # it was not run
    assert frame["round_trip"][1] == 80
    assert set(frame["unit"]) == {"instructions"}
    assert frame.groupby("model")["time"].median().to_dict() == {"student": 7.0}
