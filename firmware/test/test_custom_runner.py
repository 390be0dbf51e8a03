# SPDX-License-Identifier: Apache-2.0
"""Runs `pio test` without Unity, which only PlatformIO's registry has.

Runs the test program as a process of this machine or in QEMU, and reads the lines of hil_test.h.
"""

import subprocess
from pathlib import Path

import click
from platformio.test.exception import UnitTestError
from platformio.test.result import TestCase, TestCaseSource, TestStatus
from platformio.test.runners.base import TestRunnerBase

_LIMITED = ("timeout", "60")
_QUIET = ("-display", "none", "-monitor", "none", "-serial", "null")
_SEMIHOSTING = ("-semihosting-config", "enable=on,target=native", "-kernel", "{elf}")
# The command that runs firmware.elf, per env; it prints what the test prints.
EMULATORS = {
    "mps2": (
        *(*_LIMITED, "qemu-system-arm", "-M", "mps2-an500", *_QUIET),
        *("-icount", "shift=10,sleep=off", *_SEMIHOSTING),
    ),
    "rv32": (
        *(*_LIMITED, "qemu-system-riscv32", "-M", "virt", "-bios", "none", "-m", "16M", *_QUIET),
        *("-cpu", "rv32,a=off,f=off,d=off,zba=off,zbb=off,zbc=off,zbs=off,mmu=off,pmp=off"),
        *("-icount", "shift=0,sleep=off", *_SEMIHOSTING),
    ),
    "lx106": (  # no -serial: the console is standard output
        *(*_LIMITED, "qemu-system-xtensa", "-M", "sim", "-cpu", "lx106", "-m", "16M"),
        *("-display", "none", "-monitor", "none", "-icount", "shift=6,sleep=off"),
        *("-semihosting", "-kernel", "{elf}"),
    ),
}
TIME_LIMIT_S = 90


class CustomTestRunner(TestRunnerBase):
    """Runs one test program and turns its PASS and FAIL lines into test cases."""

    def stage_testing(self):
        if self.options.without_testing:
            return
        folder = Path(self.project_config.get("platformio", "build_dir"), self.test_suite.env_name)
        emulator = EMULATORS.get(self.test_suite.env_name, (str(folder / "program"),))
        command = [word.format(elf=folder / "firmware.elf") for word in emulator]
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
