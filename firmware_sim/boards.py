"""Boards that can be emulated, with the figures of their data sheets."""

from edge.errors import UsageError
from edge.profile import DeviceProfile

__all__ = ["BOARDS", "get_board"]

_KB = 1024

_PROFILES = (
    DeviceProfile(
        name="nano33ble",
        title="Arduino Nano 33 BLE Sense",
        manufacturer="Arduino",
        core="cortex-m4f",
        flash=1024 * _KB,
        ram=256 * _KB,
        clock_hz=64_000_000,
        fpu=True,
        sensors=(
            "accelerometer",
            "gyroscope",
            "magnetometer",
            "microphone",
            "proximity",
            "light",
            "pressure",
            "temperature",
            "humidity",
        ),
        url="https://docs.arduino.cc/hardware/nano-33-ble-sense/",
    ),
    DeviceProfile(
        name="stm32f4-discovery",
        title="STM32F4 Discovery (128 kB of its 192 kB RAM, the contiguous part)",
        manufacturer="STMicroelectronics",
        core="cortex-m4f",
        flash=1024 * _KB,
        ram=128 * _KB,
        clock_hz=168_000_000,
        fpu=True,
        sensors=("accelerometer", "microphone"),
        url="https://www.st.com/en/evaluation-tools/stm32f4discovery.html",
    ),
    DeviceProfile(
        name="stm32f746-discovery",
        title="STM32F746G Discovery",
        manufacturer="STMicroelectronics",
        core="cortex-m7",
        flash=1024 * _KB,
        ram=320 * _KB,
        clock_hz=216_000_000,
        fpu=True,
        sensors=("microphone", "touchscreen"),
        url="https://www.st.com/en/evaluation-tools/32f746gdiscovery.html",
    ),
    DeviceProfile(
        name="microbit",
        title="BBC micro:bit v1",
        manufacturer="Micro:bit Educational Foundation",
        core="cortex-m0",
        flash=256 * _KB,
        ram=16 * _KB,
        clock_hz=16_000_000,
        fpu=False,
        sensors=("accelerometer", "magnetometer", "light", "temperature"),
        url="https://tech.microbit.org/hardware/",
    ),
    DeviceProfile(
        name="pico",
        title="Raspberry Pi Pico",
        manufacturer="Raspberry Pi",
        core="cortex-m0",
        flash=2048 * _KB,
        ram=264 * _KB,
        clock_hz=133_000_000,
        fpu=False,
        sensors=("temperature",),
        url="https://www.raspberrypi.com/products/raspberry-pi-pico/",
    ),
    DeviceProfile(
        name="arduino-due",
        title="Arduino Due",
        manufacturer="Arduino",
        core="cortex-m3",
        flash=512 * _KB,
        ram=96 * _KB,
        clock_hz=84_000_000,
        fpu=False,
        url="https://docs.arduino.cc/hardware/due/",
    ),
    DeviceProfile(
        name="nucleo-f103rb",
        title="STM32 Nucleo-64 F103RB",
        manufacturer="STMicroelectronics",
        core="cortex-m3",
        flash=128 * _KB,
        ram=20 * _KB,
        clock_hz=72_000_000,
        fpu=False,
        url="https://www.st.com/en/evaluation-tools/nucleo-f103rb.html",
    ),
    DeviceProfile(
        name="nrf5340-dk",
        title="nRF5340 DK (its application core)",
        manufacturer="Nordic Semiconductor",
        core="cortex-m33",
        flash=1024 * _KB,
        ram=512 * _KB,
        clock_hz=128_000_000,
        fpu=True,
        url="https://www.nordicsemi.com/Products/Development-hardware/nRF5340-DK",
    ),
    DeviceProfile(
        name="nucleo-u575zi",
        title="STM32 Nucleo-144 U575ZI-Q (768 kB of its 786 kB RAM, the contiguous part)",
        manufacturer="STMicroelectronics",
        core="cortex-m33",
        flash=2048 * _KB,
        ram=768 * _KB,
        clock_hz=160_000_000,
        fpu=True,
        url="https://www.st.com/en/evaluation-tools/nucleo-u575zi-q.html",
    ),
    DeviceProfile(
        name="corstone-300",
        title="Arm MPS3 with AN547 (FPGA; its two tightly coupled memories; QEMU only)",
        manufacturer="Arm",
        core="cortex-m55",
        flash=508 * _KB,
        ram=512 * _KB,
        clock_hz=32_000_000,
        fpu=True,
        url="https://developer.arm.com/Tools%20and%20Software/MPS3%20FPGA%20Prototyping%20Board",
    ),
)

BOARDS: dict[str, DeviceProfile] = {profile.name: profile for profile in _PROFILES}
"""Profiles by name."""


def get_board(name: str) -> DeviceProfile:
    """Look a board up; UsageError with all names if there is none of this one."""
    try:
        return BOARDS[name]
    except KeyError:
        raise UsageError(f"no board is called {name!r}", hint=", ".join(sorted(BOARDS))) from None
