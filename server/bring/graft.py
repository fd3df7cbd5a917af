"""Put a tail behind a tensor of another `.tflite`: all before it stays, bit for bit."""

import struct
from collections.abc import Iterable

from edge.chain import UnsupportedOperator
from edge.cut import TAIL_KEY
from edge.errors import ArtifactError
from server.bring.schema import BUFFER, ENDS, METADATA, SIGNATURE
from server.bring.tree import Elements, Node, read
from server.bring.write import write

__all__ = ["graft"]

_KEY = "serving_default"


def graft(whole: bytes, kept: Iterable[int], feature: int, tail: bytes, name: str) -> bytes:
    """Make one file of a front and a tail.

    Operators, tensors and constants that the front does not need are left out.

    Args:
        whole: a `.tflite`.
        kept: indices of its operators that stay, in order.
        feature: index of the tensor that becomes the tail's input.
        tail: a `.tflite` with one input, for a tensor of that shape.
        name: what the new file calls itself.

    Raises:
        UnsupportedOperator: it holds something that cannot be copied.
        ArtifactError: one of them is broken.
    """
    model, behind = read(whole), read(tail)
    graphs = model.tables("graphs")
    if len(graphs) != 1:
        raise UnsupportedOperator(f"the file has {len(graphs)} graphs, one can be given a tail.")
    try:
        return _joined(model, list(kept), feature, behind, name)
    except (LookupError, struct.error) as error:
        raise ArtifactError(f"the file names something that is not in it: {error}.") from error


def _joined(model: Node, kept: list[int], feature: int, behind: Node, name: str) -> bytes:
    graphs, made = model.tables("graphs"), _Parts()
    front = made.take(model, kept, {-1: -1})
    first = len(made.operators)
    mine = behind.tables("graphs")[0]
    joined = {-1: -1, mine.numbers("inputs")[0]: front[feature]}
    changes = made.dequantises(behind)
    back = made.take(behind, range(len(mine.tables("operators"))), joined)
    inputs = tuple(front[i] for i in graphs[0].numbers("inputs"))
    outputs = tuple(back[i] for i in mine.numbers("outputs"))
    return write(made.model(model, inputs, outputs, first + changes, name))


class _Parts:
    """Tensors, buffers, operators and their codes of the file to be."""

    def __init__(self) -> None:
        self.tensors: list[Node] = []
        self.operators: list[Node] = []
        self._buffers: list[Node] = [Node(BUFFER)]
        self._codes: dict[tuple[int, int, int, bytes], tuple[int, Node]] = {}

    def take(
        self, model: Node, kept: "Iterable[int]", places: dict[int, int]
    ) -> dict[int, int]:  # fmt: skip
        """Copy operators with all tensors they name; gives old to new indices of tensors."""
        graph = model.tables("graphs")[0]
        operators = [graph.tables("operators")[i] for i in kept]
        ends = ("inputs", "outputs", "intermediates")
        named = {i for op in operators for end in ends for i in op.numbers(end)}
        named |= set(graph.numbers("inputs"))
        buffers: dict[int, int] = {0: 0}
        for index in sorted(named - places.keys()):
            places[index] = len(self.tensors)
            tensor = graph.tables("tensors")[index]
            tensor.put("buffer", self._buffer(model, tensor.integer("buffer"), buffers))
            self.tensors.append(tensor)
        for operator in operators:
            operator.put("code", self._code(model.tables("codes")[operator.integer("code")]))
            for end in ends:
                if operator.numbers(end):
                    operator.put_numbers(end, tuple(places[i] for i in operator.numbers(end)))
            self.operators.append(operator)
        return places

    def dequantises(self, model: Node) -> int:
        """1 where the first operator of a tail only makes float32 of the features, else 0."""
        first = model.tables("graphs")[0].tables("operators")[0]
        return int(model.tables("codes")[first.integer("code")].integer("code") == 6)

    def _buffer(self, model: Node, old: int, found: dict[int, int]) -> int:
        if old not in found:
            buffer = model.tables("buffers")[old]
            found[old] = len(self._buffers) if buffer.children else 0
            if buffer.children:
                self._buffers.append(buffer)
        return found[old]

    def _code(self, code: Node) -> int:
        custom = code.children.get(1)
        text = custom.content if isinstance(custom, Elements) else b""
        old, version = code.integer("old_code"), code.integer("version")
        key = (old, version, code.integer("code"), text)
        return self._codes.setdefault(key, (len(self._codes), code))[0]

    def model(
        self, old: Node, inputs: tuple[int, ...], outputs: tuple[int, ...], tail: int, name: str
    ) -> Node:
        """The root of the new file."""
        graph = old.tables("graphs")[0]
        graph.put_child("tensors", self.tensors)
        graph.put_child("operators", self.operators)
        graph.put_numbers("inputs", inputs)
        graph.put_numbers("outputs", outputs)
        note = Node(METADATA)
        note.put_child("name", _text(TAIL_KEY))
        note.put("buffer", len(self._buffers))
        says = Node(BUFFER)
        says.put_child("data", Elements(struct.pack("<i", tail), 1))
        old.put_child("codes", [code for _, code in self._codes.values()])
        old.put_child("buffers", [*self._buffers, says])
        old.put_child("metadata", [note])
        old.put_child("signatures", [self._signature(inputs, outputs)])
        old.put_child("description", _text(name))
        return old

    def _signature(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Node:
        signature = Node(SIGNATURE)
        for end, indices in (("inputs", inputs), ("outputs", outputs)):
            maps = []
            for index in indices:
                one = Node(ENDS)
                one.put_child("name", self.tensors[index].children.get(3) or _text(end[:-1]))
                one.put("tensor", index)
                maps.append(one)
            signature.put_child(end, maps)
        signature.put_child("key", _text(_KEY))
        return signature


def _text(words: str) -> Elements:
    return Elements(words.encode(), 1, text=True)
