"""Whether a device is there, as its broker knows it."""

import json
import re
import threading
from dataclasses import replace

import paho.mqtt.client as paho

from edge import mqtt
from edge.broker_options import BrokerOptions
from edge.messages import MessageError, State
from edge.topics import DeviceTopics

__all__ = ["state_of"]


def state_of(options: BrokerOptions, topics: DeviceTopics, patience: float = 3.0) -> State | None:
    """Ask the broker for the state that a device, or its last will, has left there.

    A last will does not know what runs; the description that the device has left does.

    Args:
        options: where the broker is.
        topics: the device's topics.
        patience: seconds to wait for it.

    Returns:
        The state; None where none came: the device has never been online.

    Raises:
        BrokerUnreachable: no broker answers, or it refuses.
    """
    came = threading.Event()
    states: list[State] = []
    described: list[str | None] = []

    def take(message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if message.topic == topics.describe:
            described.append(_running(payload))
        else:
            try:
                states.append(State.decode(payload))
            except MessageError:
                return
        if states and (states[-1].running or described):
            came.set()

    def subscribe(client: paho.Client) -> None:
        client.subscribe([(topics.state, 1), (topics.describe, 1)])

    client = mqtt.connect(
        options,
        on_connect=subscribe,
        on_message=take,
    )
    try:
        came.wait(patience)
    finally:
        mqtt.close(client)
    if not states:
        return None
    state = states[-1]
    known = described[-1] if described else None
    return state if state.running or known is None else replace(state, running=known)


def _running(payload: bytes) -> str | None:
    """What a Thing Description says that its device runs."""
    try:
        found = json.loads(payload)["tf:running"]["@id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    name = str(found).removeprefix("urn:sha256:")
    return name if re.fullmatch("[0-9a-f]{64}", name) else None
