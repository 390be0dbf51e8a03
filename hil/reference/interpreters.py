# SPDX-License-Identifier: Apache-2.0
"""LiteRT with either set of kernels, and TFLM, the byte oracle.

One interface gives outputs, the tensors between layers, and the encoding of samples as inputs.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError, ModelError, ToolMissing
from hil.core.host import cpu_features
from hil.core.records import DType, TensorSpec
from hil.tflite import Graph, read_model

Progress: TypeAlias = Callable[[int, int], None]  # (samples done, samples in total)

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

        Raises `DataError` if ``x`` does not fit the model's input.
        """
        ...


class _Interpreter:
    """Checks the inputs, then passes one sample at a time to ``step``."""

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
                f"{self.name} takes (n, *{list(spec.shape)}) {spec.dtype.name.lower()}",
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

    Raises `ModelError` if the file is corrupt or contains an operator that LiteRT cannot run.
    """
    return _litert("litert", path, default_kernels=False)


def xnnpack(path: Path | str) -> Reference:
    """LiteRT with its default kernels, as users run it: XNNPACK where it supports the operator.

    The processor's features select the kernels, so ``version`` includes a digest of them. One
    thread. Raises as `litert`.
    """
    return _litert("litert-xnnpack", path, default_kernels=True)


def litert_version() -> str:
    """LiteRT's name and version."""
    return f"LiteRT {importlib.metadata.version('ai-edge-litert')}"


def xnnpack_version() -> str:
    """The name and version of LiteRT's default kernels."""
    return f"{litert_version()} with XNNPACK"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop the line that LiteRT's C++ writes to stderr when it loads XNNPACK."""
    sys.stderr.flush()
    stderr = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(null)
        os.close(stderr)


def load_litert(data: bytes, *, default_kernels: bool, threads: int = 1) -> Any:
    """LiteRT's interpreter with the model ``data``, which `read` has checked, and its tensors.

    Raises ValueError or RuntimeError if it cannot run the model.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.AUTO if default_kernels else OpResolverType.BUILTIN_REF
    with _quiet() if default_kernels else contextlib.nullcontext():
        interpreter = Interpreter(
            model_content=data, experimental_op_resolver_type=kernels, num_threads=threads
        )
        interpreter.allocate_tensors()
    return interpreter


def _litert(name: str, path: Path | str, *, default_kernels: bool) -> Reference:
    data, graph = read(path)
    try:
        interpreter = load_litert(data, default_kernels=default_kernels)
    except (ValueError, RuntimeError) as error:
        raise cannot_run("LiteRT", path, error) from error
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
    """TensorFlow Lite Micro on the host: the bytes that an int8 device must output.

    Raises `ToolMissing` without its package, which exists for Linux on x86-64 only, and
    `ModelError` if the file is corrupt or contains an operator that TFLM cannot run.
    """
    runtime = _tflm_runtime()
    data, graph = read(path)
    try:
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena_bytes(graph))
    except (ValueError, RuntimeError) as error:
        raise cannot_run("tflite-micro", path, error) from error

    def step(sample: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        return np.asarray(interpreter.get_output(0))

    return _Interpreter("tflite-micro", "tflite-micro", graph, step)


def _tflm_runtime() -> Any:
    """The module ``tflite_micro.runtime``."""
    try:
        from tflite_micro import runtime
    except ImportError as error:
        raise ToolMissing(
            "the byte oracle (PyPI tflite-micro) is not installed",
            "its wheels exist for Linux on x86-64 only; compare with LiteRT elsewhere",
        ) from error
    return runtime


def oracle_version() -> str:
    """The byte oracle's package and version; empty if it is not installed."""
    try:
        return f"tflite-micro {importlib.metadata.version('tflite-micro')}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def read(path: Path | str) -> tuple[bytes, Graph]:
    """A model's file, and its checked graph."""
    # check first: neither interpreter is safe with a corrupt file
    graph = read_model(path)
    return Path(path).read_bytes(), graph


