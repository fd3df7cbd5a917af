"""An `.onnx` as far as a device must know it: its graph, and the tail that the server put there.

Field numbers are those of `onnx.proto`, IR version 8. A tail of ours is written twice: as nodes,
so that any runtime runs the whole, and as a `.tflite` in an unused constant, for the learner.
"""

from dataclasses import dataclass
from math import prod

from edge.errors import ArtifactError
from edge.onnx_wire import Part, encoded, parts
from edge.tflite import Graph, OperatorInfo, TensorInfo

__all__ = ["FEATURES", "TAIL", "OnnxTail", "is_onnx", "onnx_tail", "read_onnx"]

TAIL = "tinyfleet.tail"
"""Name of the constant that holds the tail as a `.tflite`, and prefix of all in the tail."""
FEATURES = "tinyfleet.features"
"""Name of the tensor that the tail takes."""

_GRAPH, _NODE, _CONSTANT, _INPUT, _OUTPUT, _KNOWN = 7, 1, 5, 11, 12, 13
_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 8: "string",
    9: "bool", 10: "float16", 11: "float64",
}  # fmt: skip
_VERSIONS = [bytes([version]) for version in range(3, 64)]
_MOST = 4096  # nodes, and tensors; more than any model for a small device has


@dataclass(frozen=True)
class OnnxTail:
    """A tail inside an `.onnx`.

    Args:
        front: the file without its tail; its output is the features.
        tail: the `.tflite`.
        start: where that lies in the file.
        values: where each constant of the tail's nodes lies in the file, and its bytes, in the
            order of the parameters: weights [n_out][n_in] and bias [n_out], layer by layer.
    """

    front: bytes
    tail: bytes
    start: int
    values: tuple[tuple[int, int], ...]


def is_onnx(data: bytes) -> bool:
    """Whether bytes may be an `.onnx`: they begin with an IR version, and are no `.tflite`."""
    return data[:1] == b"\x08" and data[1:2] in _VERSIONS and data[4:8] != b"TFL3"


def read_onnx(data: bytes) -> Graph:
    """The nodes of a graph, and the shapes that it states; an unknown size counts as 1.

    Raises:
        ArtifactError: not an `.onnx`, or a broken one.
    """
    graph = _graph_of(data)
    held = list(graph.parts())
    if len(held) > _MOST:
        raise ArtifactError(f"a graph of {len(held)} parts came, at most {_MOST} are read.")
    tensors: dict[str, TensorInfo] = {}
    for part in held:
        if part.number == _CONSTANT:
            tensor = _constant(part)
            tensors.setdefault(tensor.name, tensor)
    constants = set(tensors)
    for part in held:
        if part.number in (_INPUT, _OUTPUT, _KNOWN):
            tensor = _value(part)
            tensors.setdefault(tensor.name, tensor)
    places = {name: index for index, name in enumerate(tensors)}
    operators = []
    for part in held:
        if part.number == _NODE:
            operators.append(_operator(part, tensors, places))
    ends = {
        number: tuple(places[name] for part in held if part.number == number
                      for name in [_value(part).name] if name not in constants)
        for number in (_INPUT, _OUTPUT)
    }  # fmt: skip
    if not ends[_INPUT] or not ends[_OUTPUT]:
        raise ArtifactError("the graph has no input or no output.")
    name = next((part.text for part in held if part.number == 2), "")
    return Graph(
        data, name[:256], tuple(tensors.values()), tuple(operators), ends[_INPUT], ends[_OUTPUT]
    )


