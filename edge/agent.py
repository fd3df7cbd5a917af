"""The agent of a Linux device: a session over a host worker, until it is told to stop."""

import _thread
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from edge.host import HostWorker
from edge.keeping import KEEP_EVERY
from edge.mqtt import BrokerOptions
from edge.ports import Sensor
from edge.profile import DeviceProfile
from edge.session import DeviceSession
from edge.store import ArtefactStore
from edge.topics import DeviceTopics

__all__ = ["HostWorker", "run_agent", "until_signal"]


def run_agent(
    options: BrokerOptions,
    *,
    site: str,
    device: str,
    sensor: Sensor,
    state: Path | None = None,
    profile: DeviceProfile | None = None,
    arena: int | None = None,
    keep_every: float = KEEP_EVERY,
    stop: threading.Event | None = None,
    on_ready: Callable[[DeviceSession], None] | None = None,
) -> bool:
    """Run until SIGTERM, Ctrl-C or `stop`; what was learnt is kept.

    Args:
        options: where the broker is.
        site: the site's name.
        device: the device's name.
        sensor: its samples.
        state: folder that keeps the active artefact and what was learnt over restarts, one agent's
            alone; None: nothing is kept.
        profile: what the machine is; None: this one.
        arena: bytes that the learner may use; None: a quarter of the RAM.
        keep_every: seconds of learning that a crash may lose; 0: none.
        stop: set it to end the agent from another thread.
        on_ready: called once the agent is connected.

    Returns:
        Whether it was told to end; False: Ctrl-C did.

    Raises:
        BrokerUnreachable: no broker answers, or it refuses.
        UsageError: a name is not allowed, the folder cannot be made, or another agent has it.
    """
    topics = DeviceTopics(site, device)
    with ExitStack() as opened:
        if state is not None:
            from edge.claim import claimed  # of Linux; gateways on other systems import this file

            opened.enter_context(claimed(state))
        store = None if state is None else ArtefactStore(state)
        worker = HostWorker(
            sensor, store=store, profile=profile, arena=arena, keep_every=keep_every
        )
        ended = opened.enter_context(until_signal(stop))
        session = opened.enter_context(DeviceSession(options, topics, worker))
        try:
            if on_ready is not None:
                on_ready(session)
            ended.wait()
        except KeyboardInterrupt:
            return False
    return True


@contextmanager
def until_signal(stop: threading.Event | None = None) -> Iterator[threading.Event]:
    """An event that SIGTERM sets too, while the body runs; Ctrl-C raises as always.

    Args:
        stop: the event to use; None: a new one.
    """
    ended = stop or threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        # The signal may come while this thread holds a lock of the event, or of `threading`.
        _thread.start_new_thread(ended.set, ())

    if threading.current_thread() is not threading.main_thread():
        yield ended
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield ended
    finally:
        signal.signal(signal.SIGTERM, before)