def arena_bytes(graph: Graph) -> int:
    """Bytes that always suffice: all activations at once, and TFLM's own data."""
    activations = sum(t.elements * 8 for t in graph.tensors if t.data is None)
    channels = sum(len(t.scales) for t in graph.tensors)
    return activations + 64 * channels + 4096 * len(graph.tensors) + (1 << 18)


def cannot_run(name: str, path: Path | str, error: Exception) -> ModelError:
    """The error that an interpreter raised, in one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ModelError(f"{name} cannot run {path}: {lines[0]}", "use operators that it supports")


def layer_tensors(
    path: Path, x: npt.NDArray[np.generic], tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    """The values of ``tensors`` (indices in the graph) for the input ``x``, (1, *input shape).

    From TFLM for an int8 network, since a device must compute the same bytes; from LiteRT's
    reference kernels for float32. Raises `ToolMissing` without TFLM's package, `ModelError` if the
    interpreter cannot run the model.
    """
    data, graph = read(path)
    if graph.precision.integer:
        return _tflm_tensors(data, graph, x[0], tensors)
    return _litert_tensors(data, x[0], tensors)


def _tflm_tensors(
    data: bytes, graph: Graph, x: npt.NDArray[np.generic], tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    runtime = _tflm_runtime()
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
        raise ModelError(f"TFLM cannot return the layers' tensors: {error}") from error
    return tuple(
        np.asarray(values).reshape(graph.tensors[index].shape)
        for index, values in zip(tensors, found, strict=True)
    )


def _litert_tensors(
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
        raise ModelError(f"LiteRT cannot return the layers' tensors: {error}") from error


_RANGES = {DType.INT8: (-128, 127), DType.UINT8: (0, 255)}


def encode_inputs(x: npt.NDArray[np.generic], spec: TensorSpec) -> npt.NDArray[np.generic]:
    """(n, ...) samples -> (n, *spec.shape) values of ``spec.dtype``, C-contiguous.

    uint8 samples are pixels, real = pixel / 255; float32 samples are real values; int8 samples are
    used unchanged. Quantisation: round(real / scale) + zero_point in float32, halves away from
    zero, clamped. Raises `DataError` if the samples do not fit the model.
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
    """float32 values -> ``spec.dtype``, as described in `encode_inputs`."""
    low, high = _RANGES[spec.dtype]
    with np.errstate(over="ignore"):  # what overflows is clamped anyway
        steps = np.asarray(real, np.float32) / np.float32(spec.scale)
    # NaN becomes the lower limit, as by the device's comparisons
    steps = np.nan_to_num(steps, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    steps = np.clip(steps, np.float32(-1e6), np.float32(1e6))
    whole = np.trunc(steps)
    # numpy rounds halves to even; roundf() rounds them away from zero
    away = np.abs(steps - whole) >= np.float32(0.5)
    rounded = whole + np.where(away, np.copysign(np.float32(1), steps), np.float32(0))
    codes = np.clip(rounded.astype(np.int64) + spec.zero_point, low, high)
    return np.asarray(codes, spec.dtype.numpy)


def convert_outputs(
    outputs: npt.NDArray[np.generic], spec: TensorSpec, wanted: TensorSpec
) -> npt.NDArray[np.generic]:
    """(n, outputs) values of the tensor ``spec`` -> the same values as ``wanted`` stores them.

    Values of one type are not touched, whatever their scales. From a quantised type to float32:
    (q - zero point) * scale in float32; to a quantised type: `quantize`, with the scale of
    ``wanted``.
    """
    if spec.dtype is wanted.dtype:
        return outputs
    real = outputs
    if spec.dtype is not DType.FLOAT32:
        steps = outputs.astype(np.int32) - np.int32(spec.zero_point)
        real = steps.astype(np.float32) * np.float32(spec.scale)
    return real if wanted.dtype is DType.FLOAT32 else quantize(real, wanted)
