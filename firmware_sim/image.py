"""Read a firmware image: the loadable bytes of a 32-bit ELF file."""

import struct
from pathlib import Path

from edge.errors import UsageError
from firmware_sim.memory import IMAGE_BYTES

__all__ = ["load_image"]

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SEGMENT = struct.Struct("<8I")
_PT_LOAD = 1
_ARM = 40


def load_image(path: Path, base: int = 0) -> bytes:
    """Give the bytes that lie in flash from `base` on; UsageError if it is no such image."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"no firmware at {path}", hint="python -m firmware_sim.build") from None
    try:
        return _loadable(data, base)
    except (struct.error, ValueError) as error:
        raise UsageError(f"{path.name} is not a firmware image: {error}") from None


def _loadable(data: bytes, base: int) -> bytes:
    header = _HEADER.unpack_from(data)
    magic, machine, offset, size, count = header[0], header[2], header[5], header[9], header[10]
    if magic[:5] != b"\x7fELF\x01" or machine != _ARM:
        raise ValueError("not a 32-bit ARM ELF")
    flash = bytearray()
    for index in range(count):
        kind, at, _, address, length, _, _, _ = _SEGMENT.unpack_from(data, offset + index * size)
        if kind != _PT_LOAD or length == 0:
            continue
        start = address - base
        if at == 0 and -length < start < 0:  # GNU ld puts the file's own header before the image
            at, start, length = -start, 0, length + start
        if start < 0 or start + length > IMAGE_BYTES or at + length > len(data):
            raise ValueError(f"a segment at {address:#x} of {length} bytes is out of bounds")
        flash.extend(b"\xff" * (start + length - len(flash)))
        flash[start : start + length] = data[at : at + length]
    if len(flash) < 8:
        raise ValueError("nothing to load")
    return bytes(flash)
