"""Foreign networks with a tail of ours on an emulated board: learnt where all is known."""

from collections.abc import Iterator

import numpy as np
import pytest

from edge.artifact import Artifact
from edge.board import BoardWorker
from edge.board_protocol import BoardError
from edge.chain import UnsupportedOperator
from edge.learner import OnlineLearner
from edge.messages import Plan
from edge.sources import Replay
from firmware_sim.device import SimulatedDevice
from server.bring.hybrid import hybrid
from server.bring.tail import Tail
from tests.server.foreign import NEEDED, foreign

pytestmark = NEEDED
N = 6


def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.uniform(-3, 3, (N, 1960)).astype(np.float32), np.arange(N) % 2


@pytest.fixture
def board() -> Iterator[BoardWorker]:
    with SimulatedDevice("nano33ble", device_id="d", sensor=Replay(*samples())) as device:
        yield BoardWorker(device.port)


def test_a_board_refuses_what_needs_a_runtime(board: BoardWorker) -> None:
    data = hybrid(foreign("Snoring_Guardian"), Tail(2)).data
    before = board.running
    with pytest.raises(BoardError, match="operator that the learner does not have"):
        board.deploy(data)
    with pytest.raises(UnsupportedOperator, match="RESIZE_NEAREST_NEIGHBOR"):
        board.train(data, Plan("s", 0.1, 4))
    assert board.running == before


def test_a_board_learns_the_tail_of_a_foreign_network(board: BoardWorker) -> None:
    data = hybrid(foreign("Micro_Speech_Yes_No_2"), Tail(2, seed=5)).data
    assert board.deploy(data)["running"] == Artifact(data).sha256
    x, y = samples()
    assert board.predict(x).tobytes() == OnlineLearner(data).predict_many(x).tobytes()
    plan = Plan("s", 0.05, N)
    host = OnlineLearner(data)
    base = host.parameters
    losses = [host.learn_one(a, [b], rate=0.05) for a, b in zip(x, y, strict=True)]
    result = board.train(data, plan)
    assert result.delta.tobytes() == (host.parameters - base).tobytes()
    assert (result.loss_first, result.loss_last) == (losses[0], losses[-1])
    assert np.abs(result.delta).max() > 0
