# SPDX-License-Identifier: Apache-2.0
"""Folders of pictures: what is stored, what is adapted on request, and what is refused."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hil.core.errors import DataError, ToolMissing, UsageError
from hil.datasets import load_data, pictures
from hil.datasets.pictures import Size, parse_size, read_pictures

Pixels = npt.NDArray[np.uint8]


def some(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(pixels: Pixels) -> bytes:
    """A PNG of grey (h, w) or colours (h, w, 3), as the standard says, without Pillow."""
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def place(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shapes"


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_classes_in_the_order_of_their_names(folder: Path, shape: tuple[int, ...]) -> None:
    names = ["dog/2.png", "dog/10.PNG", "cat/b.png", "Zebra/a.png", "cat/a.png"]
    for seed, name in enumerate(names):
        place(folder / name, png(some(seed, *shape)))
    found, note = read_pictures(folder)
    order = [3, 4, 2, 1, 0]
    np.testing.assert_array_equal(
        found.x, np.stack([some(seed, *shape).reshape(4, 6, -1) for seed in order])
    )
    assert found.x.dtype == np.dtype(np.uint8)
    assert (found.y.tolist(), found.classes) == ([0, 1, 1, 2, 2], ("Zebra", "cat", "dog"))
    assert found.ids == ("Zebra-a", "cat-a", "cat-b", "dog-10", "dog-2")
    assert (found.name, note) == ("shapes", "")
    assert load_data(str(folder))[0].fingerprint == found.fingerprint


def test_pictures_alone_have_no_labels(folder: Path) -> None:
    place(folder / "b.png", png(some(1, 4, 4)))
    place(folder / "a.png", png(some(2, 4, 4)))
    found, _ = read_pictures(folder)
    assert (found.ids, found.labelled, found.classes) == (("a", "b"), False, ())
    np.testing.assert_array_equal(found.x[1, ..., 0], some(1, 4, 4))


def test_jpeg_gets_near_its_pixels(folder: Path) -> None:
    smooth = np.add.outer(np.arange(16) * 8, np.arange(16) * 4).astype(np.uint8)
    folder.mkdir()
    Image.fromarray(smooth).save(folder / "a.jpg", quality=95)
    found, _ = read_pictures(folder)
    assert found.x.shape == (1, 16, 16, 1)
    assert np.abs(found.x[0, ..., 0].astype(int) - smooth).max() <= 6


def test_what_changes_the_samples_changes_the_fingerprint(folder: Path) -> None:
    place(folder / "a/1.png", png(some(1, 4, 4)))
    prints = {
        read_pictures(folder)[0].fingerprint,
        read_pictures(folder, Size(2, 2))[0].fingerprint,
    }
    (folder / "a").rename(folder / "b")
    prints.add(read_pictures(folder)[0].fingerprint)
    place(folder / "b/1.png", png(some(2, 4, 4)))
    prints.add(read_pictures(folder)[0].fingerprint)
    assert len(prints) == 4


def test_size_and_channels_are_adapted_when_asked(folder: Path) -> None:
    flat = np.full((8, 10, 3), (200, 100, 50), np.uint8)
    place(folder / "a.png", png(flat))
    place(folder / "b.png", png(np.full((5, 5), 7, np.uint8)))
    with pytest.raises(DataError, match=r"a.png has 8x10 pixels of 3 channels, .*b.png 5x5 pixels"):
        read_pictures(folder)
    grey, note = read_pictures(folder, Size(4, 6, 1))
    luma = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)  # Rec. 601
    assert [set(one.ravel().tolist()) for one in grey.x] == [{luma}, {7}]
    assert note == "pictures are scaled to 4x6x1"
    colour, _ = read_pictures(folder, Size(4, 6, 3))
    assert colour.x.shape == (2, 4, 6, 3)
    assert colour.x[0, 0, 0].tolist() == [200, 100, 50]
    assert colour.x[1, 0, 0].tolist() == [7, 7, 7]
    with pytest.raises(DataError, match="4x6 pixels of 3 channels, .* 4x6 pixels of 1 channel"):
        read_pictures(folder, Size(4, 6))


def test_bilinear_halving_is_the_mean_of_neighbours(folder: Path) -> None:
    """With Pillow's antialiasing: a ramp stays a ramp of half the length."""
    ramp = np.tile(np.arange(0, 64, 2, dtype=np.uint8), (32, 1))
    place(folder / "a.png", png(ramp))
    found, _ = read_pictures(folder, Size(16, 16))
    middle = found.x[0, 8, 2:14, 0].astype(float)
    expected = ramp[0].astype(float).reshape(16, 2).mean(1)[2:14]
    assert np.abs(middle - expected).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "I;16", "CMYK"])
