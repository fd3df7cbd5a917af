"""A `.tflite` as a tree of tables that can be changed, and written again."""

import struct
from dataclasses import dataclass, field

from edge.chain import UnsupportedOperator
from edge.errors import ArtifactError
from edge.flatbuffer import Table, TruncatedArtifact, root
from server.bring.schema import (
    MODEL,
    OPTION_REFUSED,
    OPTION_VECTORS,
    Field,
    Schema,
    slot_of,
)

__all__ = ["Child", "Elements", "Node", "read"]

# More than any model for a small device has; many fields of a broken file can point at one thing.
_MOST_TABLES, _MOST_COPIES = 16384, 4


@dataclass(frozen=True)
class Elements:
    """A vector of numbers, or a text: its bytes, and how wide an element is."""

    content: bytes
    width: int
    text: bool = False


@dataclass
class Node:
    """One table.

    Args:
        schema: which kind.
        scalars: slot to the bytes of a number.
        children: slot to what it points at.
        inline: of an opaque table: its own bytes.
        places: of an opaque table: where each slot lies in those bytes; 0: nowhere.
        phase: of an opaque table: where it lay in the file, modulo 8.
    """

    schema: Schema
    scalars: dict[int, bytes] = field(default_factory=dict)
    children: dict[int, "Child"] = field(default_factory=dict)
    inline: bytes = b""
    places: tuple[int, ...] = ()
    phase: int = 0

    def integer(self, name: str) -> int:
        """A number; 0 where it is not there."""
        content = self.scalars.get(slot_of(self.schema, name), b"\0")
        return int.from_bytes(content, "little", signed=True)

    def put(self, name: str, value: int) -> None:
        """Set a number."""
        slot = slot_of(self.schema, name)
        width = self.schema.fields[slot].width
        self.scalars[slot] = value.to_bytes(width, "little", signed=True)

    def tables(self, name: str) -> "list[Node]":
        """A vector of tables; none where it is not there."""
        found = self.children.get(slot_of(self.schema, name))
        return found if isinstance(found, list) else []

    def numbers(self, name: str) -> tuple[int, ...]:
        """A vector of int32; none where it is not there."""
        found = self.children.get(slot_of(self.schema, name))
        if not isinstance(found, Elements):
            return ()
        return struct.unpack(f"<{len(found.content) // 4}i", found.content)

    def put_numbers(self, name: str, values: "tuple[int, ...]") -> None:
        """Set a vector of int32."""
        self.put_child(name, Elements(struct.pack(f"<{len(values)}i", *values), 4))

    def put_child(self, name: str, child: "Child | None") -> None:
        """Set what a field points at; None: nothing."""
        slot = slot_of(self.schema, name)
        if child is None:
            self.children.pop(slot, None)
        else:
            self.children[slot] = child


Child = Node | Elements | list[Node]


def read(data: bytes) -> Node:
    """Read a whole file.

    Raises:
        TruncatedArtifact: an offset or length points outside the bytes.
        UnsupportedOperator: it holds something that cannot be copied, such as sparse weights.
        ArtifactError: not a `.tflite`, or a broken one.
    """
    return _Reader(data).node(root(data, b"TFL3"), MODEL)


class _Reader:
    """Reads one file, and gives up on one that would grow too much."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._tables, self._bytes = _MOST_TABLES, _MOST_COPIES * len(data)

    def node(self, table: Table, schema: Schema) -> Node:
        """One table, and all below it."""
        self._spend(1, 0)
        node = Node(schema)
        for slot, place in enumerate(self._places(table)):
            if not place:
                continue
            if slot >= len(schema.fields):
                raise UnsupportedOperator(f"a {schema.name} has field {slot}, not known here.")
            self._field(node, table, slot, place)
        return node

    def _field(self, node: Node, table: Table, slot: int, place: int) -> None:
        found = node.schema.fields[slot]
        if found.kind == "scalar":
            node.scalars[slot] = self._at(table.at + place, found.width)
        elif found.kind == "refused":
            if any(self._at(table.at + place, found.width)):
                raise UnsupportedOperator(f"a {node.schema.name} with {found.name} is not copied.")
        elif found.kind != "dropped":
            node.children[slot] = self._child(table, slot, found, node)

    def _child(self, table: Table, slot: int, found: Field, node: Node) -> Child:
        if found.kind in ("vector", "text"):
            return self._elements(table, slot, found.width, text=found.kind == "text")
        assert found.schema is not None
        if found.kind == "tables":
            return [self.node(one, found.schema) for one in table.tables(slot, self._tables)]
        below = table.table(slot)
        assert below is not None
        if found.schema.opaque:
            return self._opaque(below, found.schema, node.integer("options_type") & 0xFF)
        return self.node(below, found.schema)

    def _opaque(self, table: Table, schema: Schema, kind: int) -> Node:
        """A table as it lies there; only what is known to point elsewhere is followed."""
        places = self._places(table)
        if any(places[OPTION_REFUSED.get(kind, len(places)) :]):
            raise UnsupportedOperator(f"options of kind {kind} are not copied.")
        vtable = table.at - int(struct.unpack("<i", self._at(table.at, 4))[0])
        size = int(struct.unpack("<H", self._at(vtable + 2, 2))[0])
        self._spend(1, size)
        node = Node(schema, inline=self._at(table.at, size), places=places)
        node.phase = table.at % 8
        for slot, width in OPTION_VECTORS.get(kind, {}).items():
            if slot < len(places) and places[slot]:
                node.children[slot] = self._elements(table, slot, width)
        return node

    def _elements(self, table: Table, slot: int, width: int, *, text: bool = False) -> Elements:
        vector = table.vector(slot, width)
        size = vector.count * width
        self._spend(0, size)
        return Elements(self._data[vector.start : vector.start + size], width, text)

    def _places(self, table: Table) -> tuple[int, ...]:
        """Where the fields of a table lie, counted from its beginning; 0: not there."""
        vtable = table.at - int(struct.unpack("<i", self._at(table.at, 4))[0])
        size, inline = struct.unpack("<HH", self._at(vtable, 4))
        if size < 4 or size % 2 or inline < 4:
            raise ArtifactError(f"a table has a layout of {size} and {inline} bytes.")
        layout = self._at(vtable + 4, size - 4)
        places: tuple[int, ...] = struct.unpack(f"<{size // 2 - 2}H", layout)
        if max(places, default=0) >= inline or any(0 < place < 4 for place in places):
            raise ArtifactError("a field of a table lies outside it.")
        return places

    def _at(self, at: int, count: int) -> bytes:
        if at < 0 or at + count > len(self._data):
            raise TruncatedArtifact(f"byte {at} is needed, the file has {len(self._data)}.")
        return self._data[at : at + count]

    def _spend(self, tables: int, size: int) -> None:
        self._tables, self._bytes = self._tables - tables, self._bytes - size
        if self._tables < 0 or self._bytes < 0:
            raise ArtifactError("the parts of the file are used too often.")
