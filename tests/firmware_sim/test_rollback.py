"""A new model that fails its self-test, or crashes, never becomes the running one."""

import shutil
import struct
from typing import Any

import numpy as np
import pytest

from edge.board import BoardWorker
from edge.board_protocol import BoardClient, BoardError, Status
from edge.errors import UsageError
from edge.self_test import SelfTest
from firmware_sim.device import SimulatedDevice
from firmware_sim.memory import PAGE

TRIED = 56


@pytest.fixture
def board(sine: Any) -> Any:
    with SimulatedDevice("nano33ble", device_id="d", sensor=sine.sensor()) as device:
        yield device


@pytest.fixture
def other(job_of: Any) -> Any:
    return job_of([2, 9, 3], classes=True)


def slot_with(device: SimulatedDevice, artefact: bytes) -> int:
    """Offset of the slot that holds an artefact."""
    return device._setup.slots.find(artefact, 0) - 64


def test_a_wrong_answer_is_refused_and_the_old_model_runs_with_what_it_learnt(
    board: SimulatedDevice, sine: Any, other: Any
) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    client.train(4, rate=0.05)
    learnt = client.get_parameters()
    good = SelfTest.of(other.artefact)
    for wrong in (good.y + np.float32(1e-6), np.full(3, np.nan), good.y[::-1]):
        with pytest.raises(BoardError, match="SELF_TEST") as caught:
            client.upload_artifact(
                other.artefact, self_test=SelfTest(good.x, wrong.astype(np.float32))
            )
        assert caught.value.status == Status.SELF_TEST
        info = client.hello()
        assert (info.active, info.update) == (sine.digest, Status.SELF_TEST)
        assert np.array_equal(client.get_parameters(), learnt)
    board.restart()
    client = BoardClient(board.port)
    assert client.hello().active == sine.digest
    assert client.hello().update == Status.SELF_TEST
    assert np.array_equal(client.get_parameters(), learnt)
    info = client.upload_artifact(other.artefact, self_test=good)
    assert (info.active, info.update) == (other.digest, 0)


def test_a_tolerance_lets_an_answer_be_near(board: SimulatedDevice, other: Any) -> None:
    client = BoardClient(board.port)
    good = SelfTest.of(other.artefact)
    near = good.y + np.float32(0.01)
    with pytest.raises(BoardError, match="SELF_TEST"):
        client.upload_artifact(other.artefact, self_test=SelfTest(good.x, near, 0.005))
    info = client.upload_artifact(other.artefact, self_test=SelfTest(good.x, near, 0.02))
    assert info.active == other.digest


def test_without_an_older_model_a_failed_one_leaves_none(
    board: SimulatedDevice, other: Any
) -> None:
    client = BoardClient(board.port)
    good = SelfTest.of(other.artefact)
    with pytest.raises(BoardError, match="SELF_TEST"):
        client.upload_artifact(other.artefact, self_test=SelfTest(good.x, -good.y - 1))
    assert client.hello().active is None
    with pytest.raises(BoardError, match="EMPTY"):
        client.predict([0.0, 0.0])
    assert client.upload_artifact(other.artefact).active == other.digest


def test_a_self_test_of_another_size_is_refused(board: SimulatedDevice, other: Any) -> None:
    client = BoardClient(board.port)
    test = SelfTest(np.zeros(2, np.float32), np.zeros(4, np.float32))
    with pytest.raises(BoardError) as caught:
        client.upload_artifact(other.artefact, self_test=test)
    assert (caught.value.status, caught.value.needed) == (Status.SIZE, 20)


def test_a_self_test_longer_than_a_frame(board: SimulatedDevice, job_of: Any) -> None:
    wide = job_of([150, 4, 2], classes=False)
    client = BoardClient(board.port)
    test = SelfTest.of(wide.artefact)
    assert len(test.data) > 448
    assert client.upload_artifact(wide.artefact, self_test=test).active == wide.digest


@pytest.mark.parametrize("how", ["bus fault", "power cut"])
def test_a_model_that_dies_in_its_first_run_is_not_booted(
    board: SimulatedDevice, sine: Any, other: Any, how: str
) -> None:
    client = BoardClient(board.port, attempts=1)
    client.upload_artifact(sine.artefact)
    client.train(4, rate=0.05)
    learnt = client.get_parameters()
    tried = board._setup.memory.slot_bytes + TRIED

    class Dies:
        """Lets the board run in small steps until it has marked the slot, then hits it."""

        def __init__(self) -> None:
            self.hit = False

        def write(self, data: bytes) -> None:
            board.port.write(data)

        def read(self, timeout: float) -> bytes:
            for _ in range(3000):
                if self.hit or board._setup.slots[tried] == 0:
                    break
                board.run(500)
            if not self.hit and board._setup.slots[tried] == 0:
                self.hit = True
                if how == "power cut":
                    board.kill()
                else:
                    machine: Any = board._machine
                    memory = board._setup.memory
                    machine._uc.mem_unmap(memory.slot_base, 2 * memory.slot_bytes)
            return board.port.read(timeout)

        def close(self) -> None: ...

    port = Dies()
    with pytest.raises(BoardError, match="NO_ANSWER"):
        BoardClient(port, attempts=1).upload_artifact(
            other.artefact, self_test=SelfTest.of(other.artefact)
        )
    assert port.hit
    if how == "bus fault":
        assert board.fault is not None
    board.restart()
    client = BoardClient(board.port)
    info = client.hello()
    assert (info.active, info.update) == (sine.digest, Status.CRASHED)
    assert np.array_equal(client.get_parameters(), learnt)
    assert client.upload_artifact(other.artefact).active == other.digest
    assert client.hello().update == 0


