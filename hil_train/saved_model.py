# SPDX-License-Identifier: Apache-2.0
"""SavedModel folders, as ``model.export('FOLDER')`` and ``tf.saved_model.save`` write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hil.core.errors import ModelError
from hil_train.backend import quiet, require

PROGRAM: Final = "saved_model.pb"
_SIGNATURE: Final = "serving_default"
# operators that read or write files, or run Python
_OUTSIDE: Final = frozenset(
    ("ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "PyFuncStateless", "EagerPyFunc")
)


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A signature with one input and one output. ``shape``: of a sample."""

    shape: tuple[int, ...]
    dtype: str
    loaded: Any
    signature: Any
    argument: str

    def converter(self) -> Any:
        """A new ``TFLiteConverter``, for a batch of one: an open batch turns Flatten into SHAPE,
        STRIDED_SLICE and PACK."""
        _, tf = require()
        spec = tf.TensorSpec((1, *self.shape), self.dtype, name="input")

        def serve(x: Any) -> Any:
            (output,) = self.signature(**{self.argument: x}).values()
            return output

        concrete = tf.function(serve, input_signature=[spec]).get_concrete_function()
        return tf.lite.TFLiteConverter.from_concrete_functions([concrete], self.loaded)


def load(folder: Path) -> SavedModel:
    """The signature ``serving_default`` of a SavedModel, or its only one.

    Raises:
        ToolMissing, ModelError
    """
    _, tf = require()
    if not (folder / PROGRAM).is_file():
        raise ModelError(
            f"{folder} is not a SavedModel: it has no {PROGRAM}",
            "pass a .keras file, or the folder that model.export('FOLDER') wrote",
        )
    try:
        if found := sorted(_OUTSIDE & set(_operators(folder / PROGRAM))):
            raise ModelError(
                f"{folder} contains {', '.join(found)}, which reads or writes files or runs code",
                "export the network without it",
            )
        with quiet():
            loaded = tf.saved_model.load(str(folder))
        names = list(loaded.signatures)
    except ModelError:
        raise
    except Exception as error:  # TensorFlow raises errors of many types
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{folder} is not a SavedModel that can be loaded ({reason})",
            "save it again with model.export('FOLDER')",
        ) from error
    name = _SIGNATURE if _SIGNATURE in names else names[0] if len(names) == 1 else ""
    if not name:
        raise ModelError(
            f"{folder} has no signature {_SIGNATURE}, but {', '.join(names) or 'none'}",
            "save it with model.export('FOLDER')",
        )
    signature = loaded.signatures[name]
    inputs = signature.structured_input_signature[1]
    argument, spec = next(iter(inputs.items()), ("", None))
    shape: list[Any] = spec.shape.as_list()[1:] if spec is not None and spec.shape.rank else [None]
    if spec is None or len(inputs) + len(signature.structured_outputs) != 2 or None in shape:
        raise ModelError(
            f"{folder} does not have exactly one input and one output of fixed shape",
            "only such networks can run on a board",
        )
    return SavedModel(tuple(shape), spec.dtype.name, loaded, signature, argument)


def _operators(file: Path) -> Iterator[str]:
    """The names of all operators of the program."""
    from tensorflow.core.protobuf import saved_model_pb2

    program = saved_model_pb2.SavedModel()
    program.ParseFromString(file.read_bytes())
    for one in program.meta_graphs:
        yield from (node.op for node in one.graph_def.node)
        for function in one.graph_def.library.function:
            yield from (node.op for node in function.node_def)
