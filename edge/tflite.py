"""Read the graph of a `.tflite`: tensors, operators, quantisation, multiply-accumulates.

Field numbers and enum values are those of the TensorFlow Lite schema, version 3.
"""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from edge.errors import ArtifactError
from edge.flatbuffer import Table, TruncatedArtifact, root
from edge.tflite_names import OPERATORS, TYPES

__all__ = ["Graph", "OperatorInfo", "TensorInfo", "read_graph"]

# More than any model for a microcontroller has; they bound the time that a file can take.
MOST_OPERATORS, MOST_TENSORS, MOST_BUFFERS, MOST_ENDS = 256, 1024, 4096, 256
MOST_SIZES, MOST_SCALES = 8, 4096
SIZES = {"float32": 4, "int32": 4, "int8": 1, "uint8": 1, "int64": 8, "int16": 2, "bool": 1}


@dataclass(frozen=True)
class TensorInfo:
    """One tensor.

    Args:
        name: as in the file.
        shape: sizes, in elements.
        dtype: such as float32.
        start: where its constant begins in the file, bytes; 0 if it is none.
        length: bytes of the constant; 0 if it is none.
        scales: quantisation scales; empty if not quantised.
        zero_points: as many.
        axis: the dimension that the scales belong to.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    start: int
    length: int
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int

    @property
    def elements(self) -> int:
        """How many values it holds."""
        return prod(self.shape)


@dataclass(frozen=True)
class OperatorInfo:
    """One operator: its name and builtin code, version, tensors and options table."""

    name: str
    code: int
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None


@dataclass(frozen=True)
class Graph:
    """The first subgraph of a file."""

    data: bytes
    description: str
    tensors: tuple[TensorInfo, ...]
    operators: tuple[OperatorInfo, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def constant(self, index: int) -> NDArray[np.generic]:
        """The values of a constant tensor, in its shape.

        Raises:
            ArtifactError: it is not a constant, or its bytes are not what its shape needs.
        """
        tensor = self.tensors[index]
        if tensor.dtype not in SIZES or tensor.length != tensor.elements * SIZES[tensor.dtype]:
            raise ArtifactError(
                f"tensor {tensor.name[:60]!r} has {tensor.length} bytes for {tensor.elements} "
                f"values of {tensor.dtype}."
            )
        kind = np.dtype(tensor.dtype).newbyteorder("<")
        flat = np.frombuffer(self.data, kind, count=tensor.elements, offset=tensor.start)
        return flat.reshape(tensor.shape)

    def parameters(self) -> int:
        """Values in the constants of operators that multiply (weights and biases)."""
        used = {
            index
            for operator in self.operators
            if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
            for index in operator.inputs[1:3]
            if index >= 0
        }
        return sum(self.tensors[index].elements for index in used if self.tensors[index].length)

    def macs(self) -> int:
        """Multiply-accumulates of one inference: convolution, depthwise, dense."""
        return sum(self._macs_of(operator) for operator in self.operators)

    def _macs_of(self, operator: OperatorInfo) -> int:
        if len(operator.inputs) < 2 or not operator.outputs or operator.inputs[1] < 0:
            return 0
        weights, out = self.tensors[operator.inputs[1]], self.tensors[operator.outputs[0]]
        if operator.name == "FULLY_CONNECTED" and len(weights.shape) == 2:
            return out.elements * weights.shape[1]
        # Of a convolution [c_out][kh][kw][c_in], of a depthwise one [1][kh][kw][c_out].
        if operator.name == "CONV_2D" and len(weights.shape) == 4:
            return out.elements * prod(weights.shape[1:])
        if operator.name == "DEPTHWISE_CONV_2D" and len(weights.shape) == 4:
            return out.elements * prod(weights.shape[1:3])
        return 0


def read_graph(data: bytes) -> Graph:
    """Read the first subgraph; every index and offset is checked.

    Raises:
        TruncatedArtifact: an offset or length points outside the bytes.
        ArtifactError: not a `.tflite`, or a broken one.
    """
    model = root(data, b"TFL3")
    subgraphs = model.tables(2, MOST_ENDS)
    if not subgraphs:
        raise ArtifactError("the file holds no graph.")
    buffers = [table.vector(0, 1) for table in model.tables(4, MOST_BUFFERS)]
    places = [(vector.start, vector.count) for vector in buffers]
    tensors = tuple(_tensor(table, places) for table in subgraphs[0].tables(0, MOST_TENSORS))
    codes = [_code(table) for table in model.tables(1, MOST_OPERATORS)]
    tables = subgraphs[0].tables(3, MOST_OPERATORS)
    operators = tuple(_operator(table, codes, len(tensors)) for table in tables)
    inputs, outputs = (_indices(subgraphs[0], slot, len(tensors)) for slot in (1, 2))
    if not inputs or not outputs or min(*inputs, *outputs) < 0:
        raise ArtifactError("the graph has no input or no output.")
    return Graph(data, model.text(3), tensors, operators, inputs, outputs)


def _tensor(table: Table, places: list[tuple[int, int]]) -> TensorInfo:
    shape = tuple(int(size) for size in table.vector(0, 4, MOST_SIZES).array("i4"))
    buffer = table.integer(2, "I")
    if min(shape, default=0) < 0 or prod(shape) > 1 << 31:
        raise ArtifactError(f"a tensor has shape {shape[:8]}.")
    if buffer >= max(len(places), 1):
        raise TruncatedArtifact(f"buffer {buffer} is named, there are {len(places)}.")
    start, length = places[buffer] if places else (0, 0)
    scales, zeros, axis = _quantisation(table.table(4))
    kind = table.integer(1, "b")
    return TensorInfo(
        table.text(3), shape, TYPES.get(kind, f"type {kind}"), start, length, scales, zeros, axis
    )


def _quantisation(table: Table | None) -> tuple[tuple[float, ...], tuple[int, ...], int]:
    if table is None:
        return (), (), 0
    scales = tuple(float(scale) for scale in table.vector(2, 4, MOST_SCALES).array("f4"))
    zeros = tuple(int(zero) for zero in table.vector(3, 8, MOST_SCALES).array("i8"))
    return scales, zeros, table.integer(6, "i")


def _code(table: Table) -> tuple[int, int]:
    return max(table.integer(0, "b"), table.integer(3, "i")), table.integer(2, "i", 1)


def _operator(table: Table, codes: list[tuple[int, int]], tensors: int) -> OperatorInfo:
    index = table.integer(0, "I")
    if index >= len(codes):
        raise TruncatedArtifact(f"operator code {index} is named, there are {len(codes)}.")
    code, version = codes[index]
    name = OPERATORS.get(code, f"operator {code}")
    inputs, outputs = (_indices(table, slot, tensors) for slot in (1, 2))
    return OperatorInfo(name, code, version, inputs, outputs, table.table(4))


def _indices(table: Table, slot: int, tensors: int) -> tuple[int, ...]:
    found = tuple(int(index) for index in table.vector(slot, 4, MOST_ENDS).array("i4"))
    if found and (max(found) >= tensors or min(found) < -1):
        raise TruncatedArtifact(f"a tensor beyond the {tensors} of the graph is named.")
    return found
