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
from hil.core.records import DType, TensorSpec, pack_rows
from hil.tflite import Graph, read_model

Progress: TypeAlias = Callable[[int, int], None]  # (samples done, samples in total)
# (n, *input shape) of every input, or the array of the only one
Values: TypeAlias = npt.NDArray[np.generic] | Sequence[npt.NDArray[np.generic]]

_EVERY = 64  # samples between two calls of the progress callback


class Reference(Protocol):
    """A host interpreter with one model loaded."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def graph(self) -> Graph: ...

    def predict(self, x: Values, progress: Progress | None = None) -> npt.NDArray[np.generic]:
        """(n, *input shape) model-ready values -> (n, output elements) of the output's type.

        ``x`` has one array per input, or is the array of the only input. Of several outputs, a row
        has the bytes of all of them (`hil.core.records.pack_rows`). A model with state continues
        where the previous call stopped.

        Raises `DataError` if ``x`` does not fit the model's inputs, and `ModelError` if the
        interpreter fails on a sample.
        """
        ...

    def outputs(
        self, x: Values, progress: Progress | None = None
    ) -> tuple[npt.NDArray[np.generic], ...]:
        """As `predict`, but one (n, elements) array per output."""
        ...

    def reset(self) -> None:
        """Forget all earlier samples; only a model with state remembers any."""
        ...


_Sample: TypeAlias = tuple[npt.NDArray[np.generic], ...]  # one sample's values, by input or output
_Step: TypeAlias = Callable[[_Sample], _Sample]


class _Interpreter:
    """Checks the inputs, then passes one sample at a time to the function that ``load`` returns.

    A new interpreter is loaded to forget the state: LiteRT's and TFLM's own resets do not run an
    initialising subgraph (CALL_ONCE) again.
    """

    def __init__(
        self, name: str, package: str, path: Path | str, graph: Graph, load: Callable[[], _Step]
    ) -> None:
        self.name = name
        self._path = path
        self.version = importlib.metadata.version(package)
        self.graph = graph
        self._load = load
        self._step = load()
        self._fresh = True

    def reset(self) -> None:
        if self.graph.stateful and not self._fresh:
            self._step = self._load()
            self._fresh = True

    def predict(self, x: Values, progress: Progress | None = None) -> npt.NDArray[np.generic]:
        found = self.outputs(x, progress)
        return found[0] if len(found) == 1 else pack_rows(self.graph.outputs, found)

    def outputs(
        self, x: Values, progress: Progress | None = None
    ) -> tuple[npt.NDArray[np.generic], ...]:
        arrays = (x,) if isinstance(x, np.ndarray) else tuple(x)
        self._check(arrays)
        n = len(arrays[0])
        result = tuple(np.empty((n, one.elements), one.dtype.numpy) for one in self.graph.outputs)
        self._fresh = False
        for i in range(n):
            try:
                said = self._step(tuple(values[i] for values in arrays))
            except (ValueError, RuntimeError) as error:  # some refuse only here
                raise cannot_run(self.name, self._path, error) from error
            for kept, values in zip(result, said, strict=True):
                kept[i] = values.reshape(-1)
            if progress and (i + 1) % _EVERY == 0:
                progress(i + 1, n)
        if progress and n % _EVERY:
            progress(n, n)
        return result

    def _check(self, arrays: Sequence[npt.NDArray[np.generic]]) -> None:
        specs = self.graph.inputs
        given = [(x.dtype, x.shape[1:], len(x)) for x in arrays]
        if given != [(one.dtype.numpy, one.shape, len(arrays[0])) for one in specs]:
            raise DataError(
                "inputs of "
                + ", ".join(f"type {x.dtype} and shape {list(x.shape)}" for x in arrays),
                f"{self.name} takes "
                + ", ".join(f"(n, *{list(one.shape)}) {one.dtype.name.lower()}" for one in specs),
            )


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

    def load() -> _Step:
        try:
            interpreter = load_litert(data, default_kernels=default_kernels)
        except (ValueError, RuntimeError) as error:
            raise cannot_run("LiteRT", path, error) from error
        sources, targets = litert_tensors(interpreter)

        def step(sample: _Sample) -> _Sample:
            for index, values in zip(sources, sample, strict=True):
                interpreter.set_tensor(index, values)
            interpreter.invoke()
            return tuple(np.asarray(interpreter.get_tensor(index)) for index in targets)

        return step

    reference = _Interpreter(name, "ai-edge-litert", path, graph, load)
    if default_kernels:
        reference.version += f" on {cpu_features()}"
    return reference


def litert_tensors(interpreter: Any) -> tuple[list[int], list[int]]:
    """The tensors of all inputs, and those of all outputs, in the file's order."""
    found = (interpreter.get_input_details(), interpreter.get_output_details())
    sources, targets = ([int(one["index"]) for one in details] for details in found)
    return sources, targets


