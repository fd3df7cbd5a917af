"""Run a cross compiler: two groups of sources, one built for speed and one for size, then link."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from edge.errors import MissingExtra, TinyfleetError, UsageError
from firmware_sim.cores import CORES, Layout

__all__ = ["Program", "Toolchain", "compile_program", "is_fast"]

Toolchain = Literal["zig", "gcc"]

_FLAGS = (
    *("-std=c99", "-g0", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fomit-frame-pointer"),
    *("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wmissing-prototypes"),
    *("-Ifirmware_sim/firmware", "-Iedge/learner/include", "-Iedge/learner/src"),
)
_FAST = ("-O2",)
# zig takes -Oz for -Os; clang itself does not.
_SMALL: dict[str, tuple[str, ...]] = {"zig": ("-Os", "-Xclang", "-Oz"), "gcc": ("-Os",)}
_LINK = ("-nostdlib", "-Wl,--gc-sections", "-Wl,-z,max-page-size=4")
_HOT = ("tl_kernels*.c", "tl_int8*.c", "tl_activation.c", "tl_learn.c")


@dataclass(frozen=True)
class Program:
    """What an image is made of; paths from the root of the project.

    Args:
        fast: sources compiled for speed.
        small: sources compiled for size.
        script: the linker script, as for the usual layout.
        defines: more flags for every source.
    """

    fast: tuple[str, ...]
    small: tuple[str, ...]
    script: str
    defines: tuple[str, ...] = ()


def is_fast(source: str) -> bool:
    """Whether a step spends its time in this file."""
    return any(fnmatch(source, f"*/{pattern}") for pattern in _HOT)


def _compiler(core: str, toolchain: Toolchain) -> list[str]:
    if toolchain == "zig":
        if find_spec("ziglang") is None:
            raise MissingExtra("zig is not installed", hint="pip install 'tinyfleet[firmware]'")
        return [sys.executable, "-m", "ziglang", "cc", *CORES[core].zig]
    if toolchain != "gcc":
        raise UsageError(f"no toolchain is called {toolchain!r}", hint="zig, gcc")
    found = shutil.which("arm-none-eabi-gcc")
    if found is None:
        raise MissingExtra(
            "arm-none-eabi-gcc is not installed",
            hint="apt-get install gcc-arm-none-eabi, or toolchain='zig'",
        )
    return [found, "-mthumb", *CORES[core].gcc, "-fno-tree-loop-distribute-patterns"]


def _script(text: str, core: str) -> str:
    """A linker script, moved to where the core's machine has its flash and RAM."""
    usual, layout = Layout(), CORES[core].layout
    moved = text.replace(f"ORIGIN = {usual.image:#010x}", f"ORIGIN = {layout.image:#010x}")
    return moved.replace(f"ORIGIN = {usual.ram:#010x}", f"ORIGIN = {layout.ram:#010x}")


def compile_program(program: Program, core: str, toolchain: Toolchain, root: Path) -> bytes:
    """The ELF file of a program for a core, symbols included.

    Raises:
        UsageError: an unknown toolchain.
        MissingExtra: the toolchain is not installed.
        TinyfleetError: the compiler failed; the message holds what it said.
    """
    head = _compiler(core, toolchain)
    runtime = ["-rtlib=compiler-rt"] if toolchain == "zig" else ["-lgcc"]
    flags = [*_FLAGS, f'-DCORE_NAME="{core}"', *CORES[core].layout.defines, *program.defines]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        script, image = out / "link.ld", out / "image.elf"
        script.write_text(_script((root / program.script).read_text(), core))
        objects = []
        for name, level, sources in (
            ("fast", _FAST, program.fast),
            ("small", _SMALL[toolchain], program.small),
        ):
            if sources:  # one relocatable object: its name is not in the image
                objects.append(str(out / f"{name}.o"))
                command = [*head, *flags, *level, "-r", "-nostdlib", *sources, "-o", objects[-1]]
                _run(command, root, f"{toolchain} could not build {core}")
        command = [*head, *_LINK, f"-Wl,-T,{script}", "-Wl,-e,Reset_Handler", *objects, *runtime]
        _run([*command, "-o", str(image)], root, f"{toolchain} could not link {core}")
        return image.read_bytes()


def _run(command: list[str], folder: Path, problem: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TinyfleetError(f"{problem}: {done.stderr.strip()}")
