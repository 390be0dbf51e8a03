"""The tutorial's published figures, to stand beside a run's own.

Source: the write-up this project starts from (knowledge distillation for TinyML; MNIST, float32,
EloquentTinyML, which is TFLM, on a DOIT ESP32 DevKit).
"""

from __future__ import annotations

from dataclasses import dataclass

NOTE = (
    "Not like for like. The tutorial trained on the first 6,000 images, one at a time, for five "
    "epochs, and timed a physical ESP32; its arena is what TFLM asked for as a whole. "
    "Ours are other weights, another engine and another processor, and an emulator has no latency."
)


@dataclass(frozen=True, slots=True)
class Published:
    model: str
    precision: str
    accuracy: str
    time: str
    arena: str


TUTORIAL = (
    Published(
        "teacher",
        "float32",
        "99.04%",
        "did not run",
        "108,160 B needed, 90,148 B free",
    ),
    Published("student", "float32", "92.81%", "52 ms", "not published"),
)
