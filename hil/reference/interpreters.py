# SPDX-License-Identifier: Apache-2.0
"""The two host interpreters behind one small interface."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError, ModelError, ToolMissing
from hil.core.host import cpu_features
from hil.core.records import DType, Precision, TensorSpec
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
        reference.version += f" on {cpu_features()}"
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


def layer_tensors(
    path: Path, x: npt.NDArray[np.generic], tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    """The values of ``tensors`` (indices in the graph) after ``x``, (1, *input shape), went in.

    By TFLM for an int8 network, whose bytes are what a device must make; by LiteRT's reference
    kernels for float32. Raises `ToolMissing` without TFLM's package, `ModelError` when the
    interpreter cannot run the model.
    """
    data, graph = read(path)
    if graph.precision is Precision.INT8:
        return _tflm(data, graph, x[0], tensors)
    return _kept_tensors(data, x[0], tensors)


def _tflm(
    data: bytes, graph: Graph, x: npt.NDArray[np.generic], tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    try:
        from tflite_micro import runtime
    except ImportError as error:
        raise ToolMissing(
            "the byte oracle (PyPI tflite-micro) is not installed",
            "its wheels exist for Linux on x86-64 only",
        ) from error
    try:
        interpreter = runtime.Interpreter.from_bytes(
            data,
            arena_size=arena_bytes(graph),
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
        )
        interpreter.set_input(x, 0)
        interpreter.invoke()
        found = [interpreter.GetTensor(index, 0)["tensor_data"] for index in tensors]
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"TFLM cannot show its layers: {error}") from error
    return tuple(
        _shaped(graph, index, values) for index, values in zip(tensors, found, strict=True)
    )


def _shaped(graph: Graph, index: int, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return np.asarray(values).reshape(graph.tensors[index].shape)


def _kept_tensors(
    data: bytes, x: npt.NDArray[np.generic], tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=data,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        return tuple(np.array(interpreter.get_tensor(index)) for index in tensors)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT cannot show its layers: {error}") from error


_LIMITS = {DType.INT8: (-128, 127), DType.UINT8: (0, 255)}


def encode_inputs(x: npt.NDArray[np.generic], spec: TensorSpec) -> npt.NDArray[np.generic]:
    """(n, ...) samples -> (n, *spec.shape) values of ``spec.dtype``, C-contiguous.

    uint8 samples are pixels, real = pixel / 255; float32 samples are real values; int8 samples
    are taken as they are. Quantising: round(real / scale) + zero_point in float32, halves away
    from zero, clamped. Raises `DataError` when the samples do not fit the model.
    """
    if x.ndim < 1 or x.shape[0] < 1:
        raise DataError("there are no samples", "give at least one")
    if x[0].size != spec.elements:
        raise DataError(
            f"a sample has {x[0].size} values {list(x.shape[1:])}",
            f"the model takes {spec.elements} {list(spec.shape)}",
        )
    values = np.ascontiguousarray(x).reshape(len(x), *spec.shape)
    if x.dtype == np.int8:
        if spec.dtype is not DType.INT8:
            raise DataError(
                f"int8 samples for a {spec.dtype.name.lower()} model", "give uint8 or float32"
            )
        return values
    if x.dtype == np.uint8:
        real = values.astype(np.float32) / np.float32(255)
    elif x.dtype == np.float32:
        real = values
    else:
        raise DataError(f"samples of type {x.dtype}", "give uint8 pixels, float32 or int8")
    return real if spec.dtype is DType.FLOAT32 else quantize(real, spec)


def quantize(real: npt.NDArray[np.generic], spec: TensorSpec) -> npt.NDArray[np.generic]:
    """float32 values -> ``spec.dtype``, as `encode_inputs` says."""
    low, high = _LIMITS[spec.dtype]
    with np.errstate(over="ignore"):  # beyond float32 is beyond the clamp
        steps = np.asarray(real, np.float32) / np.float32(spec.scale)
    # NaN has no nearest step: the device's comparisons send it to the lower limit
    steps = np.nan_to_num(steps, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    steps = np.clip(steps, np.float32(-1e6), np.float32(1e6))
    whole = np.trunc(steps)
    # numpy rounds halves to even; roundf() rounds them away from zero
    away = np.abs(steps - whole) >= np.float32(0.5)
    rounded = whole + np.where(away, np.copysign(np.float32(1), steps), np.float32(0))
    codes = np.clip(rounded.astype(np.int64) + spec.zero_point, low, high)
    return np.asarray(codes, spec.dtype.numpy)
