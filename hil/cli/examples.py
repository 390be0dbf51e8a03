# SPDX-License-Identifier: Apache-2.0
"""The examples below the help of each command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# command -> its examples, most usual first
EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "bench": (
        "hil bench",
        "hil bench --model my.tflite --data my.npz",
        "hil bench --model my.tflite --data random:200 --engine aot --engine tflm",
        "hil bench --board esp32dev --flash --limit 500",
        "hil bench --board esp32dev@/dev/ttyUSB0 --board mps2",
        "hil bench --board all --model my.tflite --data random:20",
        "hil bench --board mps2 --model my.tflite --data my.npz --cycles --clock 480MHz",
        "hil bench --engine user --sketch my_sketch --board mps2 --model my.tflite --data my.npz",
        "hil bench --protocol text --port /dev/ttyACM0 --pattern edge-impulse --data my.npz",
    ),
    "listen": (
        "hil listen --port /dev/ttyACM0 --pattern edge-impulse --classes cat,dog",
        "hil listen --port saved.log --pattern 'class (?P<label>[0-9]+)' --data my.npz --sample 0",
    ),
    "conform": (
        "hil conform --board mps2 --engine aot",
        "hil conform --board esp32dev --engine tflm --kernel conv2d,depthwise --precision int8",
        "hil conform --board mps2 --seed 7 --count 100",
    ),
    "report": ("hil report results/example --open",),
    "verify": ("hil verify results/*/",),
    "compare": (
        "hil compare results/old results/new",
        "hil compare results/old results/new --limits limits.toml --format junit",
    ),
    "history": ("hil history results", "hil history results --out history.md"),
    "fit": (
        "hil fit my.tflite",
        "hil fit my_float32.tflite my_int8.tflite --board esp32dev,pico",
        "hil fit my.keras --data my.npz --engine tflm",
    ),
    "boards": ("hil boards", "hil boards --probe"),
    "flash": (
        "hil flash --board esp32dev --model my.tflite",
        "hil flash --board esp32dev --serial 0042 --precision int8",
        "hil flash --board mps2",
    ),
    "doctor": (
        "hil doctor",
        "hil doctor --board esp32dev",
        "hil doctor --install --board mps2",
        "hil doctor --engine tflm",
    ),
    "train": ("hil train --recipe mnist", "hil train --recipe my.toml --out models/my --quick"),
    "export": (
        "hil export my.tflite --out my_sketch",
        "hil export my.keras --data my.npz --out export",
        "hil export my.tflite --engine tflm",
    ),
    "quantcheck": (
        "hil quantcheck float.tflite int8.tflite --data my.npz",
        "hil quantcheck float.tflite int8.tflite --data mnist --limit 1000 --json",
    ),
    "sweep": ("hil sweep tabular --trials 40",),
    "headers": ("hil headers student=my.tflite --out include",),
    "emulate": (
        "hil emulate mps2 --firmware firmware.elf",
        "hil emulate mps2 --firmware firmware.elf --detach",
        "hil emulate mps2 --stop",
    ),
    "energy": (
        "hil energy recording.csv --voltage 3.3",
        "hil energy results/my-run recording.ppk2 --voltage 3.3 --gate D0",
        "hil energy recording.jls --battery 1000 --every 60",
    ),
    "league": (
        "hil league",
        "hil league --network kws --core m4",
        "hil league results/my-run",
        "hil league results/on-board --clock 480MHz --sort ms",
    ),
    "mlperf": (
        "hil mlperf --data data/digits --port /dev/ttyACM0 --mode performance",
        "hil mlperf --data data/digits --board native --model student --dataset digits",
        "hil mlperf --data data --port /dev/ttyACM0 --mode energy --power lpm01a:/dev/ttyACM1",
    ),
    "mlperf-data": ("hil mlperf-data --dataset digits --out data --limit 200",),
    "init": ("hil init", "hil init my-project"),
    "clean": ("hil clean",),
    "study": ("hil study compression --recipe mnist",),
}


def epilog(name: str) -> str | None:
    """The examples of command ``name`` as the end of its help; None if it has none."""
    found = EXAMPLES.get(name, ())
    lines = [f"Example{'s' if len(found) > 1 else ''}:", *(f"$ {line}" for line in found)]
    return "\n\n".join(lines) if found else None  # typer joins lines of a paragraph
