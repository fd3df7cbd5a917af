"""The memory map that all images share, and the info page that tells an image its board."""

import struct
from dataclasses import dataclass

from edge.errors import UsageError
from edge.profile import DeviceProfile
from firmware_sim.cores import Layout, find_core

__all__ = ["INFO_BASE", "PAGE", "RAM_BASE", "STACK_BYTES", "STACK_PAINT", "MemoryMap"]

PAGE = 0x1000
IMAGE_BYTES = 0x10000
RAM_BASE = Layout().ram
INFO_BASE = Layout().info
STACK_BYTES = 2048
STACK_PAINT = 0xC5C5_C5C5
_INFO = struct.Struct("<6I64s")
_MAGIC = int.from_bytes(b"TFIN", "little")


@dataclass(frozen=True)
class MemoryMap:
    """Where a board's memory lies; all figures in bytes.

    Args:
        flash: flash: the image, then slot A, then slot B.
        ram: RAM.
        clock_hz: core clock, in Hz.
        layout: the addresses of all that.
    """

    flash: int
    ram: int
    clock_hz: int
    layout: Layout = Layout()

    @classmethod
    def of(cls, board: DeviceProfile) -> "MemoryMap":
        """Take the figures of a board; UsageError if the firmware cannot live there."""
        layout = find_core(board.core)[1].layout
        smallest, largest = IMAGE_BYTES + 2 * PAGE, layout.info - layout.image
        if not smallest <= board.flash <= largest or board.flash % PAGE:
            raise UsageError(
                f"board {board.name} has {board.flash} bytes of flash; "
                f"the memory map takes {smallest} to {largest}, in pages of {PAGE}",
                hint="a board of firmware_sim.boards.BOARDS",
            )
        if board.ram < 4 * PAGE or board.ram % PAGE:
            raise UsageError(
                f"board {board.name} has {board.ram} bytes of RAM; "
                f"the firmware needs {4 * PAGE}, in pages of {PAGE}",
                hint="a board of firmware_sim.boards.BOARDS",
            )
        return cls(board.flash, board.ram, board.clock_hz, layout)

    @property
    def slot_base(self) -> int:
        """Address of slot A."""
        return self.layout.image + IMAGE_BYTES

    @property
    def slot_bytes(self) -> int:
        """Size of one slot, its 64-byte record included."""
        return (self.flash - IMAGE_BYTES) // (2 * PAGE) * PAGE

    def info_page(self, board_id: str) -> bytes:
        """The info page of a board; `board_id` is cut to 64 bytes of UTF-8."""
        name = board_id.encode()[:64].decode(errors="ignore").encode()
        page = _INFO.pack(
            _MAGIC, self.ram, self.flash, self.slot_base, self.slot_bytes, self.clock_hz, name
        )
        return page.ljust(PAGE, b"\xff")
