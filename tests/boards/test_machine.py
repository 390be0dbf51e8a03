# SPDX-License-Identifier: Apache-2.0
"""What a physical board needs of a machine: a platform, a driver, permissions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hil.boards import machine
from hil.boards.attached import Attached
from hil.boards.config import load_board
from hil.boards.machine import Linux, machine_needs
from hil.boards.needs import Need
from hil.core.errors import ConfigError
from hil.firmware import platforms
from tests.support.firmware import PROJECT


@pytest.fixture
def linux(tmp_path: Path) -> Linux:
    """A machine without modules, rules or a board, whose user is not root."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "rules").mkdir()
    return Linux(tmp_path / "modules", tmp_path / "loaded", (tmp_path / "rules",), root=False)


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """No board, no network, no PlatformIO."""
    monkeypatch.setattr(machine, "find_attached", lambda _: [])
    monkeypatch.setattr(machine, "registry_answers", lambda: False)
    monkeypatch.setattr(machine, "platform_of", lambda *_: "espressif32@6.13.0")
    monkeypatch.setattr(machine, "is_installed", lambda *_: True)
    monkeypatch.setattr(machine, "_groups", lambda: {"dialout", "uucp"})


def needs(linux: Linux, name: str = "esp32dev") -> dict[str, Need]:
    return {need.what: need for need in machine_needs(load_board(name), PROJECT, linux)}


def test_an_installed_platform(linux: Linux) -> None:
    assert needs(linux)["platform"] == Need("platform", (), "espressif32@6.13.0", "platformio")


@pytest.mark.parametrize("answers", [True, False])
def test_a_platform_that_is_not_installed_is_missing_without_a_network(
    linux: Linux, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    monkeypatch.setattr(machine, "is_installed", lambda *_: False)
    monkeypatch.setattr(machine, "registry_answers", lambda: answers)
    need = needs(linux)["platform"]
    assert bool(need.missing) == (not answers)
    assert "espressif32@6.13.0" in (need.detail or need.missing[0])


def test_an_env_that_does_not_exist(linux: Linux, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> str:
        raise ConfigError("it has no env esp32dev", "add one")

    monkeypatch.setattr(machine, "platform_of", unknown)
    need = needs(linux)["platform"]
    assert need.missing == ("env esp32dev",)
    assert need.fix == "it has no env esp32dev: add one"


def test_the_drivers_of_the_bridges(linux: Linux) -> None:
    drivers = list(machine_needs(load_board("esp32dev"), PROJECT, linux))
    found = {need.detail: need for need in drivers if need.what == "driver"}
    assert list(found) == ["cp210x", "ch341", "cdc_acm"]
    assert found["cp210x"].missing == ("cp210x in this kernel",)
    (linux.modules / "modules.builtin").write_text("kernel/drivers/usb/serial/cp210x.ko\n")
    (linux.modules / "modules.dep").write_text("kernel/drivers/usb/serial/ch341.ko.xz: x\n")
    (linux.loaded / "cdc_acm").mkdir(parents=True)
    assert not any(need.missing for need in machine_needs(load_board("esp32dev"), PROJECT, linux))


def test_drivers_are_not_checked_in_a_container(linux: Linux, tmp_path: Path) -> None:
    need = needs(Linux(tmp_path / "none", linux.loaded, linux.rules, root=False))["driver"]
    assert need.missing == ()
    assert "not checked" in need.detail


def test_a_port_that_may_not_be_opened(
    linux: Linux, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    found = Attached(str(port), "", "10c4:ea60", "", ("esp32dev",))
    monkeypatch.setattr(machine, "find_attached", lambda _: [found])
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr(machine, "_owner", lambda _: "dialout")
    need = needs(linux)["port"]
    assert need.missing == (f"permission to open {port}",)
    assert need.fix.startswith("sudo usermod -aG dialout")
    assert need.required
    monkeypatch.setattr("os.access", lambda *_: True)
    assert needs(linux)["port"] == Need("port", (), f"attached on {port}")


def test_a_user_outside_the_group_is_told_before_the_board_is_attached(
    linux: Linux, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert needs(linux)["port"].missing == ()
    monkeypatch.setattr(machine, "_groups", set)
    monkeypatch.setattr(machine, "_exists", lambda group: group == "dialout")
    need = needs(linux)["port"]
    assert "group dialout" in need.missing[0]
    assert not need.required  # another rule may permit it


def test_a_bootloader_without_a_serial_port_needs_a_rule(linux: Linux) -> None:
    need = needs(linux, "portenta_h7_m7")["udev rule"]
    assert need.missing == ("one for the bootloader 2341:035b",)
    assert need.source == "url"
    (linux.rules[0] / "99-own.rules").write_text('ATTRS{idVendor}=="2341", MODE="0660"\n')
    assert needs(linux, "portenta_h7_m7")["udev rule"].missing == ()
    assert "udev rule" not in needs(linux, "esp32dev")


def test_root_needs_no_rule(linux: Linux) -> None:
    root = Linux(linux.modules, linux.loaded, linux.rules, root=True)
    assert needs(root, "teensy41")["udev rule"].missing == ()


def test_platformio_names_the_platform() -> None:
    assert platforms.platform_of("esp32dev", PROJECT) == "espressif32@6.13.0"
    assert platforms.platform_of("mps2", PROJECT).startswith("symlink://")
    with pytest.raises(ConfigError, match="no env mars"):
        platforms.platform_of("mars", PROJECT)


@pytest.mark.parametrize(
    ("platform", "there"),
    [
        ("espressif32@6.13.0", True),
        ("platformio/espressif32@6.13.0", True),
        ("espressif32", True),
        ("espressif32@6.12.0", False),
        ("ststm32@6.13.0", False),
        ("https://example.org/other.zip", False),
        ("symlink:///anywhere", True),
    ],
)
def test_which_platform_is_installed(
    platform: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "espressif32").mkdir()
    record = {"name": "espressif32", "version": "6.13.0", "spec": {"uri": None}}
    (tmp_path / "espressif32" / ".piopm").write_text(json.dumps(record))
    monkeypatch.setenv("PLATFORMIO_PLATFORMS_DIR", str(tmp_path))
    assert platforms.is_installed(platform, PROJECT) == there


def test_a_platform_from_a_url_is_known_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://example.org/platform.zip"
    (tmp_path / "espressif32").mkdir()
    record = {"name": "espressif32", "version": "55.3.311", "spec": {"uri": url}}
    (tmp_path / "espressif32" / ".piopm").write_text(json.dumps(record))
    monkeypatch.setenv("PLATFORMIO_PLATFORMS_DIR", str(tmp_path))
    assert platforms.is_installed(url, PROJECT)
