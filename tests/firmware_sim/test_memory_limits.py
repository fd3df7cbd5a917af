"""RAM and flash end where the board's do, in both emulators."""

import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import UsageError
from firmware_sim.boards import get_board
from firmware_sim.device import SimulatedDevice
from firmware_sim.memory import INFO_BASE, RAM_BASE, MemoryMap

ROOT = Path(__file__).resolve().parents[2]
LOAD, STORE = 0x6801, 0x6001
BOARD = get_board("nucleo-f103rb")
MAP = MemoryMap.of(BOARD)
needs_qemu = pytest.mark.skipif(
    not (shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")),
    reason="no QEMU or no ARM gcc",
)


def image_touching(folder: Path, access: int, address: int) -> Path:
    """An ELF whose code is: ldr r0, =address; access [r0]; loop: wfi; b loop."""
    code = struct.pack("<2I4HI", RAM_BASE + 0x800, 9, 0x4801, access, 0xBF30, 0xE7FD, address)
    ident = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    head = struct.pack("<16s2H5I6H", ident, 2, 40, 1, 9, 52, 0, 0, 52, 32, 1, 40, 0, 0)
    segment = struct.pack("<8I", 1, 84, 0, 0, len(code), len(code), 5, 4)
    path = folder / "image.elf"
    path.write_bytes(head + segment + code)
    return path


@pytest.mark.parametrize(
    ("access", "address", "allowed"),
    [
        (STORE, RAM_BASE, True),
        (STORE, RAM_BASE + BOARD.ram - 4, True),
        (STORE, RAM_BASE + BOARD.ram, False),
        (LOAD, RAM_BASE - 4, False),
        (STORE, 0x100, False),
        (STORE, MAP.slot_base, True),
        (LOAD, BOARD.flash - 4, True),
        (LOAD, BOARD.flash, False),
        (LOAD, INFO_BASE, True),
        (STORE, INFO_BASE, False),
    ],
)
def test_unicorn_faults_beyond_the_board(
    tmp_path: Path, access: int, address: int, allowed: bool
) -> None:
    image = image_touching(tmp_path, access, address)
    with SimulatedDevice(BOARD, device_id="d", image=image) as device:
        fault = device.fault
    if allowed:
        assert fault is None
    else:
        assert fault is not None
        assert (fault.address, fault.pc) == (address, 10)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("probe") / "probe.elf"
    firmware = ROOT / "firmware_sim/firmware"
    names = ["boards/startup.c", "boards/mpu.c", "fault.c", "frames.c", "cbor.c", "memory.c"]
    sources = [firmware / name for name in [*names, "port_mps2.c"]]
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb", "-std=c99", "-O2", "-nostdlib"]
    command += [f"-I{firmware}", f"-Wl,-T,{firmware}/boards/link.ld", "-Wl,-z,max-page-size=4"]
    command += ["-fno-tree-loop-distribute-patterns", "-o", str(out)]
    command += [str(Path(__file__).parent / "fence_probe.c"), *map(str, sources), "-lgcc"]
    subprocess.run(command, check=True)
    return out


def said_by(probe: Path, address: int) -> tuple[bytes, str]:
    board = replace(BOARD, clock_hz=address)
    with SimulatedDevice(board, device_id="d", image=probe, backend="qemu") as device:
        said = b""
        while (more := device.port.read(0.5)) or (not said and device.fault is None):
            said += more
        return said, str(device.fault)


@needs_qemu
@pytest.mark.parametrize(
    "address", [RAM_BASE + BOARD.ram - 4, MAP.slot_base, BOARD.flash - 4], ids=hex
)
def test_qemu_allows_the_board(probe: Path, address: int) -> None:
    assert said_by(probe, address) == (b"AB", "None")


@needs_qemu
@pytest.mark.parametrize(
    "address", [RAM_BASE + BOARD.ram, RAM_BASE + 0x40_0000, 0x100, BOARD.flash, INFO_BASE], ids=hex
)
def test_qemu_fences_the_board(probe: Path, address: int) -> None:
    said, fault = said_by(probe, address)
    assert said[:2] == b"A\0"
    assert fault.startswith("fault at pc")
    assert fault.endswith(f"address {address:#010x}")


@needs_qemu
def test_qemu_reports_a_stack_overflow(probe: Path) -> None:
    said, fault = said_by(probe, 1)
    assert said == b"A"
    assert fault.startswith("lockup")


def test_a_board_that_the_map_cannot_hold_is_refused() -> None:
    for wrong in ({"flash": 64 * 1024}, {"flash": 8 << 20}, {"ram": 8192}, {"ram": 20_000}):
        with pytest.raises(UsageError, match="nucleo-f103rb"):
            SimulatedDevice(replace(BOARD, **wrong), device_id="d")
