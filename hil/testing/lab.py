# SPDX-License-Identifier: Apache-2.0
"""`FakeLab`: a lab without compiler, emulator or board; the host's references give the answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.bench.cases import USER, Image, Network, Program, Sketch
from hil.bench.lab import Firmware
from hil.boards.station import Station
from hil.core.errors import BuildFailed, DoesNotFit, LinkError, ToolMissing
from hil.core.records import DType, Hello, ModelInfo, TensorSpec, pack_rows, unpack_rows
from hil.engines import ENGINES, CompiledModel, Special
from hil.link import Link
from hil.reference import (
    Reference,
    cache_folder,
    encode_inputs,
    layer_tensors,
    litert,
    oracle,
    refusals,
)
from hil.testing.board import FakeBoard, FakeLink, Fault
from hil.tflite import Graph

Tamper = Callable[[bytes], bytes]


def _as_it_is(_: int, output: bytes) -> bytes:
    return output


@dataclass
class FakeSketch:
    """A user's sketch: what it declares in HELLO, and its predict function.

    ``predict`` maps one sample, in the type and shape of ``input``, to the output's values; it may
    raise `hil.testing.board.EngineFails`. ``sent``: the type in which samples arrive ("u1" pixels,
    "i1", "<f4").
    """

    predict: Callable[[npt.NDArray[np.generic]], npt.NDArray[np.generic]]
    input: TensorSpec
    output: TensorSpec
    name: str = "digits"
    calls_itself: str = "digits 1.2 (tinyml-hil 0.1.0)"
    sha256: str = "00" * 32
    engine: str = USER
    sent: str = "u1"
    window: int = 4
    max_payload: int = 1 << 16

    def board(self, name: str, faults: Iterable[Fault | None] = ()) -> FakeBoard:
        """A board of this name that runs the sketch."""
        info = ModelInfo(self.name, self.engine, self.sha256, self.input, self.output, 0, 0)
        hello = Hello(
            protocol=1,
            board=name,
            firmware=self.calls_itself,
            toolchain="gcc 14.2",
            window=self.window,
            max_payload=self.max_payload,
            tick_hz=25_000_000,
            has_micros=True,
            models=(info,),
        )
        return FakeBoard(hello, self._infer, faults, ticks=lambda _: 256, micros=lambda _: 500)

    def _infer(self, _: int, values: bytes) -> bytes:
        x = np.frombuffer(values, self.sent)[None]
        if self.input.dtype is not DType.UINT8:  # which takes the bytes as they are
            x = encode_inputs(x, self.input)
        found = self.predict(x[0].reshape(self.input.shape))
        return np.asarray(found).astype(self.output.dtype.numpy).tobytes()


@dataclass
class FakeLab:
    """Runs every image on a `FakeBoard`.

    int8 answers come from the oracle and float32 ones from LiteRT; ``tamper`` changes them.
    ``faults`` damage the replies. ``sha256`` replaces the models' hashes in HELLO. An image with a
    network named in ``too_large`` overflows the flash by 1,000 bytes. The engines in ``broken`` do
    not compile. ``spoil`` changes the layers'
    outputs (number, bytes; -1 is the input) except the last, which is the answer. ``calls_itself``
    replaces the names of board, firmware and toolchain in HELLO. ``sketch`` is what the board runs
    where a bench expects a sketch of the user's own.
    """

    tamper: Tamper = bytes
    faults: Iterable[Fault | None] = ()
    sha256: str = ""
    too_large: Collection[str] = ()
    broken: Collection[str] = ()
    absent: Collection[str] = ()
    not_installed: Collection[str] = ()
    spoil: Callable[[int, bytes], bytes] = _as_it_is
    calls_itself: str = ""
    sketch: FakeSketch | None = None
    built: list[Image] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    _link: FakeLink | None = None

    def check(self, station: Station) -> None:
        """See `Lab.check`: an ``absent`` board has no port, ``not_installed`` ones no emulator."""
        if station.board.name in self.absent:
            raise LinkError(f"port {station.port} does not exist", "`hil boards` lists the ports")
        if station.board.name in self.not_installed:
            raise ToolMissing(f"the emulator of {station.board.name} is not installed")

    def build(self, image: Program, project: Path) -> Firmware:
        """See `Lab.build`; nothing is compiled."""
        if isinstance(image, Sketch):
            if not image.source and not image.elf:
                return Firmware(None, "", "", None, None)
            return Firmware(project / "sketch.elf", "11" * 32, "fake 1.0", 9_000, 2_000)
        self.built.append(image)
        if image.engine in self.broken:
            raise BuildFailed(f"{image.engine} does not compile", "see the log")
        if any(network.name in self.too_large for network in image.networks):
            raise DoesNotFit("region `CODE' overflowed by 1000 bytes", memory="flash", over=1000)
        elf = project / f"{len(self.built) - 1}.elf"
        compiled = tuple(_compiled(image.engine, n.name, n.graph) for n in image.networks)
        return Firmware(elf, "00" * 32, "fake 1.0", 50_000, 4_000, compiled=compiled)

    @contextmanager
    def open(self, station: Station, image: Program, firmware: Firmware) -> Iterator[Link]:
        """A fake board with the networks of the image that ``firmware`` was built from."""
        self.opened.append(station.port or station.name)
        if self.sketch and isinstance(image, Sketch):
            fake = self.sketch.board(station.board.name, self.faults)
        else:
            fake = self._ours(station, firmware)
        link = self._link = FakeLink(fake, now=self.clock())
        try:
            yield link
        finally:
            link.close()

    def _ours(self, station: Station, firmware: Firmware) -> FakeBoard:
        assert firmware.file
        image = self.built[int(firmware.file.stem)]  # the one that was built, not an argument
        hello = Hello(
            protocol=1,
            board=self.calls_itself or station.board.name,
            firmware=self.calls_itself or "fake",
            toolchain=self.calls_itself or "fake",
            window=4,
            max_payload=1 << 16,
            tick_hz=25_000_000,
            has_micros=True,
            models=tuple(self._model(network, image.engine) for network in image.networks),
            has_layers=image.layers,
        )
        references = [_reference(network) for network in image.networks]
        infer = [self._infer(reference) for reference in references]
        return FakeBoard(
            hello,
            infer=lambda model, values: infer[model](values),
            faults=self.faults,
            ticks=lambda model: 10 * (model + 1),
            micros=lambda model: 500 * (model + 1),
            layers=partial(self._layers, image.networks, infer) if image.layers else None,
            laps=partial(_laps, image.networks) if image.layers else None,
            forget=lambda model: references[model].reset(),
        )

    def clock(self) -> float:
        """See `hil.link.Clocked`: the time of the link opened last."""
        return self._link.now if self._link else 0.0

    def sleep(self, seconds: float) -> None:
        """Advance the time."""
        if self._link:
            self._link.now += seconds

    def unobservable(self, station: Station) -> str:  # noqa: ARG002 - part of `Lab`
        """See `Lab.unobservable`: every fake board shows its layers."""
        return ""

    def _layers(
        self,
        networks: Sequence[Network],
        infer: Sequence[Callable[[bytes], bytes]],
        model: int,
        values: bytes,
    ) -> list[tuple[DType, bytes]]:
        graph = networks[model].graph
        tensors = [layer.tensor for layer in ENGINES["aot"].layers(graph)]
        x = _inputs(values, graph)
        said = layer_tensors(networks[model].path, x, tensors, tflm=graph.precision.integer)
        found = [
            (DType(graph.tensors[tensor].dtype), self.spoil(i, output.tobytes()))
            for i, (tensor, output) in enumerate(zip(tensors, said, strict=True))
        ]
        whole = pack_rows(graph.inputs, x).tobytes()
        taken = (graph.input.dtype, self.spoil(-1, whole))
        if len(graph.outputs) > 1 or graph.stateful:
            return [taken, *found]
        return [taken, *found[:-1], (graph.output.dtype, infer[model](values))]

    def _model(self, network: Network, engine: str) -> ModelInfo:
        graph = network.graph
        sha256 = self.sha256 or graph.sha256
        return ModelInfo(
            network.name,
            engine,
            sha256,
            graph.input,
            graph.output,
            1_000,
            20_000,
            graph.inputs[1:],
            graph.outputs[1:],
            stateful=graph.stateful,
        )

    def _infer(self, reference: Reference) -> Callable[[bytes], bytes]:
        def infer(values: bytes) -> bytes:
            found = reference.predict(_inputs(values, reference.graph))
            return self.tamper(found[0].tobytes())

        return infer


@lru_cache
def _compiled(engine: str, name: str, graph: Graph) -> CompiledModel:
    return ENGINES[engine].compile(graph, name, f"{name}.tflite", Special())


def _laps(networks: Sequence[Network], model: int) -> list[int]:
    """100 ticks for the first layer, and 100 more for each one after it."""
    layers = ENGINES["aot"].layers(networks[model].graph)
    return [100 * (i + 1) for i in range(len(layers))]


def _reference(network: Network) -> Reference:
    why_not = refusals(network.path, cache_folder())
    first = "oracle" if network.graph.precision.integer else "litert"
    return {"oracle": oracle, "litert": litert}[
        next(name for name in (first, "oracle", "litert") if name not in why_not)
    ](network.path)


def _inputs(values: bytes, graph: Graph) -> tuple[npt.NDArray[np.generic], ...]:
    """The model's input values of one request, (1, *shape) each."""
    own = (DType.UINT8, DType.INT8, DType.FLOAT32)
    if len(graph.inputs) > 1 or graph.input.dtype not in own:
        found = unpack_rows(graph.inputs, np.frombuffer(values, np.uint8)[None])
        return tuple(
            one.reshape(1, *spec.shape) for one, spec in zip(found, graph.inputs, strict=True)
        )
    wide = len(values) == graph.input.elements * 4
    sample = np.frombuffer(values, "<f4" if wide else "u1")[None]
    return (encode_inputs(sample, graph.input),)
