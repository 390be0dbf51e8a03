# SPDX-License-Identifier: Apache-2.0
"""The fonts that drawings are tested with, each as the only font of a Chromium."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import pytest

from hil.cli.doctor import FONTS


def file_of(font: str, weight: str = "regular") -> Path | None:
    """The file of a font; None if it is not installed."""
    words = ["fc-match", "-f", "%{family}\t%{file}", f"{font}:weight={weight}"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    families, file = said.split("\t")
    return Path(file) if font in families.split(",") else None


@cache
def installed() -> tuple[str, ...]:
    """Those of `FONTS` that are installed."""
    return tuple(font for font in FONTS if file_of(font))


def need(font: str) -> None:
    """Skip if ``font`` is not installed; fail if none of `FONTS` is."""
    assert installed(), f"none of {', '.join(FONTS)} is installed"
    if font not in installed():
        pytest.skip(f"not installed: {font} (hil doctor --install --tests)")


def only(font: str, folder: Path) -> Path:
    """Write a fontconfig file to ``folder`` that knows only ``font``, which then stands for every
    font that a page asks for."""
    found = {file_of(font, weight) for weight in ("regular", "bold")}
    faces = "".join(f"<dir>{file.parent}</dir>" for file in found if file)
    accepted = "".join(f"<glob>{file}</glob>" for file in found if file)
    config = folder / "fonts.conf"
    config.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f"{faces}<cachedir>{folder / 'cache'}</cachedir><selectfont>"
        f"<rejectfont><glob>*</glob></rejectfont><acceptfont>{accepted}</acceptfont></selectfont>"
        '<match target="pattern"><edit name="family" mode="assign" binding="strong">'
        f"<string>{font}</string></edit></match></fontconfig>"
    )
    return config
