"""Write a tree of tables as a flatbuffer, each before what it points at."""

import struct

from server.bring.tree import Child, Elements, Node

__all__ = ["write"]

_ALIGNMENT = 16  # of constants, as every runtime wants it
_FILE_SIZE = 8  # root offset and identifier


class _Writer:
    """The bytes so far."""

    def __init__(self) -> None:
        self.out = bytearray(_FILE_SIZE)
        self._vtables: dict[bytes, int] = {}

    def child(self, child: Child, constant: bool) -> int:
        """Append something; gives where it begins."""
        if isinstance(child, Elements):
            return self._elements(child, constant)
        if isinstance(child, list):
            return self._tables(child)
        return self.table(child)

    def table(self, node: Node) -> int:
        """Append a table and all below it."""
        inline, places = (
            (node.inline, node.places) if node.schema.opaque else _laid_out(node)
        )  # fmt: skip
        vtable = struct.pack(f"<HH{len(places)}H", 4 + 2 * len(places), len(inline), *places)
        # Equal layouts are written once, as other writers do.
        where = self._vtables.get(vtable)
        if where is None:
            self._pad(2)
            where = self._vtables[vtable] = len(self.out)
            self.out += vtable
        self._pad(8, node.phase if node.schema.opaque else 0)
        at = len(self.out)
        self.out += inline
        struct.pack_into("<i", self.out, at, at - where)
        for slot, child in sorted(node.children.items()):
            if places[slot]:
                constant = node.schema.name == "buffer"
                self._point(at + places[slot], self.child(child, constant))
        return at

    def _tables(self, nodes: list[Node]) -> int:
        self._pad(4)
        at = len(self.out)
        self.out += struct.pack("<I", len(nodes)) + bytes(4 * len(nodes))
        for index, node in enumerate(nodes):
            self._point(at + 4 + 4 * index, self.table(node))
        return at

    def _elements(self, vector: Elements, constant: bool) -> int:
        step = _ALIGNMENT if constant else max(4, vector.width)
        self._pad(step, -4 % step)
        at = len(self.out)
        count = len(vector.content) // vector.width
        self.out += struct.pack("<I", count) + vector.content + b"\0" * vector.text
        return at

    def _point(self, place: int, target: int) -> None:
        struct.pack_into("<I", self.out, place, target - place)

    def _pad(self, step: int, phase: int = 0) -> None:
        self.out += bytes((phase - len(self.out)) % step)


def write(model: Node) -> bytes:
    """The bytes of a `.tflite`; the same tree gives the same bytes."""
    writer = _Writer()
    at = writer.table(model)
    struct.pack_into("<I4s", writer.out, 0, at, b"TFL3")
    return bytes(writer.out)


def _laid_out(node: Node) -> tuple[bytes, tuple[int, ...]]:
    """Place the fields of a table, the widest first so that each is aligned.

    The table begins at a multiple of 8, and its first 4 bytes lead to its layout.
    """
    widths = {slot: len(content) for slot, content in node.scalars.items()}
    widths |= dict.fromkeys(node.children, 4)
    places = [0] * (max(widths, default=-1) + 1)
    inline = bytearray(4)
    for slot, width in sorted(widths.items(), key=lambda pair: (-pair[1], pair[0])):
        inline += bytes(-len(inline) % width)
        places[slot] = len(inline)
        inline += node.scalars.get(slot, bytes(4))
    return bytes(inline), tuple(places)
