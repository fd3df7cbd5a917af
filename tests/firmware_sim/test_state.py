"""What a board has learnt outlives power cuts and updates of the same architecture."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.board_protocol import BoardClient, BoardError, Status
from firmware_sim.boards import get_board
from firmware_sim.device import SimulatedDevice


@pytest.fixture
def board(sine: Any) -> Any:
    with SimulatedDevice("nano33ble", device_id="d", sensor=sine.sensor()) as device:
        yield device


def parameters(board: SimulatedDevice) -> Any:
    return BoardClient(board.port).get_parameters()


def test_saved_learning_survives_a_power_cut_and_goes_on_bit_by_bit(sine: Any) -> None:
    def run(*, cut: bool) -> Any:
        with SimulatedDevice("nano33ble", device_id="d", sensor=sine.sensor()) as board:
            client = BoardClient(board.port)
            client.upload_artifact(sine.artefact)
            client.train(5, rate=0.05, standardise=True, train_layers=2)
            if cut:
                assert not client.hello().saved
                client.save()
                assert client.hello().saved
                board.restart()
                client = BoardClient(board.port)
            client.train(5, rate=0.05, standardise=True, train_layers=2)
            return client.get_parameters(), client.predict([0.3])

    whole, cut = run(cut=False), run(cut=True)
    assert whole[0].tobytes() == cut[0].tobytes()
    assert whole[1].tobytes() == cut[1].tobytes()


def test_what_is_not_saved_is_lost(board: SimulatedDevice, sine: Any) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    client.train(4, rate=0.05)
    board.restart()
    assert np.array_equal(parameters(board), sine.spec.initial(1))


def test_the_newest_of_many_saves_counts(board: SimulatedDevice, sine: Any) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    for _ in range(5):
        client.train(2, rate=0.05)
        client.save()
        learnt = client.get_parameters()
        board.restart()
        client = BoardClient(board.port)
        assert np.array_equal(client.get_parameters(), learnt)


def test_an_update_of_the_same_architecture_keeps_or_replaces(
    board: SimulatedDevice, sine: Any, job_of: Any
) -> None:
    new = job_of([1, 40, 40, 1], classes=False, seed=2)
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    client.train(5, rate=0.05, standardise=True)
    learnt = client.get_parameters()
    info = client.upload_artifact(new.artefact)
    assert (info.active, info.saved) == (new.digest, True)
    assert np.array_equal(client.get_parameters(), learnt)
    board.restart()
    client = BoardClient(board.port)
    assert client.hello().active == new.digest
    assert np.array_equal(client.get_parameters(), learnt)
    again = client.upload_artifact(sine.artefact, keep=False)
    assert (again.active, again.saved) == (sine.digest, False)
    assert np.array_equal(client.get_parameters(), sine.spec.initial(1))
    assert client.rollback().active == new.digest
    assert np.array_equal(client.get_parameters(), learnt)


def test_another_architecture_starts_from_its_file(
    board: SimulatedDevice, sine: Any, job_of: Any
) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    client.train(5, rate=0.05)
    wider = job_of([1, 40, 41, 1], classes=False, seed=2)
    tanh = job_of([1, 41, 40, 1], classes=False, seed=2)
    for job in (wider, tanh):
        assert not client.upload_artifact(job.artefact).saved
        assert np.array_equal(client.get_parameters(), job.spec.initial(2))


def test_a_reset_forgets_what_was_saved(board: SimulatedDevice, sine: Any) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    client.train(5, rate=0.05)
    client.save()
    client.save()
    client.reset_learner()
    assert not client.hello().saved
    board.restart()
    assert np.array_equal(parameters(board), sine.spec.initial(1))


def test_a_rotten_state_gives_way_to_the_one_before(board: SimulatedDevice, sine: Any) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    client.train(3, rate=0.05)
    client.save()
    first = client.get_parameters()
    client.train(3, rate=0.05)
    client.save()
    slots = board._setup.slots
    newest = slots.rfind(b"TFST", 0)
    slots[newest + 128 + 50] ^= 4
    board.restart()
    assert np.array_equal(parameters(board), first)
    slots[slots.find(b"TFST", 0) + 20] ^= 4
    board.restart()
    assert np.array_equal(parameters(board), sine.spec.initial(1))


def test_a_state_that_has_no_room_is_refused_and_nothing_is_lost(job_of: Any) -> None:
    job = job_of([60, 48, 10], classes=True)
    new = job_of([60, 48, 10], classes=True, seed=7)
    small = 0x10000 + 2 * 5 * 4096  # four pages for the file, one left: no two banks
    profile = replace(get_board("nano33ble"), flash=small)
    with SimulatedDevice(profile, device_id="d", sensor=job.sensor()) as board:
        client = BoardClient(board.port)
        client.upload_artifact(job.artefact)
        client.train(4, rate=0.05)
        learnt = client.get_parameters()
        with pytest.raises(BoardError) as caught:
            client.save()
        assert caught.value.status == Status.SPACE
        assert (caught.value.needed, caught.value.available) == (128 + 4 * len(learnt), 0)
        with pytest.raises(BoardError, match="SPACE"):
            client.upload_artifact(new.artefact)
        assert client.hello().active == job.digest
        assert np.array_equal(client.get_parameters(), learnt)
        assert client.upload_artifact(new.artefact, keep=False).active == new.digest
        assert np.array_equal(client.get_parameters(), new.spec.initial(7))
