"""Whatever comes over the link, the board neither crashes nor stops answering."""

from collections.abc import Iterator
from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.board_protocol import BoardClient, BoardError, Key, Op, Target
from edge.frames import encode_frame
from firmware_sim.device import SimulatedDevice

settings_ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
numbers = st.one_of(st.integers(0, 600), st.integers(0, 2**32 - 1), st.sampled_from([0, 7688]))
values = st.one_of(
    numbers,
    st.integers(-(2**32), -1),
    st.binary(max_size=64),
    st.sampled_from([b"", bytes(32), bytes(448)]),
    st.floats(width=32),
    st.booleans(),
    st.none(),
)
operations = st.one_of(st.sampled_from([int(op) for op in Op]), values)
fields = st.dictionaries(st.integers(Key.TARGET, Key.FLAGS), values)
targets = st.sampled_from([int(target) for target in Target])


@pytest.fixture(scope="module")
def board(sine: Any) -> Iterator[SimulatedDevice]:
    with SimulatedDevice("microbit", device_id="d", sensor=sine.sensor()) as device:
        BoardClient(device.port).upload_artifact(sine.artefact)
        yield device


def still_there(board: SimulatedDevice) -> None:
    assert board.fault is None
    BoardClient(board.port).hello()
    assert board.fault is None


@settings_
@given(op=operations, message=fields, target=targets, seq=st.integers(0, 2**32 - 1))
def test_any_request(
    board: SimulatedDevice, op: Any, message: dict[int, Any], target: int, seq: int
) -> None:
    request = {Key.TARGET.value: target, **message, Key.OP.value: op, Key.SEQ.value: seq}
    for samples in (Key.SAMPLES.value, Key.EPOCHS.value):
        if isinstance(request.get(samples), int):
            request[samples] %= 5
    board.port.write(encode_frame(cbor2.dumps(request, canonical=True)))
    board.port.read(10)
    still_there(board)


@settings_
@given(payload=st.binary(max_size=512), noise=st.binary(max_size=2000))
def test_any_bytes(board: SimulatedDevice, payload: bytes, noise: bytes) -> None:
    board.port.write(noise + b"\0" + encode_frame(payload))
    board.port.read(10)
    still_there(board)


def test_damaged_artefacts(sine: Any) -> None:
    rng = np.random.default_rng(5)
    with SimulatedDevice("microbit", device_id="d") as device:
        client = BoardClient(device.port)
        client.upload_artifact(sine.artefact)
        accepted = 0
        for _ in range(40):
            data = bytearray(sine.artefact)
            for at in rng.integers(0, 900, size=3):
                data[at] = rng.integers(256)
            try:
                client.upload_artifact(bytes(data))
                client.predict(np.zeros(client.hello().n_in, np.float32))
                accepted += 1
            except BoardError:
                pass
            assert device.fault is None
        assert accepted < 40
        assert client.upload_artifact(sine.artefact).active == sine.digest
