"""The demo's fleet: a broker, emulated boards and Linux agents, each in a process of its own."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from edge.broker import LocalBroker
from edge.errors import TinyfleetError
from edge.guarded import end_guarded, start_guarded
from edge.mqtt import BrokerOptions

__all__ = ["BOARDS", "TOO_SMALL", "LocalFleet", "fleet_config"]

BOARDS = (
    "nano33ble",
    "nano33ble",
    "stm32f4-discovery",
    "stm32f746-discovery",
    "arduino-due",
    "pico",
)
"""Boards that learn: Cortex-M4F, M7, M3 and M0+."""
TOO_SMALL = "microbit"
"""A board whose RAM cannot hold the training of the demo's model."""
AGENTS = 2
STOP_SECONDS = 10.0


def fleet_config() -> dict[str, Any]:
    """What the journal keeps, so that a resumed run has the same fleet."""
    return {"boards": [*BOARDS, TOO_SMALL], "agents": AGENTS}


class LocalFleet:
    """Broker and devices as a context manager; everything ends with it.

    Args:
        config: see `fleet_config`.
        folder: where each process's log and state go.
        site: the site's name.
        task: whose data the devices have.
        seed: of their sensors.
    """

    def __init__(
        self, config: Mapping[str, Any], *, folder: Path, site: str, task: str, seed: int
    ) -> None:
        self._boards: Sequence[str] = config["boards"]
        self._agents: int = config["agents"]
        self._folder, self._site, self._task, self._seed = folder, site, task, seed
        self._open = ExitStack()
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def size(self) -> int:
        """How many devices it has."""
        return len(self._boards) + self._agents

    @property
    def options(self) -> BrokerOptions:
        """How to reach its broker."""
        return self.broker.options

    def __enter__(self) -> Self:
        """Start the broker, then the devices; they come online by themselves."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opening:
            self.broker = opening.enter_context(LocalBroker())
            opening.callback(self.stop_devices)
            chosen = [part for board in self._boards for part in ("--board", board)]
            self._spawn(
                "boards", ["sim", "run", *chosen, "--task", self._task, "--seed", str(self._seed)]
            )
            for number in range(self._agents):
                name = f"linux-{number + 1}"
                source = f"task:{self._task}:{len(self._boards) + number}"
                state = str(self._folder / name)
                self._spawn(
                    name, ["edge", "run", "--id", name, "--samples", source, "--state", state]
                )
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the devices, then the broker."""
        self._open.close()

    def check(self) -> None:
        """Say which process has ended, and the end of its log.

        Raises:
            TinyfleetError: one has ended.
        """
        for process in self._processes:
            if process.poll() is not None:
                logs = sorted(self._folder.glob("*.log"))
                lines = [path.read_text(errors="replace").strip()[-300:] for path in logs]
                raise TinyfleetError(
                    f"a part of the fleet ended: {' / '.join(filter(None, lines))}"
                )

    def _spawn(self, name: str, arguments: list[str]) -> None:
        link = ["--broker", self.broker.url, "--site", self._site]
        log: IO[bytes] = (self._folder / f"{name}.log").open("wb")
        command = [sys.executable, "-m", "server.cli", *arguments, *link]
        # What data there is has been fetched by now, once for all.
        with log:
            self._processes.append(
                start_guarded(command, log, environment={"TINYFLEET_OFFLINE": "1"})
            )

    def stop_devices(self) -> None:
        """End the devices; they say goodbye at the broker. A second call does nothing."""
        end_guarded(*self._processes, timeout=STOP_SECONDS)
        self._processes.clear()
