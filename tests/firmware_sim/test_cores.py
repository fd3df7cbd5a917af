"""Cores: their layouts, their emulators, and what the build makes of them."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.board_protocol import BoardClient
from edge.errors import UsageError
from firmware_sim.boards import BOARDS, get_board
from firmware_sim.build import image_path
from firmware_sim.compile import Program, compile_program, level_of
from firmware_sim.cores import CORES, find_core
from firmware_sim.device import SimulatedDevice
from firmware_sim.image import load_image
from firmware_sim.memory import MemoryMap

ROOT = Path(__file__).resolve().parents[2]
needs_qemu = pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="no QEMU")


def test_a_core_by_both_its_names() -> None:
    assert find_core("m33") == find_core("cortex-m33") == ("m33", CORES["m33"])
    with pytest.raises(UsageError, match="m23"):
        find_core("cortex-m23")


@pytest.mark.parametrize("board", list(BOARDS))
def test_memory_of_a_board_lies_where_its_core_looks(board: str) -> None:
    memory = MemoryMap.of(get_board(board))
    layout = memory.layout
    assert layout == find_core(get_board(board).core)[1].layout
    assert memory.slot_base == layout.image + 0x10000
    assert memory.slot_base + 2 * memory.slot_bytes <= layout.info
    vectors = load_image(image_path(get_board(board).core), layout.image)[:8]
    stack, reset = (int.from_bytes(vectors[at : at + 4], "little") for at in (0, 4))
    assert layout.ram < stack < layout.ram + memory.ram
    assert reset & 1
    assert layout.image < reset < layout.image + 0x10000


def test_the_board_decides_on_the_emulator() -> None:
    assert SimulatedDevice("nano33ble", device_id="d").backend == "unicorn"
    assert SimulatedDevice("nrf5340-dk", device_id="d").backend == "unicorn"
    assert SimulatedDevice("corstone-300", device_id="d").backend == "qemu"
    with pytest.raises(UsageError, match="cortex-m55"):
        SimulatedDevice("corstone-300", device_id="d", backend="unicorn").start()


@needs_qemu
@pytest.mark.parametrize("board", ["nrf5340-dk", "corstone-300"])
def test_flash_and_stack_of_armv8m_boards_in_qemu(board: str, sine: Any) -> None:
    with SimulatedDevice(board, device_id="v8", backend="qemu", sensor=sine.sensor()) as device:
        client = BoardClient(device.port)
        client.upload_artifact(sine.artefact)
        client.train(2, rate=0.01)
        assert 0 < device.peak_stack < 2048
        assert device.peak_stack == client.hello().peak_stack
        device.restart()
        assert BoardClient(device.port).hello().active == sine.digest


FENCE = ["boards/startup.c", "boards/mpu.c", "boards/mpu_v8.c", "fault.c", "frames.c", "cbor.c"]


@needs_qemu
@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no ARM gcc")
@pytest.mark.parametrize("name", ["nrf5340-dk", "corstone-300"])
def test_armv8m_boards_are_fenced(name: str, tmp_path: Path) -> None:
    profile = get_board(name)
    memory = MemoryMap.of(profile)
    end = memory.layout.ram + memory.ram
    files = [f"firmware_sim/firmware/{file}" for file in [*FENCE, "memory.c", "port_mps2.c"]]
    program = Program(
        sources=("tests/firmware_sim/fence_probe.c", *files),
        script="firmware_sim/firmware/boards/link.ld",
    )
    image = tmp_path / "probe.elf"
    image.write_bytes(compile_program(program, find_core(profile.core)[0], "gcc", ROOT))
    for address, allowed in (
        (end - 4, True),
        (memory.slot_base, True),
        (memory.slot_base + 2 * memory.slot_bytes - 4, True),
        (end, False),
        (memory.layout.image + 0x100, False),
        (memory.layout.info, False),
        (1, False),  # overflows the stack
    ):
        board = replace(profile, clock_hz=address)
        with SimulatedDevice(board, device_id="d", image=image, backend="qemu") as device:
            said = device.port.read(5.0)
            while not said.endswith(b"B") and device.fault is None:
                more = device.port.read(1.0)
                if not more:
                    break
                said += more
            assert said.startswith(b"A"), hex(address)
            assert (said == b"AB") == allowed, hex(address)
            assert (device.fault is None) == allowed, hex(address)


def test_what_is_built_for_speed() -> None:
    sources = [path.as_posix() for path in (ROOT / "edge/learner/src").glob("*.c")]
    fast = [source for source in sources if level_of(source) != "small"]
    assert level_of("edge/learner/src/tl_kernels.c") == "fast"
    assert level_of("edge/learner/src/tl_kernels_vfp.c") == "balanced"
    assert level_of("firmware_sim/firmware/agent.c") == "small"
    assert 2 <= len(fast) < len(sources) / 2
