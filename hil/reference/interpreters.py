"""The two host interpreters behind one small interface."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.errors import DataError, ModelError, ToolMissing
from hil.tflite import Graph, read_model

Progress: TypeAlias = Callable[[int, int], None]  # (samples done, samples in all)

_EVERY = 64  # samples between two calls of the progress callback


class Reference(Protocol):
    """A host interpreter with one model loaded."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def graph(self) -> Graph: ...

    def predict(
        self, x: npt.NDArray[np.generic], progress: Progress | None = None
    ) -> npt.NDArray[np.generic]:
        """(n, *input shape) model-ready values -> (n, output elements) of the output's type.

        Raises `DataError` when ``x`` does not fit the model's input.
        """
        ...


class _Interpreter:
    """Runs one sample after the other through ``step``, checking the inputs first."""

    def __init__(
        self,
        name: str,
        package: str,
        graph: Graph,
        step: Callable[[npt.NDArray[np.generic]], npt.NDArray[np.generic]],
    ) -> None:
        self.name = name
        self.version = importlib.metadata.version(package)
        self.graph = graph
        self._step = step

    def predict(
        self, x: npt.NDArray[np.generic], progress: Progress | None = None
    ) -> npt.NDArray[np.generic]:
        spec, out = self.graph.input, self.graph.output
        if x.dtype != spec.dtype.numpy or x.shape[1:] != spec.shape:
            raise DataError(
                f"inputs of type {x.dtype} and shape {list(x.shape)}",
                f"{self.name} wants (n, *{list(spec.shape)}) {spec.dtype.name.lower()}",
            )
        result = np.empty((len(x), out.elements), out.dtype.numpy)
        for i, sample in enumerate(x):
            result[i] = self._step(sample).reshape(-1)
            if progress and (i + 1) % _EVERY == 0:
                progress(i + 1, len(x))
        if progress and len(x) % _EVERY:
            progress(len(x), len(x))
        return result


def litert(path: Path | str) -> Reference:
    """LiteRT with its reference kernels (BUILTIN_REF): what a user calls "the TFLite result".

    Raises `ModelError` when the file is corrupt or holds an operator LiteRT cannot run.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    data, graph = read(path)
    try:
        interpreter = Interpreter(
            model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise _cannot("LiteRT", path, error) from error
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]

    def step(sample: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        interpreter.set_tensor(source, sample)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(target))

    return _Interpreter("litert", "ai-edge-litert", graph, step)


def oracle(path: Path | str) -> Reference:
    """TensorFlow Lite Micro on the host: the bytes an int8 device has to answer.

    Raises `ToolMissing` where its package has no wheel (anything but Linux on x86-64) and
    `ModelError` when the file is corrupt or holds an operator TFLM cannot run.
    """
    try:
        from tflite_micro import runtime
    except ImportError as error:
        raise ToolMissing(
            "the byte oracle (PyPI tflite-micro) is not installed",
            "its wheels exist for Linux on x86-64 only; compare with LiteRT elsewhere",
        ) from error

    data, graph = read(path)
    try:
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena_bytes(graph))
    except (ValueError, RuntimeError) as error:
        raise _cannot("tflite-micro", path, error) from error

    def step(sample: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        return np.asarray(interpreter.get_output(0))

    return _Interpreter("tflite-micro", "tflite-micro", graph, step)


def oracle_version() -> str:
    """The byte oracle's package and version; empty where it cannot be installed."""
    try:
        return f"tflite-micro {importlib.metadata.version('tflite-micro')}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def read(path: Path | str) -> tuple[bytes, Graph]:
    """A model's file and what was found in it, checked."""
    # the graph first: neither interpreter is safe with a corrupt file
    graph = read_model(path)
    return Path(path).read_bytes(), graph


def arena_bytes(graph: Graph) -> int:
    """Bytes that are surely enough: every activation at once, and room for the bookkeeping."""
    activations = sum(t.elements * 8 for t in graph.tensors if t.data is None)
    channels = sum(len(t.scales) for t in graph.tensors)
    return activations + 64 * channels + 4096 * len(graph.tensors) + (1 << 18)


def _cannot(what: str, path: Path | str, error: Exception) -> ModelError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ModelError(f"{what} cannot run {path}: {lines[0]}", "use operators that it supports")
