"""Fleets of emulated boards on this machine: each with a client's data, behind one gateway."""

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, cast, get_args

from edge.errors import UsageError
from edge.gateway import Gateway
from edge.mqtt import BrokerOptions
from firmware_sim.boards import get_board
from firmware_sim.device import SimulatedDevice
from server.presets import SHOTS
from server.tasks import EpisodeSensor, Split, get_task

__all__ = ["EmulatedFleet", "Member", "check_client", "members", "task_sensor"]


@dataclass(frozen=True)
class Member:
    """One device of a fleet: its name, its board, and the client whose data it owns."""

    device: str
    board: str
    client: int


def members(boards: Sequence[str], *, prefix: str, first_client: int) -> list[Member]:
    """Name the devices of a fleet: prefix-1, prefix-2, ... with clients in order.

    Raises:
        UsageError: an unknown board.
    """
    for board in boards:
        get_board(board)
    return [
        Member(f"{prefix}-{number + 1}", board, first_client + number)
        for number, board in enumerate(boards)
    ]


def check_client(task: str, client: int, split: str = "train") -> None:
    """Refuse a client that a task does not have; a fleet may go on from the first after the last.

    Raises:
        UsageError: an unknown task or split, or no such client.
    """
    splits = get_args(Split)
    if split not in splits:
        raise UsageError(f"split {split!r} is unknown.", hint=" or ".join(splits))
    count = get_task(task).clients(cast(Split, split))
    if not 0 <= client < count:
        raise UsageError(
            f"{task} has no {split} client {client}.", hint=f"a number from 0 to {count - 1}"
        )


def task_sensor(task: str, *, client: int, split: Split = "train", seed: int = 0) -> EpisodeSensor:
    """A sensor that gives one client's support sets, episode after episode.

    Raises:
        UsageError: an unknown task.
    """
    chosen = get_task(task)
    return EpisodeSensor(
        chosen.client(client, split), shots=SHOTS[chosen.name], seed=seed * 1_000_003 + client
    )


class EmulatedFleet:
    """Emulated boards as a context manager: powered on, online at the broker, and off again.

    Args:
        options: where the broker is.
        fleet: the devices.
        site: the site's name.
        task: whose data the sensors give.
        split: train or test clients of the task.
        backend: unicorn, qemu or auto.
        seed: of the sensors.
    """

    def __init__(
        self,
        options: BrokerOptions,
        fleet: Sequence[Member],
        *,
        site: str,
        task: str,
        split: str = "train",
        backend: str = "auto",
        seed: int = 0,
    ) -> None:
        self._options, self._fleet, self._site = options, fleet, site
        self._task, self._split, self._seed = task, cast(Split, split), seed
        self._backend = cast(Literal["auto", "unicorn", "qemu"], backend)
        self._open = ExitStack()
        self._ended = threading.Event()
        self.devices: dict[str, SimulatedDevice] = {}

    def __enter__(self) -> Self:
        """Power the boards on and bring them online."""
        with ExitStack() as opening:
            gateway = opening.enter_context(Gateway(self._options, self._site))
            for member in self._fleet:
                sensor = task_sensor(
                    self._task, client=member.client, split=self._split, seed=self._seed
                )
                device = SimulatedDevice(
                    member.board,
                    device_id=member.device,
                    backend=self._backend,
                    sensor=sensor,
                )
                self.devices[member.device] = opening.enter_context(device)
                gateway.add(member.device, device.port, profile=device.profile)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the boards offline and cut their power."""
        self._open.close()

    def wait(self) -> None:
        """Wait for Ctrl-C or SIGTERM."""
        from edge.agent import until_signal

        with until_signal(self._ended) as ended:
            while not ended.is_set():
                time.sleep(0.2)
