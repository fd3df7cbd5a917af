"""Ask devices of a site over MQTT, all at once, and gather what each answers."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import BrokerUnreachable, TinyfleetError
from edge.messages import Ack, Command
from edge.mqtt import BrokerOptions
from edge.worker import Outcome
from server.reach import reached
from server.transports.mqtt import MqttTransport

__all__ = ["Answer", "ask", "ask_site"]

_FIGURES = {
    "evaluate": ("samples", "loss", "correct"),
    "watch": ("samples", "unlabelled", "learnt", "drifts", "drifting", "loss_mean", "loss_last"),
}
"""What the answer to a command holds, beside outputs."""


@dataclass(frozen=True)
class Answer:
    """What one device said; `reason` says why it did not do it.

    Args:
        model: SHA-256 of what it runs; None: nothing, or it is unknown.
        result: named outcomes.
        y: float32 [n, n_out] outputs of a prediction.
    """

    device: str
    ok: bool
    reason: str
    model: str | None
    result: Outcome = field(default_factory=dict)
    y: NDArray[np.float32] | None = None


def ask_site(
    where: str,
    command: Command,
    options: BrokerOptions,
    *,
    site: str,
    catalog: Path | str | None,
    timeout: float,
) -> list[Answer]:
    """Ask the devices of a list or a query; see `server.reach.reached` and `ask`."""
    with reached(where, options, site=site, catalog=catalog) as reach:
        return ask(reach.transport, reach.devices(), command, timeout=timeout)


def ask(
    transport: MqttTransport, devices: Sequence[str], command: Command, *, timeout: float
) -> list[Answer]:
    """Send every device a command, then wait for all of them.

    Args:
        transport: the way to them.
        devices: their names.
        command: what to do; each is sent it with an id of its own.
        timeout: seconds to wait for the answers, once all are asked.

    Returns:
        An answer for each, in their order; one that is offline, silent or refuses says why.

    Raises:
        BrokerUnreachable: the broker is gone.
    """
    asked = {device: replace(command, id=uuid.uuid4().hex) for device in devices}
    refused: dict[str, str] = {}
    for device, one in asked.items():
        try:
            transport.send(device, one)
        except BrokerUnreachable:
            raise
        except TinyfleetError as error:
            refused[device] = error.message
    end = time.monotonic() + timeout
    found = []
    for device, one in asked.items():
        if device in refused:
            answer = Answer(device, False, refused[device], transport.running(device))
        else:
            answer = _waited(transport, device, one, timeout, end)
        found.append(answer)
    return found


def _waited(
    transport: MqttTransport, device: str, command: Command, timeout: float, end: float
) -> Answer:
    try:
        ack: Ack = transport.answer(device, command, timeout, end=end)
    except TinyfleetError as error:
        return Answer(device, False, error.message, transport.running(device))
    reason = ack.reason if not ack.ok else _lacking(command, ack)
    ok = ack.ok and not reason
    return Answer(device, ok, reason, transport.running(device), ack.result, ack.y)


def _lacking(command: Command, ack: Ack) -> str:
    """What an answer should hold and does not, in a sentence; empty: nothing."""
    if command.kind == "predict":
        return "" if ack.y is not None else "its answer holds no outputs."
    wrong = [
        name for name in _FIGURES.get(command.kind, ())
        if not isinstance(ack.result.get(name), int | float)
    ]  # fmt: skip
    return f"its answer holds no figure for {', '.join(wrong)}." if wrong else ""
