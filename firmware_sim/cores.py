"""Processor cores that there is firmware for: compiler flags, memory layout, emulators."""

from dataclasses import dataclass

from edge.errors import UsageError

__all__ = ["CORES", "Core", "Layout", "find_core"]


@dataclass(frozen=True)
class Layout:
    """Where a core's emulated machine has its memory; addresses.

    Args:
        image: flash: the image, then both slots.
        info: the info page.
        ram: RAM, the stack first.
        uart: the link's UART; the sensor's is one page on.
        interrupts: bits of the two receivers in their NVIC word.
        nvic_word: which word of 32 interrupts that is.
    """

    image: int = 0x0000_0000
    info: int = 0x003F_F000
    ram: int = 0x2000_0000
    uart: int = 0x4000_4000
    interrupts: int = 0b101
    nvic_word: int = 0

    @property
    def defines(self) -> list[str]:
        """The same for the C sources."""
        values = {
            "BOARD_IMAGE_BASE": self.image,
            "BOARD_INFO_ADDRESS": self.info,
            "BOARD_RAM_BASE": self.ram,
            "BOARD_UART_BASE": self.uart,
            "BOARD_RX_INTERRUPTS": self.interrupts,
            "BOARD_NVIC_WORD": self.nvic_word,
        }
        return [f"-D{name}={value:#x}u" for name, value in values.items()]


@dataclass(frozen=True)
class Core:
    """A core, as the toolchains and emulators name it.

    Args:
        profile: name in `DeviceProfile.core`.
        zig: flags of zig.
        gcc: flags of arm-none-eabi-gcc.
        qemu: machine in QEMU.
        unicorn: name of the model in Unicorn; empty where it has none.
        layout: memory of that machine.
    """

    profile: str
    zig: tuple[str, ...]
    gcc: tuple[str, ...]
    qemu: str
    unicorn: str
    layout: Layout = Layout()


_SOFT = ("-target", "thumb-freestanding-eabi")
_HARD = ("-target", "thumb-freestanding-eabihf")

# ARMv8-M cores come out of reset in the Secure state, so they run at the Secure aliases.
_AN505 = Layout(0x1000_0000, 0x103F_F000, 0x3800_0000, 0x5020_0000, 0b101, 1)
_AN547 = Layout(0x1000_0000, 0x1007_F000, 0x3000_0000, 0x5930_3000, 0b1010, 1)

CORES: dict[str, Core] = {
    # An M0 image runs on the M3 board of QEMU: ARMv6-M is a subset of ARMv7-M.
    "m0": Core(
        "cortex-m0",
        (*_SOFT, "-mcpu=cortex_m0"),
        ("-mcpu=cortex-m0",),
        "mps2-an385",
        "UC_CPU_ARM_CORTEX_M0",
    ),
    "m3": Core(
        "cortex-m3",
        (*_SOFT, "-mcpu=cortex_m3"),
        ("-mcpu=cortex-m3",),
        "mps2-an385",
        "UC_CPU_ARM_CORTEX_M3",
    ),
    "m4f": Core(
        "cortex-m4f",
        (*_HARD, "-mcpu=cortex_m4+vfp4d16sp"),
        ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
        "mps2-an386",
        "UC_CPU_ARM_CORTEX_M4",
    ),
    "m7": Core(
        "cortex-m7",
        (*_HARD, "-mcpu=cortex_m7+fp_armv8d16sp"),
        ("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
        "mps2-an500",
        "UC_CPU_ARM_CORTEX_M7",
    ),
    "m33": Core(
        "cortex-m33",
        (*_HARD, "-mcpu=cortex_m33+dsp+fp_armv8d16sp"),
        ("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
        "mps2-an505",
        "UC_CPU_ARM_CORTEX_M33",
        _AN505,
    ),
    # Vectors of floats are left out: they flush subnormal numbers to 0, and weights must have
    # the same bits on every core.
    "m55": Core(
        "cortex-m55",
        (*_HARD, "-mcpu=cortex_m55+mve-mve_fp+fp_armv8d16sp"),
        ("-mcpu=cortex-m55+nomve.fp", "-mfloat-abi=hard"),
        "mps3-an547",
        "",
        _AN547,
    ),
}
"""Cores that there is an image for."""


def find_core(name: str) -> tuple[str, Core]:
    """A core by `m4f` or `cortex-m4f`, with its short name; UsageError if unknown."""
    short = name.removeprefix("cortex-")
    if short not in CORES:
        raise UsageError(f"no firmware for core {name!r}", hint=", ".join(CORES))
    return short, CORES[short]
