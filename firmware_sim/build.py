"""Build the firmware images with zig or arm-none-eabi-gcc, and check the shipped ones."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from edge.errors import MissingExtra, TinyfleetError, UsageError

__all__ = ["CORES", "IMAGES", "build_all", "build_image", "check_images", "image_path"]

Toolchain = Literal["zig", "gcc"]

_ROOM = Path(__file__).resolve().parent
_ROOT = _ROOM.parent
IMAGES = _ROOM / "images"
"""Folder of the prebuilt images."""

_WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wmissing-prototypes")
_COMMON = (
    *("-std=c99", "-O2", "-g0", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fomit-frame-pointer"),
    *_WARNINGS,
)
_LINK = (
    *("-nostdlib", "-Wl,--gc-sections", "-Wl,-s", "-Wl,-z,max-page-size=4"),
    "-Wl,-T,firmware_sim/firmware/boards/link.ld",
)


@dataclass(frozen=True)
class Core:
    """How the two toolchains name a core."""

    profile: str
    zig: tuple[str, ...]
    gcc: tuple[str, ...]


CORES: dict[str, Core] = {
    "m0": Core(
        "cortex-m0",
        ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0"),
        ("-mcpu=cortex-m0",),
    ),
    "m3": Core(
        "cortex-m3",
        ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m3"),
        ("-mcpu=cortex-m3",),
    ),
    "m4f": Core(
        "cortex-m4f",
        ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp"),
        ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    ),
    "m7": Core(
        "cortex-m7",
        ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m7+fp_armv8d16sp"),
        ("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
    ),
}
"""Cores that there is an image for."""


def image_path(core: str) -> Path:
    """The prebuilt image of a core, given as `m4f` or `cortex-m4f`; UsageError if unknown."""
    short = core.removeprefix("cortex-")
    if short not in CORES:
        raise UsageError(f"no firmware for core {core!r}", hint=", ".join(CORES))
    return IMAGES / f"tinyfleet-{short}.elf"


def _sources(toolchain: Toolchain) -> list[str]:
    firmware = _ROOM / "firmware"
    own = [*firmware.glob("*.c"), *(firmware / "boards").glob("*.c")]
    if toolchain == "zig":  # compiler-rt has memcpy and memset
        own = [path for path in own if path.name != "memory.c"]
    learner = (_ROOT / "edge/learner/src").glob("*.c")
    return sorted(path.relative_to(_ROOT).as_posix() for path in [*own, *learner])


def _command(core: Core, name: str, toolchain: Toolchain, out: Path) -> list[str]:
    include = ["-Ifirmware_sim/firmware", "-Iedge/learner/include", "-Iedge/learner/src"]
    define = [f'-DCORE_NAME="{name}"']
    tail = [*_LINK, "-o", str(out)]
    if toolchain == "zig":
        if find_spec("ziglang") is None:
            raise MissingExtra("zig is not installed", hint="pip install 'tinyfleet[firmware]'")
        head = [sys.executable, "-m", "ziglang", "cc", *core.zig]
        tail = [*tail, "-rtlib=compiler-rt", "-Wl,-e,Reset_Handler"]
    else:
        found = shutil.which("arm-none-eabi-gcc")
        if found is None:
            raise MissingExtra(
                "arm-none-eabi-gcc is not installed",
                hint="apt-get install gcc-arm-none-eabi, or toolchain='zig'",
            )
        head = [found, "-mthumb", *core.gcc, "-fno-tree-loop-distribute-patterns"]
        tail = [*tail, "-lgcc"]
    return [*head, *_COMMON, *define, *include, *_sources(toolchain), *tail]


def build_image(core: str, toolchain: Toolchain = "zig", out: Path | None = None) -> Path:
    """Compile and link the image of one core.

    Args:
        core: `m0`, `m3`, `m4f` or `m7`.
        toolchain: `zig` (from pip; same bytes everywhere) or `gcc` (arm-none-eabi-gcc).
        out: file to write; the prebuilt image of the core if not given.

    Returns:
        The file written.

    Raises:
        UsageError: an unknown core or toolchain.
        MissingExtra: the toolchain is not installed.
        TinyfleetError: the compiler failed; the message holds what it said.
    """
    target = image_path(core) if out is None else Path(out).resolve()
    if toolchain not in ("zig", "gcc"):
        raise UsageError(f"no toolchain is called {toolchain!r}", hint="zig, gcc")
    name = core.removeprefix("cortex-")
    if name not in CORES:
        raise UsageError(f"no core is called {core!r}", hint=", ".join(CORES))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "image.elf"
        command = _command(CORES[name], name, toolchain, built)
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise TinyfleetError(f"{toolchain} could not build {name}: {done.stderr.strip()}")
        target.write_bytes(built.read_bytes())
    return target


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build_all() -> list[Path]:
    """Build all prebuilt images with zig, and the list of their SHA-256 sums."""
    paths = [build_image(core) for core in CORES]
    sums = "".join(f"{_digest(path)}  {path.name}\n" for path in paths)
    (IMAGES / "SHA256SUMS").write_text(sums)
    return paths


def check_images() -> list[str]:
    """Rebuild every prebuilt image and compare the bytes; gives the cores that differ."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            core
            for core in CORES
            if build_image(core, "zig", Path(folder) / f"{core}.elf").read_bytes()
            != image_path(core).read_bytes()
        ]


def main() -> int:
    """`python -m firmware_sim.build [check]`: rebuild the images, or compare them."""
    if sys.argv[1:] == ["check"]:
        differing = check_images()
        print("differ: " + ", ".join(differing) if differing else "all images are as built")
        return 1 if differing else 0
    for path in build_all():
        print(f"{path.name}  {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
