"""What a gateway can ask of a board over the serial link.

The numbers are those of firmware_sim/firmware/protocol.h. A request is one CBOR map in one frame;
the board answers each with one, and answers a repeated sequence number with the same bytes.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.board_answers import (
    BoardError,
    BoardEvaluation,
    BoardInfo,
    BoardTraining,
)
from edge.board_learning import BoardLearning, layout_fields
from edge.board_link import BoardLink, Reply
from edge.board_words import COMMIT_REPLACE, MAX_CHUNK, Key, Op, Status, Target
from edge.ports import SerialPort
from edge.self_test import SelfTest
from edge.stepping import Steps

__all__ = [
    "BoardClient",
    "BoardError",
    "BoardEvaluation",
    "BoardInfo",
    "BoardTraining",
    "Key",
    "Op",
    "Status",
    "Target",
]


class BoardClient(BoardLearning):
    """The host end of the link to one board; one request at a time.

    Args:
        port: the line to the board.
        timeout: seconds to wait for an answer to an ordinary request.
        work_timeout: seconds to wait for training, evaluation or prediction.
        attempts: how often a request is sent before the board counts as gone.

    Every method raises BoardError where the board refuses or does not answer.
    """

    def __init__(
        self,
        port: SerialPort,
        *,
        timeout: float = 5.0,
        work_timeout: float = 120.0,
        attempts: int = 4,
    ) -> None:
        self._link = BoardLink(port, attempts=attempts)
        self._timeout = timeout
        self._work_timeout = work_timeout

    @property
    def retries(self) -> int:
        """Requests sent again so far."""
        return self._link.retries

    @property
    def dropped(self) -> int:
        """Broken frames from the board so far."""
        return self._link.dropped

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
            saved=bool(r.get(Key.SAVED, 0)),
            update=r.get(Key.UPDATE, 0),
        )

    def upload_artifact(
        self,
        data: bytes,
        *,
        digest: str | None = None,
        keep: bool = True,
        self_test: SelfTest | None = None,
    ) -> BoardInfo:
        """Write a .tflite into the free slot and switch to it; keeps the old one for `rollback`.

        Args:
            data: the file.
            digest: SHA-256 in hex that it should have; computed if not given.
            keep: whether a model of the same architecture takes over what the one before has
                learnt; False: it starts with the weights of the file.
            self_test: an answer that the board has to give before it switches.

        Returns:
            What the board runs then. Nothing is sent if it already runs this very file: its
            weights are then those of the file or what it has learnt since (see `reset_learner`).

        Raises:
            BoardError: the file is damaged, not supported, does not fit or fails its self-test
                (SELF_TEST), or what was learnt has no room in flash and `keep` is set (SPACE);
                the old one runs on.
        """
        wanted = hashlib.sha256(data).hexdigest() if digest is None else digest
        info = self.hello()
        if info.active == wanted:
            return info
        test = b"" if self_test is None else self_test.data
        payload = data + bytes(-len(data) % 4) + test if test else data
        commit: dict[Any, Any] = {} if keep else {Key.FLAGS: COMMIT_REPLACE}
        if self_test is not None:
            commit[Key.RATE] = float(np.float32(self_test.tolerance))
        self._ask(
            Op.BEGIN,
            {
                Key.TARGET: Target.SLOT,
                Key.SIZE: len(data),
                Key.DIGEST: bytes.fromhex(wanted),
                Key.LENGTH: len(test),
            },
        )
        self._write(Target.SLOT, payload)
        self._work(Op.COMMIT, commit)
        return self.hello()

    def save(self) -> None:
        """Write what the running model has learnt to flash; it is there again after a power cut.

        The board does so by itself before it switches to another artefact.

        Raises:
            BoardError: there is no room behind the artefact (SPACE), or nothing that learns.
        """
        self._work(Op.SAVE, {})

    def set_parameters(
        self,
        vector: ArrayLike,
        *,
        train_layers: int = 0,
        standardise: bool = False,
        steps: Steps | None = None,
    ) -> None:
        """Replace the weights in RAM.

        Args:
            vector: float32 [n], the trained layers in order, finite.
            train_layers: how many layers from the end are trained; 0: all.
            standardise: whether inputs are standardised with running statistics.
            steps: how steps will be made; None: plain SGD.

        Raises:
            BoardError: wrong size, not finite, or training does not fit; weights of the file
                then stand in, unless nothing was written yet.
        """
        data = np.asarray(vector, dtype="<f4").tobytes()
        layout = layout_fields(train_layers, standardise, steps or Steps())
        self._send(Target.PARAMETERS, data, hashlib.sha256(data).digest(), layout)

    def get_parameters(self) -> NDArray[np.float32]:
        """Read the weights in RAM: float32 [n], the trained layers in order."""
        return self._read(Target.PARAMETERS, 4 * self.hello().parameters)

    def evaluate(self, samples: int) -> BoardEvaluation:
        """Measure the loss on samples of the board's sensor, without learning."""
        r = self._work(Op.EVALUATE, {Key.SAMPLES: samples})
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
        self,
        *,
        train_layers: int | None = None,
        standardise: bool | None = None,
        steps: Steps | None = None,
    ) -> None:
        """Take the weights from the artefact again; forget running statistics and what is saved.

        Args:
            train_layers: another choice of trained layers; 0: all. All three None: as it is now.
            standardise: another choice of standardising.
            steps: another choice of how steps are made.
        """
        fields: dict[int, Any] = {}
        if (train_layers, standardise, steps) != (None, None, None):
            fields = layout_fields(train_layers or 0, bool(standardise), steps or Steps())
        self._ask(Op.RESET_LEARNER, fields)

    def _predict_one(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        data = x.astype("<f4").tobytes()
        fields: dict[int, Any] = {Key.DATA: data}
        if len(data) > MAX_CHUNK:
            self._write(Target.INPUT, data)
            fields = {}
        r = self._work(Op.PREDICT, fields)
        if Key.DATA in r:
            return np.frombuffer(r[Key.DATA], "<f4").astype(np.float32)
        return self._read(Target.OUTPUT, r[Key.SIZE])

    def _send(self, target: Target, data: bytes, digest: bytes, more: dict[int, Any]) -> None:
        fields = {Key.TARGET: target, Key.SIZE: len(data), Key.DIGEST: digest, **more}
        self._ask(Op.BEGIN, fields)
        self._write(target, data)
        self._work(Op.COMMIT, {})

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

    def _ask(self, op: Op, fields: dict[Any, Any]) -> Reply:
        return self._link.ask(op, fields, self._timeout)

    def _work(self, op: Op, fields: dict[Any, Any]) -> Reply:
        return self._link.ask(op, fields, self._work_timeout)
