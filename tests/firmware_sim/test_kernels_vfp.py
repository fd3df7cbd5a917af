"""The load-multiple kernels give the bits of the portable ones, in both contracts."""

import ctypes
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "edge/learner/src"
INCLUDE = [f"-I{ROOT / 'edge/learner/include'}", f"-I{SOURCES}"]
FLAGS = ["-std=c99", "-O2", "-g0", "-ffp-contract=off", *INCLUDE]
CODE, RAM, STACK, DONE = 0x1_0000, 0x2000_0000, 0x2001_0000, 0x8000
NAMES = ("tl_columns", "tl_back", "tl_update", "tl_back_update", "tl_rows")
SHAPES = [(1, 1), (1, 40), (40, 1), (40, 40), (64, 32), (32, 10), (12, 8), (7, 8), (9, 3)]
SHAPES += [(5, 17), (33, 31), (3, 50), (50, 7), (2, 15), (17, 16), (1, 8)]

pytestmark = pytest.mark.skipif(
    not (find_spec("unicorn") and find_spec("ziglang") and shutil.which("cc")),
    reason="needs unicorn, ziglang and a C compiler",
)


class Board:
    """The kernels alone on a Cortex-M4F."""

    def __init__(self, folder: Path) -> None:
        import unicorn
        from unicorn import arm_const as arm

        self.arm, blob = arm, folder / "kernels.bin"
        # A table of addresses comes first, so that no symbol table has to be read.
        table = folder / "table.c"
        entries = ", ".join(f"(void (*)(void)){name}" for name in NAMES)
        table.write_text(
            '#include "tl_internal.h"\n__attribute__((section(".vectors"), used)) '
            f"void (*const table[])(void) = {{{entries}}};\n"
        )
        script = folder / "link.ld"
        script.write_text(
            f"SECTIONS {{ . = {CODE}; .text : {{ KEEP(*(.vectors)) *(.text*) *(.rodata*) }} "
            "/DISCARD/ : { *(.ARM.*) *(.comment) } }"
        )
        command = [sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabihf"]
        command += ["-mcpu=cortex_m4+vfp4d16sp", *FLAGS, "-nostdlib", f"-Wl,-T,{script}"]
        command += [
            "-fno-unwind-tables",
            "-fomit-frame-pointer",
            "-Wl,-e,tl_columns",
            "-o",
            str(blob),
        ]
        command += [str(table), str(SOURCES / "tl_kernels_vfp.c")]
        subprocess.run(command, check=True)
        elf = blob.read_bytes()
        start = int.from_bytes(elf[28:32], "little")
        entry = [int.from_bytes(elf[start + k : start + k + 4], "little") for k in range(0, 20, 4)]
        self.uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        self.uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        self.uc.mem_map(0, 0x4_0000)
        self.code = elf[entry[1] : entry[1] + entry[4]]
        self.uc.mem_write(CODE, self.code)
        self.uc.mem_map(RAM, STACK - RAM)
        words = np.frombuffer(self.code[: 4 * len(NAMES)], "<u4")
        self.at = dict(zip(NAMES, map(int, words), strict=True))

    def call(self, name: str, arguments: list[int], memory: bytes) -> bytes:
        """Memory after a call with integer arguments."""
        arm, uc, stack = self.arm, self.uc, STACK - 64
        uc.mem_write(RAM, memory)
        for k, value in enumerate(arguments[:4]):
            uc.reg_write(arm.UC_ARM_REG_R0 + k, value)
        uc.mem_write(stack, np.array(arguments[4:], "<u4").tobytes())
        uc.reg_write(arm.UC_ARM_REG_SP, stack)
        uc.reg_write(arm.UC_ARM_REG_LR, DONE | 1)
        uc.emu_start(self.at[name] | 1, DONE)
        return bytes(uc.mem_read(RAM, len(memory)))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return Board(tmp_path_factory.mktemp("board"))


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    out = tmp_path_factory.mktemp("portable") / "kernels.so"
    source = str(SOURCES / "tl_kernels.c")
    subprocess.run(["cc", *FLAGS, "-shared", "-fPIC", source, "-o", str(out)], check=True)
    return ctypes.CDLL(str(out))


def values(rng: np.random.Generator, count: int, *, zeros: bool) -> np.ndarray[Any, Any]:
    """Random values of many sizes, down to denormals; half of them 0 or -0 if `zeros`."""
    drawn = rng.normal(size=count) * 10.0 ** rng.choice([0, 0, -3, 4, -20, -39], size=count)
    drawn = drawn.astype(np.float32)
    if zeros:
        drawn[rng.random(count) < 0.4] = 0.0
        drawn[rng.random(count) < 0.1] = -0.0
    else:
        drawn += np.float32(0)  # the contract: no weight is -0
    return drawn


def arguments(name: str, fma: int, shape: tuple[int, int], at: list[int]) -> list[int]:
    """Arguments of a kernel whose arrays w, x, d, g, z lie at `at`."""
    w, x, d, g, z = at
    return {
        "tl_columns": [fma, w, x, *shape, d, z],
        "tl_back": [fma, w, d, *shape, z],
        "tl_update": [fma, w, x, g, *shape],
        "tl_back_update": [fma, w, x, d, g, *shape, z],
        "tl_rows": [fma, w, shape[0], x, *shape, z],
    }[name]


@pytest.mark.parametrize("fma", [0, 1], ids=["mul_add", "fma"])
@pytest.mark.parametrize("name", NAMES)
def test_the_bits_are_the_portable_ones(
    board: Board, portable: ctypes.CDLL, name: str, fma: int
) -> None:
    if fma and not portable.tl_has_fma():
        pytest.skip("this machine has no fma")
    rng = np.random.default_rng(7)
    for shape in SHAPES:
        most = max(shape)
        sizes = [shape[0] * shape[1], most, most, most, most + 2]
        parts = [values(rng, size, zeros=k in (1, 2, 3)) for k, size in enumerate(sizes)]
        if name == "tl_back_update":
            parts[4][: shape[0]] = 0.0
        offsets = [int(4 * sum(sizes[:k]) + 4) for k in range(5)]  # aligned to 4, not to 8
        memory = b"\0" * 4 + b"".join(part.tobytes() for part in parts)
        got = board.call(name, arguments(name, fma, shape, [RAM + at for at in offsets]), memory)
        host = ctypes.create_string_buffer(memory, len(memory))
        places = [ctypes.addressof(host) + at for at in offsets]
        wanted = [
            ctypes.c_void_p(value) if value in places else ctypes.c_uint32(value)
            for value in arguments(name, fma, shape, places)
        ]
        getattr(portable, name)(*wanted)
        assert np.array_equal(np.frombuffer(got, "<u4"), np.frombuffer(host.raw, "<u4")), (
            f"{name} {shape}"
        )
