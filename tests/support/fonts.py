# SPDX-License-Identifier: Apache-2.0
"""The fonts that a drawing is tried in, each as the only one of a Chromium."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import pytest

from hil.cli.doctor import FONTS


def file_of(font: str, weight: str = "regular") -> Path | None:
    """Where a font is; None where it is not installed."""
    words = ["fc-match", "-f", "%{family}\t%{file}", f"{font}:weight={weight}"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    families, file = said.split("\t")
    return Path(file) if font in families.split(",") else None


@cache
def installed() -> tuple[str, ...]:
    """Those of `FONTS` that this machine has."""
    return tuple(font for font in FONTS if file_of(font))


def need(font: str) -> None:
    """Skip where ``font`` is missing, unless none of them is there."""
    assert installed(), f"none of {', '.join(FONTS)} is installed"
    if font not in installed():
        pytest.skip(f"not installed: {font} (hil doctor --install --tests)")


def only(font: str, folder: Path) -> Path:
    """A configuration of fontconfig, written to ``folder``, that knows ``font`` alone: what a page
    asks for as any other is answered by it."""
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
