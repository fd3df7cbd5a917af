"""The CBOR subset that the messages use: written by cbor2, read by a strict reader of our own.

The reader takes definite lengths, text keys, 64-bit integers, floats, and the typed arrays of
RFC 8746 (70: uint32 LE, 72: int8, 85: float32 LE, 40: their multi-dimensional form). A general
reader would also build dates, regular expressions and big numbers out of a stranger's bytes.
"""

import struct
from typing import Any

import cbor2
import numpy as np

from edge.errors import TinyfleetError

__all__ = ["MessageError", "dumps", "loads"]

MAX_DEPTH = 8
_TYPES: dict[int, np.dtype[Any]] = {
    70: np.dtype("<u4"),
    72: np.dtype("i1"),
    85: np.dtype("<f4"),
}
_SHAPED = 40
_FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
_SIMPLE: dict[int, bool | None] = {20: False, 21: True, 22: None}


class MessageError(TinyfleetError):
    """A message that is not what its schema allows."""


def dumps(value: object) -> bytes:
    """Encode to canonical CBOR (RFC 8949, 4.2); NumPy arrays become typed ones."""
    return cbor2.dumps(value, canonical=True, default=_encode_array)


def _encode_array(encoder: Any, value: object) -> None:
    if not isinstance(value, np.ndarray):
        raise MessageError(f"a {type(value).__name__} cannot go into a message.")
    tag = {"f4": 85, "u4": 70, "i1": 72}.get(value.dtype.str[1:])
    if tag is None:
        raise MessageError(f"an array of {value.dtype} cannot go into a message, float32 can.")
    flat = cbor2.CBORTag(tag, value.astype(_TYPES[tag], order="C").tobytes())
    encoder.encode(flat if value.ndim == 1 else cbor2.CBORTag(_SHAPED, [list(value.shape), flat]))


def loads(data: bytes) -> Any:
    """Decode one CBOR item that fills `data` exactly.

    Returns:
        None, bool, int, float, str, bytes, list, dict with str keys, or a read-only NumPy array.

    Raises:
        MessageError: the bytes are cut, carry anything else, or have more after the item.
    """
    reader = _Reader(bytes(data))
    value = reader.item(0)
    if reader.at != len(data):
        raise MessageError(f"{len(data) - reader.at} bytes follow the message.")
    return value


class _Reader:
    """A cursor over bytes; every read is bounds-checked."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, n: int) -> bytes:
        """The next `n` bytes."""
        if n > len(self.data) - self.at:
            raise MessageError(f"the message is cut: {n} bytes needed at offset {self.at}.")
        self.at += n
        return self.data[self.at - n : self.at]

    def argument(self, info: int) -> int:
        """The unsigned integer that follows an initial byte."""
        if info < 24:
            return info
        if info > 27:
            raise MessageError("indefinite lengths and reserved bytes are not allowed.")
        return int.from_bytes(self.take(1 << (info - 24)), "big")

    def item(self, depth: int) -> Any:
        """One item of any kind."""
        if depth > MAX_DEPTH:
            raise MessageError(f"a message nests deeper than {MAX_DEPTH} levels.")
        major, info = divmod(self.take(1)[0], 32)
        if major == 7:
            return self.simple(info)
        n = self.argument(info)
        if major < 2:
            return n if major == 0 else -1 - n
        if major == 2:
            return self.take(n)
        if major == 3:
            return self.text(n)
        if major == 6:
            return self.array(n, depth)
        if n > len(self.data) - self.at:
            raise MessageError(f"a list or map claims {n} entries, more than there are bytes.")
        if major == 4:
            return [self.item(depth + 1) for _ in range(n)]
        return self.map(n, depth)

    def text(self, n: int) -> str:
        """A UTF-8 string of `n` bytes."""
        try:
            return self.take(n).decode()
        except UnicodeDecodeError:
            raise MessageError("a text in the message is not UTF-8.") from None

    def map(self, n: int, depth: int) -> dict[str, Any]:
        """A map with `n` different text keys."""
        found: dict[str, Any] = {}
        for _ in range(n):
            key = self.item(depth + 1)
            if not isinstance(key, str) or key in found:
                raise MessageError(f"map key {str(key)[:40]!r} is not a text, or comes twice.")
            found[key] = self.item(depth + 1)
        return found

    def simple(self, info: int) -> float | bool | None:
        """A float, true, false or null."""
        if info in _FLOATS:
            big_endian, n = _FLOATS[info]
            return float(struct.unpack(big_endian, self.take(n))[0])
        if info not in _SIMPLE:
            raise MessageError("the message holds a simple value that is not allowed.")
        return _SIMPLE[info]

    def array(self, tag: int, depth: int) -> Any:
        """A typed array of RFC 8746."""
        content = self.item(depth + 1)
        kind = _TYPES.get(tag)
        if kind is not None and isinstance(content, bytes) and len(content) % kind.itemsize == 0:
            return np.frombuffer(content, dtype=kind)
        if tag == _SHAPED and isinstance(content, list) and len(content) == 2:
            return _reshape(*content)
        raise MessageError(f"tag {tag} is not a typed array that messages use.")


def _reshape(shape: object, flat: object) -> Any:
    """Give a flat array the shape that came with it."""
    sizes = shape if isinstance(shape, list) else []
    whole = sizes and all(type(n) is int and n >= 0 for n in sizes)
    if not isinstance(flat, np.ndarray) or flat.ndim != 1 or not whole:
        raise MessageError("a shaped array needs a list of sizes and a typed array.")
    product = 1
    for size in sizes:
        product *= size
    if product != flat.size or max(sizes) > 2**31:
        raise MessageError(f"a shape {sizes} does not hold {flat.size} values.")
    return flat.reshape(sizes)
