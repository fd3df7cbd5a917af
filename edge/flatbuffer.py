"""Bounds-checked reading of a flatbuffer: tables, scalar fields, vectors and strings."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import ArtifactError

__all__ = ["Table", "TruncatedArtifact", "Vector", "root"]


class TruncatedArtifact(ArtifactError):
    """An offset or a length points outside the file."""


@dataclass(frozen=True)
class Vector:
    """A vector of `count` elements of `width` bytes from byte `start` on; all inside the file."""

    data: bytes
    start: int
    count: int
    width: int

    def array(self, dtype: str) -> NDArray[np.generic]:
        """A read-only view of the elements as a little-endian dtype of the same width."""
        kind = np.dtype(dtype).newbyteorder("<")
        return np.frombuffer(self.data, kind, count=self.count, offset=self.start)

    def tables(self) -> "list[Table]":
        """The tables that the elements, offsets, point at."""
        return [Table(self.data, _follow(self.data, self.start + 4 * i)) for i in range(self.count)]


@dataclass(frozen=True)
class Table:
    """One table, at byte `at`."""

    data: bytes
    at: int

    def scalar(self, slot: int, code: str, absent: float = 0) -> float:
        """A scalar field by its `struct` code; `absent` where it is not there."""
        at = self._field(slot)
        value: float = _unpack(self.data, "<" + code, at) if at else absent
        return value

    def integer(self, slot: int, code: str, absent: int = 0) -> int:
        """An integer field by its `struct` code; `absent` where it is not there."""
        return int(self.scalar(slot, code, absent))

    def table(self, slot: int) -> "Table | None":
        """A table field; None where it is not there."""
        at = self._field(slot)
        return Table(self.data, _follow(self.data, at)) if at else None

    def vector(self, slot: int, width: int, most: int = 1 << 31) -> Vector:
        """A vector field of at most `most` elements of `width` bytes; empty where it is not there.

        Many fields can point at one vector, so that a small file could take very long to read:
        `most` is a bound on that.
        """
        at = self._field(slot)
        if not at:
            return Vector(self.data, 0, 0, width)
        start = _follow(self.data, at)
        count = int(_unpack(self.data, "<I", start))
        if count * width > len(self.data) - start - 4:
            raise TruncatedArtifact(f"a vector of {count} elements goes beyond the file.")
        if count > most:
            raise ArtifactError(f"a vector of {count} elements came, at most {most} are read.")
        return Vector(self.data, start + 4, count, width)

    def tables(self, slot: int, most: int) -> "list[Table]":
        """A field that is a vector of at most `most` tables."""
        return self.vector(slot, 4, most).tables()

    def text(self, slot: int, longest: int = 256) -> str:
        """The first `longest` bytes of a string field; those that are not UTF-8 are replaced."""
        found = self.vector(slot, 1)
        end = found.start + min(found.count, longest)
        return self.data[found.start : end].decode("utf-8", "replace")

    def _field(self, slot: int) -> int:
        vtable = self.at - int(_unpack(self.data, "<i", self.at))
        entry = 4 + 2 * slot
        if entry + 2 > _unpack(self.data, "<H", vtable):
            return 0
        offset = int(_unpack(self.data, "<H", vtable + entry))
        return self.at + offset if offset else 0


def root(data: bytes, identifier: bytes) -> Table:
    """The root table of a file that carries a four-byte identifier.

    Raises:
        TruncatedArtifact: the file ends before its root.
        ArtifactError: the identifier is another one.
    """
    if len(data) < 8:
        raise TruncatedArtifact(f"{len(data)} bytes came, a model file has at least 8.")
    if data[4:8] != identifier:
        raise ArtifactError(
            f"file identifier {data[4:8]!r} came, {identifier!r} is needed.", hint="a .tflite file"
        )
    return Table(data, _follow(data, 0))


def _unpack(data: bytes, code: str, at: int) -> float:
    if at < 0 or at + struct.calcsize(code) > len(data):
        raise TruncatedArtifact(f"byte {at} is needed, the file has {len(data)}.")
    value: float = struct.unpack_from(code, data, at)[0]
    return value


def _follow(data: bytes, at: int) -> int:
    offset = int(_unpack(data, "<I", at))
    if offset == 0 or at + offset + 4 > len(data):
        raise TruncatedArtifact(f"the offset at byte {at} leads outside the file.")
    return at + offset
