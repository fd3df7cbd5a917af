"""A fleet behind an MQTT broker."""

import queue
import threading
import time
from collections.abc import Callable, Mapping

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from edge import mqtt
from edge.errors import BrokerUnreachable, TinyfleetError
from edge.messages import Ack, Command, MessageError, Offer, State
from edge.mqtt import BrokerOptions
from edge.topics import SiteTopics, device_of
from server.attendance import QUIET
from server.cohort import OnWait
from server.transports.base import Mail

__all__ = ["PRESENCE_SECONDS", "MqttTransport", "NotThere"]

PRESENCE_SECONDS = 3.0
"""How long a device may stay unheard of, or away, before it is not asked."""
_PUBLISH_SECONDS = 10.0
_KEPT_MODELS = 2

Described = Callable[[str, bytes], None]
Found = Callable[[str, bytes], None]
Changed = Callable[[str, State], None]


class NotThere(TinyfleetError):
    """A device that is to be asked is offline, or nobody has ever heard of it."""


class MqttTransport:
    """The way to the devices of a site; connected from the start, also a context manager.

    Args:
        options: where the broker is.
        site: the site's topics.
        on_describe: called with (device, Thing Description in JSON) as devices announce them;
            it and `on_state` run in the client's thread and must not block.
        on_state: called with (device, state) when a device comes, goes or runs another model.
        on_model: called with (SHA-256, bytes) when an artefact comes that was sought.

    Raises:
        BrokerUnreachable: no broker answers, or it refuses.
    """

    def __init__(
        self,
        options: BrokerOptions,
        site: SiteTopics,
        *,
        on_describe: Described | None = None,
        on_state: Changed | None = None,
        on_model: Found | None = None,
    ) -> None:
        """Connect and listen."""
        self.site = site
        self._on_describe, self._on_state, self._on_model = on_describe, on_state, on_model
        self._sought: set[str] = set()  # topics
        self._mail: queue.SimpleQueue[Mail] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._states: dict[str, State] = {}
        self._heard: dict[str, float] = {}  # monotonic seconds of the last state
        self._acks: dict[str, Ack] = {}
        self._models: dict[str, bytes] = {}
        self._held: set[str] = set()
        self._offers: dict[str, Offer] = {}
        self._closed = False
        self._client = mqtt.connect(options, on_connect=self._connected, on_message=self._received)
        self._began = time.monotonic()

    def publish_model(self, sha256: str, artifact: bytes) -> None:
        """See `Transport`: retained; all but the newest two, and held ones, are cleared."""
        known = self._models.pop(sha256, None)
        self._models[sha256] = artifact
        if known is None:
            self._publish(self.site.model(sha256), artifact)
        loose = [digest for digest in self._models if digest not in self._held]
        for old in loose[:-_KEPT_MODELS]:
            del self._models[old]
            self._publish(self.site.model(old), b"")

    def hold_model(self, sha256: str, artifact: bytes) -> None:
        """Publish an artefact that stays retained after `close`: devices may still need it."""
        self._held.add(sha256)
        self.publish_model(sha256, artifact)

    def seek_model(self, sha256: str) -> None:
        """Ask for an artefact that the broker may still retain; `on_model` is told if it does."""
        topic = self.site.model(sha256)
        self._sought.add(topic)
        self._client.subscribe(topic, 1)

    def offer(self, offer: Offer) -> None:
        """See `Transport`: retained, so that a device that reconnects finds it."""
        self._offers[offer.run] = offer
        self._publish(self.site.offer(offer.run), offer.encode())

    def ask(self, device: str, offer: Offer) -> None:
        """See `Transport`."""
        self._publish(self.site.device(device).offer, offer.encode(), retain=False)

    def receive(self, timeout: float) -> Mail | None:
        """See `Transport`."""
        try:
            return self._mail.get(timeout=max(timeout, 0.0))
        except queue.Empty:
            return None

    def close_round(self, run: str) -> None:
        """See `Transport`."""
        if self._offers.pop(run, None) is not None:
            self._publish(self.site.offer(run), b"")

    def presence(self) -> Mapping[str, bool]:
        """See `Transport`."""
        with self._changed:
            return {name: state.status == "online" for name, state in self._states.items()}

    def wait_for(self, devices: int, timeout: float, on_wait: OnWait | None = None) -> list[str]:
        """Wait until so many devices are online; gives those that are, sorted, after all.

        Args:
            devices: how many.
            timeout: seconds to wait at most.
            on_wait: called when they are not there at once, and after each change.
        """
        end = time.monotonic() + timeout

        def enough() -> bool:
            return len(self._online()) >= devices

        with self._changed:
            self._changed.wait_for(enough, min(timeout, QUIET))
            while not enough() and (left := end - time.monotonic()) > 0:
                if on_wait is not None:
                    on_wait(devices, len(self._online()))
                self._changed.wait(left)
            return self._online()

    def settle(self, quiet: float = 0.2) -> None:
        """Wait until no device has been heard of for a while: then what is retained has come.

        Args:
            quiet: seconds without a state; at most `PRESENCE_SECONDS` are waited in all.
        """
        end = time.monotonic() + PRESENCE_SECONDS
        with self._changed:
            while time.monotonic() < end and self._changed.wait(quiet):
                pass

    def running(self, device: str) -> str | None:
        """SHA-256 of what a device last said that it runs; None: nothing, or nothing is known."""
        with self._changed:
            state = self._states.get(device)
        return None if state is None else state.running

    def command(self, device: str, command: Command, timeout: float = 30.0) -> Ack:
        """Send a command and wait for its acknowledgement.

        Raises:
            NotThere: the device is offline or unknown; nothing was sent.
            TinyfleetError: no acknowledgement came in time.
        """
        self.send(device, command)
        return self.answer(device, command, timeout)

    def send(self, device: str, command: Command) -> None:
        """Send a command to a device that is online; `answer` waits for what it says.

        Raises:
            NotThere: it is not, though a moment was waited: it may only be reconnecting.
        """
        with self._changed:
            while not self._is_online(device):
                since = self._heard.get(device, self._began)
                left = since + PRESENCE_SECONDS - time.monotonic()
                if left <= 0:
                    raise self._absent(device)
                self._changed.wait(left)
        self._publish(self.site.device(device).cmd, command.encode(), retain=False)

    def answer(
        self, device: str, command: Command, timeout: float, *, end: float | None = None
    ) -> Ack:
        """Wait for the acknowledgement of a command that was sent.

        Args:
            device: whom it was sent to.
            command: which.
            timeout: seconds that it may take.
            end: monotonic seconds at which they are over; None: counted from now.

        Raises:
            TinyfleetError: none came in time.
        """
        left = timeout if end is None else max(end - time.monotonic(), 0.0)
        with self._changed:
            if self._changed.wait_for(lambda: command.id in self._acks, left):
                return self._acks.pop(command.id)
            if not self._is_online(device):
                raise NotThere(
                    f"{device} went offline before it answered {command.kind}.",
                    hint=f"tinyfleet edge status --id {device}",
                )
        raise TinyfleetError(
            f"{device} did not answer {command.kind} in {timeout:g} s.",
            hint="a longer --timeout: it may be busy with a round, or wait for samples",
        )

    def _absent(self, device: str) -> NotThere:
        known = device in self._states
        why = "is offline" if known else f"has never been online at site {self.site.site}"
        return NotThere(f"{device} {why}.", hint=f"tinyfleet edge status --id {device}")

    def close(self) -> None:
        """See `Transport`: clears what is retained, except held artefacts."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._client.is_connected():
                for run in list(self._offers):
                    self.close_round(run)
                for digest in self._models:
                    if digest not in self._held:
                        self._publish(self.site.model(digest), b"")
        finally:
            mqtt.close(self._client)

    def __enter__(self) -> "MqttTransport":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _online(self) -> list[str]:
        return sorted(filter(self._is_online, self._states))

    def _is_online(self, device: str) -> bool:
        return device in self._states and self._states[device].status == "online"

    def _publish(self, topic: str, payload: bytes, *, retain: bool = True) -> None:
        """Publish and wait until the broker has it, also over a reconnect."""
        end = time.monotonic() + _PUBLISH_SECONDS
        while time.monotonic() < end:
            if self._client.is_connected():
                sent = self._client.publish(topic, payload, qos=1, retain=retain)
                if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                    sent.wait_for_publish(max(end - time.monotonic(), 0.0))
                    if sent.is_published():
                        return
            time.sleep(0.05)
        raise BrokerUnreachable(
            f"the broker did not take {topic} in {_PUBLISH_SECONDS:g} s.",
            hint="tinyfleet server resume, once it is back",
        )

    # In the client's thread.

    def _connected(self, client: paho.Client) -> None:
        """Listen; after a reconnect offer again, so that answers that were lost are sent again."""
        leaves = ("describe", "state", "update", "ack")
        client.subscribe([(self.site.every(leaf), 1) for leaf in leaves])
        for topic in list(self._sought):
            client.subscribe(topic, 1)
        for digest, artifact in list(self._models.items()):
            client.publish(self.site.model(digest), artifact, qos=1, retain=True)
        for run, offer in list(self._offers.items()):
            client.publish(self.site.offer(run), offer.encode(), qos=1, retain=True)

    def _received(self, message: paho.MQTTMessage) -> None:
        if message.topic in self._sought:
            self._take_model(message.topic, bytes(message.payload))
            return
        topics = device_of(message.topic)
        if topics is None:
            return
        leaf, device = message.topic.rsplit("/", 1)[1], topics.device
        if leaf == "update":
            self._mail.put(Mail(device, bytes(message.payload)))
        elif leaf == "describe" and self._on_describe is not None and message.payload:
            self._on_describe(device, bytes(message.payload))
        elif leaf in ("state", "ack"):
            self._note(device, leaf, bytes(message.payload))

    def _take_model(self, topic: str, payload: bytes) -> None:
        if not payload:  # cleared
            return
        self._sought.discard(topic)
        self._client.unsubscribe(topic)
        if self._on_model is not None:
            self._on_model(topic.rpartition("/")[2], payload)

    def _note(self, device: str, leaf: str, payload: bytes) -> None:
        """Keep a state or an acknowledgement; what cannot be read, or names another, is dropped."""
        try:
            found = State.decode(payload) if leaf == "state" else Ack.decode(payload)
        except MessageError:
            return
        if found.device != device:
            return
        with self._changed:
            if isinstance(found, Ack):
                self._acks[found.id] = found
            else:
                self._states[device] = found
                self._heard[device] = time.monotonic()
            self._changed.notify_all()
        if isinstance(found, State):
            self._mail.put(Mail(device, None))
            if self._on_state is not None:
                self._on_state(device, found)
