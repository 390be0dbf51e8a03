"""An array that takes long to make and follows from a key: made once, and kept as a file.

By one process: others that want it too wait for the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hil import files

Array = npt.NDArray[Any]


def kept(path: Path | None, shape: tuple[int, ...], dtype: str, make: Callable[[], Array]) -> Array:
    """What ``path`` holds, or what ``make`` gives, which is then stored there.

    Args:
        path: an .npy file whose name tells all that it depends on; None keeps nothing.
        shape: its first dimensions; a file of other ones, or damaged, is not taken.
        dtype: the name of its type.
        make: makes it.

    Raises:
        StorageError: ``path`` cannot be written.
    """
    if path is None:
        return make()
    found = _read(path, shape, dtype)
    if found is not None:
        return found
    with files.alone(path.with_suffix(".lock")):
        found = _read(path, shape, dtype)  # made while this process waited
        if found is not None:
            return found
        made = make()
        with files.replacing(path) as part:
            np.save(part, made, allow_pickle=False)
    # as the next ones have it: processes share the memory of a mapped file
    found = _read(path, shape, dtype)
    return made if found is None else found


def _read(path: Path, shape: tuple[int, ...], dtype: str) -> Array | None:
    try:
        # mapped: such an array may be more than a GB
        found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape[: len(shape)] == shape and found.dtype == dtype else None
