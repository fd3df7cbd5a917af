"""Lay tensors and operators out as the bytes of a `.tflite` flatbuffer.

Field numbers and enum values are those of the TensorFlow Lite schema, version 3.
The same input gives the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

__all__ = ["FlatFile", "Operator", "Options", "Tensor"]

_TYPES = {"float32": 0, "int32": 2, "int8": 9}
_SCHEMA_VERSION = 3
_ALIGNMENT = 16


@dataclass(frozen=True)
class Tensor:
    """One tensor: constant where `data` is given.

    Args:
        name: what tools show.
        shape: sizes, in elements.
        dtype: float32, int8 or int32.
        data: the values of a constant, of that dtype.
        scales: float32 [1] or [channels] quantisation scales; empty: not quantised.
        zero_points: int64, as many as scales.
        axis: which dimension the scales belong to.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: NDArray[Any] | None = None
    scales: Sequence[float] | NDArray[np.float32] = ()
    zero_points: Sequence[int] = ()
    axis: int = 0


@dataclass(frozen=True)
class Options:
    """The options of an operator: which table of the schema, and its fields.

    Args:
        kind: number of the table among all that options can be.
        fields: slot to the kind of number and its value.
    """

    kind: int
    fields: dict[int, tuple[str, float]]


@dataclass(frozen=True)
class Operator:
    """One operator: its builtin code and version, the tensors it reads and writes, options."""

    code: int
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options | None = None


@dataclass
class FlatFile:
    """A model about to be written: one subgraph, one signature."""

    name: str
    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    metadata: dict[str, bytes] = field(default_factory=dict)

    def add(self, tensor: Tensor) -> int:
        """Append a tensor and give its index."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def to_bytes(self) -> bytes:
        """Write the flatbuffer; constants start at multiples of 16 bytes."""
        b = flatbuffers.Builder(1024)
        constants = [_bytes_of(t) for t in self.tensors if t.data is not None]
        contents = [b"", *constants, *self.metadata.values()]
        buffers = _offsets(b, [_buffer(b, content) for content in contents])
        first_metadata = 1 + len(constants)
        metadata = _offsets(
            b,
            [
                _table(
                    b, 2, {0: ("offset", b.CreateString(key)), 1: ("uint32", first_metadata + i)}
                )
                for i, key in enumerate(self.metadata)
            ],
        )
        codes = sorted({(op.code, op.version) for op in self.operators})
        code_tables = _offsets(b, [_operator_code(b, code, version) for code, version in codes])
        subgraphs = _offsets(b, [self._subgraph(b, codes)])
        signatures = _offsets(b, [self._signature(b)])
        description = b.CreateString(self.name)
        model = _table(
            b,
            8,
            {
                0: ("uint32", _SCHEMA_VERSION),
                1: ("offset", code_tables),
                2: ("offset", subgraphs),
                3: ("offset", description),
                4: ("offset", buffers),
                6: ("offset", metadata),
                7: ("offset", signatures),
            },
        )
        b.Finish(model, file_identifier=b"TFL3")
        return bytes(b.Output())

    def _subgraph(self, b: Any, codes: list[tuple[int, int]]) -> int:
        buffer_of = _buffer_numbers(self.tensors)
        tensors = _offsets(
            b, [_tensor(b, t, n) for t, n in zip(self.tensors, buffer_of, strict=True)]
        )
        operators = _offsets(b, [_operator(b, op, codes) for op in self.operators])
        fields = {
            0: ("offset", tensors),
            1: ("offset", _ints(b, self.inputs)),
            2: ("offset", _ints(b, self.outputs)),
            3: ("offset", operators),
            4: ("offset", b.CreateString("main")),
        }
        return _table(b, 5, fields)

    def _signature(self, b: Any) -> int:
        def maps(indices: tuple[int, ...]) -> int:
            tables = []
            for index in indices:
                name = b.CreateString(self.tensors[index].name)
                tables.append(_table(b, 2, {0: ("offset", name), 1: ("uint32", index)}))
            return _offsets(b, tables)

        inputs, outputs = maps(self.inputs), maps(self.outputs)
        key = b.CreateString("serving_default")
        return _table(b, 5, {0: ("offset", inputs), 1: ("offset", outputs), 2: ("offset", key)})


def _bytes_of(tensor: Tensor) -> bytes:
    assert tensor.data is not None
    array = np.ascontiguousarray(tensor.data, dtype=np.dtype(tensor.dtype).newbyteorder("<"))
    assert array.shape == tensor.shape
    return array.tobytes()


def _buffer_numbers(tensors: Sequence[Tensor]) -> list[int]:
    numbers, following = [], 1
    for tensor in tensors:
        numbers.append(0 if tensor.data is None else following)
        following += tensor.data is not None
    return numbers


def _buffer(b: Any, content: bytes) -> int:
    if not content:
        return _table(b, 1, {})
    b.StartVector(1, len(content), _ALIGNMENT)
    b.head -= len(content)
    b.Bytes[b.head : b.head + len(content)] = content
    return _table(b, 1, {0: ("offset", b.EndVector())})


def _tensor(b: Any, tensor: Tensor, buffer: int) -> int:
    fields: dict[int, tuple[str, Any]] = {
        0: ("offset", _ints(b, tensor.shape)),
        1: ("int8", _TYPES[tensor.dtype]),
        2: ("uint32", buffer),
        3: ("offset", b.CreateString(tensor.name)),
    }
    if len(tensor.scales):
        scales = b.CreateNumpyVector(np.asarray(tensor.scales, np.float32))
        zeros = b.CreateNumpyVector(np.asarray(tensor.zero_points, np.int64))
        parts = {2: ("offset", scales), 3: ("offset", zeros), 6: ("int32", tensor.axis)}
        fields[4] = ("offset", _table(b, 7, parts))
    return _table(b, 8, fields)


def _operator_code(b: Any, code: int, version: int) -> int:
    return _table(b, 4, {0: ("int8", code), 2: ("int32", version), 3: ("int32", code)})


def _operator(b: Any, op: Operator, codes: list[tuple[int, int]]) -> int:
    fields: dict[int, tuple[str, Any]] = {
        0: ("uint32", codes.index((op.code, op.version))),
        1: ("offset", _ints(b, op.inputs)),
        2: ("offset", _ints(b, op.outputs)),
    }
    if op.options is not None:
        options = _table(b, 7, op.options.fields)
        fields |= {3: ("uint8", op.options.kind), 4: ("offset", options)}
    return _table(b, 9, fields)


def _ints(b: Any, values: Sequence[int]) -> int:
    return int(b.CreateNumpyVector(np.asarray(values, np.int32)))


def _offsets(b: Any, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def _table(b: Any, slots: int, fields: dict[int, tuple[str, Any]]) -> int:
    put: dict[str, Callable[[int, Any, int], None]] = {
        "offset": b.PrependUOffsetTRelativeSlot,
        "uint32": b.PrependUint32Slot,
        "int32": b.PrependInt32Slot,
        "uint8": b.PrependUint8Slot,
        "int8": b.PrependInt8Slot,
        "float32": b.PrependFloat32Slot,
    }
    b.StartObject(slots)
    for slot, (kind, value) in fields.items():
        put[kind](slot, value, 0)
    return int(b.EndObject())
