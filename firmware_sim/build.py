"""Build the firmware images with zig or arm-none-eabi-gcc, and check the shipped ones."""

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Literal

from firmware_sim.compile import Program, Toolchain, compile_program
from firmware_sim.cores import CORES, find_core

__all__ = ["CORES", "IMAGES", "build_all", "build_image", "check_images", "image_path"]

_ROOM = Path(__file__).resolve().parent
_ROOT = _ROOM.parent
IMAGES = _ROOM / "images"
"""Folder of the prebuilt images."""

Kind = Literal["agent", "trainer"]
_PREFIX: dict[Kind, str] = {"agent": "tinyfleet", "trainer": "trainer"}
_SHIPPED: tuple[tuple[Kind, str], ...] = (*(("agent", core) for core in CORES), ("trainer", "m4f"))


def image_path(core: str, kind: Kind = "agent") -> Path:
    """The prebuilt image of a core, given as `m4f` or `cortex-m4f`; UsageError if unknown."""
    return IMAGES / f"{_PREFIX[kind]}-{find_core(core)[0]}.elf"


def _relative(*paths: Path) -> tuple[str, ...]:
    return tuple(sorted(path.relative_to(_ROOT).as_posix() for path in paths))


def _agent() -> Program:
    """The image that every board runs: link, slots, learner with all operators."""
    firmware = _ROOM / "firmware"
    # Its own memory.c also with zig: compiler-rt's is faster, and larger.
    own = [*firmware.glob("*.c"), *(firmware / "boards").glob("*.c")]
    sources = _relative(*own, *(_ROOT / "edge/learner/src").glob("*.c"))
    return Program(
        sources=sources,
        script="firmware_sim/firmware/boards/link.ld",
    )


_LEFT_OUT = {
    *("tl_pool", "tl_window", "tl_momentum", "tl_classes", "tl_monitor", "tl_standardiser"),
    *("tl_int8", "tl_int8_activation", "tl_int8_conv", "tl_int8_depthwise", "tl_int8_dot"),
    *("tl_int8_pool", "tl_int8_rescale", "tl_status"),
}
"""Parts of the learner that a build with TL_DENSE_ONLY has no use for."""


def _trainer() -> Program:
    """The smallest image that trains: one dense model, no link, no slots."""
    firmware = _ROOM / "firmware"
    names = ["trainer/main.c", "boards/startup.c", "port_mps2.c", "frames.c", "memory.c"]
    own = [firmware / name for name in names]
    learner = (_ROOT / "edge/learner/src").glob("*.c")
    sources = _relative(*own, *(path for path in learner if path.stem not in _LEFT_OUT))
    return Program(
        sources=sources,
        script="firmware_sim/firmware/trainer/link.ld",
        defines=("-DTL_DENSE_ONLY=1", "-DVTOR_ENTRIES=7u"),
        tiny=True,
    )


def build_image(
    core: str, toolchain: Toolchain = "zig", out: Path | None = None, kind: Kind = "agent"
) -> Path:
    """Compile and link the image of one core.

    Args:
        core: a name of `CORES`, such as `m4f`.
        toolchain: `zig` (from pip; same bytes everywhere) or `gcc` (arm-none-eabi-gcc).
        out: file to write; the prebuilt image of the core if not given.
        kind: `agent` (every operator, link and slots) or `trainer` (one dense model).

    Returns:
        The file written.

    Raises:
        UsageError: an unknown core or toolchain.
        MissingExtra: the toolchain is not installed.
        TinyfleetError: the compiler failed; the message holds what it said.
    """
    target = image_path(core, kind) if out is None else Path(out).resolve()
    program = _agent() if kind == "agent" else _trainer()
    data = compile_program(program, find_core(core)[0], toolchain, _ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build_all() -> list[Path]:
    """Build all prebuilt images with zig, and the list of their SHA-256 sums."""
    paths = [build_image(core, kind=kind) for kind, core in _SHIPPED]
    sums = "".join(f"{_digest(path)}  {path.name}\n" for path in paths)
    (IMAGES / "SHA256SUMS").write_text(sums)
    return paths


def check_images() -> list[str]:
    """Rebuild every prebuilt image and compare the bytes; gives the names that differ."""
    differing = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, core in _SHIPPED:
            built = build_image(core, "zig", Path(folder) / "image.elf", kind)
            if built.read_bytes() != image_path(core, kind).read_bytes():
                differing.append(core if kind == "agent" else f"{kind}-{core}")
    return differing


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
