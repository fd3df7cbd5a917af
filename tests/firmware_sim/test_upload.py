"""Artefacts reach flash whole or not at all, and the old one runs on."""

import hashlib
import shutil
from typing import Any

import numpy as np
import pytest

from edge.board_protocol import BoardClient, BoardError, Status
from firmware_sim.device import SimulatedDevice

needs_qemu = pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="no QEMU")


class NoisyPort:
    """Flips one bit in chosen writes and reads."""

    def __init__(self, port: Any, *, writes: set[int], reads: set[int]) -> None:
        self._port, self._writes, self._reads = port, writes, reads
        self.written = self.got = 0

    def write(self, data: bytes) -> None:
        self.written += 1
        self._port.write(self._noise(data) if self.written in self._writes else data)

    def read(self, timeout: float) -> bytes:
        data: bytes = self._port.read(timeout)
        if not data:
            return data
        self.got += 1
        return self._noise(data) if self.got in self._reads else data

    def close(self) -> None: ...

    @staticmethod
    def _noise(data: bytes) -> bytes:
        middle = len(data) // 2
        changed = data[middle] ^ 0x10 or 0x01  # a zero would make two frames of one
        return data[:middle] + bytes([changed]) + data[middle + 1 :]


class CutPort:
    """Cuts the power a number of instructions after the n-th request."""

    def __init__(self, device: SimulatedDevice, *, request: int, budget: int) -> None:
        self._device, self._request, self._budget = device, request, budget
        self.written = 0

    def write(self, data: bytes) -> None:
        self.written += 1
        self._device.port.write(data)

    def read(self, timeout: float) -> bytes:
        if self.written == self._request and self._device.running:
            self._device.run(self._budget)
            self._device.kill()
        return self._device.port.read(timeout)

    def close(self) -> None: ...


@pytest.fixture
def board() -> Any:
    with SimulatedDevice("nano33ble", device_id="d") as device:
        yield device


@pytest.fixture
def other(job_of: Any) -> Any:
    return job_of([2, 9, 3], classes=True)


def test_corrupted_frames_are_dropped_and_sent_again(board: SimulatedDevice, sine: Any) -> None:
    port = NoisyPort(board.port, writes={3, 7}, reads={5, 8})
    client = BoardClient(port)
    info = client.upload_artifact(sine.artefact)
    assert info.active == sine.digest
    assert info.dropped == 2
    assert client.dropped == 2
    assert client.retries == 4


def test_a_silent_board_is_an_error_with_a_name(board: SimulatedDevice) -> None:
    board.kill()
    with pytest.raises(BoardError, match="HELLO refused") as caught:
        BoardClient(board.port).hello()
    assert caught.value.status == Status.NO_ANSWER


