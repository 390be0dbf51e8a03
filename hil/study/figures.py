"""What a study found: every figure of every network, as stored in ``study.json``."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.kd.provenance import Stored
from hil.records import Precision
from hil.stats import Estimate

SCHEMA = 1
FILE = "study.json"


class Device(Stored, frozen=True):
    """What a board said of one network, over the study's samples.

    ``wrong``: positions of the samples that it classifies wrong. ``time``: median of one
    inference in the study's ``unit``; None where the board has no clock. Bytes: ``arena`` is RAM
    of one inference, ``flash_model`` the network's weights and code, ``flash_code`` the rest of
    its image. ``unexpected``: output values that are not what they must be; None: nothing checked.
    """

    wrong: tuple[int, ...]
    time: float | None
    arena: int
    flash_model: int
    flash_code: int
    unexpected: int | None


class Row(Stored, frozen=True):
    """One network in one precision. ``seconds``: processor time of making it, ``total`` with
    that of every network it needs; None where a part was made elsewhere. ``why``: the reason
    where there is no ``device``."""

    method: str
    words: str
    precision: Precision
    parameters: int
    macs: int
    validation_accuracy: float  # of the float32 network, before conversion
    seconds: float | None
    total: float | None
    device: Device | None
    why: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.words} in {self.precision}"

    @property
    def key(self) -> str:
        return f"{self.method}_{self.precision}"


class Study(Stored, frozen=True):
    """``study.json``. ``n``: samples of the test split that each network was measured over.
    ``budget``: parameters of the student, and its multiplications."""

    schema: int
    recipe: str
    quick: bool
    epochs: int  # that schedules were cut to; 0: not cut
    dataset: str
    note: str
    test: int  # samples in the test split
    n: int
    board: str
    board_title: str
    unit: Literal["instructions", "us", "none"]
    budget_parameters: int
    budget_macs: int
    rows: tuple[Row, ...]
    versions: dict[str, str]
    command: str = ""


def accuracy(study: Study, row: Row) -> Estimate:
    """Of a row with device figures: the share of right answers with Wilson's interval."""
    assert row.device is not None
    return stats.proportion(study.n - len(row.device.wrong), study.n)


def right(study: Study, row: Row) -> npt.NDArray[np.bool_]:
    """(n,): which samples the device classifies right."""
    assert row.device is not None
    found = np.ones(study.n, np.bool_)
    found[list(row.device.wrong)] = False
    return found


def flash(row: Row) -> int:
    """Bytes of flash of a network's whole image."""
    assert row.device is not None
    return row.device.flash_model + row.device.flash_code


def measured(study: Study) -> tuple[Row, ...]:
    """The rows that a board answered for."""
    return tuple(row for row in study.rows if row.device is not None)
