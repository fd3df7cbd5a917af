"""The server's side of the protocol for tests: a client that listens to a site and asks."""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import paho.mqtt.client as paho

from edge import mqtt
from edge.messages import Ack, Command, Decline, Offer, Plan, State, Update, decode_update
from edge.mqtt import BrokerOptions
from edge.topics import DeviceTopics, SiteTopics, device_of

T = TypeVar("T")
SITE = SiteTopics("lab")
PLAN = Plan("reptile", 0.1, 4)


class Hub:
    """Records what devices send, in order, as (device, leaf, payload, retained)."""

    def __init__(self, options: BrokerOptions) -> None:
        self.heard: list[tuple[str, str, bytes, bool]] = []
        self.changed = threading.Condition()
        ready = threading.Event()
        self.client = mqtt.connect(options, on_message=self._hear)
        self.client.on_subscribe = lambda *_: ready.set()
        leaves = ("describe", "state", "update", "ack")
        self.client.subscribe([(SITE.every(leaf), 1) for leaf in leaves])
        assert ready.wait(10)

    def close(self) -> None:
        mqtt.close(self.client)

    def _hear(self, message: paho.MQTTMessage) -> None:
        topics = device_of(message.topic)
        if topics is not None:
            leaf = message.topic.rsplit("/", 1)[1]
            with self.changed:
                self.heard.append((topics.device, leaf, bytes(message.payload), message.retain))
                self.changed.notify_all()

    def wait(self, read: Callable[[], T | None], what: str = "") -> T:
        with self.changed:
            found: list[T] = []

            def ready() -> bool:
                value = read()
                if value is not None:
                    found.append(value)
                return bool(found)

            assert self.changed.wait_for(ready, 15), (what, [entry[:2] for entry in self.heard])
            return found[0]

    def payloads(self, leaf: str, device: str = "d1") -> list[bytes]:
        return [data for who, kind, data, _ in self.heard if (who, kind) == (device, leaf)]

    def answers(self, n: int, device: str = "d1") -> list[bytes]:
        def read() -> list[bytes] | None:
            found = self.payloads("update", device)
            return found if len(found) >= n else None

        return self.wait(read, f"{n} updates")

    def update(self, n: int = 1, device: str = "d1") -> Update:
        found = decode_update(self.answers(n, device)[n - 1])
        assert isinstance(found, Update), found
        return found

    def decline(self, n: int = 1, device: str = "d1") -> Decline:
        found = decode_update(self.answers(n, device)[n - 1])
        assert isinstance(found, Decline), found
        return found

    def state(self, status: str, device: str = "d1") -> State:
        def read() -> State | None:
            states = [State.decode(data) for data in self.payloads("state", device)]
            return states[-1] if states and states[-1].status == status else None

        return self.wait(read, status)

    def publish_model(self, data: bytes, sha256: str | None = None) -> str:
        sha256 = sha256 or hashlib.sha256(data).hexdigest()
        self.client.publish(SITE.model(sha256), data, qos=1, retain=True).wait_for_publish(10)
        return sha256

    def offer(self, base: str, round: int = 1, **changes: Any) -> Offer:
        fields: dict[str, Any] = {"cohort": ("d1",), "plan": PLAN, "id": f"o{round}", "run": "r1"}
        fields |= changes
        offer = Offer(round=round, base=base, deadline=time.time() + 60, **fields)
        self.client.publish(SITE.offer(offer.run), offer.encode(), qos=1, retain=True)
        return offer

    def close_round(self, run: str = "r1") -> None:
        self.client.publish(SITE.offer(run), b"", qos=1, retain=True).wait_for_publish(10)

    def ask(self, command: Command, device: str = "d1") -> Ack:
        topic = DeviceTopics(SITE.site, device).cmd
        self.client.publish(topic, command.encode(), qos=1)

        def read() -> Ack | None:
            acks = [Ack.decode(data) for data in self.payloads("ack", device)]
            return next((ack for ack in acks if ack.id == command.id), None)

        return self.wait(read, f"ack of {command.id}")
