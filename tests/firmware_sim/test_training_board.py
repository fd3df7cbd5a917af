"""Training on a board: what fits, what is refused, and what a sensor may do."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.board_protocol import BoardClient, BoardError, Key, Op, Status, Target
from edge.budget import LAYER_BYTES
from edge.errors import UsageError
from edge.learner import ReferenceLearner
from edge.spec import ModelSpec
from firmware_sim.boards import BOARDS, get_board
from firmware_sim.device import SimulatedDevice
from server.export.tflite import write


def test_a_training_plan_that_does_not_fit_is_refused_with_both_figures(job_of: Any) -> None:
    job = job_of([64, 48, 10], classes=True)
    with SimulatedDevice("microbit", device_id="d", sensor=job.sensor()) as board:
        client = BoardClient(board.port)
        info = client.upload_artifact(job.artefact)
        assert not info.can_train
        sample = 2 * LAYER_BYTES + 4 * (64 + 1 + 10)
        with pytest.raises(BoardError) as caught:
            client.train(4, rate=0.1)
        assert caught.value.status == Status.ARENA
        assert caught.value.available == info.arena
        assert caught.value.needed == info.arena_train + sample > info.arena
        assert board.samples == 0
        assert client.predict(job.x[0]).shape == (10,)
        assert client.train(4, rate=0.1, train_layers=1).learnt == 4


def test_a_model_too_large_for_flash_is_refused_and_the_old_one_runs(
    sine: Any, job_of: Any
) -> None:
    wide = job_of([16, 2000, 2], classes=False, samples=1)
    with SimulatedDevice("microbit", device_id="d") as board:
        client = BoardClient(board.port)
        client.upload_artifact(sine.artefact)
        with pytest.raises(BoardError) as caught:
            client.upload_artifact(wide.artefact)
        assert caught.value.status == Status.SPACE
        assert caught.value.needed == len(wide.artefact)
        assert caught.value.available == client.hello().slot
        assert client.hello().active == sine.digest


def test_too_little_ram_to_predict(sine: Any, job_of: Any) -> None:
    wide = job_of([4, 4000, 2], classes=False, samples=1)
    roomy_flash = replace(get_board("microbit"), flash=1024 * 1024)
    with SimulatedDevice(roomy_flash, device_id="d") as board:
        with pytest.raises(BoardError) as caught:
            BoardClient(board.port).upload_artifact(wide.artefact)
        assert caught.value.status == Status.ARENA
        assert caught.value.needed > caught.value.available > 0


def test_losses_epochs_and_evaluation(digits: Any) -> None:
    twin = ReferenceLearner(digits.artefact)
    losses = [twin.learn_many(digits.x, digits.targets, rate=0.05) for _ in range(3)]
    flat = np.concatenate(losses)
    with SimulatedDevice("nano33ble", device_id="d", sensor=digits.sensor()) as board:
        client = BoardClient(board.port)
        client.upload_artifact(digits.artefact)
        done = client.train(len(digits.x), rate=0.05, epochs=3)
        assert done.learnt == 3 * len(digits.x)
        assert np.float32(done.loss_first) == flat[0]
        assert np.float32(done.loss_last) == flat[-1]
        assert done.loss_mean == pytest.approx(flat.mean(), rel=1e-5)
        with pytest.raises(BoardError):
            client.evaluate(1)  # the sensor is at its end
    with SimulatedDevice("nano33ble", device_id="d", sensor=digits.sensor()) as board:
        client = BoardClient(board.port)
        client.upload_artifact(digits.artefact)
        client.set_parameters(twin.parameters)
        found = client.evaluate(len(digits.x))
        guesses = twin.predict_many(digits.x).argmax(axis=1)
        assert found.correct == int((guesses == digits.targets[:, 0]).sum())
        assert found.samples == len(digits.x)


def test_a_long_input_and_output_go_in_pieces(job_of: Any) -> None:
    job = job_of([300, 4, 200], classes=False, samples=2)
    with SimulatedDevice("stm32f746-discovery", device_id="d") as board:
        client = BoardClient(board.port)
        client.upload_artifact(job.artefact)
        expected = ReferenceLearner(job.artefact).predict_many(job.x)
        assert np.array_equal(client.predict(job.x), expected)


def test_another_layout_does_not_lose_what_was_learnt(sine: Any) -> None:
    with SimulatedDevice("nano33ble", device_id="d", sensor=sine.sensor()) as board:
        client = BoardClient(board.port)
        client.upload_artifact(sine.artefact)
        client.train(2, rate=0.01)
        with pytest.raises(BoardError) as caught:
            client.train(2, rate=0.01, train_layers=1)
        assert caught.value.status == Status.LAYOUT
        client.reset_learner(train_layers=1)
        assert client.train(2, rate=0.01, train_layers=1).learnt == 2
        assert client.hello().parameters == 41


def test_a_sensor_of_the_wrong_size_or_without_samples(sine: Any, digits: Any) -> None:
    for sensor in (None, digits.sensor()):
        with SimulatedDevice("nano33ble", device_id="d", sensor=sensor) as board:
            client = BoardClient(board.port)
            client.upload_artifact(sine.artefact)
            with pytest.raises(BoardError) as caught:
                client.train(2, rate=0.01)
            assert caught.value.status == Status.SENSOR
            assert np.array_equal(client.get_parameters(), sine.spec.initial(1))


def test_a_sample_that_is_not_finite_changes_nothing(sine: Any) -> None:
    sensor = sine.sensor()
    sensor.x = np.full_like(sensor.x, np.nan)
    with SimulatedDevice("nano33ble", device_id="d", sensor=sensor) as board:
        client = BoardClient(board.port)
        client.upload_artifact(sine.artefact)
        with pytest.raises(BoardError) as caught:
            client.train(2, rate=0.01)
        assert caught.value.status == Status.NONFINITE
        assert np.array_equal(client.get_parameters(), sine.spec.initial(1))


def test_board_names() -> None:
    with pytest.raises(UsageError, match="nano33ble"):
        get_board("nano")
    assert {board.core for board in BOARDS.values()} == {
        "cortex-m0",
        "cortex-m3",
        "cortex-m4f",
        "cortex-m7",
        "cortex-m33",
        "cortex-m55",
    }


def test_a_new_layout_ends_a_transfer_of_weights_that_was_open() -> None:
    """Else the rest would be written past the smaller weights, and run without a commit."""
    spec = ModelSpec.mlp([4, 60, 3])
    data = write(spec, spec.initial(0), name="layouts")
    with SimulatedDevice("nano33ble", device_id="layouts") as device:
        board = BoardClient(device.port)
        board.upload_artifact(data)
        before = board.predict(np.ones(4, np.float32))
        spoilt = np.full(spec.n_parameters, np.nan, "<f4").tobytes()
        begin = {
            Key.TARGET: Target.PARAMETERS,
            Key.SIZE: len(spoilt),
            Key.DIGEST: hashlib.sha256(spoilt).digest(),
            Key.TRAIN_LAYERS: 0,
            Key.FLAGS: False,
        }
        board._ask(Op.BEGIN, begin)
        board.reset_learner(train_layers=1)
        with pytest.raises(BoardError) as refused:
            chunk = {Key.TARGET: Target.PARAMETERS, Key.OFFSET: 0, Key.DATA: spoilt[:400]}
            board._ask(Op.WRITE, chunk)
        assert refused.value.status == Status.ORDER
        np.testing.assert_array_equal(board.predict(np.ones(4, np.float32)), before)