def test_other_modes(folder: Path, mode: str) -> None:
    """A palette and single bits lose nothing as uint8; transparency and 16 bits would."""
    folder.mkdir()
    name = "a.jpg" if mode == "CMYK" else "a.png"
    plain = Image.fromarray(some(3, 8, 8, 3) // 128 * 255)
    if mode == "I;16":
        Image.fromarray(np.full((8, 8), 1000, np.uint16)).save(folder / name)
    else:
        plain.convert(mode).save(folder / name)
    if mode == "P":
        np.testing.assert_array_equal(read_pictures(folder)[0].x[0], np.asarray(plain))
    elif mode == "1":
        assert set(read_pictures(folder)[0].x.ravel().tolist()) == {0, 255}
    else:
        with pytest.raises(DataError, match=f"mode {mode}"):
            read_pictures(folder)
        if mode == "I;16":
            with pytest.raises(DataError, match="16 bits"):
                read_pictures(folder, Size(8, 8, 1))
        else:
            assert read_pictures(folder, Size(8, 8, 3))[0].x.shape == (1, 8, 8, 3)


def test_hidden_files_and_other_types_are_left_out(folder: Path) -> None:
    place(folder / "a/1.png", png(some(1, 4, 4)))
    place(folder / "a/Thumbs.db", b"?")
    place(folder / "a/.DS_Store", b"?")
    place(folder / "README.md", b"?")
    (folder / "empty").mkdir()
    found, note = read_pictures(folder)
    assert (found.classes, note) == (("a",), f"2 other files of {folder} are left out")


def test_links_and_devices_are_refused(folder: Path, tmp_path: Path) -> None:
    there = place(tmp_path / "1.png", png(some(1, 4, 4)))
    folder.mkdir()
    (folder / "1.png").symlink_to(there)
    with pytest.raises(DataError, match=r"1.png is a link; copy the picture itself"):
        read_pictures(folder)
    (folder / "1.png").unlink()
    (folder / "again").symlink_to(folder)
    with pytest.raises(DataError, match="again is a link"):
        read_pictures(folder)
    (folder / "again").unlink()
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(DataError, match=r"pipe.png is not a file"):
        read_pictures(folder)


def test_folders_that_are_not_classes(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(DataError, match=r"has no pictures; put them into .*/CLASS/"):
        read_pictures(folder)
    place(folder / "a/b/1.png", png(some(1, 4, 4)))
    with pytest.raises(DataError, match="b is a folder in a folder of pictures"):
        read_pictures(folder)
    place(folder / "1.png", png(some(1, 4, 4)))
    with pytest.raises(DataError, match="has pictures and folders"):
        read_pictures(folder)


def test_names_that_are_not_utf8(folder: Path) -> None:
    for name in (b"caf\xe9/1.png", b"caf\xe8/1.png", b"a/x\xff.png", b"a/x y.png", b"a/x?y.png"):
        place(Path(os.fsdecode(bytes(folder) + b"/" + name)), png(some(1, 4, 4)))
    found, _ = read_pictures(folder)
    assert found.classes == ("a", r"caf\xe8", r"caf\xe9")
    assert found.ids == ("a-x_y", "a-x_y~2", "a-x_xff", "caf_xe8-1", "caf_xe9-1")


def bomb(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("size", [None, Size(8, 8)])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read|not a picture"),
        (b"\x89PNG\r\n\x1a\n", "not a picture that can be read"),
        (png(some(1, 64, 64))[:-400], "not a picture that can be read"),
        (b"GIF89a" + bytes(50), "not a picture that can be read"),
        (bomb(9000, 9000), "81,000,000|9000x9000 pixels; 67,108,864 is the limit"),
        (bomb(10_000, 10_000), "pixels; 67,108,864|does not fit in memory"),
        (bomb(60_000, 60_000), "does not fit in memory"),
        (bomb(0, 5), "not a picture"),
    ],
)
def test_damaged_pictures_and_bombs(
    folder: Path, content: bytes, says: str, size: Size | None
) -> None:
    file = place(folder / "a/1.png", content)
    with pytest.raises(DataError, match=says) as caught:
        read_pictures(folder, size)
    assert str(file) in caught.value.what
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_sizes_are_checked_before_memory_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        place(folder / f"{i}.png", png(some(i, 4, 4)))
    monkeypatch.setattr(pictures, "LARGEST", 47)
    with pytest.raises(DataError, match=r"3 pictures of \[4, 4, 1\] do not fit in memory"):
        read_pictures(folder)
    monkeypatch.setattr(pictures, "FILE_BYTES", 10)
    with pytest.raises(DataError, match=r"0.png is larger than 10 bytes"):
        read_pictures(folder)
    monkeypatch.setattr(pictures, "PICTURES", 2)
    with pytest.raises(DataError, match="has 3 pictures; 2 is the limit"):
        read_pictures(folder)


def test_the_words_of_the_option(folder: Path) -> None:
    assert parse_size("96x64") == Size(96, 64)
    assert parse_size("28x28x1") == Size(28, 28, 1)
    for wrong in ("", "96", "96x", "0x5", "9999x5", "28x28x2", "-1x5", "28x28x3x1"):
        with pytest.raises(UsageError, match="is not HEIGHTxWIDTH"):
            parse_size(wrong)
    with pytest.raises(UsageError, match="--resize 8x8 needs a folder of pictures, not digits"):
        load_data("digits", resize="8x8")
    place(folder / "a/1.png", png(some(1, 4, 4)))
    assert load_data(folder, resize="8x8")[0].x.shape == (1, 8, 8, 1)


def test_without_pillow_one_line_says_how_to_install_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(folder / "a/1.png", png(some(1, 4, 4)))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        ToolMissing, match=r"needs? Pillow, .*; pip install 'tinyml-hil\[pictures\]'"
    ):
        read_pictures(folder)
