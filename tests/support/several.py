# SPDX-License-Identifier: Apache-2.0
"""Tiny networks with several inputs or outputs, or with state, which NumPy computes as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.tflite import Net

RESOURCE = 13  # TensorType of a variable's handle


def two_inputs(code: str = "SUB", shape: tuple[int, ...] = (1, 3), dtype: str = "float32") -> Net:
    """``code`` (ADD, SUB) of two inputs; in int8 all scales are 1/4 and zero points 0."""
    scale = 0.0 if dtype == "float32" else 0.25
    net = Net().input(shape, dtype, scale)
    other = net.activation(shape, dtype, scale)
    net.graph.inputs = [net.current, other]
    name = f"{code.capitalize()}Options"
    return net.op(code, shape, getattr(schema, f"{name}T")(), name, [other])


def two_outputs(shape: tuple[int, ...] = (1, 3)) -> Net:
    """max(x, 0) and min(max(x, 0), 6) of a float32 input."""
    net = Net().input(shape)
    x = net.current
    outputs = [net.simple("RELU").current]
    net.current = x
    net.simple("RELU6")
    net.graph.outputs = [*outputs, net.current]
    return net


def running_sum(shape: tuple[int, ...] = (1, 1)) -> Net:
    """The sum of all inputs so far, in a variable that CALL_ONCE sets to zero."""
    net = Net().input(shape)
    x = net.current
    once = schema.CallOnceOptionsT()
    once.initSubgraphIndex = 1
    _add(net, net.graph, "CALL_ONCE", [], [], once, "CallOnceOptions")
    handle = _handle(net, net.graph)
    before = net.activation(shape, "float32")
    read = schema.ReadVariableOptionsT()
    _add(net, net.graph, "READ_VARIABLE", [handle], [before], read, "ReadVariableOptions")
    net.current = x
    net.op("ADD", shape, schema.AddOptionsT(), "AddOptions", [before])
    assign = schema.AssignVariableOptionsT()
    kind = "AssignVariableOptions"
    _add(net, net.graph, "ASSIGN_VARIABLE", [handle, net.current], [], assign, kind)
    first: Any = schema.SubGraphT()
    first.tensors, first.operators, first.inputs, first.outputs = [], [], [], []
    first.name = "init"
    net.model.subgraphs.append(first)
    main, net.graph = net.graph, first  # `tensor` adds to the current one
    zero = net.tensor(shape, "float32", np.zeros(shape, np.float32))
    handle = _handle(net, first)
    _add(net, first, "ASSIGN_VARIABLE", [handle, zero], [], assign, kind)
    net.graph = main
    return net


def _handle(net: Net, graph: Any) -> int:
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.buffer = [], RESOURCE, 0
    tensor.name = f"handle{len(graph.tensors)}"
    graph.tensors.append(tensor)
    index = len(graph.tensors) - 1
    options = schema.VarHandleOptionsT()
    options.container, options.sharedName = "", "sum"
    _add(net, graph, "VAR_HANDLE", [], [index], options, "VarHandleOptions")
    return index


def _add(
    net: Net,
    graph: Any,
    code: str,
    inputs: Sequence[int],
    outputs: Sequence[int],
    options: Any,
    kind: str,
) -> None:
    opcode = schema.OperatorCodeT()
    opcode.builtinCode, opcode.version = getattr(schema.BuiltinOperator, code), 1
    opcode.deprecatedBuiltinCode = min(opcode.builtinCode, 127)
    net.model.operatorCodes.append(opcode)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(net.model.operatorCodes) - 1
    operator.inputs, operator.outputs = list(inputs), list(outputs)
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
    operator.builtinOptions = options
    graph.operators.append(operator)
