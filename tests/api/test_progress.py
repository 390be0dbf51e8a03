# SPDX-License-Identifier: Apache-2.0
"""What `hil.bench` shows in a notebook and at a terminal."""

from __future__ import annotations

import io
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

from hil.api.progress import Lines, Notebook, watcher
from hil.api.words import count, words
from hil.bench import events
from hil.bench.events import BenchStored, BuildStep, Finished, Note, Starting, Streaming

NAME = "<script>alert(1)</script>\x1b[31m"


class Shown:
    """IPython's ``display``: remembers what is displayed, and how often it is updated."""

    def __init__(self) -> None:
        self.updates = self.outputs = 0

    def __call__(self, _: object, *, display_id: bool) -> Shown:
        assert display_id
        self.outputs += 1
        return self

    def update(self, _: object) -> None:
        self.updates += 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_notebook_shows_lines_and_bars_as_text_of_the_board() -> None:
    shown = Shown()
    found = Notebook(shown)
    found(Note(NAME))
    for done in range(101):
        found(Streaming(f"mps2/{NAME}", done, 100, 0))
    page = found._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert '<progress value="100" max="100">' in page
    assert "100 of 100" in repr(found)
    assert "\x1b" not in repr(found)
    assert shown.outputs == 1
    assert 1 <= shown.updates < 50  # the last count, but not each


def test_a_terminal_shows_one_line_per_count() -> None:
    stream = io.StringIO()
    shown = Lines(stream)
    shown(Starting("1 runs", Path("results/run")))
    for done in (0, 50, 100, 100):
        shown(Streaming("mps2/aot/student/int8", done, 100, 0))
    shown(Finished(NAME, 1.5))
    shown(BenchStored(Path("results/run")))
    assert stream.getvalue().splitlines() == [
        "1 runs -> results/run",
        "mps2/aot/student/int8: 100 of 100",
        f"{NAME.replace(chr(27), '?')}: done in 1.5 s",
    ]


def test_it_is_shown_only_where_someone_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)

    def kind(progress: Any) -> str:
        return type(watcher(progress)).__name__

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert kind(None) == kind(False) == "function"
    assert kind(True) == "Lines"
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert kind(None) == "Lines"
    assert kind(False) == "function"
    monkeypatch.setattr(sys, "stderr", None)  # pythonw has none
    assert kind(None) == "function"
    seen: list[events.Event] = []
    watcher(seen.append)(Note("x"))
    assert seen == [Note("x")]


def test_every_event_has_words_or_a_count() -> None:
    """Events whose fields are all strings, paths or numbers; `words` ignores the values."""
    samples = {str: "x", int: 1, float: 1.0, Path: Path("x"), tuple[str, ...]: ("x",)}
    tried = 0
    for kind in typing.get_args(events.Event):
        hints = typing.get_type_hints(kind)
        if all(hint in samples for hint in hints.values()):
            event = kind(**{name: samples[hint] for name, hint in hints.items()})
            assert words(event) or count(event) or kind in (BenchStored, BuildStep)
            tried += 1
    assert tried > 15
