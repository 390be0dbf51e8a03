# SPDX-License-Identifier: Apache-2.0
"""tools/words.py finds words of its list wherever they are written, and accepts the exceptions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import PROJECT, words

RULES = words.rules(words.RULES.read_text())


def found(text: str) -> list[tuple[int, str]]:
    return [(hit.line, hit.word.lower()) for hit in words.check(text, RULES)]


@pytest.mark.parametrize(
    "text",
    [
        "x = 1  # made anew\n",
        'raise ValueError("made anew")\n',
        'def f():\n    """Make it anew."""\n',
        "/* made anew */\n",
        "// made anew\n",
        "def test_it_is_made_anew() -> None:\n",
        "| a table | made anew |\n",
        "Anew, it is made.\n",
    ],
)
def test_a_word_is_found_in_comments_strings_docstrings_names_and_text(text: str) -> None:
    ((line, word),) = found(text)
    assert word == "anew"
    assert "anew" in text.splitlines()[line - 1].lower()


@pytest.mark.parametrize(
    "text",
    [
        "not checked, for want of an oracle",
        "not checked, for want\nof an oracle",
        "# not checked, for\n# want of an oracle",
        "/* not checked, for want\n * of an oracle */",
        '    "not checked, for want "\n    f"of an oracle"',
        "def test_it_is_not_checked_for_want_of_an_oracle() -> None:",
    ],
)
def test_a_phrase_is_found_across_line_breaks_and_underscores(text: str) -> None:
    ((_, phrase),) = found(text)
    assert phrase == "for want of"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("a.elf is no firmware", "is no firmware"),
        ("these are no digits", "are no digits"),
        ("A row a run.", "a row a run"),
        ("where they part", "where they part"),
        ("the partings of a run", "partings"),
        ("held against the oracle", "held against"),
        ("It holds every byte against TFLM", "holds every byte against"),
        ("whose a byte is", "whose a"),
        ("what befell the line", "befell"),
        ("a model that it has not.", "has not"),
        ("whoever asks, and where that is in vain", "whoever"),
    ],
)
def test_each_kind_of_rule(text: str, phrase: str) -> None:
    assert phrase in [word for _, word in found(text)]


@pytest.mark.parametrize(
    "text",
    [
        "There is no model of that name; there are no others.",
        "It is no longer needed. The second is no faster than the first.",
        "This is no different from a reset. That is no use.",
        "It has not answered. They are all the same.",
        "A part of the image; the parts from the linker; a third-party compiler.",
        "A new run; a line of text; in a row; one row per run; hold the button against it.",
        "the manifest, elsewhere, therefore, hereafter",
    ],
)
def test_plain_text_passes(text: str) -> None:
    expected = ["hold the button against"] if "button" in text else []
    assert [word for _, word in found(text)] == expected


def test_a_line_can_be_exempted() -> None:
    assert not found('QUOTED = "anew"  # words: ignore\n')
    assert found('QUOTED = "anew"  # words: ignore\nMADE = "anew"\n') == [(2, "anew")]


@pytest.mark.parametrize("text", ["anew: again", "(anew => again", "allow"])
def test_a_malformed_rule_is_named_by_its_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"words\.txt:2: "):
        words.rules(f"# a comment\n{text}\n")


def test_which_files_are_checked() -> None:
    for name in ("hil/errors.py", "README.md", "models/README.md", "firmware/src/main.cpp"):
        assert words.checked(name)
    for name in ("results/example/report.md", "models/mnist/card.md", "docs/images/report.png"):
        assert not words.checked(name)


def test_the_command_names_file_line_word_and_replacement(tmp_path: Path) -> None:
    text = tmp_path / "text.md"

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tools.words", str(text)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )

    text.write_text("One.\nMade anew.\n")
    done = run()
    assert done.returncode == 1
    assert done.stdout == f'{text}:2: "anew": write again\n'
    text.write_text("One.\nMade again.\n")
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
