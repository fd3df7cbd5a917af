"""Cut a `.tflite` in two by changing a few numbers in place: a front, and the tail behind it.

Both files are as long as the whole, and every constant lies where it lay.
"""

import struct
from dataclasses import dataclass

from edge.chain_ops import LAYERS, VERSIONS
from edge.errors import ArtifactError
from edge.flatbuffer import Table, Vector, root
from edge.tflite import MOST_ENDS, MOST_OPERATORS, Graph, OperatorInfo, read_graph

__all__ = ["TAIL_KEY", "Cut", "find_cut", "front_of", "tail_of"]

TAIL_KEY = "tinyfleet.tail"
"""Metadata that says where the tail begins: an int32, the index of its first operator."""
_MOST_METADATA = 64


@dataclass(frozen=True)
class Cut:
    """Where a graph is cut.

    Args:
        first: index of the tail's first operator; at least 1.
        feature: the tensor that the front gives and the tail takes.
    """

    first: int
    feature: int


def find_cut(graph: Graph) -> Cut | None:
    """Where a tail of float32 layers begins: where the file says so, else as early as it can.

    Returns:
        None where the graph does not end in such a tail, or nothing lies before it.
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return None
    end, first, dense = graph.outputs[0], len(graph.operators), False
    said = _said(graph.data)
    for index in range(len(graph.operators) - 1, 0, -1):
        operator = graph.operators[index]
        if not _fits(graph, operator, end) or (said is not None and index < said):
            break
        if _used_after(graph, index, operator.inputs[0]):
            break
        end, first = operator.inputs[0], index
        dense = dense or operator.name == "FULLY_CONNECTED"
    if not dense or not _made_before(graph, first, end):
        return None
    return Cut(first, end)


def front_of(graph: Graph, cut: Cut) -> bytes:
    """The same file, ending in the features.

    Raises:
        ArtifactError: the file's parts lie on top of each other.
    """
    data, places = bytearray(graph.data), _Places(graph.data)
    _put(data, places.outputs, (cut.feature,))
    _keep(data, places.operators, 0, cut.first)
    return _checked(data, places, graph.inputs, (cut.feature,), graph.operators[: cut.first])


def tail_of(graph: Graph, cut: Cut) -> bytes:
    """The same file, beginning with the features.

    Raises:
        ArtifactError: the file's parts lie on top of each other.
    """
    data, places = bytearray(graph.data), _Places(graph.data)
    _put(data, places.inputs, (cut.feature,))
    _keep(data, places.operators, cut.first, len(graph.operators))
    return _checked(data, places, (cut.feature,), graph.outputs, graph.operators[cut.first :])


class _Places:
    """Where the vectors lie that are changed."""

    def __init__(self, data: bytes) -> None:
        model = root(data, b"TFL3")
        graph = model.tables(2, MOST_ENDS)[0]
        self.inputs, self.outputs = (graph.vector(slot, 4, MOST_ENDS) for slot in (1, 2))
        self.operators = graph.vector(3, 4, MOST_OPERATORS)
        self.signatures = model.vector(7, 4)


def _said(data: bytes) -> int | None:
    """What the file's metadata says of where its tail begins."""
    model = root(data, b"TFL3")
    buffers = model.vector(4, 4)
    for note in model.tables(6, _MOST_METADATA):
        index = note.integer(1, "I")
        if note.text(0) == TAIL_KEY and index < buffers.count:
            content = _one(buffers, index).vector(0, 1)
            if content.count == 4:
                return int(struct.unpack_from("<i", data, content.start)[0])
    return None


def _one(tables: Vector, index: int) -> Table:
    return Vector(tables.data, tables.start + 4 * index, 1, 4).tables()[0]


def _fits(graph: Graph, operator: OperatorInfo, end: int) -> bool:
    """Whether an operator that makes `end` may be one of the tail."""
    ends = (*operator.inputs[:1], *operator.outputs)
    return (
        operator.outputs == (end,)
        and operator.inputs[:1] != ()
        and 1 <= operator.version <= VERSIONS.get(operator.name, 0)
        and operator.name in LAYERS
        and all(i >= 0 and graph.tensors[i].dtype == "float32" for i in ends)
        and not graph.tensors[operator.inputs[0]].length
    )


def _used_after(graph: Graph, index: int, tensor: int) -> bool:
    """Whether an operator behind one reads its input, too."""
    return any(tensor in later.inputs for later in graph.operators[index + 1 :])


def _made_before(graph: Graph, first: int, tensor: int) -> bool:
    return any(tensor in operator.outputs for operator in graph.operators[:first])


def _put(data: bytearray, vector: Vector, values: tuple[int, ...]) -> None:
    struct.pack_into(f"<{len(values)}i", data, vector.start, *values)


def _keep(data: bytearray, tables: Vector, first: int, end: int) -> None:
    """Shorten a vector of tables; each element counts from its own place."""
    for index in range(first, end):
        old, new = tables.start + 4 * index, tables.start + 4 * (index - first)
        target = old + int(struct.unpack_from("<I", tables.data, old)[0])
        struct.pack_into("<I", data, new, target - new)
    struct.pack_into("<I", data, tables.start - 4, end - first)


def _checked(
    data: bytearray,
    places: _Places,
    inputs: tuple[int, ...],
    outputs: tuple[int, ...],
    operators: tuple[OperatorInfo, ...],
) -> bytes:
    """Leave out what names the old ends, and read again what came of it."""
    if places.signatures.count:
        struct.pack_into("<I", data, places.signatures.start - 4, 0)
    made = bytes(data)
    found = read_graph(made)
    wanted = [(op.code, op.version, op.inputs, op.outputs) for op in operators]
    same = [(op.code, op.version, op.inputs, op.outputs) for op in found.operators] == wanted
    if not same or found.inputs != inputs or found.outputs != outputs:
        raise ArtifactError("parts of the file lie on top of each other; it cannot be cut.")
    return made
