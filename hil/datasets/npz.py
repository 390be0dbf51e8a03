"""A user's own data: an ``.npz`` file with arrays ``x`` and ``y``, checked before use."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.errors import DataError
from hil.records import Dataset

_TYPES = (np.uint8, np.int8, np.float32)
_HINT = 'save it with numpy.savez(path, x=..., y=...), x as "uint8", "int8" or "float32"'


def load_npz(path: Path | str) -> Dataset:
    """Load samples and labels.

    Args:
        path: an ``.npz`` with ``x`` (n, ...) uint8, int8 or float32, and ``y`` (n,) integers.

    Returns:
        The data set, named after the file, split ``user``, ids ``<name>-00042``; the
        fingerprint is the SHA-256 of the file.

    Raises:
        DataError: not such a file, or its arrays are not as above.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        if not zipfile.is_zipfile(path):
            raise DataError(f"{path} is not an .npz file", _HINT)
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in ("x", "y") if key not in archive.files]
            if missing:
                raise DataError(f"{path} has no array {' and '.join(missing)}", _HINT)
            x, y = archive["x"], archive["y"]
            # a member that is no .npy comes back as bytes
            if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
                raise DataError(f"{path} holds files that are not arrays", _HINT)
    except OSError as error:
        what = f"{path} cannot be read ({error.strerror or error})"
        raise DataError(what, "check the path") from error
    except MemoryError as error:
        raise DataError(f"{path} does not fit into memory", "save fewer samples") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{path} is damaged or holds Python objects ({error})", _HINT) from error
    labels = _check(path, x, y)
    x.setflags(write=False)
    labels.setflags(write=False)
    name = path.stem
    ids = tuple(f"{name}-{i:05d}" for i in range(len(labels)))
    return Dataset(name, "user", ids, x, labels, sha256)


def _check(
    path: Path, x: npt.NDArray[np.generic], y: npt.NDArray[np.generic]
) -> npt.NDArray[np.int64]:
    if x.dtype not in _TYPES:
        raise DataError(f"x in {path} is {x.dtype}", 'convert it: x.astype("float32")')
    if x.ndim < 2 or x.size == 0:
        raise DataError(f"x in {path} has shape {x.shape}", "it must be (samples, ...), not empty")
    if not np.issubdtype(y.dtype, np.integer) or y.ndim != 1:
        what = f"y in {path} is {y.dtype} of shape {y.shape}"
        raise DataError(what, "it must be one integer label a sample")
    if len(x) != len(y):
        raise DataError(f"{path} has {len(x)} samples in x and {len(y)} labels in y", _HINT)
    if x.dtype == np.float32 and not np.isfinite(x).all():
        raise DataError(f"x in {path} holds NaN or infinity", "remove those samples")
    if y.min() < 0 or y.max() > np.iinfo(np.int32).max:
        what = f"labels in {path} reach from {y.min()} to {y.max()}"
        raise DataError(what, "they must count classes from 0")
    return y.astype(np.int64)
