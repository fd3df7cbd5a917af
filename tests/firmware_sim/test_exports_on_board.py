"""What the server exports, the boards run: float32 and int8, with the answers of the host."""

from typing import Any

import numpy as np
import pytest

from edge.board_protocol import BoardClient, BoardError, Status
from edge.learner import ReferenceLearner
from firmware_sim.device import SimulatedDevice
from server.export.tflite import write_int8

BOARDS = ["microbit", "nucleo-f103rb", "nano33ble", "stm32f746-discovery"]


@pytest.mark.parametrize("board", BOARDS)
def test_int8_answers_are_those_of_the_host(board: str, digits: Any) -> None:
    parameters = digits.spec.initial(1)
    small = write_int8(digits.spec, parameters, digits.x, name="digits")
    expected = ReferenceLearner(small, infer_only=True).predict_many(digits.x)
    with SimulatedDevice(board, device_id="d", sensor=digits.sensor()) as device:
        client = BoardClient(device.port)
        info = client.upload_artifact(small)
        assert not info.can_train
        assert np.array_equal(client.predict(digits.x), expected)
        with pytest.raises(BoardError) as caught:
            client.train(1, rate=0.1)
        assert caught.value.status == Status.FROZEN
        with pytest.raises(BoardError) as caught:
            client.set_parameters(parameters)
        assert caught.value.status == Status.FROZEN


def test_evaluating_an_int8_model(digits: Any) -> None:
    small = write_int8(digits.spec, digits.spec.initial(1), digits.x, name="digits")
    guesses = ReferenceLearner(small, infer_only=True).predict_many(digits.x).argmax(axis=1)
    with SimulatedDevice("nano33ble", device_id="d", sensor=digits.sensor()) as device:
        client = BoardClient(device.port)
        client.upload_artifact(small)
        found = client.evaluate(len(digits.x))
    assert found.samples == len(digits.x)
    assert np.isnan(found.loss_mean)
    assert found.correct == int((guesses == digits.targets[:, 0]).sum())


def test_evaluating_an_int8_regression(sine: Any) -> None:
    small = write_int8(sine.spec, sine.spec.initial(1), sine.x, name="sine")
    answers = ReferenceLearner(small, infer_only=True).predict_many(sine.x)
    with SimulatedDevice("microbit", device_id="d", sensor=sine.sensor()) as device:
        client = BoardClient(device.port)
        client.upload_artifact(small)
        found = client.evaluate(len(sine.x))
    assert found.loss_mean == pytest.approx(float(np.mean((answers - sine.targets) ** 2)), rel=1e-5)
    assert found.correct == 0
