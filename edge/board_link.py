"""One request, one reply: the host end of the serial link, below what is asked."""

import secrets
import time
from enum import IntEnum
from typing import Any

import cbor2

from edge.board_answers import BoardError
from edge.board_words import Key, Op, Status
from edge.frames import FrameDecoder, encode_frame
from edge.ports import SerialPort

__all__ = ["BoardLink", "Reply"]


class Reply(dict[int, Any]):
    """Fields of a good reply; BoardError(FIELD) for one that is not there."""

    def __init__(self, op: Op, fields: dict[int, Any]) -> None:
        super().__init__(fields)
        self._op = op

    def __missing__(self, key: int) -> Any:
        """Blame the board."""
        raise BoardError(self._op, Status.FIELD)


class BoardLink:
    """Sends requests, waits for their replies, and sends again what got lost.

    A request keeps its sequence number when it is sent again, so that the board carries it out
    once. Numbers start at random: a board may remember the last one of an earlier session.

    Args:
        port: the line to the board.
        attempts: how often a request is sent before the board counts as gone.

    Attributes:
        retries: requests sent again so far.
    """

    def __init__(self, port: SerialPort, *, attempts: int) -> None:
        self.retries = 0
        self._port = port
        self._attempts = attempts
        self._seq = secrets.randbits(30)
        self._decoder = FrameDecoder()

    @property
    def dropped(self) -> int:
        """Broken frames from the board so far."""
        return self._decoder.dropped

    def ask(self, op: Op, fields: dict[Any, Any], timeout: float) -> Reply:
        """Have one request carried out; BoardError if the board refuses or stays silent."""
        self._seq = (self._seq + 1) % 2**31
        message = {Key.OP: op, Key.SEQ: self._seq, **fields}
        plain = {int(key): _plain(value) for key, value in message.items()}
        frame = encode_frame(cbor2.dumps(plain, canonical=True))
        for attempt in range(self._attempts):
            self.retries += attempt > 0
            self._port.write(frame)
            reply = self._wait(op, timeout)
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


def _checked(op: Op, reply: dict[int, Any]) -> Reply:
    status = reply.get(Key.STATUS)
    if status == Status.OK:
        return Reply(op, reply)
    raise BoardError(
        op,
        status if isinstance(status, int) else Status.FIELD,
        needed=reply.get(Key.NEEDED, 0),
        available=reply.get(Key.AVAILABLE, 0),
    )
