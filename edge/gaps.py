"""Increasing indices as bytes: the gaps between them, seven bits a byte, lowest first (LEB128)."""

import numpy as np
from numpy.typing import NDArray

from edge.wire import MessageError

__all__ = ["from_gaps", "to_gaps"]

_MAX = 2**32 - 1
_LONGEST = 5


def to_gaps(indices: NDArray[np.uint32]) -> bytes:
    """Encode; one byte for most indices where one in a hundred or more is sent.

    Args:
        indices: uint32 [m], strictly increasing.

    Returns:
        For each index, how many are skipped before it.

    >>> to_gaps(np.array([0, 3, 300], np.uint32)).hex()
    '0002a802'
    """
    whole = indices.astype(np.int64)
    skipped = np.diff(whole, prepend=-1) - 1
    count = np.ones(skipped.size, np.int64)
    for bits in range(7, 35, 7):
        count += skipped >> bits > 0
    shifts = 7 * np.arange(_LONGEST)
    rows = skipped[:, None] >> shifts & 0x7F | 0x80 * (np.arange(_LONGEST) < count[:, None] - 1)
    return rows.astype(np.uint8)[np.arange(_LONGEST) < count[:, None]].tobytes()


def from_gaps(data: bytes) -> NDArray[np.uint32]:
    """Decode.

    Raises:
        MessageError: the bytes end within a gap, a gap is longer than five bytes or written longer
            than needed, or an index is beyond 2**32 - 1.
    """
    found = np.frombuffer(data, np.uint8)
    last = found < 0x80
    if found.size and not last[-1]:
        raise MessageError("the gaps end within a number")
    ends = np.flatnonzero(last)
    lengths = np.diff(ends, prepend=-1)
    if lengths.size and int(lengths.max()) > _LONGEST:
        raise MessageError("a gap is longer than five bytes")
    if bool((found[ends][lengths > 1] == 0).any()):
        raise MessageError("a gap is written longer than needed")
    place = np.arange(found.size) - np.repeat(ends - lengths + 1, lengths)
    parts = (found & 0x7F).astype(np.int64) << 7 * place
    skipped = np.add.reduceat(parts, ends - lengths + 1) if ends.size else parts
    indices = np.cumsum(skipped + 1) - 1
    if indices.size and (int(skipped.max()) > _MAX or int(indices[-1]) > _MAX):
        raise MessageError("an index is beyond 4294967295")
    return np.asarray(indices, np.uint32)
