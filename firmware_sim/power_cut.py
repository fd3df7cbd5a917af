"""Cut the power of a board in Unicorn amid its writes to flash."""

from typing import Any

from firmware_sim.machine import Setup

__all__ = ["FlashWatch"]


class FlashWatch:
    """Counts the bytes that a board writes to its slots, and stops it after some.

    An erased byte counts as written. A word that is cut keeps its first bytes only, so a cut may
    fall within a write and within a page's erasure.

    Args:
        engine: the Unicorn engine.
        setup: the board; its slots are put back to what they were at the cut.
        cut_after: bytes; None: only count.

    Attributes:
        written: bytes so far, at most `cut_after`.
        cut: whether the power has failed.
    """

    def __init__(self, engine: Any, setup: Setup, cut_after: int | None) -> None:
        """Hook in; the engine must not be running."""
        import unicorn

        self._slots = setup.slots
        self._base = setup.memory.slot_base
        self._limit = cut_after
        self._engine = engine
        self._undo: list[tuple[int, bytes]] = []
        self.written = 0
        self.cut = False
        end = self._base + len(setup.slots) - 1
        self._hook = engine.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._write, None, self._base, end)

    def settle(self) -> None:
        """Once the engine stands still: take back what it wrote after the cut."""
        while self._undo:
            at, old = self._undo.pop()
            self._slots[at : at + len(old)] = old

    def remove(self) -> None:
        """Watch no longer."""
        self._engine.hook_del(self._hook)

    def _write(self, uc: Any, access: int, address: int, size: int, value: int, data: Any) -> None:
        left = size if self._limit is None else min(size, self._limit - self.written)
        self.written += left
        if left < size:
            at = address - self._base + left
            self._undo.append((at, self._slots[at : at + size - left]))
            self.cut = True
            uc.emu_stop()
