"""Samples that others publish on an MQTT topic, one JSON object a message."""

import queue

import paho.mqtt.client as paho

from edge import mqtt
from edge.broker_options import BrokerOptions
from edge.lines import Lines
from edge.topics import check_filter

__all__ = ["MqttSource"]

_FULL = 4096  # messages that may wait; the oldest are thrown away


class MqttSource(Lines):
    """Samples from a topic; see `Lines` for what a message holds. Close it when done.

    Args:
        options: where the broker is.
        topic: a topic or a filter, such as plant/+/vibration.
        patience: seconds to wait for a sample; then the source is said to be dry.

    Raises:
        UsageError: it is no topic filter.
        BrokerUnreachable: no broker answers, or it refuses.
    """

    unit = "message"

    def __init__(self, options: BrokerOptions, topic: str, patience: float = 60.0) -> None:
        self._queue: queue.Queue[str] = queue.Queue(_FULL)
        self._topic, self._patience = check_filter(topic), patience
        super().__init__(self._line)
        self._client = mqtt.connect(
            options,
            on_connect=self._subscribe,
            on_message=lambda message: self._take(bytes(message.payload)),
        )

    def close(self) -> None:
        """Disconnect."""
        mqtt.close(self._client)

    def _subscribe(self, client: paho.Client) -> None:
        client.subscribe(self._topic, 1)

    def _take(self, payload: bytes) -> None:
        while True:
            try:
                self._queue.put_nowait(payload.decode("utf-8", "replace").replace("\n", " "))
                return
            except queue.Full:
                self._queue.get_nowait()

    def _line(self) -> str:
        try:
            return self._queue.get(timeout=self._patience) + "\n"
        except queue.Empty:
            return ""
