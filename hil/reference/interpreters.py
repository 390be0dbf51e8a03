"""The two host interpreters behind one small interface."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator
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
    """LiteRT with its reference kernels (BUILTIN_REF): the same on every computer.

    Raises `ModelError` when the file is corrupt or holds an operator LiteRT cannot run.
    """
    return _litert("litert", path, default_kernels=False)


def xnnpack(path: Path | str) -> Reference:
    """LiteRT as users run it, with its default kernels: XNNPACK's where it has them.

    Those are chosen by what the processor can do, so ``version`` names the processor's features
    too. One thread. Raises as `litert`.
    """
    return _litert("litert-xnnpack", path, default_kernels=True)


def xnnpack_version() -> str:
    """LiteRT's default kernels on this computer, in words."""
    return f"LiteRT {importlib.metadata.version('ai-edge-litert')} with XNNPACK"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the line that LiteRT's C++ writes to standard error when it takes up XNNPACK."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def _processor() -> str:
    """A digest of what this processor can do; its architecture where Linux does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    flags = [line for line in lines if line.lower().startswith(("flags", "features"))][:1]
    return hashlib.sha256(f"{platform.machine()} {flags}".encode()).hexdigest()[:12]


def _litert(name: str, path: Path | str, *, default_kernels: bool) -> Reference:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    data, graph = read(path)
    kernels = OpResolverType.AUTO if default_kernels else OpResolverType.BUILTIN_REF
    try:
        with _quiet() if default_kernels else contextlib.nullcontext():
            interpreter = Interpreter(
                model_content=data, experimental_op_resolver_type=kernels, num_threads=1
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

    reference = _Interpreter(name, "ai-edge-litert", graph, step)
    if default_kernels:
        reference.version += f" on {_processor()}"
    return reference


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
