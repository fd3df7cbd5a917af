"""The power fails at a byte that the board writes to flash: it always boots a whole model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge.board_protocol import BoardClient, BoardError
from edge.learner import OnlineLearner
from edge.self_test import SelfTest
from firmware_sim.device import SimulatedDevice
from firmware_sim.power_cut import FlashWatch

X = np.array([0.25], np.float32)
Action = Callable[[BoardClient], object]


@pytest.fixture
def jobs(job_of: Any) -> tuple[Any, Any]:
    """Two models of one architecture."""
    return job_of([1, 4, 1], classes=False, seed=1), job_of([1, 4, 1], classes=False, seed=2)


def prepared(old: Any, *, train: bool) -> SimulatedDevice:
    device = SimulatedDevice("nano33ble", device_id="d", sensor=old.sensor()).start()
    client = BoardClient(device.port)
    client.upload_artifact(old.artefact)
    if train:
        client.train(5, rate=0.1)
    return device


def flash_after(device: SimulatedDevice) -> bytes:
    return bytes(device._setup.slots)


def put_back(device: SimulatedDevice, flash: bytes) -> None:
    device.kill()
    device._setup.slots[:] = flash
    device.start()


def cut(device: SimulatedDevice, action: Action, after: int | None) -> FlashWatch:
    """Do something; it either succeeds, or the board is silent from the cut on."""
    watch = device.watch_flash(after)
    try:
        action(BoardClient(device.port, attempts=1))
    except BoardError:
        assert watch.cut
    return watch


def points(total: int, *, ends: int, step: int) -> list[int]:
    """Every byte of the last writes and of the first, and samples in between."""
    chosen = {*range(min(ends, total)), *range(max(0, total - ends), total), *range(0, total, step)}
    return sorted(chosen)


def answers_as(device: SimulatedDevice, known: dict[str, np.ndarray]) -> str:
    client = BoardClient(device.port)
    active = client.hello().active
    assert active in known
    assert client.predict(X).tobytes() == known[active].tobytes()
    return active


@pytest.mark.slow
def test_every_cut_of_an_update_leaves_one_whole_model(jobs: Any) -> None:
    old, new = jobs
    known = {j.digest: OnlineLearner(j.artefact, infer_only=True).predict_one(X) for j in jobs}
    test = SelfTest.of(new.artefact)
    with prepared(old, train=False) as device:
        start = flash_after(device)

        def update(client: BoardClient) -> object:
            return client.upload_artifact(new.artefact, self_test=test)

        total = cut(device, update, None).written
        assert answers_as(device, known) == new.digest
        seen = []
        chosen = points(total, ends=80, step=37)
        for after in chosen:
            put_back(device, start)
            assert cut(device, update, after).written == after
            device.restart()
            seen.append(answers_as(device, known))
        assert seen == [old.digest] * len(chosen)  # the last byte of the record decides
        put_back(device, start)
        assert not cut(device, update, total).cut
        device.restart()
        assert answers_as(device, known) == new.digest


def test_every_cut_of_the_erasure_of_the_other_slot_leaves_the_running_one(jobs: Any) -> None:
    old, new = jobs
    known = {new.digest: OnlineLearner(new.artefact, infer_only=True).predict_one(X)}
    with prepared(old, train=False) as device:
        client = BoardClient(device.port)
        client.upload_artifact(new.artefact)
        start = flash_after(device)

        def update(client: BoardClient) -> object:
            return client.upload_artifact(old.artefact)

        page = 4096
        for after in [*range(70), *range(70, page, 101), page - 1, page]:
            put_back(device, start)
            assert cut(device, update, after).cut
            device.restart()
            assert answers_as(device, known) == new.digest


def test_every_cut_of_saving_keeps_the_state_before_or_has_the_new_one(jobs: Any) -> None:
    old, _ = jobs
    with prepared(old, train=True) as device:
        client = BoardClient(device.port)
        client.save()
        before = client.get_parameters()
        device._setup.sensor._sensor.rewind()
        client.train(5, rate=0.1)
        after_training = client.get_parameters()
        start = flash_after(device)

        def learn_and_save(client: BoardClient) -> object:
            client.set_parameters(after_training)
            return client.save()

        total = cut(device, learn_and_save, None).written
        for after in range(total):
            put_back(device, start)
            assert cut(device, learn_and_save, after).cut
            device.restart()
            assert np.array_equal(BoardClient(device.port).get_parameters(), before)
        put_back(device, start)
        cut(device, learn_and_save, total)
        device.restart()
        assert np.array_equal(BoardClient(device.port).get_parameters(), after_training)


@pytest.mark.slow
def test_every_cut_of_an_update_that_keeps_what_was_learnt(jobs: Any) -> None:
    old, new = jobs
    with prepared(old, train=True) as device:
        client = BoardClient(device.port)
        learnt = client.get_parameters()
        client.save()
        start = flash_after(device)

        def update(client: BoardClient) -> object:
            return client.upload_artifact(new.artefact)

        total = cut(device, update, None).written
        for after in [*points(total, ends=150, step=53), total]:
            put_back(device, start)
            cut(device, update, after)
            device.restart()
            client = BoardClient(device.port)
            assert client.hello().active == (new.digest if after == total else old.digest)
            assert np.array_equal(client.get_parameters(), learnt)


def test_every_cut_of_forgetting_leaves_the_newest_state_or_none(jobs: Any) -> None:
    old, _ = jobs
    with prepared(old, train=True) as device:
        client = BoardClient(device.port)
        client.save()
        client.train(3, rate=0.1)
        client.save()
        learnt = client.get_parameters()
        start = flash_after(device)
        total = cut(device, lambda c: c.reset_learner(), None).written
        assert total == 8
        found = []
        for after in range(total + 1):
            put_back(device, start)
            cut(device, lambda c: c.reset_learner(), after)
            device.restart()
            client = BoardClient(device.port)
            parameters = client.get_parameters()
            kept = client.hello().saved
            found.append(kept)
            assert np.array_equal(parameters, learnt if kept else old.spec.initial(1))
        assert found == [True] * 5 + [False] * 4
