"""`pio test` without Unity, which only PlatformIO's registry has: runs the program (a process of
this machine, or in QEMU) and reads the lines of hil_test.h."""

import subprocess
from pathlib import Path

import click
from platformio.test.exception import UnitTestError
from platformio.test.result import TestCase, TestCaseSource, TestStatus
from platformio.test.runners.base import TestRunnerBase

QEMU = (
    *("timeout", "60", "qemu-system-arm", "-M", "mps2-an500", "-display", "none"),
    *("-monitor", "none", "-serial", "null", "-icount", "shift=10,sleep=off"),
    *("-semihosting-config", "enable=on,target=native", "-kernel"),
)
TIME_LIMIT_S = 90


class CustomTestRunner(TestRunnerBase):
    """One test program: built, run once, its PASS and FAIL lines turned into cases."""

    def stage_testing(self):
        if self.options.without_testing:
            return
        folder = Path(self.project_config.get("platformio", "build_dir"), self.test_suite.env_name)
        command = [str(folder / "program")]
        if (folder / "firmware.elf").is_file():
            command = [*QEMU, str(folder / "firmware.elf")]
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
            raise UnitTestError(f"the test program did not run to its end: {error}") from error
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        for line in lines:
            click.echo(line)
            self.take(line)
        failed = self.test_suite.get_status_nums(TestStatus.FAILED)
        if "END" not in lines or (done.returncode != 0 and not failed):
            raise UnitTestError(f"the test program broke off with code {done.returncode}")

    def take(self, line):
        word, *rest = line.split("\t")
        if word == "PASS" and rest:
            self.test_suite.add_case(TestCase(rest[0], TestStatus.PASSED))
        elif word == "FAIL" and len(rest) == 4:
            name, file, number, what = rest
            source = TestCaseSource(file, int(number))
            self.test_suite.add_case(TestCase(name, TestStatus.FAILED, message=what, source=source))
