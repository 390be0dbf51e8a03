# SPDX-License-Identifier: Apache-2.0
"""A user's own table: a ``.csv`` file with a header, one sample per line, columns of numbers, and
one column of labels or targets."""

from __future__ import annotations

import csv
import hashlib
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hil.core.errors import DataError, UsageError
from hil.core.records import Dataset
from hil.core.text import clean, closest, printable, shorten
from hil.datasets.arrays import as_samples, name_of, reading, sha256_of
from hil.datasets.labels import MOST_CLASSES, Answers, answers, unlabelled
from hil.datasets.npz import dataset

if TYPE_CHECKING:
    import pandas as pd

LARGEST: Final = 1 << 30  # bytes of a file; parsed, it takes several times as much
COLUMNS: Final = 100_000
_HEADER: Final = 4 << 20  # bytes of the first line
_SHOWN: Final = 5  # columns in a message
_NUMBER: Final = re.compile(r"\s*[-+]?(\d|\.\d)[\d.eE+-]*\s*")


def read_csv(path: Path, target: str | None = None) -> tuple[Dataset, str]:
    """Load the samples, and the right answers in column ``target``.

    Args:
        path: UTF-8 text, columns separated by commas, the first line their names.
        target: a column of integers or strings (labels) or other numbers (targets), by the rule of
            `hil.datasets.labels`; None: no labels.

    Returns:
        The data set: ``x`` (n, columns) float32, all columns of numbers but ``target``; ids
        ``<name>-00042`` in the order of the lines. The fingerprint is the SHA-256 of the file, or
        of that and ``target``. And a note on what was left out or converted, usually empty.

    Raises:
        DataError: the file is too large, is not such a table, or lacks a number.
        UsageError: it has no column ``target``.
    """
    where = printable(str(path))
    with reading(path):
        size = path.stat().st_size
        if size > LARGEST:
            hint = f"{LARGEST:,} is the limit: save it as .npy or .npz"
            raise DataError(f"{where} has {size:,} bytes", hint)
        sha256 = sha256_of(path)
        names = _header(path, where)
        if target is not None and target not in names:
            guess = closest(target, names)
            hint = f"did you mean {_shown(guess)}? " if guess else ""
            raise UsageError(
                f"{where} has no column {_shown(target)}", f"{hint}choose from {_listed(names)}"
            )
        frame = _parsed(path, where, names)
        right = unlabelled(len(frame))
        if target is not None:
            right = _answers(frame.pop(target), where, target)
            sha256 = hashlib.sha256(f"{sha256} target {target}".encode()).hexdigest()
        text = [name for name in frame.columns if not _is_numeric(frame[name], where)]
        numbers = frame.drop(columns=text)
        if numbers.shape[1] == 0:
            raise DataError(f"{where} has no column of numbers", "give one number per input value")
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused next
            x = as_samples(numbers.to_numpy(np.float32), where)
    left_out = f"{where}: columns of text are left out: {_listed(text)}" if text else ""
    note = "; ".join(one for one in (left_out, right.note) if one)
    return dataset(name_of(path), x, right, sha256), note


def _header(path: Path, where: str) -> list[str]:
    """The names of the columns."""
    with path.open("rb") as stream:
        line = stream.readline(_HEADER + 1)
    if len(line) > _HEADER:
        raise DataError(f"the first line of {where} is too long", f"{COLUMNS:,} columns at most")
    try:
        names = next(csv.reader([line.decode("utf-8-sig").rstrip("\r\n")], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"the first line of {where} is not UTF-8 text with commas", "save it as CSV, UTF-8"
        ) from error
    names = [name.strip() for name in names]
    if len(names) > COLUMNS:
        raise DataError(f"{where} has {len(names):,} columns", f"{COLUMNS:,} is the limit")
    if not any(names):
        raise DataError(f"{where} has no header", "give each column a name in the first line")
    if len(names) == 1 and (found := re.search(r"[;\t|]", names[0])):
        raise DataError(f"{where} separates its columns by {found[0]!r}", "separate them by commas")
    if all(_NUMBER.fullmatch(name) for name in names):
        raise DataError(
            f"the first line of {where} has numbers, not names", "add a line with column names"
        )
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(
                f"column {number} of {where} has no name",
                "name it, or remove it: pandas leaves its row numbers out with index=False",
            )
        if names.index(name) + 1 < number:
            raise DataError(f"{where} has two columns {_shown(name)}", "rename one of them")
    return names


def _parsed(path: Path, where: str, names: list[str]) -> pd.DataFrame:
    import pandas as pd  # takes half a second to import

    try:
        with warnings.catch_warnings(category=pd.errors.ParserWarning, action="error"):
            frame = pd.read_csv(
                path,
                header=None,
                names=names,
                skiprows=1,
                index_col=False,
                encoding="utf-8-sig",
                skipinitialspace=True,
                keep_default_na=False,
                na_values=[""],
                low_memory=False,  # one type per column
            )
    except pd.errors.EmptyDataError:
        frame = pd.DataFrame()
    except pd.errors.ParserError as error:
        why = clean(str(error)).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(f"{where} is not a table ({why})", "give each line as many cells") from None
    except pd.errors.ParserWarning:
        raise DataError(
            f"the lines of {where} have more cells than its header", "name every column"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 text", "save it as CSV, UTF-8") from error
    if frame.empty:
        raise DataError(f"{where} has no samples", "give one line for each, after the header")
    return frame


def _is_numeric(column: pd.Series[Any], where: str) -> bool:
    """Whether a column has numbers only; False if it has none. DataError for a mixture."""
    import pandas as pd

    missing = column.isna().to_numpy()
    numbers = column
    if not pd.api.types.is_numeric_dtype(column.dtype):
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.isna().all() and not missing.all():
            return False
    wrong = np.flatnonzero(numbers.isna().to_numpy())
    if len(wrong):
        cell = "" if missing[wrong[0]] else _shown(str(column.iloc[wrong[0]]))
        raise DataError(
            f"{where}, column {_shown(str(column.name))}: sample {wrong[0]} has "
            f"{f'{cell}, which is not a number' if cell else 'no number'}",
            "correct or remove that line or that column",
        )
    return True


def _answers(column: pd.Series[Any], where: str, target: str) -> Answers:
    """The right answers in a column."""
    import pandas as pd

    name = f"column {_shown(target)} of {where}"
    if (missing := column.isna().to_numpy()).any():
        raise DataError(
            f"{name}: sample {np.flatnonzero(missing)[0]} has no value", "fill it in, or remove it"
        )
    if pd.api.types.is_numeric_dtype(column.dtype):
        return answers(column.to_numpy(), len(column), name)
    numbers, different = pd.factorize(column.astype(str))
    if len(different) > MOST_CLASSES:
        raise DataError(
            f"{name} has {len(different):,} different strings",
            f"{MOST_CLASSES:,} is the limit: choose a column of classes or numbers",
        )
    found = answers(np.array([str(one) for one in different]), len(different), name)
    return Answers(found.y[numbers], None, found.classes, found.note)


def _listed(names: list[str]) -> str:
    some = ", ".join(_shown(name) for name in names[:_SHOWN])
    return some + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")


def _shown(name: str) -> str:
    return repr(shorten(printable(name), 40))
