"""A simulated microcontroller: a board profile, our firmware, a serial port and a sensor."""

import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from edge.errors import TinyfleetError, UsageError
from edge.ports import Sensor
from edge.profile import DeviceProfile
from firmware_sim.boards import get_board
from firmware_sim.build import image_path
from firmware_sim.cores import CORES, find_core
from firmware_sim.image import load_image
from firmware_sim.machine import Fault, Machine, Setup, erased_slots
from firmware_sim.memory import MemoryMap
from firmware_sim.sensor import SensorLine
from firmware_sim.trace import BlockTrace

if TYPE_CHECKING:
    from firmware_sim.power_cut import FlashWatch
    from firmware_sim.unicorn_backend import UnicornMachine

__all__ = ["DevicePort", "SimulatedDevice"]

Backend = Literal["auto", "unicorn", "qemu"]
_PATIENCE = 0.01  # seconds between two tries to stop a board that runs in another thread


class SimulatedDevice:
    """One emulated board running our firmware.

    Args:
        board: a name from `BOARDS`, or a profile.
        device_id: what the board calls itself, up to 64 bytes of UTF-8.
        backend: `unicorn` (in this process, runs while somebody reads its port), `qemu`, or
            `auto`: unicorn, and qemu for a core that Unicorn does not have.
        image: firmware; the prebuilt image of the board's core if not given.
        sensor: where the board's samples come from; None: it has none.
        count_instructions: count exactly (Unicorn only); about ten times slower.
        trace: told of every basic block that runs (Unicorn only).

    Attributes:
        backend: the emulator that it runs in.
        port: the serial line to the board.
        profile: the board.

    Raises:
        UsageError: an unknown board or backend, or a board too small for the firmware.
        MissingExtra: the backend is not installed (when started).
    """

    def __init__(
        self,
        board: str | DeviceProfile,
        *,
        device_id: str,
        backend: Backend = "auto",
        image: Path | None = None,
        sensor: Sensor | None = None,
        count_instructions: bool = False,
        trace: BlockTrace | None = None,
    ) -> None:
        if backend not in ("auto", "unicorn", "qemu"):
            raise UsageError(f"no backend is called {backend!r}", hint="auto, unicorn, qemu")
        self.profile = get_board(board) if isinstance(board, str) else board
        core = find_core(self.profile.core)[0]
        if backend == "auto":
            backend = "unicorn" if CORES[core].unicorn else "qemu"
        self.backend: Backend = backend
        self.device_id = device_id
        self.port = DevicePort(self)
        memory = MemoryMap.of(self.profile)
        self._setup = Setup(
            core=core,
            memory=memory,
            image=load_image(image or image_path(self.profile.core), memory.layout.image),
            info=memory.info_page(device_id),
            slots=erased_slots(memory),
            sensor=SensorLine(sensor),
            count_instructions=count_instructions,
            trace=trace,
        )
        self._lock = threading.RLock()
        self._machine: Machine | None = None

    def start(self) -> Self:
        """Power the board on; nothing happens if it is on."""
        with self._lock:
            if self._machine is None:
                self._machine = _make(self.backend, self._setup)
        return self

    def close(self) -> None:
        """Power it off for good; a second call does nothing."""
        self.kill()

    def __enter__(self) -> Self:
        """Power the board on."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Power it off."""
        self.close()

    def run(self, budget: int | None = None) -> None:
        """Run until the board idles, or for `budget` instructions (Unicorn only)."""
        with self._lock:
            self._powered().run(budget)

    def kill(self) -> None:
        """Cut the power, from any thread and at any moment; flash keeps what it holds."""
        while not self._lock.acquire(timeout=_PATIENCE):
            if (machine := self._machine) is not None:
                machine.interrupt()
        try:
            if self._machine is not None:
                self._machine.power_off()
                self._machine = None
        finally:
            self._lock.release()

    def watch_flash(self, cut_after: int | None = None) -> "FlashWatch":
        """Count what the board writes to flash from now on (Unicorn only), until power-off.

        Args:
            cut_after: the power fails after this many bytes, also amid a word or an erasure: the
                board is silent until `restart`. None: only count.
        """
        with self._lock:
            return self._in_unicorn("flash is watched").watch_flash(cut_after)

    def watch_blocks(self, trace: BlockTrace) -> None:
        """Tell a trace of every basic block from now on (Unicorn only), until power-off.

        What runs before is emulated ten times faster than with `trace` from the start.
        """
        with self._lock:
            self._in_unicorn("blocks are watched").watch_blocks(trace)

    def _in_unicorn(self, what: str) -> "UnicornMachine":
        from firmware_sim.unicorn_backend import UnicornMachine

        machine = self._powered()
        if not isinstance(machine, UnicornMachine):
            raise UsageError(f"{what} in Unicorn only.", hint="backend='unicorn'")
        return machine

    def restart(self) -> None:
        """Power off and on: RAM is lost, flash stays."""
        self.kill()
        self.start()

    @property
    def running(self) -> bool:
        """Whether the board has power."""
        return self._machine is not None

    @property
    def instructions(self) -> int:
        """Instructions since power-on; 0 unless `count_instructions` (Unicorn only)."""
        with self._lock:
            return 0 if self._machine is None else self._machine.instructions

    @property
    def peak_stack(self) -> int:
        """Most bytes of stack used since power-on."""
        with self._lock:
            return self._powered().peak_stack()

    def memory(self, address: int, size: int) -> bytes:
        """Bytes of the board's memory."""
        with self._lock:
            return self._powered().memory(address, size)

    def flash(self, offset: int, data: bytes) -> None:
        """Write into the slots, from the start of slot A, while the board has no power."""
        if self.running:
            raise TinyfleetError(f"{self.device_id} has power", hint="kill() first")
        self._setup.slots[offset : offset + len(data)] = data

    @property
    def fault(self) -> Fault | None:
        """Why the board has crashed; None if it has not."""
        with self._lock:
            return None if self._machine is None else self._machine.fault

    @property
    def samples(self) -> int:
        """Samples that the sensor has handed out."""
        return self._setup.sensor.samples

    def _powered(self) -> Machine:
        if self._machine is None:
            raise TinyfleetError(f"{self.device_id} has no power", hint="start() or restart()")
        return self._machine


class DevicePort:
    """The serial line to a simulated board; may be used from any thread.

    A board without power, or a crashed one, neither takes nor gives bytes.
    """

    def __init__(self, device: SimulatedDevice) -> None:
        self._device = device

    def write(self, data: bytes, /) -> None:
        """Send bytes to the board."""
        with self._device._lock:
            if self._device._machine is not None:
                self._device._machine.write(bytes(data))

    def read(self, timeout: float, /) -> bytes:
        """Give what the board sends within `timeout` seconds.

        Returns:
            `b""` if nothing came, in Unicorn as soon as it is certain that nothing will.
        """
        with self._device._lock:
            machine = self._device._machine
            return b"" if machine is None else machine.read(timeout)

    def close(self) -> None:
        """Nothing to give back: the board goes on."""


def _make(backend: Backend, setup: Setup) -> Machine:
    if backend == "unicorn":
        from firmware_sim.unicorn_backend import UnicornMachine

        return UnicornMachine(setup)
    from firmware_sim.qemu_backend import QemuMachine

    return QemuMachine(setup)
