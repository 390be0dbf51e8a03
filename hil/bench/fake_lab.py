"""A lab without compiler, emulator or board: answers come from the host's own references."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hil.bench.cells import Image, Network
from hil.bench.lab import Firmware
from hil.boards.station import Station
from hil.errors import DoesNotFit
from hil.link import Link
from hil.link.fake import FakeBoard, FakeLink, Fault
from hil.records import Hello, ModelInfo, Precision
from hil.reference import encode_inputs, litert, oracle

Tamper = Callable[[bytes], bytes]


@dataclass
class FakeLab:
    """Runs every image on a `FakeBoard`.

    int8 answers are the oracle's, float32 ones LiteRT's, then changed by ``tamper``;
    ``faults`` befall the replies; ``sha256`` replaces what HELLO says of the models; an image
    with a network named in ``too_large`` overflows the flash by 1,000 bytes.
    """

    tamper: Tamper = bytes
    faults: Iterable[Fault | None] = ()
    sha256: str = ""
    too_large: Collection[str] = ()
    built: list[Image] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def build(self, image: Image, project: Path) -> Firmware:
        """No compiler: the image itself is remembered."""
        self.built.append(image)
        if any(network.name in self.too_large for network in image.networks):
            raise DoesNotFit("region `CODE' overflowed by 1000 bytes", memory="flash", over=1000)
        elf = project / f"{len(self.built) - 1}.elf"
        return Firmware(elf, "00" * 32, "fake 1.0", 50_000, 4_000)

    @contextmanager
    def open(self, station: Station, image: Image, firmware: Firmware) -> Iterator[Link]:
        """A fake board with the networks of the image that ``firmware`` was built from."""
        self.opened.append(station.port or station.name)
        image = self.built[int(firmware.file.stem)]  # what was built, whatever was asked for
        hello = Hello(
            protocol=1,
            board=station.board.name,
            firmware="fake",
            toolchain="fake",
            window=4,
            max_payload=1 << 16,
            tick_hz=25_000_000,
            has_micros=True,
            models=tuple(self._model(network) for network in image.networks),
        )
        infer = [self._infer(network) for network in image.networks]
        fake = FakeBoard(
            hello,
            infer=lambda model, values: infer[model](values),
            faults=self.faults,
            ticks=lambda model: 256 * (model + 1),
            micros=lambda model: 500 * (model + 1),
        )
        link = FakeLink(fake)
        try:
            yield link
        finally:
            link.close()

    def _model(self, network: Network) -> ModelInfo:
        graph = network.graph
        sha256 = self.sha256 or graph.sha256
        return ModelInfo(network.name, "aot", sha256, graph.input, graph.output, 1_000, 20_000)

    def _infer(self, network: Network) -> Callable[[bytes], bytes]:
        graph = network.graph
        reference = (oracle if graph.precision is Precision.INT8 else litert)(network.path)

        def infer(values: bytes) -> bytes:
            wide = len(values) == graph.input.elements * 4
            x = np.frombuffer(values, "<f4" if wide else "u1")[None]
            return self.tamper(reference.predict(encode_inputs(x, graph.input))[0].tobytes())

        return infer