def onnx_tail(data: bytes) -> OnnxTail | None:
    """The tail of ours in an `.onnx`; None where there is none.

    Raises:
        ArtifactError: the file is broken, or its tail is.
    """
    graph = _graph_of(data)
    held = list(graph.parts())
    constants = {_name(part, 8): part for part in held if part.number == _CONSTANT}
    if TAIL not in constants:
        return None
    start, length = _raw(constants[TAIL])
    values = []
    for index in range(len(constants)):
        pair = [constants.get(f"{TAIL}/{index}/{kind}") for kind in ("weights", "bias")]
        values += [_raw(part) for part in pair if part is not None]
    known = next((p for p in held if p.number == _KNOWN and _value(p).name == FEATURES), None)
    if known is None or not values:
        raise ArtifactError(f"the file has {TAIL}, but no {FEATURES} or no weights.")
    kept = b"".join(
        part.whole
        for part in held
        if part.number != _OUTPUT and not _of_tail(part) and part.begin != known.begin
    )
    body = kept + encoded(_OUTPUT, known.content)
    front = b"".join(
        encoded(_GRAPH, body) if part.number == _GRAPH else part.whole
        for part in parts(data, 0, len(data))
    )
    return OnnxTail(front, data[start : start + length], start, tuple(values))


def _of_tail(part: Part) -> bool:
    slot = {_NODE: 3, _CONSTANT: 8, _KNOWN: 1}.get(part.number)
    return slot is not None and _name(part, slot).split("/")[0] == TAIL


def _graph_of(data: bytes) -> Part:
    found = [part for part in parts(data, 0, len(data)) if part.number == _GRAPH]
    if len(found) != 1 or found[0].kind != 2:
        raise ArtifactError(f"{len(found)} graphs came, an .onnx holds one.")
    return found[0]


def _name(part: Part, slot: int) -> str:
    return next((one.text for one in part.parts() if one.number == slot), "")


def _raw(constant: Part) -> tuple[int, int]:
    """Where the bytes of a constant lie."""
    found = [part for part in constant.parts() if part.number == 9 and part.kind == 2]
    if len(found) != 1:
        raise ArtifactError(f"constant {_name(constant, 8)[:60]!r} has no bytes of its own.")
    return found[0].start, found[0].end - found[0].start


def _constant(part: Part) -> TensorInfo:
    held = list(part.parts())
    shape = tuple(n for one in held if one.number == 1 for n in one.numbers())
    kind = next((one.value for one in held if one.number == 2), 0)
    raw = next((one for one in held if one.number == 9), None)
    start, length = (raw.start, raw.end - raw.start) if raw else (0, 0)
    return _tensor(_name(part, 8), shape, kind, start, length)


def _value(part: Part) -> TensorInfo:
    """The name, type and shape that a ValueInfoProto states."""
    shape: list[int] = []
    kind = 0
    for outer in part.parts():
        if outer.number != 2:
            continue
        for tensor in (one for one in outer.parts() if one.number == 1):
            for field in tensor.parts():
                if field.number == 1:
                    kind = field.value
                elif field.number == 2:
                    shape = [_size(dim) for dim in field.parts() if dim.number == 1]
    return _tensor(_name(part, 1), tuple(shape), kind, 0, 0)


def _size(dim: Part) -> int:
    return next((one.value for one in dim.parts() if one.number == 1), 1) or 1


def _tensor(name: str, shape: tuple[int, ...], kind: int, start: int, length: int) -> TensorInfo:
    if len(shape) > 8 or prod(shape) > 1 << 31:
        raise ArtifactError(f"a tensor has shape {shape[:8]}.")
    dtype = _TYPES.get(kind, f"type {kind}")
    return TensorInfo(name, shape, dtype, start, length, (), (), 0)


def _operator(part: Part, tensors: dict[str, TensorInfo], places: dict[str, int]) -> OperatorInfo:
    ends: dict[int, list[int]] = {1: [], 2: []}
    for one in part.parts():
        if one.number in ends:
            name = one.text
            if name and name not in places:
                places[name] = len(tensors)
                tensors[name] = _tensor(name, (), 0, 0, 0)
            ends[one.number].append(places[name] if name else -1)
    return OperatorInfo(_name(part, 4)[:60], -1, 1, tuple(ends[1]), tuple(ends[2]), None)
