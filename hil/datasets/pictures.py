# SPDX-License-Identifier: Apache-2.0
"""A folder of pictures: ``CLASS/*.png`` or ``.jpg`` with labels, or pictures alone without.

A picture is changed only if a `Size` is asked for: all must have one size and one number of
channels. Folders may come from anyone: links are refused, formats are limited to PNG and JPEG, and
a picture's size is checked before it is decoded.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError, ToolMissing, UsageError
from hil.core.records import Dataset
from hil.core.text import clean, printable
from hil.datasets.arrays import LARGEST, reading, sha256_of
from hil.datasets.labels import MOST_CLASSES, Answers, unlabelled
from hil.datasets.npz import dataset

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES: Final = (".png", ".jpg", ".jpeg")
PICTURES: Final = 1_000_000
FILE_BYTES: Final = 64 << 20  # of one file
PIXELS: Final = 64 << 20  # of one picture before it is resized
_SIDE: Final = 8192  # pixels of a side of `Size`
_FORM: Final = re.compile(r"(\d{1,4})x(\d{1,4})(?:x([13]))?")
# Pillow's modes that NumPy gets as they are stored, or without loss: mode -> the mode to read
_PLAIN: Final = {"L": "L", "RGB": "RGB", "1": "L"}
_GREY, _COLOUR = "L", "RGB"


@dataclass(frozen=True, slots=True)
class Size:
    """What each picture is adapted to; ``channels``: 1 or 3, or None: as it has."""

    height: int
    width: int
    channels: int | None = None

    def __str__(self) -> str:
        sides = f"{self.height}x{self.width}"
        return f"{sides}x{self.channels}" if self.channels else sides


def parse_size(text: str) -> Size:
    """``HEIGHTxWIDTH[xCHANNELS]``; UsageError for anything else."""
    found = _FORM.fullmatch(text)
    sides = [int(one) for one in found.groups()[:2]] if found else [0]
    if not found or not all(0 < side <= _SIDE for side in sides):
        raise UsageError(
            f"--resize {printable(text)} is not HEIGHTxWIDTH[xCHANNELS]",
            "for example 96x96, 96x96x1 for grey pictures, 96x96x3 for colour",
        )
    return Size(sides[0], sides[1], int(found[3]) if found[3] else None)


def read_pictures(folder: Path, size: Size | None = None) -> tuple[Dataset, str]:
    """Load the pictures of a folder.

    Args:
        folder: one folder per class, whose names in order of their bytes are the classes 0, 1, ...;
            or pictures alone. Hidden files are ignored, files of other types left out.
        size: scale each picture to it, by Pillow's bilinear filter and without keeping its
            proportions; grey is made of colours by Rec. 601. None: take them as they are.

    Returns:
        ``x`` (n, height, width, channels) uint8, in the order of the files' names; ids
        ``<class>-<file>``. The fingerprint is the SHA-256 of the files' names and hashes, and
        ``size``. And a note on what was left out.

    Raises:
        DataError: there are no pictures, they differ in size or channels, or one cannot be decoded.
        ToolMissing: Pillow is not installed.
    """
    where = printable(str(folder))
    with reading(folder):
        found = _files(folder, where)
    if not found.files:
        raise DataError(
            f"{where} has no pictures", f"put them into {where}/CLASS/ as {', '.join(SUFFIXES)}"
        )
    digest = hashlib.sha256(f"resize {size} ".encode())
    x: npt.NDArray[np.uint8] | None = None
    for i, file in enumerate(found.files):
        shown = printable(str(file))
        with reading(file):
            digest.update(os.fsencode(file.relative_to(folder)) + b"\0")
            digest.update(sha256_of(file).encode())
        pixels = _pixels(file, shown, size)
        if x is None:
            if len(found.files) * pixels.size > LARGEST:
                raise DataError(
                    f"{len(found.files):,} pictures of {list(pixels.shape)} do not fit in memory",
                    "use fewer, or a smaller --resize",
                )
            x = np.empty((len(found.files), *pixels.shape), np.uint8)
        if pixels.shape != x.shape[1:]:
            raise DataError(
                f"{printable(str(found.files[0]))} has {_words(x[0])}, {shown} {_words(pixels)}",
                "pass --resize HEIGHTxWIDTH[xCHANNELS] to adapt them",
            )
        x[i] = pixels
    assert x is not None
    right = unlabelled(len(x))
    if found.classes:
        right = Answers(np.array(found.labels, np.int64), None, found.classes)
    name = printable(folder.resolve().name) or "pictures"
    made = dataset(name, x, right, digest.hexdigest(), ids=_ids(found.files, bool(found.classes)))
    said = [f"{found.others:,} other files of {where} are left out"] if found.others else []
    said += [f"pictures are scaled to {size}"] if size else []
    return replace(made, split="pictures"), "; ".join(said)


@dataclass(frozen=True, slots=True)
class _Found:
    """``labels``: one per file; empty without ``classes``. ``others``: how many are left out."""

    files: Sequence[Path]
    labels: Sequence[int]
    classes: tuple[str, ...]
    others: int


def _files(folder: Path, where: str) -> _Found:
    folders, files, others = _entries(folder)
    if files and folders:
        raise DataError(
            f"{where} has pictures and folders", "move the pictures into a folder of their class"
        )
    labels: list[int] = []
    kept: list[Path] = []
    for one in folders:
        inside, pictures, more = _entries(one)
        if inside:
            raise DataError(
                f"{printable(str(inside[0]))} is a folder in a folder of pictures",
                "put the pictures of a class into its folder",
            )
        others += more
        if not pictures:
            continue
        labels += [len(kept)] * len(pictures)
        kept.append(one)
        files += pictures
        if len(files) > PICTURES or len(kept) > MOST_CLASSES:
            raise DataError(
                f"{where} has too many pictures or classes",
                f"{PICTURES:,} and {MOST_CLASSES:,} are the limits",
            )
    classes = tuple(clean(_utf8(one.name), 80) for one in kept)
    return _Found(files, labels, classes, others)


def _entries(folder: Path) -> tuple[list[Path], list[Path], int]:
    """The folders and the pictures in a folder, sorted by the bytes of their names, and the number
    of other files. DataError for links and for what is not a file."""
    folders, pictures, others = [], [], 0
    for path in sorted(folder.iterdir(), key=lambda one: os.fsencode(one.name)):
        if path.name.startswith("."):
            continue
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            folders.append(path)
        elif not stat.S_ISREG(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "not a file"
            raise DataError(f"{printable(str(path))} is {kind}", "copy the picture itself")
        elif path.suffix.lower() in SUFFIXES:
            pictures.append(path)
        else:
            others += 1
    if len(pictures) > PICTURES:
        raise DataError(
            f"{printable(str(folder))} has {len(pictures):,} pictures", f"{PICTURES:,} is the limit"
        )
    return folders, pictures, others


def _pixels(file: Path, shown: str, size: Size | None) -> npt.NDArray[np.uint8]:
    """(height, width, 1 or 3) uint8."""
    pil = _pillow()
    with reading(file):
        if file.stat().st_size > FILE_BYTES:
            raise DataError(f"{shown} is larger than {FILE_BYTES:,} bytes", "shrink it")
    try:
        with (
            warnings.catch_warnings(category=pil.DecompressionBombWarning, action="error"),
            pil.open(file, formats=("PNG", "JPEG")) as picture,
        ):
            if picture.width * picture.height > PIXELS:
                raise DataError(
                    f"{shown} has {picture.width}x{picture.height} pixels",
                    f"{PIXELS:,} is the limit: shrink it",
                )
            adapted = _adapted(picture, shown, size)
            pixels = np.asarray(adapted, np.uint8)
    except DataError:
        raise
    except (MemoryError, pil.DecompressionBombError, pil.DecompressionBombWarning) as error:
        raise DataError(f"{shown} does not fit in memory", "shrink it") from error
    except Exception as error:  # Pillow does not document what it raises for damaged files
        why = clean(str(error), 200).replace(str(file), "") or type(error).__name__
        raise DataError(
            f"{shown} is not a picture that can be read ({why})",
            "save it again as PNG or JPEG, or remove it",
        ) from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _adapted(picture: Image, shown: str, size: Size | None) -> Image:
    mode = _PLAIN.get(picture.mode)
    if mode is None and picture.mode == "P" and "transparency" not in picture.info:
        mode = _COLOUR  # a palette of colours
    if size is not None:
        if picture.mode.startswith("I"):  # 16 bits: Pillow would clip them
            raise DataError(f"{shown} has 16 bits per value", "save it with 8 bits")
        few = picture.mode in ("1", _GREY, "LA")
        mode = {1: _GREY, 3: _COLOUR}.get(size.channels or 0, _GREY if few else _COLOUR)
    if mode is None:
        raise DataError(
            f"{shown} has Pillow's mode {picture.mode}, which is neither grey nor colour of 8 bits",
            "save it so, or pass --resize HEIGHTxWIDTHxCHANNELS, which drops transparency",
        )
    plain = picture.convert(mode)
    if size is None or plain.size == (size.width, size.height):
        return plain
    return plain.resize((size.width, size.height), _pillow().Resampling.BILINEAR)


def _pillow() -> Any:
    """The module ``PIL.Image``."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ToolMissing(
            "pictures need Pillow, which is not installed", "pip install 'tinyml-hil[pictures]'"
        ) from error
    return Image


def _ids(files: Sequence[Path], classes: bool) -> tuple[str, ...]:
    """Unique names that are safe in paths: of the class, if there is one, and of the file."""
    seen: dict[str, int] = {}
    found = []
    for file in files:
        words = [file.parent.name, file.stem] if classes else [file.stem]
        name = re.sub(r"[^\w.-]+", "_", "-".join(_utf8(word) for word in words))
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}~{seen[name]}")
    return tuple(found)


def _utf8(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _words(pixels: npt.NDArray[np.uint8]) -> str:
    height, width, channels = pixels.shape
    return f"{height}x{width} pixels of {channels} channel{'s' * (channels > 1)}"
