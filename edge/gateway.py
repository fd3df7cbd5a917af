"""The gateway: boards on serial lines, each a device of its own at the broker."""

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from edge.agent import until_signal
from edge.board import BoardWorker, Meters
from edge.errors import MissingExtra, UsageError
from edge.mqtt import BrokerOptions
from edge.ports import SerialPort
from edge.profile import DeviceProfile
from edge.session import DeviceSession
from edge.topics import DeviceTopics

__all__ = ["BoardWorker", "Gateway", "SerialLine", "open_serial", "run_gateway"]


class SerialLine:
    """A real serial port, by pyserial's name for it.

    Args:
        name: `/dev/ttyACM0`, `COM3`, `socket://host:port`, ...
        baud: bits per second.

    Raises:
        MissingExtra: pyserial is not installed.
        UsageError: there is no such port, or it is in use.
    """

    def __init__(self, name: str, baud: int = 115_200) -> None:
        """Open the port."""
        try:
            import serial
        except ImportError:
            raise MissingExtra(
                "a real serial port needs pyserial.", hint="pip install 'tinyfleet[serial]'"
            ) from None
        try:
            self._port: Any = serial.serial_for_url(name, baudrate=baud, timeout=0)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"the serial port {name!r} cannot be opened: {error}", hint="ls /dev/tty*"
            ) from error

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._port.write(data)

    def read(self, timeout: float) -> bytes:
        """Wait for the first byte, then give all that are there."""
        self._port.timeout = timeout
        first = bytes(self._port.read(1))
        return first + bytes(self._port.read(self._port.in_waiting)) if first else b""

    def close(self) -> None:
        """Close the port."""
        self._port.close()


def open_serial(name: str) -> SerialPort:
    """Open a real serial port by name, see `SerialLine`."""
    return SerialLine(name)


class Gateway:
    """Many boards, one session and one thread each; keeps nothing that a board does not.

    Args:
        options: where the broker is.
        site: the site's name.
        check_every: seconds of idleness after which a board is asked whether it still answers.
    """

    def __init__(self, options: BrokerOptions, site: str, *, check_every: float = 5.0) -> None:
        """Start without boards."""
        self._check_every = check_every
        self._options = options
        self._site = site
        self.sessions: dict[str, DeviceSession] = {}

    def add(
        self,
        device: str,
        port: SerialPort,
        *,
        profile: DeviceProfile | None = None,
        meters: Meters | None = None,
        **client: Any,
    ) -> DeviceSession:
        """Bring one board online.

        Args:
            device: the board's name in the site.
            port: the line to it; closed with the gateway.
            profile: what the board is; None: what it says itself.
            meters: see `BoardWorker`.
            client: see `BoardWorker`.

        Raises:
            BoardError: the board does not answer.
            BrokerUnreachable: no broker answers, or it refuses.
            UsageError: the name is not allowed, or taken.
        """
        try:
            topics = DeviceTopics(self._site, device)
            if device in self.sessions:
                raise UsageError(f"two boards are called {device!r}.", hint="one name for each")
            worker = BoardWorker(port, profile=profile, meters=meters, **client)
            session = DeviceSession(
                self._options, topics, worker, check_every=self._check_every
            ).start()
        except BaseException:
            port.close()
            raise
        self.sessions[device] = session
        return session

    def remove(self, device: str) -> None:
        """Take one board offline."""
        self.sessions.pop(device).stop()

    def stop(self) -> None:
        """Take all boards offline and close their lines."""
        for device in list(self.sessions):
            self.remove(device)

    def __enter__(self) -> Self:
        """Nothing is started before `add`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()


def run_gateway(
    options: BrokerOptions,
    *,
    site: str,
    ports: Mapping[str, str],
    stop: threading.Event | None = None,
    on_ready: Callable[[Gateway], None] | None = None,
) -> None:
    """Serve boards on real serial ports until SIGTERM, Ctrl-C or `stop`.

    Args:
        options: where the broker is.
        site: the site's name.
        ports: serial port by device name.
        stop: set it to end the gateway from another thread.
        on_ready: called once all boards are online.

    Raises:
        MissingExtra: pyserial is not installed.
        UsageError: a port cannot be opened, or a name is not allowed.
        BoardError: a board does not answer.
        BrokerUnreachable: no broker answers, or it refuses.
    """
    with until_signal(stop) as ended, Gateway(options, site) as gateway:
        for device, name in ports.items():
            gateway.add(device, open_serial(name))
        if on_ready is not None:
            on_ready(gateway)
        ended.wait()
