"""Names and addresses in a firmware image, from its ELF symbol table."""

import struct
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from edge.errors import UsageError

__all__ = ["Function", "Functions", "address_of", "read_functions"]

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SECTION = struct.Struct("<10I")
_SYMBOL = struct.Struct("<IIIBBH")
_SYMTAB, _FUNC = 2, 2


@dataclass(frozen=True, order=True)
class Function:
    """A function: its first address, its bytes and its name."""

    address: int
    size: int
    name: str


class Functions:
    """All functions of an image, to look up by name or address."""

    def __init__(self, functions: list[Function]) -> None:
        self._sorted = sorted(functions)
        self._starts = [function.address for function in self._sorted]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._sorted)

    def at(self, address: int) -> str:
        """Name of the function that holds an address; `?` if none does."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._starts[index] + self._sorted[index].size:
            return "?"
        return self._sorted[index].name

    def starts(self, address: int) -> bool:
        """Whether a function begins at an address."""
        index = bisect_right(self._starts, address) - 1
        return index >= 0 and self._starts[index] == address

    def named(self, name: str) -> Function:
        """One function by name; UsageError if the image has none, or several of static ones."""
        found = [function for function in self._sorted if function.name == name]
        if len(found) != 1:
            near = sorted({f.name for f in self._sorted if name.lower() in f.name.lower()})
            hint = ", ".join(near[:8]) or "sim trace MODEL.tflite lists those that run"
            raise UsageError(f"the image has {len(found)} functions called {name!r}", hint=hint)
        return found[0]


def read_functions(path: Path) -> Functions:
    """Read them; UsageError if the file is not a 32-bit ELF file or has no symbols.

    Of several names for one address (aliases in the compiler's runtime) the first one in
    alphabetical order counts.
    """
    found: dict[int, Function] = {}
    for kind, function in _symbols(path):
        known = found.get(function.address)
        if kind == _FUNC and function.size and (known is None or function.name < known.name):
            found[function.address] = function
    return Functions(list(found.values()))


def address_of(path: Path, name: str) -> int:
    """Where a variable or a mark of the linker lies; UsageError if the image has none."""
    for _, symbol in _symbols(path):
        if symbol.name == name:
            return symbol.address
    raise UsageError(f"{path.name} has no symbol {name!r}")


def _symbols(path: Path) -> list[tuple[int, Function]]:
    data = path.read_bytes()
    try:
        found = _entries(data)
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not a firmware image: {error}") from None
    if not found:
        raise UsageError(f"{path.name} has no symbols", hint="link it without -s")
    return found


def _entries(data: bytes) -> list[tuple[int, Function]]:
    header = _HEADER.unpack_from(data)
    if header[0][:5] != b"\x7fELF\x01":
        raise ValueError("not a 32-bit ELF")
    offset, size, count = header[6], header[11], header[12]
    sections = [_SECTION.unpack_from(data, offset + index * size) for index in range(count)]
    found = []
    for section in sections:
        if section[1] != _SYMTAB:
            continue
        if section[6] >= count:
            raise ValueError("its symbols have no names")
        names = _span(data, sections[section[6]])
        for name, address, length, info, _, _ in _SYMBOL.iter_unpack(_span(data, section)):
            kind = info & 0xF
            if name:
                start = address & ~1 if kind == _FUNC else address
                found.append((kind, Function(start, length, _text(names, name))))
    return found


def _span(data: bytes, section: tuple[int, ...]) -> bytes:
    start, length = section[4], section[5]
    if start + length > len(data):
        raise ValueError(f"a section of {length} bytes at {start:#x} is out of bounds")
    return data[start : start + length]


def _text(names: bytes, at: int) -> str:
    end = names.find(b"\0", at)
    if at >= len(names) or end < 0:
        raise ValueError("a name is out of bounds")
    return names[at:end].decode()
