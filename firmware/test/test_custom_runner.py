# SPDX-License-Identifier: Apache-2.0
"""Runs `pio test` without Unity, which only PlatformIO's registry has.

Runs the test program as a process of this machine or in QEMU, and reads the lines of hil_test.h.
"""

import subprocess
import tomllib
from pathlib import Path

import click
from platformio.test.exception import UnitTestError
from platformio.test.result import TestCase, TestCaseSource, TestStatus
from platformio.test.runners.base import TestRunnerBase

LIMITED = ("timeout", "60")


def emulator(env, elf):
    """The command of the board's TOML file that runs `elf`, without the line to the host, so that
    the console is standard output. None for the host process."""
    file = Path(__file__).parents[2] / "hil" / "boards" / f"{env}.toml"
    command = tomllib.loads(file.read_text("utf-8")).get("emulator", {}).get("command", ("{elf}",))
    if not command[0].startswith("qemu-"):
        return None
    words = [*LIMITED]
    for option, word in zip(("", *command), command, strict=False):
        if option == "-chardev":
            words.pop()
        elif option == "-serial" and word == "pty":
            words.append("null")
        else:
            words.append(word.replace(",chardev=hil", "").format(elf=elf))
    return words


TIME_LIMIT_S = 90


class CustomTestRunner(TestRunnerBase):
    """Runs one test program and turns its PASS and FAIL lines into test cases."""

    def stage_testing(self):
        if self.options.without_testing:
            return
        folder = Path(self.project_config.get("platformio", "build_dir"), self.test_suite.env_name)
        command = emulator(self.test_suite.env_name, folder / "firmware.elf")
        command = command or [str(folder / "program")]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=TIME_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnitTestError(f"the test program did not finish: {error}") from error
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        for line in lines:
            click.echo(line)
            self.take(line)
        failed = self.test_suite.get_status_nums(TestStatus.FAILED)
        if "END" not in lines or (done.returncode != 0 and not failed):
            raise UnitTestError(f"the test program ended early with code {done.returncode}")

    def take(self, line):
        word, *rest = line.split("\t")
        if word == "PASS" and rest:
            self.test_suite.add_case(TestCase(rest[0], TestStatus.PASSED))
        elif word == "FAIL" and len(rest) == 4:
            name, file, number, what = rest
            source = TestCaseSource(file, int(number))
            self.test_suite.add_case(TestCase(name, TestStatus.FAILED, message=what, source=source))
