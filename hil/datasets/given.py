# SPDX-License-Identifier: Apache-2.0
"""``--data``: a file, a folder, or a name; one function loads all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from hil.core.errors import DataError, UsageError
from hil.core.files import did_you_mean
from hil.core.records import Dataset
from hil.core.text import closest, printable
from hil.datasets import drawn, installed, named
from hil.datasets.download import Progress
from hil.datasets.npz import read_npy, read_npz
from hil.datasets.pictures import parse_size, read_pictures
from hil.datasets.tables import read_csv

Given: TypeAlias = Path | str | Dataset
KINDS: Final = (
    "a file .npz, .npy or .csv, or a folder of pictures; a name: "
    f"{', '.join(named.NAMES)}, sklearn:NAME or keras:NAME; or random[:N[:SEED]]"
)


def is_name(given: Given) -> bool:
    """Whether ``--data`` names a data set; a file of that name is written as ./NAME."""
    if not isinstance(given, str):
        return False
    collection, colon, _ = given.partition(":")
    return (
        given in ("auto", *named.NAMES)
        or is_random(given)
        or (bool(colon) and collection in installed.COLLECTIONS)
    )


def is_random(given: Given) -> bool:
    """Whether ``--data`` asks for random inputs."""
    return isinstance(given, str) and given.partition(":")[0] == drawn.NAME


def load_data(
    given: Given,
    *,
    target: str | None = None,
    resize: str | None = None,
    takers: Sequence[drawn.Inputs] = (),
    split: str = "test",
    progress: Progress | None = None,
) -> tuple[Dataset, str]:
    """Load what ``--data`` says.

    Args:
        given: see `KINDS`; a `Path` is never a name, and a data set is returned as it is.
        target: of a .csv: the column of labels or targets.
        resize: of a folder of pictures: see `hil.datasets.pictures.parse_size`.
        takers: the inputs of each network that will get the samples, by name; for random ones.
        split: ``train`` or ``test``, of data sets that have both.
        progress: called while files are downloaded.

    Returns:
        The data set, and a note on what was chosen or converted; usually empty.

    Raises:
        UsageError: it is not of a known kind, or an option is for another kind.
        DataError: the data are missing or not as described.
    """
    if isinstance(given, Dataset):
        return given, ""
    text = printable(str(given))
    suffix = "" if is_name(given) else Path(given).suffix.lower()
    if target is not None and suffix != ".csv":
        raise UsageError(
            f"--target {printable(target)} needs a .csv file, not {text}",
            "leave it out: an .npz has labels in its array y",
        )
    pictures = not is_name(given) and Path(given).is_dir()
    if resize is not None and not pictures:
        raise UsageError(
            f"--resize {printable(resize)} needs a folder of pictures, not {text}", "leave it out"
        )
    if isinstance(given, str) and is_name(given):
        if is_random(given):
            return drawn.draw(drawn.parse(given), takers)
        collection, colon, name = given.partition(":")
        if colon:
            return installed.load(collection, name, split), ""
        chosen, note = named.choose(given, split, progress=progress)
        return named.load(chosen, split, progress=progress), note
    path = Path(given)
    if pictures:
        return read_pictures(path, parse_size(resize) if resize else None)
    match suffix:
        case ".npz":
            return read_npz(path)
        case ".npy":
            return read_npy(path), ""
        case ".csv":
            return read_csv(path, target)
    if not path.exists():
        found = closest(text, named.NAMES)
        guess = f"did you mean {found}? " if found else did_you_mean(path)
        raise DataError(f"there is no data {text}", f"{guess}give {KINDS}")
    raise DataError(f"{text} is not a kind of data that hil reads", f"give {KINDS}")
