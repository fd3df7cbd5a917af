"""What a gateway and a board say to each other over the serial link.

The numbers are those of firmware_sim/firmware/protocol.h. A request is one CBOR map in one frame;
the board answers each with one, and answers a repeated sequence number with the same bytes.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import cbor2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.board_words import HINTS, MAX_CHUNK, MEANINGS, Key, Op, Status, Target
from edge.errors import TinyfleetError
from edge.frames import FrameDecoder, encode_frame
from edge.ports import SerialPort

__all__ = [
    "BoardClient",
    "BoardError",
    "BoardInfo",
    "BoardTraining",
    "Key",
    "Op",
    "Status",
    "Target",
]


def status_name(status: int) -> str:
    """Short name of a status, such as `ARENA`."""
    return Status(status).name if status in set(Status) else f"status {status}"


class BoardError(TinyfleetError):
    """A board refused a request, or did not answer.

    Attributes:
        status: why, such as `Status.ARENA`.
        reason: its name, such as `ARENA`.
        needed: bytes needed; 0 where it is not about bytes.
        available: bytes there.
    """

    def __init__(self, op: Op, status: int, *, needed: int = 0, available: int = 0) -> None:
        self.status = status
        self.reason = status_name(status)
        self.needed = needed
        self.available = available
        meaning = MEANINGS.get(status, "unknown reason")
        text = f"{op.name} refused ({self.reason}): {meaning}"
        if needed or available:
            text += f" ({needed} bytes needed, {available} available)"
        super().__init__(text, hint=HINTS.get(status, ""))


@dataclass(frozen=True)
class BoardInfo:
    """Answer to HELLO. Sizes in bytes; the model's figures are 0 and `active` None without one.

    Args:
        protocol: version of the link protocol.
        firmware: version of the firmware.
        core: core the image was built for, such as `m4f`.
        board: id of the board.
        arena: RAM for the learner and one sample.
        slot: longest artefact that fits into a flash slot.
        active: SHA-256 of the running artefact, in hex.
        dropped: frames the board has dropped since reset.
        peak_stack: most stack used since reset.
        n_in: inputs of the running model.
        n_out: outputs of the running model.
        parameters: trained float32 values, as laid out now; 0 if it can only predict.
        arena_train: what learning needs of the arena, without the sample's
            `4 * (n_in + target + n_out)` bytes.
        arena_infer: what predicting needs of it.
        can_train: whether the running model is laid out for training.
    """

    protocol: int
    firmware: int
    core: str
    board: str
    arena: int
    slot: int
    active: str | None
    dropped: int
    peak_stack: int
    n_in: int = 0
    n_out: int = 0
    parameters: int = 0
    arena_train: int = 0
    arena_infer: int = 0
    can_train: bool = False


@dataclass(frozen=True)
class BoardTraining:
    """Answer to TRAIN: samples learnt, and the first, mean and last loss before each step."""

    learnt: int
    loss_first: float
    loss_mean: float
    loss_last: float


@dataclass(frozen=True)
class BoardEvaluation:
    """Answer to EVALUATE: mean loss (NaN for an int8 classifier), right answers, samples.

    There are 0 right answers in a regression.
    """

    loss_mean: float
    correct: int
    samples: int


class BoardClient:
    """The host end of the link to one board; one request at a time.

    Args:
        port: the line to the board.
        timeout: seconds to wait for an answer to an ordinary request.
        work_timeout: seconds to wait for training, evaluation or prediction.
        attempts: how often a request is sent before the board counts as gone.

    Attributes:
        retries: requests sent again so far.
        dropped: broken frames from the board so far.
    """

    def __init__(
        self,
        port: SerialPort,
        *,
        timeout: float = 5.0,
        work_timeout: float = 120.0,
        attempts: int = 4,
    ) -> None:
        self._port = port
        self._timeout = timeout
        self._work_timeout = work_timeout
        self._attempts = attempts
        self._seq = secrets.randbits(30)
        self._decoder = FrameDecoder()
        self.retries = 0

    @property
    def dropped(self) -> int:
        """Broken frames from the board so far."""
        return self._decoder.dropped

    def hello(self) -> BoardInfo:
        """Ask the board what it is and what it runs."""
        r = self._ask(Op.HELLO, {})
        active = r[Key.ACTIVE]
        return BoardInfo(
            protocol=r[Key.PROTOCOL],
            firmware=r[Key.FIRMWARE],
            core=r[Key.CORE],
            board=r[Key.BOARD],
            arena=r[Key.ARENA],
            slot=r[Key.SLOT],
            active=None if active is None else active.hex(),
            dropped=r[Key.DROPPED],
            peak_stack=r[Key.PEAK_STACK],
            n_in=r.get(Key.N_IN, 0),
            n_out=r.get(Key.N_OUT, 0),
            parameters=r.get(Key.PARAMETERS, 0),
            arena_train=r.get(Key.ARENA_TRAIN, 0),
            arena_infer=r.get(Key.ARENA_INFER, 0),
            can_train=bool(r.get(Key.CAN_TRAIN, 0)),
        )

    def upload_artifact(self, data: bytes, *, digest: str | None = None) -> BoardInfo:
        """Write a .tflite into the free slot and switch to it; keeps the old one for `rollback`.

        Args:
            data: the file.
            digest: SHA-256 in hex that it should have; computed if not given.

        Returns:
            What the board runs then. Nothing is sent if it already runs this very file: its
            weights are then those of the file or what it has learnt since (see `reset_learner`).

        Raises:
            BoardError: the file is damaged, not supported or does not fit; the old one runs on.
        """
        wanted = hashlib.sha256(data).hexdigest() if digest is None else digest
        info = self.hello()
        if info.active == wanted:
            return info
        self._send(Target.SLOT, data, bytes.fromhex(wanted), {})
        return self.hello()

    def set_parameters(
        self, vector: ArrayLike, *, train_layers: int = 0, standardise: bool = False
    ) -> None:
        """Replace the weights in RAM.

        Args:
            vector: float32 [n], the trained layers in order, finite.
            train_layers: how many layers from the end are trained; 0: all.
            standardise: whether inputs are standardised with running statistics.

        Raises:
            BoardError: wrong size, not finite, or training does not fit; weights of the file
                then stand in, unless nothing was written yet.
        """
        data = np.asarray(vector, dtype="<f4").tobytes()
        layout: dict[int, Any] = {Key.TRAIN_LAYERS: train_layers, Key.STANDARDISE: standardise}
        self._send(Target.PARAMETERS, data, hashlib.sha256(data).digest(), layout)

    def get_parameters(self) -> NDArray[np.float32]:
        """Read the weights in RAM: float32 [n], the trained layers in order."""
        return self._read(Target.PARAMETERS, 4 * self.hello().parameters)

    def train(
        self,
        samples: int,
        *,
        rate: float,
        epochs: int = 1,
        train_layers: int = 0,
        standardise: bool = False,
    ) -> BoardTraining:
        """Learn from the board's own sensor, one SGD step a sample.

        Args:
            samples: samples in an epoch.
            rate: learning rate; taken as float32.
            epochs: passes; the sensor is rewound before each if there is more than one.
            train_layers: how many layers from the end are trained; 0: all.
            standardise: whether inputs are standardised with running statistics.

        Raises:
            BoardError: it does not fit (ARENA), the sensor ran dry (SENSOR), a value is not
                finite, or the layout differs from that of changed weights (LAYOUT).
        """
        fields = {
            Key.SAMPLES: samples,
            Key.EPOCHS: epochs,
            Key.RATE: float(np.float32(rate)),
            Key.TRAIN_LAYERS: train_layers,
            Key.STANDARDISE: standardise,
        }
        r = self._ask(Op.TRAIN, fields, self._work_timeout)
        return BoardTraining(r[Key.LEARNT], r[Key.LOSS_FIRST], r[Key.LOSS_MEAN], r[Key.LOSS_LAST])

    def evaluate(self, samples: int) -> BoardEvaluation:
        """Measure the loss on samples of the board's sensor, without learning."""
        r = self._ask(Op.EVALUATE, {Key.SAMPLES: samples}, self._work_timeout)
        return BoardEvaluation(r[Key.LOSS_MEAN], r[Key.CORRECT], r[Key.SAMPLES])

    def predict(self, x: ArrayLike) -> NDArray[np.float32]:
        """Run the model: float32 [n_in] to [n_out], or [n, n_in] to [n, n_out]."""
        values = np.asarray(x, dtype=np.float32)
        if values.ndim == 1:
            return self._predict_one(values)
        return np.stack([self._predict_one(row) for row in values])

    def rollback(self) -> BoardInfo:
        """Go back to the artefact before the running one, for good."""
        self._ask(Op.ROLLBACK, {})
        return self.hello()

    def reset_learner(
        self, *, train_layers: int | None = None, standardise: bool | None = None
    ) -> None:
        """Take the weights from the artefact again, and forget the running statistics.

        Args:
            train_layers: another choice of trained layers; 0: all; None with `standardise` None:
                as it is now.
            standardise: another choice of standardising.
        """
        fields: dict[int, Any] = {}
        if train_layers is not None or standardise is not None:
            fields = {Key.TRAIN_LAYERS: train_layers or 0, Key.STANDARDISE: bool(standardise)}
        self._ask(Op.RESET_LEARNER, fields)

    def _predict_one(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        data = x.astype("<f4").tobytes()
        fields: dict[int, Any] = {Key.DATA: data}
        if len(data) > MAX_CHUNK:
            self._write(Target.INPUT, data)
            fields = {}
        r = self._ask(Op.PREDICT, fields, self._work_timeout)
        if Key.DATA in r:
            return np.frombuffer(r[Key.DATA], "<f4").astype(np.float32)
        return self._read(Target.OUTPUT, r[Key.SIZE])

    def _send(self, target: Target, data: bytes, digest: bytes, more: dict[int, Any]) -> None:
        fields = {Key.TARGET: target, Key.SIZE: len(data), Key.DIGEST: digest, **more}
        self._ask(Op.BEGIN, fields)
        self._write(target, data)
        self._ask(Op.COMMIT, {}, self._work_timeout)

    def _write(self, target: Target, data: bytes) -> None:
        for at in range(0, len(data), MAX_CHUNK):
            chunk = data[at : at + MAX_CHUNK]
            self._ask(Op.WRITE, {Key.TARGET: target, Key.OFFSET: at, Key.DATA: chunk})

    def _read(self, target: Target, size: int) -> NDArray[np.float32]:
        data = bytearray()
        while len(data) < size:
            length = min(MAX_CHUNK, size - len(data))
            fields = {Key.TARGET: target, Key.OFFSET: len(data), Key.LENGTH: length}
            data += self._ask(Op.READ, fields)[Key.DATA]
        return np.frombuffer(bytes(data), "<f4").astype(np.float32)

    def _ask(self, op: Op, fields: dict[Any, Any], timeout: float | None = None) -> dict[int, Any]:
        self._seq = (self._seq + 1) % 2**31
        message = {Key.OP: op, Key.SEQ: self._seq, **fields}
        frame = encode_frame(
            cbor2.dumps({int(k): _plain(v) for k, v in message.items()}, canonical=True)
        )
        for attempt in range(self._attempts):
            self.retries += attempt > 0
            self._port.write(frame)
            reply = self._wait(op, self._timeout if timeout is None else timeout)
            if reply is not None:
                return _checked(op, reply)
        raise BoardError(op, Status.NO_ANSWER)

    def _wait(self, op: Op, timeout: float) -> dict[int, Any] | None:
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            data = self._port.read(left)
            if not data:
                return None
            for payload in self._decoder.push(data):
                reply = _decode(payload)
                if reply.get(Key.SEQ) == self._seq and reply.get(Key.OP) == op:
                    return reply
        return None


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, IntEnum) else value


def _decode(payload: bytes) -> dict[int, Any]:
    try:
        reply = cbor2.loads(payload)
    except (cbor2.CBORDecodeError, ValueError):
        return {}
    return reply if isinstance(reply, dict) else {}


def _checked(op: Op, reply: dict[int, Any]) -> dict[int, Any]:
    status = reply.get(Key.STATUS)
    if status == Status.OK:
        return reply
    raise BoardError(
        op,
        status if isinstance(status, int) else Status.FIELD,
        needed=reply.get(Key.NEEDED, 0),
        available=reply.get(Key.AVAILABLE, 0),
    )
