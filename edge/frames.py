"""Frames on a serial line: COBS with a CRC-16/CCITT-FALSE, ended by a zero byte.

COBS: Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM ToN 7(2), 1999.
"""

from binascii import crc_hqx
from collections.abc import Iterator

__all__ = ["MAX_PAYLOAD", "FrameDecoder", "cobs_decode", "cobs_encode", "crc16", "encode_frame"]

MAX_PAYLOAD = 512
"""Most bytes of payload in a frame of the gateway's link."""

_CRC_BYTES = 2
_RUN = 254


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, initial value 0xFFFF.

    >>> hex(crc16(b"123456789"))
    '0x29b1'
    """
    return crc_hqx(data, 0xFFFF)


def cobs_encode(data: bytes) -> bytes:
    """Encode without any zero byte, in canonical form, and without the closing zero."""
    out = bytearray()
    parts = data.split(b"\0")
    for index, part in enumerate(parts):
        full, rest = divmod(len(part), _RUN)
        for block in range(full):
            out += b"\xff" + part[block * _RUN : (block + 1) * _RUN]
        last = index == len(parts) - 1
        if rest or not full or not last:
            out.append(rest + 1)
            out += part[full * _RUN :]
    return bytes(out)


def cobs_decode(data: bytes) -> bytes | None:
    """Undo `cobs_encode`; None if the blocks do not add up."""
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        block = data[at + 1 : at + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            return None
        out += block
        at += code
        if code != 0xFF and at < len(data):
            out.append(0)
    return bytes(out)


def encode_frame(payload: bytes) -> bytes:
    """Frame a payload: COBS over payload and CRC (little-endian), then a zero byte."""
    return cobs_encode(payload + crc16(payload).to_bytes(2, "little")) + b"\0"


class FrameDecoder:
    """Finds frames in a stream of bytes; drops and counts the broken ones.

    Args:
        max_payload: bytes; a longer frame is dropped, and never takes more memory than this.

    Attributes:
        dropped: frames dropped so far.
    """

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self.dropped = 0
        self._max_payload = max_payload
        longest = max_payload + _CRC_BYTES
        self._limit = longest + longest // _RUN + 1
        self._pending = bytearray()

    def push(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they come; give the payload of each good frame they complete."""
        *ended, rest = data.split(b"\0")
        for piece in ended:
            self._keep(piece)
            encoded, self._pending = bytes(self._pending), bytearray()
            if encoded:
                yield from self._open(encoded)
        self._keep(rest)

    def _keep(self, piece: bytes) -> None:
        room = self._limit + 1 - len(self._pending)
        self._pending += piece[:room]

    def _open(self, encoded: bytes) -> Iterator[bytes]:
        frame = cobs_decode(encoded) if len(encoded) <= self._limit else None
        if frame is not None and _CRC_BYTES <= len(frame) <= self._max_payload + _CRC_BYTES:
            payload = frame[:-_CRC_BYTES]
            if crc16(payload) == int.from_bytes(frame[-_CRC_BYTES:], "little"):
                yield payload
                return
        self.dropped += 1
