"""Kernels of the learner called one by one in Unicorn: by default those without an FPU."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_sim.build import CORES

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / f"edge/learner/src/{name}.c" for name in ("tl_kernels_soft", "tl_soft_float")]
INCLUDES = [f"-I{ROOT}/edge/learner/{name}" for name in ("include", "src")]
NAMES = ("columns", "back", "update", "back_update", "rows")
FLASH, RAM, STACK, END = 0x10000, 0x2000_0000, 0x2010_0000, 0x5_0000


class SoftCore:
    """One core; arrays are copied in before a call, and out after it."""

    def __init__(
        self,
        core: str,
        folder: Path,
        sources: Sequence[Path] = SOURCES,
        names: Sequence[str] = NAMES,
    ) -> None:
        import unicorn as u
        from unicorn import arm_const as a

        self._u, self._a, self.instructions = u, a, 0
        image = folder / f"{core}.bin"
        table = folder / "table.c"
        listed = ", ".join(f"(void *)tl_{name}" for name in names)
        table.write_text(
            '#include "tl_internal.h"\nextern void *const table[];\n'
            f'__attribute__((section(".first"), used)) void *const table[] = {{{listed}}};\n'
        )
        script = folder / "flat.ld"
        script.write_text(
            "ENTRY(table)\nSECTIONS { . = 0x10000; "
            ".text : { KEEP(*(.first)) *(.text*) *(.rodata*) } /DISCARD/ : { *(.ARM.ex*) } }\n"
        )
        command = [sys.executable, "-m", "ziglang", "cc", *CORES[core].zig, "-std=c99", "-O2"]
        command += ["-fomit-frame-pointer"]
        command += ["-ffp-contract=off", "-g0", "-nostdlib", "-rtlib=compiler-rt", *INCLUDES]
        command += ["-fno-unwind-tables", "-fno-asynchronous-unwind-tables"]
        command += [*map(str, sources), str(table), f"-Wl,-T,{script}", "-o", str(image)]
        subprocess.run(command, check=True, capture_output=True)
        self._uc: Any = u.Uc(u.UC_ARCH_ARM, u.UC_MODE_THUMB)
        model = {
            "m0": a.UC_CPU_ARM_CORTEX_M0,
            "m3": a.UC_CPU_ARM_CORTEX_M3,
            "m4f": a.UC_CPU_ARM_CORTEX_M4,
            "m7": a.UC_CPU_ARM_CORTEX_M7,
        }[core]
        self._uc.ctl_set_cpu_model(model)
        for base, size in ((FLASH, 0x10000), (RAM, 0x100000), (END, 0x1000)):
            self._uc.mem_map(base, size)
        self._load(image.read_bytes())
        entries = bytes(self._uc.mem_read(FLASH, 4 * len(names)))
        self._entry = dict(zip(names, np.frombuffer(entries, "<u4").tolist(), strict=True))

    def _load(self, elf: bytes) -> None:
        first = int.from_bytes(elf[28:32], "little")
        for i in range(int.from_bytes(elf[44:46], "little")):
            kind, at, to, _, size = np.frombuffer(elf, "<u4", 5, first + 32 * i).tolist()
            if kind == 1 and size and to >= FLASH:
                self._uc.mem_write(to, elf[at : at + size])

    def count(self) -> None:
        """Count instructions from now on, by the lengths in each block."""
        seen: dict[tuple[int, int], int] = {}

        def block(uc: Any, address: int, size: int, _: Any) -> None:
            if (address, size) not in seen:
                code = bytes(uc.mem_read(address, size))
                at = n = 0
                while at < size:
                    at += 4 if code[at + 1] >> 3 >= 0b11101 else 2
                    n += 1
                seen[address, size] = n
            self.instructions += seen[address, size]

        self._uc.hook_add(self._u.UC_HOOK_BLOCK, block)

    def call(self, name: str, *arguments: NDArray[np.float32] | int) -> None:
        """tl_NAME(false, *arguments); arrays are changed in place."""
        uc, at = self._uc, RAM
        words, arrays = [0], []
        for value in arguments:
            if isinstance(value, int):
                words.append(value)
                continue
            uc.mem_write(at, value.tobytes())
            arrays.append((value, at))
            words.append(at)
            at += value.nbytes
        self.run(name, words)
        for value, start in arrays:
            new = np.frombuffer(self.read(start, value.nbytes), np.float32)
            value[...] = new.reshape(value.shape)

    def run(self, name: str, words: Sequence[int]) -> None:
        """tl_NAME(*words), from registers and the stack."""
        a, uc, stack = self._a, self._uc, STACK - 64
        uc.mem_write(stack, np.array(words[4:], "<u4").tobytes())
        registers = (a.UC_ARM_REG_R0, a.UC_ARM_REG_R1, a.UC_ARM_REG_R2, a.UC_ARM_REG_R3)
        for register, word in zip(registers, words, strict=False):
            uc.reg_write(register, word)
        uc.reg_write(a.UC_ARM_REG_SP, stack)
        uc.reg_write(a.UC_ARM_REG_LR, END | 1)
        uc.emu_start(self._entry[name], END)

    def write(self, at: int, data: bytes) -> None:
        """Copy bytes into memory."""
        self._uc.mem_write(at, data)

    def read(self, at: int, size: int) -> bytes:
        """Copy bytes out of memory."""
        return bytes(self._uc.mem_read(at, size))
