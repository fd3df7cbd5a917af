"""A broker of our own, for one machine: Mosquitto where it is installed, else amqtt.

It listens on loopback only, without login, and ends with the process that started it.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from edge.errors import BrokerUnreachable, MissingExtra, UsageError
from edge.guarded import end_guarded, start_guarded
from edge.mqtt import BrokerOptions
from edge.sockets import LOOPBACK, answers, free_port

__all__ = ["Kind", "LocalBroker", "find_mosquitto", "has_amqtt"]

Kind = Literal["mosquitto", "amqtt"]

MAX_PACKET = 16 * 1024 * 1024
_START_SECONDS = 15.0
_OUTSIDE_PATH = (Path("/usr/sbin"), Path("/usr/local/sbin"), Path("/opt/homebrew/sbin"))


def find_mosquitto() -> Path | None:
    """Where Mosquitto is: on PATH, or in a system folder that a user's PATH leaves out."""
    found = shutil.which("mosquitto")
    if found:
        return Path(found)
    return next((p for d in _OUTSIDE_PATH if os.access(p := d / "mosquitto", os.X_OK)), None)


def has_amqtt() -> bool:
    """Whether the pip broker is installed."""
    return importlib.util.find_spec("amqtt") is not None


class LocalBroker:
    """A broker on 127.0.0.1 as a context manager.

    Args:
        port: TCP port; 0: a free one.
        kind: which broker; `auto`: Mosquitto if found, else amqtt.
        directory: folder to keep retained messages in over restarts (Mosquitto); None: none kept.
        listener: Mosquitto configuration lines instead of `allow_anonymous true`, for login or TLS.

    Raises:
        UsageError: there is no broker of that kind.
        MissingExtra: the broker asked for, or any, is not installed.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        kind: Kind | Literal["auto"] = "auto",
        directory: Path | None = None,
        listener: Sequence[str] = ("allow_anonymous true",),
    ) -> None:
        """Choose broker and port; `start` starts it."""
        if kind not in ("auto", "mosquitto", "amqtt"):
            raise UsageError(f"no broker is called {kind!r}.", hint="mosquitto, amqtt or auto")
        best: Kind = "mosquitto" if find_mosquitto() else "amqtt"
        self.kind: Kind = best if kind == "auto" else kind
        self.port = port
        self._fixed = port != 0
        self._directory = directory
        self._listener = listener
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if not (find_mosquitto() if self.kind == "mosquitto" else has_amqtt()):
            raise MissingExtra(
                "no MQTT broker is installed here."
                if kind == "auto"
                else f"the broker {self.kind} is not installed here.",
                hint="apt-get install mosquitto, or pip install 'tinyfleet[broker]'",
            )

    @property
    def url(self) -> str:
        """Its URL."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    @property
    def options(self) -> BrokerOptions:
        """Options to connect to it."""
        return BrokerOptions(url=self.url)

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it and wait until it takes connections.

        Raises:
            BrokerUnreachable: the port is taken, or it ended or did not answer in time.
        """
        for left in reversed(range(1 if self._fixed else 3)):
            if not self._fixed:
                self.port = free_port()
            elif answers(self.port):
                raise BrokerUnreachable(
                    f"port {self.port} is taken on {LOOPBACK}.", hint="another port, or 0"
                )
            problem = self._launch()
            if problem is None:
                return self
            self.stop()
            if not left:
                break
        raise BrokerUnreachable(f"{self.kind} did not start: {problem}")

    def stop(self) -> None:
        """End it; retained messages are written first where a directory was given."""
        process, self._process = self._process, None
        if process is not None:
            end_guarded(process, timeout=5.0)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it ends by itself; gives its exit code, or None after `timeout` seconds."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def _launch(self) -> str | None:
        """Start the process; gives None once it answers, else the end of its log."""
        self._folder = tempfile.TemporaryDirectory(prefix="tinyfleet-broker-")
        folder = Path(self._folder.name)
        log_path = folder / "log"
        with log_path.open("wb") as log:
            self._process = start_guarded(self._command(folder), log)
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            if answers(self.port):
                return None
            time.sleep(0.02)
        lines = log_path.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it gave no reason."

    def _command(self, folder: Path) -> list[str]:
        if self.kind == "amqtt":
            return [sys.executable, "-m", "edge.broker_amqtt", str(self.port)]
        config = folder / "mosquitto.conf"
        config.write_text("\n".join(self._configuration()) + "\n")
        return [str(find_mosquitto()), "-c", str(config)]

    def _configuration(self) -> list[str]:
        lines = [
            f"listener {self.port} {LOOPBACK}",
            *self._listener,
            "set_tcp_nodelay true",
            f"max_packet_size {MAX_PACKET}",
            "max_inflight_messages 100",
            "max_queued_messages 100000",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
        ]
        if os.geteuid() == 0:
            lines.append("user root")
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
            lines += ["persistence true", f"persistence_location {self._directory.resolve()}/"]
        return lines
