"""Boards in Unicorn: exact memory map, two UARTs, runs in this process and only when asked to."""

import ctypes
import time
from collections import deque
from typing import Any

from edge.errors import MissingExtra, UsageError
from firmware_sim.cores import CORES
from firmware_sim.machine import Fault, Setup, painted_depth
from firmware_sim.memory import IMAGE_BYTES, PAGE, STACK_BYTES
from firmware_sim.power_cut import FlashWatch
from firmware_sim.thumb import lengths
from firmware_sim.trace import BlockTrace

__all__ = ["UnicornMachine"]

_UARTS = 0x2000
_SYSTEM = 0xE000_E000
_DATA, _STATE = 0x0, 0x4
_RX_FULL = 2
_WFI = b"\x30\xbf"
_FOREVER = 0xFFFF_FFFE


class UnicornMachine:
    """A board in Unicorn; see `firmware_sim.machine.Machine`.

    Unicorn has no interrupts: `wfi` hands control back, which is what makes the board idle.
    """

    def __init__(self, setup: Setup) -> None:
        self._uc: Any = _engine(setup.core)
        self._setup = setup
        self.fault: Fault | None = None
        self.instructions = 0
        self._address: int | None = None
        self._received: tuple[deque[int], deque[int]] = (deque(), deque())
        self._sent = (bytearray(), bytearray())
        self._interrupted = False
        self._watch: FlashWatch | None = None
        self._map()
        if setup.count_instructions or setup.trace is not None:
            self._count()
        self._pc = int.from_bytes(setup.image[4:8], "little") & ~1
        self._advance(None, None)  # boots, until it waits for its first request

    def write(self, data: bytes) -> None:
        """Queue bytes for UART0; the board sees them when it runs."""
        self._received[0].extend(data)

    def read(self, timeout: float) -> bytes:
        """Run until the board idles, and give what it sent; `b""` at once if that is nothing."""
        if not self._sent[0]:
            self._advance(time.monotonic() + timeout, None)
        data = bytes(self._sent[0])
        self._sent[0].clear()
        return data

    def run(self, budget: int | None) -> None:
        """Run until idle or for `budget` instructions."""
        self._advance(None, budget)

    def peak_stack(self) -> int:
        """Most bytes of stack used, from the paint that is left."""
        return painted_depth(self.memory(self._setup.memory.layout.ram, STACK_BYTES))

    def memory(self, address: int, size: int) -> bytes:
        """Read memory."""
        return bytes(self._uc.mem_read(address, size))

    def interrupt(self) -> None:
        """Stop the emulation in another thread."""
        self._interrupted = True
        if (engine := self._uc) is not None:
            engine.emu_stop()

    def watch_flash(self, cut_after: int | None) -> FlashWatch:
        """Count writes to flash from now on; the power fails after `cut_after` bytes of them."""
        if self._watch is not None:
            self._watch.remove()
        self._watch = FlashWatch(self._uc, self._setup, cut_after)
        return self._watch

    def watch_blocks(self, trace: BlockTrace) -> None:
        """Tell a trace of every block from now on."""
        import unicorn

        def block(uc: Any, address: int, size: int, data: Any) -> None:
            trace.block(address, size, self._call_registers)

        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, block)
        self._uc.ctl_flush_tb()  # blocks that were translated before tell nobody

    def power_off(self) -> None:
        """Let the engine go."""
        self._interrupted = True
        self._uc = None

    def _advance(self, deadline: float | None, budget: int | None) -> None:
        while self.fault is None and not self._interrupted:
            left = 0 if deadline is None else int((deadline - time.monotonic()) * 1e6)
            if deadline is not None and left <= 0:
                return
            if not self._emulate(left, budget or 0) or budget is not None:
                return
            answer = self._setup.sensor.answer(bytes(self._sent[1]))
            self._sent[1].clear()
            if not answer:
                return
            self._received[1].extend(answer)

    def _emulate(self, timeout: int, count: int) -> bool:
        """Run on; True if the board went to sleep."""
        import unicorn

        try:
            self._uc.emu_start(self._pc | 1, _FOREVER, timeout, count)
        except unicorn.UcError as error:
            self._pc = self._uc.reg_read(unicorn.arm_const.UC_ARM_REG_PC)
            self.fault = Fault(str(error), self._pc, self._address)
            return False
        self._pc = self._uc.reg_read(unicorn.arm_const.UC_ARM_REG_PC) & ~1
        if self._watch is not None and self._watch.cut:
            self._watch.settle()
            self._interrupted = True
            self._sent[0].clear()
            return False
        at = self._pc - self._setup.memory.layout.image
        return self._setup.image[at - 2 : at] == _WFI

    def _map(self) -> None:
        import unicorn

        uc, setup = self._uc, self._setup
        layout = setup.memory.layout
        read_only, read_write = unicorn.UC_PROT_READ, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        uc.mem_map(layout.image, IMAGE_BYTES, read_only | unicorn.UC_PROT_EXEC)
        uc.mem_write(layout.image, setup.image)
        slots = ctypes.addressof(ctypes.c_char.from_buffer(setup.slots))
        uc.mem_map_ptr(setup.memory.slot_base, len(setup.slots), read_write, slots)
        uc.mem_map(layout.info, PAGE, read_only)
        uc.mem_write(layout.info, setup.info)
        uc.mem_map(layout.ram, setup.memory.ram, read_write)
        uc.mem_map(_SYSTEM, PAGE, read_write)
        uc.mmio_map(layout.uart, _UARTS, self._uart_read, None, self._uart_write, None)
        uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._invalid)
        stack = int.from_bytes(setup.image[:4], "little")
        uc.reg_write(unicorn.arm_const.UC_ARM_REG_SP, stack)

    def _uart_read(self, uc: Any, offset: int, size: int, data: Any) -> int:
        queue = self._received[offset >> 12]
        if offset & 0xFFF == _STATE:
            return _RX_FULL if queue else 0
        return queue.popleft() if offset & 0xFFF == _DATA and queue else 0

    def _uart_write(self, uc: Any, offset: int, size: int, value: int, data: Any) -> None:
        if offset & 0xFFF == _DATA:
            self._sent[offset >> 12].append(value & 0xFF)

    def _invalid(
        self, uc: Any, access: int, address: int, size: int, value: int, data: Any
    ) -> bool:
        self._address = address
        return False

    def _count(self) -> None:
        import unicorn

        found: dict[int, int] = {}
        base, image, trace = self._setup.memory.layout.image, self._setup.image, self._setup.trace

        def block(uc: Any, address: int, size: int, data: Any) -> None:
            key = address << 16 | size
            if key not in found:
                start = address - base
                found[key] = len(lengths(image[start : start + size]))
            self.instructions += found[key]
            if trace is not None:
                trace.block(address, size, self._call_registers)

        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, block)

    def _call_registers(self) -> tuple[int, int]:
        import unicorn

        read = self._uc.reg_read
        return read(unicorn.arm_const.UC_ARM_REG_LR), read(unicorn.arm_const.UC_ARM_REG_SP)


def _engine(core: str) -> Any:
    try:
        import unicorn
    except ImportError:
        raise MissingExtra(
            "emulating boards needs unicorn", hint="pip install 'tinyfleet[sim]'"
        ) from None
    model = CORES[core].unicorn
    if not model:
        raise UsageError(f"Unicorn has no {CORES[core].profile}", hint="--backend qemu")
    uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
    uc.ctl_set_cpu_model(
        getattr(unicorn.arm_const, model)
    )  # UC_MODE_MCLASS would force a Cortex-M33
    return uc
