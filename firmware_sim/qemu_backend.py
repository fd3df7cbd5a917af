"""Boards in QEMU: interrupts, MPU and FPU enable as in silicon; a process of its own."""

import contextlib
import json
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import cbor2

from edge.board_protocol import Key, Op
from edge.errors import MissingExtra, TinyfleetError
from edge.frames import FrameDecoder, encode_frame
from firmware_sim.cores import CORES
from firmware_sim.machine import Fault, Setup, painted_depth
from firmware_sim.memory import STACK_BYTES

__all__ = ["QemuMachine"]

_START_SECONDS = 20.0


class QemuMachine:
    """A board in QEMU; see `firmware_sim.machine.Machine`. Instructions are not counted (0).

    A lockup ends the process, and with it what was written to flash since power-on.
    """

    def __init__(self, setup: Setup) -> None:
        if shutil.which("qemu-system-arm") is None:
            raise MissingExtra(
                "qemu-system-arm is not installed",
                hint="apt-get install --no-install-recommends qemu-system-arm, "
                "or --backend unicorn",
            )
        self._setup = setup
        self.fault: Fault | None = None
        self.instructions = 0
        self._decoder = FrameDecoder()
        self._sensor_error: Exception | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="tinyfleet-")
        self._path = Path(self._folder.name)
        self._process = self._launch()
        try:
            self._link = self._connect("link")
            self._sensor = self._connect("sensor")
            self._control = _Control(self._connect("control"))
        except (TinyfleetError, OSError) as error:
            reason = f"QEMU did not start: {self._log() or error}"
            self._end()
            raise TinyfleetError(reason) from error
        with contextlib.suppress(TinyfleetError):  # a board that crashes at once is read as such
            self._control.ask("cont")
        self._thread = threading.Thread(target=self._serve_sensor, daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Send bytes to UART0."""
        try:
            self._link.sendall(data)
        except OSError:
            self._crashed()

    def read(self, timeout: float) -> bytes:
        """Wait for bytes from UART0."""
        if self.fault is not None or not select.select([self._link], [], [], timeout)[0]:
            return b""
        try:
            data = self._link.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._crashed()
        self._watch(data)
        if (error := self._sensor_error) is not None:
            self._sensor_error = None
            raise error
        return data

    def run(self, budget: int | None) -> None:
        """Nothing to do: the process runs by itself."""

    def peak_stack(self) -> int:
        """Most bytes of stack used, from the paint that is left."""
        return painted_depth(self.memory(self._setup.memory.layout.ram, STACK_BYTES))

    def memory(self, address: int, size: int) -> bytes:
        """Read memory."""
        file = self._path / "memory"
        self._control.ask("memsave", val=address, size=size, filename=str(file))
        return file.read_bytes()

    def interrupt(self) -> None:
        """Nothing to do: a read ends by itself."""

    def power_off(self) -> None:
        """Freeze the board, save its slots, end the process."""
        memory, slots = self._setup.memory, self._setup.slots
        with contextlib.suppress(TinyfleetError):
            self._control.ask("stop")
            slots[:] = self.memory(memory.slot_base, len(slots))
        self._end()

    def _launch(self) -> subprocess.Popen[bytes]:
        setup, path = self._setup, self._path
        layout = setup.memory.layout
        loads = {
            layout.image: setup.image,
            setup.memory.slot_base: setup.slots[:],
            layout.info: setup.info,
        }
        command = ["qemu-system-arm", "-M", CORES[setup.core].qemu, "-display", "none", "-S"]
        for address, data in loads.items():
            file = path / f"{address:08x}.bin"
            file.write_bytes(data)
            command += ["-device", f"loader,file={file},addr={address:#x},force-raw=on"]
        for name in ("link", "sensor", "control"):
            command += ["-chardev", f"socket,id={name},path={path / name},server=on,wait=on"]
        command += ["-serial", "chardev:link", "-serial", "chardev:sensor"]
        command += ["-mon", "chardev=control,mode=control"]
        log = (path / "log").open("wb")
        with log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def _connect(self, name: str) -> socket.socket:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(self._path / name))
            except OSError:
                line.close()
                time.sleep(0.005)
            else:
                return line
        raise TinyfleetError(f"it opened no line called {name}")

    def _serve_sensor(self) -> None:
        while True:
            try:
                requests = self._sensor.recv(4096)
                if not requests:
                    return
                self._sensor.sendall(self._sample(requests))
            except OSError:
                return

    def _sample(self, requests: bytes) -> bytes:
        """The answer, or "no sample left" if the sensor raises; `read` then raises the error."""
        try:
            return self._setup.sensor.answer(requests)
        except Exception as error:
            self._sensor_error = error
            return encode_frame(b"")

    def _watch(self, data: bytes) -> None:
        for payload in self._decoder.push(data):
            try:
                message = cbor2.loads(payload)
            except (cbor2.CBORDecodeError, ValueError):
                continue
            if isinstance(message, dict) and message.get(Key.OP) == Op.FAULT:
                self.fault = Fault("fault", message.get(Key.PC), message.get(Key.ADDRESS))

    def _crashed(self) -> None:
        if self.fault is None:
            self.fault = Fault(f"lockup: {self._log()}")

    def _log(self) -> str:
        file = self._path / "log"
        lines = file.read_text(errors="replace")[:4000].splitlines() if file.exists() else []
        return " ".join(line for line in lines if "waiting for connection" not in line)

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for name in ("_link", "_sensor"):
            if hasattr(self, name):
                getattr(self, name).close()
        if hasattr(self, "_control"):
            self._control.close()
        if hasattr(self, "_thread"):
            self._thread.join(timeout=5)
        self._folder.cleanup()


class _Control:
    """QEMU's machine protocol (QMP), as far as needed."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._file = line.makefile("r")
        self._lock = threading.Lock()
        with contextlib.suppress(OSError):
            self._file.readline()  # the greeting
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> None:
        """Carry out a command; TinyfleetError if QEMU refuses or is gone."""
        message = {"execute": command, "arguments": arguments}
        with self._lock:
            try:
                self._line.sendall(json.dumps(message).encode())
                answers = map(json.loads, iter(self._file.readline, ""))
                answer = next(a for a in answers if "return" in a or "error" in a)
            except (OSError, StopIteration):
                raise TinyfleetError(f"QEMU is gone; it did not answer {command}") from None
        if "error" in answer:
            raise TinyfleetError(f"QEMU refused {command}: {answer['error']['desc']}")

    def close(self) -> None:
        """Close the line."""
        self._file.close()
        self._line.close()
