# SPDX-License-Identifier: Apache-2.0
"""hil/energy/otii.py: Qoitech's own client, on a server that answers as the Otii program does."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from hil.core.errors import DataError, LinkError, NotAttached, ToolMissing, UsageError
from hil.energy import find_windows, measure
from hil.energy.opened import open_instrument

RATE, PAUSE, WINDOW, WINDOWS = 4000, 400, 800, 5
IDLE, ACTIVE, VOLTS = 5e-3, 40e-3, 3.0
POWER = {"arc_set_main", "arc_set_main_voltage", "otii_set_all_main", "arc_set_range"}


def recording() -> dict[str, dict[str, Any]]:
    """The channels of a recording that began 2 s after the program."""
    current, changes, began = [], [], 2.0
    for _ in range(WINDOWS):
        current += [IDLE] * PAUSE
        changes.append({"timestamp": began + (len(current) - 0.5) / RATE, "value": True})
        current += [ACTIVE] * WINDOW
        changes.append({"timestamp": began + (len(current) - 0.5) / RATE, "value": False})
    current += [IDLE] * PAUSE
    volts = [VOLTS] * (len(current) // 4)
    return {
        "mc": {"data_type": "analog", "timestamp": began, "interval": 1 / RATE, "values": current},
        "mv": {"data_type": "analog", "timestamp": began, "interval": 4 / RATE, "values": volts},
        "i1": {"data_type": "digital", "values": changes},
    }


@dataclass
class Server:
    """What the Otii program is asked, and its answers."""

    port: int
    devices: int = 1
    channels: dict[str, dict[str, Any]] = field(default_factory=recording)
    refused: str = ""  # a command that gets an error
    commands: list[str] = field(default_factory=list)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        command, data = request["cmd"], request.get("data", {})
        self.commands.append(command)
        if command == self.refused:
            return {"type": "error", "errorcode": "Device is gone", "data": {"message": "gone"}}
        found: dict[str, Any] = {}
        match command:
            case "otii_is_logged_in":
                found = {"logged_in": True}
            case "otii_get_licenses":
                own = {"id": 1, "type": "Automation", "available": True, "reserved_to": "me"}
                found = {"licenses": [own]}
            case "otii_get_devices":
                one = {"device_id": "Arc01", "name": "Arc", "type": "Arc"}
                found = {"devices": [one] * self.devices}
            case "otii_get_active_project":
                found = {"project_id": -1}
            case "otii_create_project":
                found = {"project_id": 7}
            case "project_get_last_recording":
                found = {"recording_id": 3, "name": "recording"}
            case "recording_get_channel_data_count":
                found = {"count": len(self.channels[data["channel"]]["values"])}
            case "recording_get_channel_data":
                channel = self.channels[data["channel"]]
                part = slice(data["index"], data["index"] + data["count"])
                found = channel | {"values": channel["values"][part]}
        return {"type": "response", "cmd": command, "data": found}

    def serve(self, listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rw", newline="\r\n") as stream:

            def say(message: dict[str, Any]) -> None:
                stream.write(json.dumps(message) + "\r\n")
                stream.flush()

            say({"type": "information", "info": "connected", "data": {"otii_version": "3.5"}})
            for line in stream:
                request = json.loads(line)
                say(self.answer(request) | {"trans_id": request["trans_id"]})


@contextmanager
def serving(**options: Any) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(listening.getsockname()[1], **options)
        thread = threading.Thread(target=server.serve, args=(listening,), daemon=True)
        thread.start()
        yield server
        thread.join(30)


def test_the_energy_of_known_windows_is_recovered() -> None:
    with serving() as server:
        instrument = open_instrument(f"otii:127.0.0.1:{server.port}")
        instrument.start()
        trace = instrument.stop()
        instrument.close()
    found = measure(trace, find_windows(trace))
    assert (found.n, round(trace.rate), trace.ended) == (WINDOWS, RATE, "")
    joules = (ACTIVE - IDLE) * VOLTS * WINDOW / RATE
    assert found.above_idle.point == pytest.approx(joules, rel=1e-6)
    assert not POWER & set(server.commands), "the board's power was changed"


def test_the_voltage_is_set_before_the_power_is_switched_on() -> None:
    with serving() as server:
        instrument = open_instrument(f"otii:127.0.0.1:{server.port}")
        with pytest.raises(UsageError, match="cannot supply 48 V"):
            instrument.supply(48)
        instrument.supply(3.0)
        instrument.close()
    assert [c for c in server.commands if c in POWER] == ["arc_set_main_voltage", "arc_set_main"]


def test_a_recording_that_cannot_be_stopped_says_why_it_ended() -> None:
    with serving(refused="project_stop_recording") as server:
        instrument = open_instrument(f"otii:127.0.0.1:{server.port}")
        instrument.start()
        trace = instrument.stop()
        instrument.close()
    assert trace.ended
    assert len(find_windows(trace)) == WINDOWS


def test_a_command_that_fails_is_an_error_of_the_line() -> None:
    with serving(refused="project_start_recording") as server:
        instrument = open_instrument(f"otii:127.0.0.1:{server.port}")
        with pytest.raises(LinkError, match="Otii Arc Arc01"):
            instrument.start()
        instrument.close()


@pytest.mark.parametrize("missing", ["mc", "i1"])
def test_a_channel_without_values_is_an_error(missing: str) -> None:
    channels = recording()
    channels[missing]["values"] = []
    with serving(channels=channels) as server:
        instrument = open_instrument(f"otii:127.0.0.1:{server.port}")
        instrument.start()
        with pytest.raises(DataError, match="no samples" if missing == "mc" else "digital input"):
            instrument.stop()
        instrument.close()


@pytest.mark.parametrize("devices", [0, 2])
def test_exactly_one_instrument_must_be_connected(devices: int) -> None:
    with serving(devices=devices) as server, pytest.raises(NotAttached, match=f"has {devices} "):
        open_instrument(f"otii:127.0.0.1:{server.port}")


def test_a_server_that_does_not_run_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(LinkError, match=f"127.0.0.1:{port}"):
        open_instrument(f"otii:127.0.0.1:{port}")


@pytest.mark.parametrize(("place", "gate"), [("localhost:x", ""), ("", "D0")])
def test_a_wrong_address_and_a_wrong_input_are_refused(place: str, gate: str) -> None:
    with pytest.raises(UsageError):
        open_instrument(f"otii:{place}", gate=gate)


def test_a_missing_library_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "otii_tcp_client.otii_client", None)
    with pytest.raises(ToolMissing) as raised:
        open_instrument("otii:")
    assert "tinyml-hil[otii]" in raised.value.hint
