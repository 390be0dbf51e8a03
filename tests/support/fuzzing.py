# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the fuzzers of tests/firmware/fuzz.

``python -m tests.support.fuzzing session --runs 2000000`` fuzzes with libFuzzer, ASan and UBSan,
and adds inputs that reach new code to fuzz/corpus/session.hex, one per line. ``--cover`` prints the
coverage of the stored inputs. Inputs that crash are in the folder that it prints.
"""

from __future__ import annotations

import argparse
import functools
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.firmware import FAKE_IMAGE, INCLUDES, LIBRARY, STRICT, run

FOLDER: Final = Path(__file__).parents[1] / "firmware" / "fuzz"
LONGEST: Final = 512
SANITIZE: Final = ("-O1", "-g", "-fno-sanitize-recover=all")
# The fuzzers, each with the options that remove or add code.
VARIANTS: Final = {
    "packbits": ("",),
    "decoder": ("",),
    "session": ("", "-DHIL_LAYERS", "-DHIL_UNPACKS=0", "-DHIL_MLPERF=0"),
}
ALL: Final = [(name, flag) for name, flags in VARIANTS.items() for flag in flags]


@functools.cache
def has_libfuzzer() -> bool:
    """Whether clang and libFuzzer are installed (Debian: clang and libclang-rt-*-dev)."""
    source = "int LLVMFuzzerTestOneInput(const char*d,long n){return d&&n<0;}"
    with tempfile.TemporaryDirectory() as folder:
        words = ["clang", "-x", "c", "-", "-fsanitize=fuzzer,address", "-o", f"{folder}/a"]
        try:
            done = subprocess.run(words, input=source, text=True, capture_output=True, check=False)
        except FileNotFoundError:
            return False
    return done.returncode == 0


def sources(name: str) -> list[Path]:
    """The source of the fuzzer, and the firmware that it fuzzes."""
    return [FOLDER / f"{name}.c", *LIBRARY, FAKE_IMAGE]


def build(folder: Path, name: str, flag: str, words: Sequence[str], *more: Path) -> Path:
    """Build the fuzzer ``name`` in ``folder`` with the compiler and options ``words``."""
    program = folder / f"{name}{re.sub('[^A-Z0-9]', '', flag)}"
    flags = [
        "-std=c11",
        *STRICT,
        "-DHIL_CLOCK_TURNS=50u",
        "-DHIL_MLPERF_MOST=5",
        "-DHIL_REPEAT=1",
        *INCLUDES,
        f"-I{FOLDER}",
    ]
    files = map(str, [*sources(name), *more])
    run([*words, *flags, *([flag] if flag else []), *files, "-lm", "-o", str(program)])
    return program


def with_libfuzzer(folder: Path, name: str, flag: str) -> Path:
    return build(folder, name, flag, ["clang", *SANITIZE, "-fsanitize=fuzzer,address,undefined"])


def with_gcc(folder: Path, name: str, flag: str) -> Path:
    """Driven by replay.c: without coverage, but with the same checks, wherever gcc is installed."""
    words = ["gcc", *SANITIZE, "-fsanitize=address,undefined"]
    return build(folder, name, flag, words, FOLDER / "replay.c")


def unpack(name: str, folder: Path) -> list[Path]:
    """Write the stored inputs of a fuzzer to files in ``folder``."""
    stored = FOLDER / "corpus" / f"{name}.hex"
    lines = stored.read_text().split() if stored.is_file() else []
    folder.mkdir()
    for number, line in enumerate(lines):
        (folder / f"{number:04}").write_bytes(bytes.fromhex(line))
    return sorted(folder.iterdir())


def store(name: str, folder: Path) -> int:
    """Write every file of ``folder`` as a line of the corpus, shortest first; how many."""
    found = {file.read_bytes() for file in folder.iterdir() if file.stat().st_size}
    lines = [data.hex() for data in sorted(found, key=lambda data: (len(data), data))]
    (FOLDER / "corpus").mkdir(exist_ok=True)
    (FOLDER / "corpus" / f"{name}.hex").write_text("".join(f"{line}\n" for line in lines))
    return len(lines)


def fuzz(folder: Path, program: Path, name: str, runs: int, seed: int = 1) -> str:
    """Run libFuzzer from the stored inputs on; its output. Fails if it finds something."""
    started, found = folder / f"{program.name}-stored", folder / f"{program.name}-found"
    unpack(name, started)
    found.mkdir()
    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={LONGEST}", "-timeout=10"]
    words = [str(program), *options, f"-artifact_prefix={folder}/", str(found), str(started)]
    return run(words, timeout=7200)


def cover(folder: Path, name: str, flag: str) -> str:
    """llvm-cov's table of the code that the stored inputs reach."""
    clang = ["clang", "-O1", "-g", "-fprofile-instr-generate", "-fcoverage-mapping"]
    program = build(folder, name, flag, clang, FOLDER / "replay.c")
    files = map(str, unpack(name, folder / "stored"))
    raw, merged = folder / "default.profraw", folder / "merged"
    words = ["env", f"LLVM_PROFILE_FILE={raw}", str(program), "1", "0", *files]
    run(words)
    run(["llvm-profdata", "merge", "-o", str(merged), str(raw)])
    wanted = map(str, sources(name)[1:-1])
    return run(["llvm-cov", "report", str(program), f"-instr-profile={merged}", *wanted])


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=VARIANTS)
    parser.add_argument("--runs", type=int, default=1_000_000, help="runs per variant")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cover", action="store_true", help="only print the coverage")
    chosen = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    inputs = folder / "inputs"
    merged = folder / "merged"
    unpack(chosen.name, inputs)
    for number, flag in enumerate(VARIANTS[chosen.name]):
        if chosen.cover:
            (folder / str(number)).mkdir()
            sys.stdout.write(f"{flag}\n{cover(folder / str(number), chosen.name, flag)}\n")
            continue
        program = with_libfuzzer(folder, chosen.name, flag)
        said = fuzz(folder, program, chosen.name, chosen.runs, chosen.seed)
        sys.stdout.write(f"{flag} {said.splitlines()[-1]} {folder}\n")
        for file in (folder / f"{program.name}-found").iterdir():
            file.rename(inputs / f"{program.name}-{file.name}")
    if not chosen.cover:
        merged.mkdir()  # with the variant that has the most code
        program = with_libfuzzer(folder, chosen.name, VARIANTS[chosen.name][:2][-1])
        words = [str(program), "-merge=1", "-use_counters=0", f"-max_len={LONGEST}"]
        run([*words, str(merged), str(inputs)], 3600)
        sys.stdout.write(f"{store(chosen.name, merged)} inputs stored\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