def oracle(path: Path | str) -> Reference:
    """TensorFlow Lite Micro on the host: the bytes that an int8 device must output.

    Raises `ToolMissing` without its package, which exists for Linux on x86-64 only, and
    `ModelError` if the file is corrupt or contains an operator that TFLM cannot run.
    """
    runtime = _tflm_runtime()
    data, graph = read(path)

    def load() -> _Step:
        try:
            interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena_bytes(graph))
        except (ValueError, RuntimeError) as error:
            raise cannot_run("tflite-micro", path, error) from error

        def step(sample: _Sample) -> _Sample:
            for i, values in enumerate(sample):
                interpreter.set_input(values, i)
            interpreter.invoke()
            return tuple(np.asarray(interpreter.get_output(i)) for i in range(len(graph.outputs)))

        return step

    return _Interpreter("tflite-micro", "tflite-micro", path, graph, load)


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
    path: Path, x: Values, tensors: Sequence[int], *, tflm: bool
) -> tuple[npt.NDArray[np.generic], ...]:
    """The values of ``tensors`` (indices in the graph) for one sample, the first one of a model
    with state. ``x`` is the input, (1, *input shape), or has one such array per input.

    From TFLM with ``tflm``, as for an int8 network, since a device must compute the same bytes;
    else from LiteRT's reference kernels. Raises `ToolMissing` without TFLM's package, `ModelError`
    if the interpreter cannot run the model.
    """
    data, graph = read(path)
    sample = (x[0],) if isinstance(x, np.ndarray) else tuple(values[0] for values in x)
    if tflm:
        return _tflm_tensors(data, graph, sample, tensors)
    return _litert_tensors(data, sample, tensors)


def _tflm_tensors(
    data: bytes, graph: Graph, sample: _Sample, tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    runtime = _tflm_runtime()
    try:
        interpreter = runtime.Interpreter.from_bytes(
            data,
            arena_size=arena_bytes(graph),
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
        )
        for i, values in enumerate(sample):
            interpreter.set_input(values, i)
        interpreter.invoke()
        found = [interpreter.GetTensor(index, 0)["tensor_data"] for index in tensors]
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"TFLM cannot return the layers' tensors: {error}") from error
    return tuple(
        np.asarray(values).reshape(graph.tensors[index].shape)
        for index, values in zip(tensors, found, strict=True)
    )


def _litert_tensors(
    data: bytes, sample: _Sample, tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=data,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        for index, values in zip(litert_tensors(interpreter)[0], sample, strict=True):
            interpreter.set_tensor(index, values)
        interpreter.invoke()
        return tuple(np.array(interpreter.get_tensor(index)) for index in tensors)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT cannot return the layers' tensors: {error}") from error


def activations(
    path: Path, x: npt.NDArray[np.generic], tensors: Sequence[int]
) -> tuple[npt.NDArray[np.generic], ...]:
    """(n, *shape) values of each of ``tensors`` for n samples, from LiteRT's reference kernels.

    ``x``: (n, *input shape) of the only input of a network without state. Raises ModelError if
    LiteRT cannot run the network.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    data, _ = read(path)
    try:
        interpreter = Interpreter(
            model_content=data,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        (source,), _ = litert_tensors(interpreter)
        found: list[list[npt.NDArray[np.generic]]] = [[] for _ in tensors]
        for values in x:
            interpreter.set_tensor(source, values)
            interpreter.invoke()
            for kept, index in zip(found, tensors, strict=True):
                kept.append(np.array(interpreter.get_tensor(index)))
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT cannot return the layers' tensors: {error}") from error
    return tuple(map(np.stack, found))


_RANGES = {DType.INT8: (-128, 127), DType.UINT8: (0, 255), DType.INT16: (-32768, 32767)}


def encode_inputs(x: npt.NDArray[np.generic], spec: TensorSpec) -> npt.NDArray[np.generic]:
    """(n, ...) samples -> (n, *spec.shape) values of ``spec.dtype``, C-contiguous.

    Samples of the input's own type are used unchanged. Others: uint8 samples are pixels, real =
    pixel / 255; float32 samples are real values; they are quantised by round(real / scale) +
    zero_point in float32, halves away from zero, clamped. Raises `DataError` if the samples do not
    fit the model.
    """
    if x.ndim < 1 or x.shape[0] < 1:
        raise DataError("there are no samples", "give at least one")
    if x[0].size != spec.elements:
        raise DataError(
            f"a sample has {x[0].size} values {list(x.shape[1:])}",
            f"the model takes {spec.elements} {list(spec.shape)}",
        )
    # values that are mapped from a file may lie at any address
    values = np.require(x, requirements=["C", "A"]).reshape(len(x), *spec.shape)
    if x.dtype == spec.dtype.numpy:
        return values
    if not encodable(x.dtype, spec.dtype):
        raise DataError(
            f"{x.dtype} samples for a {spec.dtype.name.lower()} model",
            f"give {sample_types(spec.dtype)}",
        )
    real = values
    if x.dtype == np.uint8:
        real = values.astype(np.float32) / np.float32(255)
    return real if spec.dtype is DType.FLOAT32 else quantize(real, spec)


def encodable(samples: np.dtype[np.generic], taken: DType) -> bool:
    """Whether samples of a type can become values of an input of type ``taken``."""
    if samples == taken.numpy:
        return True
    real = samples in (np.dtype(np.uint8), np.dtype(np.float32))
    return real and (taken is DType.FLOAT32 or taken in _RANGES)


def sample_types(taken: DType) -> str:
    """The types of samples for an input of type ``taken``, in words."""
    types = [one for one in DType if encodable(one.numpy, taken)]
    return " or ".join(one.name.lower() for one in types)


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
