"""What a backend offers: one board, powered, running one image."""

import mmap
from dataclasses import dataclass
from typing import Protocol

from firmware_sim.memory import PAGE, STACK_BYTES, STACK_PAINT, MemoryMap
from firmware_sim.sensor import SensorLine
from firmware_sim.trace import BlockTrace

__all__ = ["Fault", "Machine", "Setup", "erased_slots", "painted_depth"]


@dataclass(frozen=True)
class Fault:
    """Why a board has crashed.

    Args:
        kind: what happened, in words.
        pc: address of the instruction; None if not known.
        address: what it accessed; None if not known.
    """

    kind: str
    pc: int | None = None
    address: int | None = None

    def __str__(self) -> str:
        """Give it in one line."""
        where = "" if self.pc is None else f" at pc {self.pc:#010x}"
        what = "" if self.address is None else f", address {self.address:#010x}"
        return f"{self.kind}{where}{what}"


@dataclass(frozen=True)
class Setup:
    """What a machine is built from.

    Args:
        core: a name of `firmware_sim.cores.CORES`.
        memory: the board's memory map.
        image: firmware, from where the core's flash lies.
        info: the info page.
        slots: both flash slots; survives power cuts.
        sensor: the other end of the sensor line.
        count_instructions: whether `Machine.instructions` is wanted; slower in Unicorn.
        trace: told of every block that runs (Unicorn only).
    """

    core: str
    memory: MemoryMap
    image: bytes
    info: bytes
    slots: mmap.mmap
    sensor: SensorLine
    count_instructions: bool = False
    trace: BlockTrace | None = None


class Machine(Protocol):
    """One powered board. Made running; `power_off` ends it."""

    fault: Fault | None
    instructions: int

    def write(self, data: bytes) -> None:
        """Send bytes to the board's link."""

    def read(self, timeout: float) -> bytes:
        """Take what the board has sent, waiting at most `timeout` seconds for the first byte."""

    def run(self, budget: int | None) -> None:
        """Run until idle, or for `budget` instructions where the backend counts them."""

    def peak_stack(self) -> int:
        """Most bytes of stack used since power-on."""

    def memory(self, address: int, size: int) -> bytes:
        """Read memory while the board stands still or waits."""

    def interrupt(self) -> None:
        """Make a `read` or `run` in another thread return soon."""

    def power_off(self) -> None:
        """Stop at once, leaving the slots as they are."""


def erased_slots(memory: MemoryMap) -> mmap.mmap:
    """Flash for both slots, erased."""
    size = 2 * memory.slot_bytes
    slots = mmap.mmap(-1, size)
    slots.write(b"\xff" * size)
    return slots


def painted_depth(stack: bytes) -> int:
    """Bytes used of a painted stack, given lowest address first."""
    paint = STACK_PAINT.to_bytes(4, "little")
    untouched = 0
    while untouched < len(stack) and stack[untouched : untouched + 4] == paint:
        untouched += 4
    return len(stack) - untouched


assert STACK_BYTES < PAGE
