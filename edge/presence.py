"""Whether a device is there, as its broker knows it."""

import threading

import paho.mqtt.client as paho

from edge import mqtt
from edge.broker_options import BrokerOptions
from edge.messages import MessageError, State
from edge.topics import DeviceTopics

__all__ = ["state_of"]


def state_of(options: BrokerOptions, topics: DeviceTopics, patience: float = 3.0) -> State | None:
    """Ask the broker for the state that a device, or its last will, has left there.

    Args:
        options: where the broker is.
        topics: the device's topics.
        patience: seconds to wait for it.

    Returns:
        The state; None where none came: the device has never been online.

    Raises:
        BrokerUnreachable: no broker answers, or it refuses.
    """
    came, found = threading.Event(), []

    def take(message: paho.MQTTMessage) -> None:
        try:
            found.append(State.decode(bytes(message.payload)))
        except MessageError:
            return
        came.set()

    def subscribe(client: paho.Client) -> None:
        client.subscribe(topics.state, 1)

    client = mqtt.connect(
        options,
        on_connect=subscribe,
        on_message=take,
    )
    try:
        came.wait(patience)
    finally:
        mqtt.close(client)
    return found[-1] if found else None
