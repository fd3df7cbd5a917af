"""What was learnt is written down in time also where no further sample comes."""

import errno
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.broker import LocalBroker, find_mosquitto
from edge.errors import TinyfleetError
from edge.host import HostWorker
from edge.learnt import LearntFiles
from edge.messages import Command, Plan
from edge.session import DeviceSession
from edge.store import ArtefactStore
from tests.edge.hub import SITE, Hub
from tests.edge.killed import learnt_after, until
from tests.edge.models import model, samples, sensor, sha

X, Y = samples()
PLAN = Plan("s", 0.1, 16)


class Pausing:
    """Gives what is put into it, and waits for more."""

    def __init__(self) -> None:
        self.coming: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self.taken = threading.Semaphore(0)

    def give(self, *which: int) -> None:
        """Return as soon as the sample after these is waited for."""
        for index in which:
            self.coming.put(index)
        for _ in which:
            assert self.taken.acquire(timeout=10)

    def next_sample(self) -> tuple[np.ndarray, np.ndarray]:
        index = self.coming.get()
        if index is None:
            raise StopIteration
        self.taken.release()
        return X[index], np.array([Y[index]], np.float32)

    def rewind(self) -> None:
        pass


@pytest.fixture
def pausing() -> Iterator[Pausing]:
    found = Pausing()
    yield found
    found.coming.put(None)


def learning(folder: Path, pausing: Pausing, keep_every: float) -> HostWorker:
    """A worker whose round waits for its seventh sample."""
    worker = HostWorker(pausing, store=ArtefactStore(folder), keep_every=keep_every)
    worker.deploy(model())

    def learn() -> None:
        with pytest.raises(TinyfleetError):
            worker.train(model(), PLAN)

    threading.Thread(target=learn, daemon=True).start()
    pausing.give(*range(6))
    until(lambda: worker.waiting and worker._keeper.made == 6)
    return worker


def woken(folder: Path) -> bytes:
    return HostWorker(sensor(), store=ArtefactStore(folder)).predict(X).tobytes()


def expected(steps: int) -> bytes:
    return bytes(learnt_after(model(), X, Y, 0.1)[steps].tobytes())


def test_steps_are_written_while_the_sensor_pauses(tmp_path: Path, pausing: Pausing) -> None:
    worker = learning(tmp_path, pausing, keep_every=0.05)
    until(lambda: not worker._keeper._unwritten)
    assert woken(tmp_path) == expected(6)
    number = LearntFiles(tmp_path).number
    pausing.give(6)
    until(lambda: LearntFiles(tmp_path).number > number)
    assert woken(tmp_path) == expected(7)
    worker.close()


def test_steps_are_written_at_the_end_whatever_the_interval(
    tmp_path: Path, pausing: Pausing
) -> None:
    worker = learning(tmp_path, pausing, keep_every=3600)
    assert LearntFiles(tmp_path).number == 0
    worker.stop()
    worker.close()
    assert woken(tmp_path) == expected(6)
    pausing.give(6)  # comes too late
    until(lambda: not worker.waiting)
    assert woken(tmp_path) == expected(6)


def test_a_disk_that_refuses_is_told_once_and_tried_again(
    tmp_path: Path,
    pausing: Pausing,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("edge.keeping._RETRY", 0.02)
    tries = threading.Semaphore(0)

    def full(*_: object) -> None:
        tries.release()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("edge.learnt.replace_file", full)
        worker = learning(tmp_path, pausing, keep_every=0.01)
        for _ in range(3):
            assert tries.acquire(timeout=10)
    until(lambda: not worker._keeper._unwritten)
    assert woken(tmp_path) == expected(6)
    assert caplog.text.count("A restart will lose it") == 1
    worker.close()


def test_forgotten_weights_are_not_written_over_those_of_a_new_model(
    tmp_path: Path, pausing: Pausing
) -> None:
    worker = learning(tmp_path, pausing, keep_every=3600)
    pausing.coming.put(None)
    until(lambda: not worker._keeper.lock.locked() and not worker.waiting)
    worker.deploy(model(2))
    worker.close()
    assert LearntFiles(tmp_path).number == 0
    assert HostWorker(sensor(), store=ArtefactStore(tmp_path)).running == sha(model(2))


@pytest.mark.skipif(find_mosquitto() is None, reason="no Mosquitto")
def test_a_session_that_ends_in_a_round_keeps_its_steps_and_sends_nothing(
    broker: LocalBroker, hub: Hub, tmp_path: Path
) -> None:
    worker = HostWorker(sensor(), store=ArtefactStore(tmp_path), keep_every=3600)
    with DeviceSession(broker.options, SITE.device("d1"), worker):
        hub.state("online")
        base = hub.publish_model(model())
        assert hub.ask(Command("deploy", "c1", base=base)).ok
        hub.offer(base, plan=Plan("s", 0.05, 5_000_000))
        until(lambda: worker._keeper.made > 100)
    assert hub.state("offline").running == base
    learnt, _ = next(LearntFiles(tmp_path).found(base))
    at = np.arange(learnt.made) % len(X)
    oracle = learnt_after(model(), X[at], Y[at], 0.05)[-1]
    again = HostWorker(sensor(), store=ArtefactStore(tmp_path))
    assert again.predict(X[at]).tobytes() == oracle.tobytes()
    assert hub.payloads("update") == []
