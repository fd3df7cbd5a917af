"""Which functions of the firmware the executed instructions belong to.

Counts are exact: Unicorn reports every basic block that runs, and a block's instructions follow
from its bytes. As in a processor's own counter, an instruction that a condition skips is counted.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from firmware_sim.cycles import CycleTable
from firmware_sim.symbols import Functions
from firmware_sim.thumb import decode

__all__ = ["BlockTrace", "Share", "shares", "total"]

Block = tuple[int, int]
_Registers = Callable[[], tuple[int, int]]


class BlockTrace:
    """Counts the basic blocks that run; a backend calls `block` for each.

    Args:
        inside: address of a function: only what runs between its entry and its return is
            counted, functions that it calls included; None: everything.

    Attributes:
        counts: how often each block ran, by address and bytes.
        taken: how often another block than the next one in memory followed it.
        calls: how often the function was entered; with None: 0.
    """

    def __init__(self, inside: int | None = None) -> None:
        self._inside = inside
        self._return: tuple[int, int] | None = None
        self._last: Block | None = None
        self.counts: Counter[Block] = Counter()
        self.taken: Counter[Block] = Counter()
        self.calls = 0

    def block(self, address: int, size: int, registers: _Registers) -> None:
        """A block begins; `registers` gives the return address and the stack pointer."""
        if self._last is not None:
            if address != self._last[0] + self._last[1]:
                self.taken[self._last] += 1
            self._last = None
        if self._inside is not None and not self._is_inside(address, registers):
            return
        self._last = (address, size)
        self.counts[self._last] += 1

    def _is_inside(self, address: int, registers: _Registers) -> bool:
        if self._return is not None:
            if address != self._return[0] or registers()[1] < self._return[1]:
                return True
            self._return = None
        if address == self._inside:
            link, stack = registers()
            self._return = (link & ~1, stack)
            self.calls += 1
        return self._return is not None


@dataclass(frozen=True)
class Share:
    """What one function did itself, the functions it calls not included.

    Args:
        function: its name.
        entered: how often it was entered from its start.
        instructions: instructions executed.
        cycles: the same in cycles, estimated.
    """

    function: str
    entered: int
    instructions: int
    cycles: float


def shares(
    trace: BlockTrace, code: Callable[[int, int], bytes], functions: Functions, table: CycleTable
) -> list[Share]:
    """Sort executed blocks by function, the most instructions first.

    Args:
        trace: what ran.
        code: gives so many bytes of the image from an address.
        functions: of the image.
        table: what instructions cost.
    """

    @cache
    def cost(address: int, size: int) -> tuple[int, float]:
        found = decode(code(address, size))
        return len(found), sum(table.cycles(instruction) for instruction in found)

    sums: dict[str, list[float]] = {}
    for (address, size), times in trace.counts.items():
        name = functions.at(address)
        entry = sums.setdefault(name, [0, 0, 0.0])
        instructions, cycles = cost(address, size)
        entry[0] += times if functions.starts(address) else 0
        entry[1] += times * instructions
        entry[2] += times * cycles + trace.taken[address, size] * table.taken
    found = [Share(name, int(n), int(i), c) for name, (n, i, c) in sums.items()]
    return sorted(found, key=lambda share: (-share.instructions, share.function))


def total(found: list[Share]) -> tuple[int, float]:
    """Instructions and estimated cycles of all shares."""
    return sum(share.instructions for share in found), sum(share.cycles for share in found)
