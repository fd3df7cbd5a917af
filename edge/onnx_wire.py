"""Bounds-checked reading of protobuf messages, as far as an `.onnx` needs it."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge.errors import ArtifactError

__all__ = ["Part", "encoded", "parts"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST = 10  # bytes of a varint


@dataclass(frozen=True)
class Part:
    """One field of a message.

    Args:
        data: the whole file.
        number: of the field.
        kind: of the wire: 0 a varint, 2 bytes, 1 and 5 fixed.
        value: of a varint; else 0.
        begin: where the field begins in the file, tag included.
        start: where its content begins.
        end: where it ends.
    """

    data: bytes
    number: int
    kind: int
    value: int
    begin: int
    start: int
    end: int

    @property
    def content(self) -> bytes:
        """The bytes of the field without tag and length."""
        return self.data[self.start : self.end]

    @property
    def whole(self) -> bytes:
        """The bytes of the field with tag and length."""
        return self.data[self.begin : self.end]

    @property
    def text(self) -> str:
        """A string; bytes that are not UTF-8 are replaced."""
        return self.content.decode("utf-8", "replace")

    def parts(self) -> "Iterator[Part]":
        """The fields of the message that this field holds."""
        return parts(self.data, self.start, self.end)

    def numbers(self) -> list[int]:
        """A repeated varint, packed or not."""
        if self.kind == _VARINT:
            return [self.value]
        found, at = [], self.start
        while at < self.end:
            value, at = _varint(self.data, at, self.end)
            found.append(value)
        return found


def parts(data: bytes, start: int, end: int) -> Iterator[Part]:
    """The fields of a message that lies from `start` to `end`.

    Raises:
        ArtifactError: a field goes beyond the message, or is of no known kind.
    """
    at = start
    while at < end:
        begin = at
        tag, at = _varint(data, at, end)
        kind, value = tag & 7, 0
        first = at
        if kind == _VARINT:
            value, at = _varint(data, at, end)
        elif kind == _BYTES:
            size, first = _varint(data, at, end)
            at = first + size
        elif kind in (_FIXED64, _FIXED32):
            at = first + (8 if kind == _FIXED64 else 4)
        else:
            raise ArtifactError(f"a field of kind {kind} came at byte {begin}, protobuf has none.")
        if at > end:
            raise ArtifactError(f"the field at byte {begin} goes beyond what holds it.")
        yield Part(data, tag >> 3, kind, value, begin, first, at)


def encoded(number: int, content: bytes) -> bytes:
    """A field that holds bytes, with tag and length."""
    return _written(number << 3 | _BYTES) + _written(len(content)) + content


def _written(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for count in range(_LONGEST):
        if at + count >= end:
            break
        byte = data[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value & (1 << 64) - 1, at + count + 1
    raise ArtifactError(f"the number at byte {at} does not end.")
