# SPDX-License-Identifier: Apache-2.0
"""Every file, link, Python name and test that the documents mention exists."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from tools import PROJECT, tracked

ROOT_DOCUMENTS = {"README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "models/README.md"}
DOCUMENTS = sorted(
    name for name in tracked() if re.match(r"docs/.*\.md$", name) or name in ROOT_DOCUMENTS
)
FOLDERS = (
    *("hil", "hil_train", "firmware", "tests", "docs", "tools", "models", "benchmarks"),
    *("examples", "locks", ".github", ".ci", "results/example", "results/example-latency"),
)
# made when a command runs, or in a tree that only its user has
MADE = re.compile(
    r"tests_accuracy|tests_performance|benchmark/runner|^models/<|^results/<"
    r"|tests/test_hil\.py|\.github/workflows/hil\.yml"  # `hil init`
)


@cache
def files() -> frozenset[str]:
    """Tracked files and their folders."""
    names = [name for name in tracked() if (PROJECT / name).exists()]
    folders = {str(folder) for name in names for folder in Path(name).parents}
    return frozenset([*names, *folders])


def text(name: str) -> str:
    return (PROJECT / name).read_text()


def prose(name: str) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text(name), flags=re.DOTALL | re.MULTILINE)


def quoted(name: str) -> list[str]:
    """What a document has between backticks."""
    return [re.sub(r"\s+", " ", found) for found in re.findall(r"`([^`]+)`", prose(name))]


def paths(name: str) -> list[str]:
    """Paths below the project's folders, quoted or not, and quoted names of files in its root."""
    inside = "|".join(re.escape(folder) for folder in FOLDERS)
    found = re.findall(rf"(?<![\w./<-])(?:{inside})/[\w./*{{}},<>-]*", prose(name))
    suffixes = "md|toml|txt|ini|yaml|yml"
    found += [word for word in quoted(name) if re.fullmatch(rf"[A-Z]\w+\.(?:{suffixes})", word)]
    found += [word for word in quoted(name) if word in {"LICENSE", "Makefile", "platformio.ini"}]
    return [path.rstrip(".,") for path in found if not MADE.search(path)]


def exists(path: str) -> bool:
    if "<" in path:  # a name that the reader puts in
        return exists(path.partition("<")[0].rpartition("/")[0])
    pattern = re.sub(r"\{([\w,]+)\}", "*", path.rstrip("/"))
    if "*" in pattern:
        wanted = re.compile(re.escape(pattern).replace(r"\*", "[^/]*"))
        return any(wanted.fullmatch(name) for name in files())
    return pattern in files()


def anchors(name: str) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    heads = re.findall(r"^#+ (.*)", prose(name), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_exist(name: str) -> None:
    assert [path for path in paths(name) if not exists(path)] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(name)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = ((PROJECT / name).parent / path).resolve() if path else PROJECT / name
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(str(file.relative_to(PROJECT))), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_python_names_exist(name: str) -> None:
    for word in quoted(name):
        dotted = re.match(r"hil(?:_train)?(?:\.\w+)+", word)
        if dotted is None or word == "hil.toml":  # a user's file
            continue
        module = dotted[0]
        rest: list[str] = []
        while True:
            try:
                found = importlib.import_module(module)
                break
            except ModuleNotFoundError as problem:
                # a module of ours that is not there, not one that it needs
                if not dotted[0].startswith(str(problem.name)) and problem.name != module:
                    pytest.skip(f"{module} needs {problem.name}")
                module, _, last = module.rpartition(".")
                rest.insert(0, last)
        for attribute in rest:
            assert hasattr(found, attribute), f"{word} in {name}"
            found = getattr(found, attribute)


def test_tests_exist() -> None:
    tests = "\n".join(text(one) for one in tracked() if re.search(r"tests/.*\.py$", one))
    for name in DOCUMENTS:
        for word in re.findall(r"`(test_\w+)`", prose(name)):
            stopwatch = (PROJECT / "firmware" / "test" / word).is_dir()  # pio test -f
            assert stopwatch or f"def {word}(" in tests, f"{word} in {name}"


def test_what_is_looked_for_is_found() -> None:
    """The checks can fail: names that are not there, in the forms in which documents have them."""
    assert exists("hil/__init__.py")
    assert exists("docs/boards")
    assert exists("docs/boards/*.md")
    assert exists("hil/boards/<name>.toml")
    assert not exists("hil/nothing.py")
    assert not exists("docs/*.rst")
    assert not exists("nowhere/<name>.toml")
    assert "docs/engine-aot.md" in paths("README.md")
    assert len({path for name in DOCUMENTS for path in paths(name)}) > 60


def test_registries_that_contributors_are_sent_to_exist() -> None:
    """`NAME` of `path`, or `path`: ... `NAME`, in the same paragraph."""
    for paragraph in text("CONTRIBUTING.md").split("\n\n"):
        words = re.findall(r"`([^`]+)`", paragraph)
        sources = [text(word) for word in words if re.fullmatch(r"[\w/]+\.py|Makefile", word)]
        for name in (word for word in words if re.fullmatch(r"_?[A-Z][A-Z_]{3,}", word)):
            if name not in {"LICENSE", "HIL_DATA_DIR"}:
                found = rf"^{name}\b.*="
                assert any(re.search(found, one, re.MULTILINE) for one in sources), name
