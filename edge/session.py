"""The device side of the MQTT protocol, once, for every kind of device.

The client's thread only sorts messages; a thread of the session's own does the work, one job
at a time. Offers are handled once per (run, round), commands once per id: repeated ones get
the same bytes again. Whatever a worker raises becomes a `Decline` or a failed `Ack`.
"""

import json
import logging
import queue
import threading
import time
from types import TracebackType
from typing import Any, Literal, Self

import paho.mqtt.client as paho

from edge import mqtt
from edge.answers import Memory, ack_of, decline_of, update_of
from edge.fetch import ArtefactFetcher, Superseded
from edge.messages import Command, MessageError, Offer, State
from edge.mqtt import BrokerOptions, Will
from edge.rivals import Rivals
from edge.roundbook import Kept, RoundBook
from edge.topics import DeviceTopics
from edge.worker import Interrupted, Worker

__all__ = ["DeviceSession"]

Status = Literal["online", "offline"]

_log = logging.getLogger("tinyfleet.session")
_GOODBYE_SECONDS = 3.0
_FINISH_SECONDS = 20.0
_FINISH_LOOK = 0.2


class DeviceSession:
    """One device at one broker, from `start` to `stop`; also a context manager.

    Args:
        options: where the broker is.
        topics: the device's topics.
        worker: the device.
        fetch_timeout: seconds to wait for an artefact.
        check_every: seconds of idleness after which the worker is asked whether it still answers.
    """

    def __init__(
        self,
        options: BrokerOptions,
        topics: DeviceTopics,
        worker: Worker,
        *,
        fetch_timeout: float = 10.0,
        check_every: float = 5.0,
    ) -> None:
        """Prepare; nothing is sent before `start`."""
        self.topics = topics
        self.worker = worker
        self._options = options
        self._fetch_timeout = fetch_timeout
        self._check_every = check_every
        self._present = True
        self._client: paho.Client | None = None
        self._thread: threading.Thread | None = None
        self._jobs: queue.SimpleQueue[Offer | Command | None] = queue.SimpleQueue()
        self._fetcher = ArtefactFetcher(topics.shared)
        self._book = RoundBook()
        self._rivals = Rivals()
        self._lock = threading.Lock()
        self._acks: Kept[str] = Kept(32)
        self._taken: set[str] = set()
        self._memory: dict[str, Memory] = {}
        self._stopping = threading.Event()

    @property
    def _name(self) -> str:
        """What the device is called at the broker."""
        return f"{self.topics.site}.{self.topics.device}"

    @property
    def client(self) -> paho.Client:
        """The connected client."""
        if self._client is None:
            raise RuntimeError("the session has not been started")
        return self._client

    def start(self) -> Self:
        """Connect, announce the device and begin to take work.

        Raises:
            BrokerUnreachable: no broker answers, or it refuses.
        """
        self._client = mqtt.connect(
            self._options,
            client_id=self._name,
            will=Will(self.topics.state, self._state("offline", None).encode()),
            on_connect=self._connected,
            on_message=self._received,
            on_lost=self._lost,
        )
        self._thread = threading.Thread(
            target=self._work, args=(self._client,), name=self.topics.device, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the job in hand, say goodbye, disconnect, close the worker."""
        self._end()
        if self._client is not None:
            farewell = self._announce(self._client, leaving=True)
            if self._client.is_connected():
                farewell.wait_for_publish(_GOODBYE_SECONDS)
            mqtt.close(self._client)
        self.worker.close()

    def kill(self) -> None:
        """Vanish as in a power cut: the broker has to notice by itself."""
        self._stopping.set()
        self._jobs.put(None)
        sock = self.client.socket()
        self.client.loop_stop()
        if sock is not None:
            sock.close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _end(self) -> None:
        self._stopping.set()
        self._fetcher.poke()
        self._jobs.put(None)
        self.worker.stop()
        end = time.monotonic() + _FINISH_SECONDS
        while self._thread is not None and self._thread.is_alive() and time.monotonic() < end:
            self._thread.join(_FINISH_LOOK)
            if self.worker.waiting:
                break

    # -- in the client's thread --------------------------------------------------------------

    def _connected(self, client: paho.Client) -> None:
        self._client = client
        self._rivals.connected()
        topics = (self.topics.cmd, self.topics.offer, self.topics.shared.offers)
        _, mine = client.subscribe([(topic, 1) for topic in topics])

        def subscribed(client: paho.Client, data: Any, mid: int, *_: Any) -> None:
            if mid == mine and not self._stopping.is_set():  # else after the farewell
                self._announce(client)

        client.on_subscribe = subscribed
        self._fetcher.reconnected(client)

    def _lost(self, code: int) -> None:
        if not self._stopping.is_set() and self._rivals.lost(code):
            _log.warning(
                "%s was thrown out by the broker at %s: another client is called %s there. "
                "Two agents with the same --id and --site?",
                self.topics.device, self._options.address, self._name,
            )  # fmt: skip

    def _received(self, message: paho.MQTTMessage) -> None:
        try:
            self._sort(message.topic, bytes(message.payload))
        except MessageError as error:
            _log.warning("%s: ignored on %s: %s", self.topics.device, message.topic, error)
        except Exception:
            _log.exception("%s: failed on %s", self.topics.device, message.topic)

    def _sort(self, topic: str, payload: bytes) -> None:
        if self._fetcher.receive(topic, payload):
            return
        if topic == self.topics.cmd:
            self._take_command(Command.decode(payload))
        elif topic == self.topics.offer:
            offer = Offer.decode(payload)
            self._take_offer(offer.run, offer)
        elif topic.endswith("/offer"):
            run = topic.split("/")[-2]
            if payload:
                self._take_offer(run, Offer.decode(payload))
            else:
                self._book.close(run)
                self._fetcher.poke()

    def _take_offer(self, run: str, offer: Offer) -> None:
        if offer.run != run or self.topics.device not in offer.cohort:
            return
        sent = self._book.answer(offer)
        if sent is not None:
            self._publish(self.topics.update, sent)
        elif self._book.open(offer):
            self._fetcher.poke()
            self._jobs.put(offer)

    def _take_command(self, command: Command) -> None:
        with self._lock:
            sent = self._acks.get(command.id)
            new = sent is None and command.id not in self._taken
            if new:
                self._taken.add(command.id)
        if sent is not None:
            self._publish(self.topics.ack, sent)
        elif new:
            self._jobs.put(command)

    # -- in the session's thread -------------------------------------------------------------

    def _work(self, client: paho.Client) -> None:
        while not self._stopping.is_set():
            try:
                job = self._jobs.get(timeout=self._check_every)
            except queue.Empty:
                self._look(client)
                continue
            if isinstance(job, Offer):
                self._answer_offer(client, job)
            elif job is not None:
                self._answer_command(client, job)

    def _look(self, client: paho.Client) -> None:
        """Tell everybody when the device behind us went, or came back."""
        present = self.worker.check()
        if present != self._present:
            self._present = present
            self._announce(client)

    def _answer_offer(self, client: paho.Client, offer: Offer) -> None:
        if not self._book.wanted(offer):
            return
        before = self.worker.running
        try:
            artefact = self._fetch(client, offer)
            memory = self._memory.setdefault(offer.run, Memory())
            found = update_of(self.topics.device, self.worker, offer, artefact, memory)
            update = found.encode()
        except (Superseded, Interrupted):
            return
        except Exception as error:
            _log.info(
                "%s declines round %d of %s: %s", self.topics.device, offer.round, offer.run, error
            )
            if self._book.give_up(offer):
                decline = decline_of(self.topics.device, offer, error)
                self._publish(self.topics.update, decline.encode())
            return
        if not self._stopping.is_set() and self._book.finish(offer, update):
            self._publish(self.topics.update, update)
        self._retell(client, before)

    def _retell(self, client: paho.Client, before: str | None) -> None:
        """Announce again if another artefact is active than before."""
        running = self.worker.running
        if running != before:
            _log.info("%s runs model %s", self.topics.device, (running or "none")[:12])
            self._announce(client)

    def _fetch(self, client: paho.Client, offer: Offer) -> bytes:
        return self._fetcher.fetch(
            client,
            offer.base,
            self._fetch_timeout,
            lambda: self._book.wanted(offer) and not self._stopping.is_set(),
        )

    def _answer_command(self, client: paho.Client, command: Command) -> None:
        before = self.worker.running

        def fetch(sha256: str) -> bytes:
            return self._fetcher.fetch(
                client, sha256, self._fetch_timeout, lambda: not self._stopping.is_set()
            )

        found = ack_of(self.topics.device, self.worker, command, fetch)
        if not found.ok:
            _log.info("%s refuses to %s: %s", self.topics.device, command.kind, found.reason)
        ack = found.encode()
        with self._lock:
            self._acks.put(command.id, ack)
            self._taken.discard(command.id)
        self._retell(client, before)
        self._publish(self.topics.ack, ack)

    # -- in any thread -----------------------------------------------------------------------

    def _publish(self, topic: str, payload: bytes) -> None:
        self.client.publish(topic, payload, qos=1)

    def _announce(self, client: paho.Client, *, leaving: bool = False) -> paho.MQTTMessageInfo:
        """Retain the description, then the state, so that who is online is also described."""
        status: Status = "offline" if leaving or not self._present else "online"
        if status == "online":
            description = json.dumps(self.worker.description(self.topics), sort_keys=True)
            client.publish(self.topics.describe, description.encode(), qos=1, retain=True)
        state = self._state(status, self.worker.running).encode()
        return client.publish(self.topics.state, state, qos=1, retain=True)

    def _state(self, status: Status, running: str | None) -> State:
        return State(self.topics.device, status, running, time.time())