@pytest.mark.parametrize("damaged", ["magic", "sequence", "digest", "check", "file"])
def test_bit_rot_in_the_newest_slot_boots_the_other_one(
    board: SimulatedDevice, sine: Any, other: Any, damaged: str
) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    client.upload_artifact(other.artefact)
    at = {"magic": 0, "sequence": 4, "digest": 20, "check": 48, "file": 64 + 700}[damaged]
    board._setup.slots[slot_with(board, other.artefact) + at] ^= 0x10
    board.restart()
    client = BoardClient(board.port)
    assert client.hello().active == sine.digest
    assert client.upload_artifact(other.artefact).active == other.digest


@pytest.mark.parametrize(
    ("field", "value"),
    [(8, 0xFFFFFFFF), (8, 0xFFFFFFFC), (8, 1 << 20), (12, 0xFFFFFFFF), (12, 0xFFFFFF00)],
)
def test_a_record_whose_sizes_lie_is_not_read(
    board: SimulatedDevice, sine: Any, other: Any, field: int, value: int
) -> None:
    client = BoardClient(board.port)
    client.upload_artifact(sine.artefact)
    client.upload_artifact(other.artefact)
    slots, at = board._setup.slots, slot_with(board, other.artefact)
    slots[at + field : at + field + 4] = struct.pack("<I", value)
    slots[at + 48 : at + 52] = struct.pack("<I", crc16(slots[at : at + 48]))
    board.restart()
    assert board.fault is None
    assert BoardClient(board.port).hello().active == sine.digest


def crc16(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def test_noise_in_both_slots_never_crashes_the_boot(board: SimulatedDevice) -> None:
    slots = board._setup.slots
    rng = np.random.default_rng(5)
    for _ in range(20):
        board.kill()
        slots[:PAGE] = rng.bytes(PAGE)
        slots[:4] = b"TFS2"
        slots[48:52] = struct.pack("<I", crc16(slots[:48]))
        slots[52:60] = b"\xff" * 8
        board.start()
        assert board.fault is None
        assert BoardClient(board.port).hello().active is None


def test_a_deploy_proves_that_the_board_answers_as_the_host(
    board: SimulatedDevice, sine: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = BoardWorker(board.port)
    assert worker.deploy(sine.artefact)["running"] == sine.digest
    slots = board._setup.slots
    vector = SelfTest.of(sine.artefact).data
    at = slot_with(board, sine.artefact) + 64 + -(-len(sine.artefact) // 4) * 4
    assert slots[at : at + len(vector)] == vector
    monkeypatch.setattr(SelfTest, "of", lambda data: SelfTest(np.zeros(2), np.full(3, 0.5)))
    with pytest.raises(BoardError, match="SELF_TEST"):
        worker.deploy(other.artefact)
    assert worker.running == sine.digest


def test_a_write_that_flash_cannot_hold_stops_the_board(
    board: SimulatedDevice, sine: Any, other: Any
) -> None:
    BoardClient(board.port).upload_artifact(sine.artefact)

    class Spoils:
        """Clears a byte of the erased slot before the first WRITE."""

        requests = 0

        def write(self, data: bytes) -> None:
            self.requests += 1
            if self.requests == 3:
                board._setup.slots[board._setup.memory.slot_bytes + 64 + 4] = 0
            board.port.write(data)

        def read(self, timeout: float) -> bytes:
            return board.port.read(timeout)

        def close(self) -> None: ...

    with pytest.raises(BoardError, match="NO_ANSWER"):
        BoardClient(Spoils(), attempts=1).upload_artifact(other.artefact)
    assert board.fault is not None
    board.restart()
    assert BoardClient(board.port).hello().active == sine.digest


def test_flash_is_watched_in_unicorn_only() -> None:
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("no QEMU")
    with (
        SimulatedDevice("nano33ble", device_id="d", backend="qemu") as device,
        pytest.raises(UsageError, match="Unicorn only"),
    ):
        device.watch_flash(10)