def test_a_truncated_artefact_is_refused_and_the_old_one_runs(
    board: SimulatedDevice, sine: Any, other: Any
) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    before = client.predict([0.5])
    for size in (0, 3, 40, len(other.artefact) // 2):
        with pytest.raises(BoardError) as caught:
            client.upload_artifact(other.artefact[:size])
        assert caught.value.status in (Status.TRUNCATED, Status.FORMAT, Status.SHAPE)
    assert client.hello().active == sine.digest
    assert client.predict([0.5]) == before


def test_a_wrong_digest_is_refused_and_the_old_one_runs(
    board: SimulatedDevice, sine: Any, other: Any
) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    with pytest.raises(BoardError) as caught:
        client.upload_artifact(other.artefact, digest=hashlib.sha256(b"x").hexdigest())
    assert caught.value.status == Status.DIGEST
    assert client.hello().active == sine.digest
    board.restart()
    assert BoardClient(board.port).hello().active == sine.digest


@pytest.mark.parametrize("request_number", [2, 3, 5])
def test_a_power_cut_amid_the_upload_boots_the_old_one(
    board: SimulatedDevice, sine: Any, other: Any, request_number: int
) -> None:
    BoardClient(board.port).upload_artifact(other.artefact)
    port = CutPort(board, request=request_number, budget=2000)
    with pytest.raises(BoardError):
        BoardClient(port, attempts=1).upload_artifact(sine.artefact)
    board.restart()
    client = BoardClient(board.port)
    assert client.hello().active == other.digest
    assert client.upload_artifact(sine.artefact).active == sine.digest


def test_a_power_cut_at_any_moment_of_the_commit_leaves_one_whole_model(
    sine: Any, other: Any
) -> None:
    commit = 3 + -(-len(other.artefact) // 448)
    seen = set()
    for budget in [100, *range(20_000, 400_000, 20_000)]:
        with SimulatedDevice("nano33ble", device_id="d") as board:
            BoardClient(board.port).upload_artifact(sine.artefact)
            port = CutPort(board, request=commit, budget=budget)
            with pytest.raises(BoardError):
                BoardClient(port, attempts=1).upload_artifact(other.artefact)
            board.restart()
            active = BoardClient(board.port).hello().active
        assert active in (sine.digest, other.digest)
        seen.add(active)
    assert seen == {sine.digest, other.digest}


def test_a_damaged_slot_is_found_at_boot_and_the_other_one_runs(
    board: SimulatedDevice, sine: Any, other: Any
) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(other.artefact)
    client.upload_artifact(sine.artefact)
    at = board._setup.slots.find(sine.artefact, 0)
    board._setup.slots[at + 100] ^= 1
    board.restart()
    assert BoardClient(board.port).hello().active == other.digest


def test_rollback_goes_back_once_and_survives_a_restart(
    board: SimulatedDevice, sine: Any, other: Any
) -> None:
    client = BoardClient(board.port)
    with pytest.raises(BoardError) as caught:
        client.rollback()
    assert caught.value.status == Status.EMPTY
    client.upload_artifact(sine.artefact)
    client.upload_artifact(other.artefact)
    assert client.rollback().active == sine.digest
    board.restart()
    client = BoardClient(board.port)
    assert client.hello().active == sine.digest
    with pytest.raises(BoardError):
        client.rollback()
    assert client.upload_artifact(other.artefact).active == other.digest


def test_parameters_are_replaced_whole_or_come_from_the_file(
    board: SimulatedDevice, sine: Any
) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    weights = sine.spec.initial(9)
    client.set_parameters(weights)
    assert np.array_equal(client.get_parameters(), weights)
    with pytest.raises(BoardError) as caught:
        client.set_parameters(weights[:-1])
    assert (caught.value.status, caught.value.needed) == (Status.SIZE, 4 * len(weights))
    assert np.array_equal(client.get_parameters(), weights)
    bad = weights.copy()
    bad[7] = np.nan
    with pytest.raises(BoardError) as caught:
        client.set_parameters(bad)
    assert caught.value.status == Status.NONFINITE
    assert np.array_equal(client.get_parameters(), sine.spec.initial(1))


def test_half_written_parameters_are_never_used(board: SimulatedDevice, sine: Any) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)

    class Stuck(NoisyPort):
        def write(self, data: bytes) -> None:
            self.written += 1
            if self.written < 4:
                board.port.write(data)

    with pytest.raises(BoardError):
        stuck = Stuck(board.port, writes=set(), reads=set())
        BoardClient(stuck, attempts=2).set_parameters(sine.spec.initial(9))
    with pytest.raises(BoardError) as caught:
        client.predict([0.5])
    assert caught.value.status == Status.INVALID
    client.reset_learner()
    assert np.array_equal(client.get_parameters(), sine.spec.initial(1))


@needs_qemu
def test_flash_survives_a_power_cut_in_qemu(sine: Any) -> None:
    with SimulatedDevice("arduino-due", device_id="d", backend="qemu") as board:
        client = BoardClient(board.port)
        assert client.hello().active is None
        client.upload_artifact(sine.artefact)
        assert 0 < board.peak_stack < 2048
        board.restart()
        assert BoardClient(board.port).hello().active == sine.digest
