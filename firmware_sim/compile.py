"""Run a cross compiler: groups of sources, built for speed or for size, then link."""

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

__all__ = ["Program", "Toolchain", "compile_program", "level_of"]

Toolchain = Literal["zig", "gcc"]

_FLAGS = (
    *("-std=c99", "-g0", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fomit-frame-pointer"),
    *("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wmissing-prototypes"),
    "-Wno-overlength-strings",  # assembly in the kernels; every compiler here takes it
    *("-Ifirmware_sim/firmware", "-Iedge/learner/include", "-Iedge/learner/src"),
)
Level = Literal["fast", "balanced", "small"]
# zig takes -Oz for -Os; clang itself does not.
_LEVELS: dict[str, dict[Level, tuple[str, ...]]] = {
    "zig": {"fast": ("-O2",), "balanced": ("-Os",), "small": ("-Os", "-Xclang", "-Oz")},
    "gcc": {"fast": ("-O2",), "balanced": ("-O2",), "small": ("-Os",)},
}
# Chosen by `tinyfleet sim bench`: speed where a step spends its time, size elsewhere. The target of
# 32 kB for the M4F agent is missed (its row flash.all says by how much). The kernels of cores with
# an FPU are assembly inside, so that size costs them nothing.
_HOT: dict[str, Level] = {
    "tl_kernels_vfp.c": "balanced",
    "tl_activation.c": "balanced",
    "tl_kernels*.c": "fast",
    "tl_int8_dot*.c": "balanced",
}
_LINK = ("-nostdlib", "-Wl,--gc-sections", "-Wl,-z,max-page-size=4")


@dataclass(frozen=True)
class Program:
    """What an image is made of; paths from the root of the project.

    Args:
        sources: all C files.
        script: the linker script, as for the usual layout.
        defines: more flags for every source.
        tiny: build everything for size.
    """

    sources: tuple[str, ...]
    script: str
    defines: tuple[str, ...] = ()
    tiny: bool = False


def level_of(source: str) -> Level:
    """How a source is compiled: a step spends its time in few of them."""
    for pattern, level in _HOT.items():
        if fnmatch(source, f"*/{pattern}"):
            return level
    return "small"


def _level(program: Program, source: str) -> Level:
    return "small" if program.tiny else level_of(source)


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
        for level, options in _LEVELS[toolchain].items():
            sources = [s for s in program.sources if _level(program, s) == level]
            if sources:  # one relocatable object: its name is not in the image
                objects.append(str(out / f"{level}.o"))
                command = [*head, *flags, *options, "-r", "-nostdlib", *sources, "-o", objects[-1]]
                _run(command, root, f"{toolchain} could not build {core}")
        command = [*head, *_LINK, f"-Wl,-T,{script}", "-Wl,-e,Reset_Handler", *objects, *runtime]
        _run([*command, "-o", str(image)], root, f"{toolchain} could not link {core}")
        return image.read_bytes()


def _run(command: list[str], folder: Path, problem: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TinyfleetError(f"{problem}: {done.stderr.strip()}")
