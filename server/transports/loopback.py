"""A fleet in this process: devices answer the same bytes that MQTT would carry."""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from edge.answers import Memory, decline_of, update_of
from edge.artifact import Artifact
from edge.errors import DoesNotFit, TinyfleetError
from edge.intake import Intake
from edge.messages import Offer, Plan
from edge.ports import Sensor
from edge.worker import Trainer, TrainResult
from server.transports.base import Mail
from server.transports.jobs import Job, Jobs

__all__ = ["LoopbackDevice", "LoopbackTransport", "Responder", "SensorWorker"]


class Responder(Protocol):
    """A device as the transport sees it."""

    device: str

    def answer(self, offer: bytes, fetch: Callable[[str], bytes]) -> Iterable[bytes] | None:
        """Answer an encoded offer.

        Args:
            offer: bytes of an `Offer`.
            fetch: gives the artefact with a digest.

        Returns:
            Payloads for the update topic, usually one; None: the device went away.
        """


class SensorWorker:
    """Trains a learner on a sensor's samples.

    Args:
        sensor: where samples come from; rewound between the epochs of a plan.
        memory: bytes there are to train in; None: enough.
    """

    def __init__(self, sensor: Sensor, *, memory: int | None = None) -> None:
        """Hold the sensor."""
        self._intake = Intake(sensor)
        self.memory = memory

    def train(self, artefact: bytes, plan: Plan, /) -> TrainResult:
        """Learn as planned, sample by sample.

        Raises:
            DoesNotFit: training needs more memory than there is.
            TinyfleetError: the sensor gives other inputs than the model takes.
        """
        from edge.fronted import learner_of
        from edge.loaded import Loaded
        from edge.practice import Practice

        self._intake.check_round(Artifact(artefact).input.elements)
        learner = learner_of(
            artefact,
            train_layers=plan.train_layers,
            standardise=plan.standardise,
            **plan.steps.options,
        )
        needed = learner.sizes.arena_train
        if self.memory is not None and needed > self.memory:
            raise DoesNotFit("no memory to train.", needed=needed, available=self.memory)
        base, count = learner.parameters, plan.samples * plan.epochs
        loaded = Loaded(artefact, learner)
        samples = self._intake.passes(loaded.needs(plan.steps), plan.samples, plan.epochs)
        practice = Practice(learner, loaded.classes, plan.steps)
        losses = practice.train(samples, plan.steps.rates(plan.rate, count)).tolist()
        mean = sum(losses) / len(losses)
        return TrainResult(learner.parameters - base, len(losses), losses[0], mean, losses[-1])


class LoopbackDevice:
    """A device of the in-process fleet.

    Args:
        device: its name.
        worker: what trains; `SensorWorker` or any `edge.worker.Worker`.
    """

    def __init__(self, device: str, worker: Trainer) -> None:
        """Start without having seen a round."""
        self.device = device
        self.worker = worker
        self.trained = 0
        self._last: tuple[str, bytes] = ("", b"")
        self._memory: dict[str, Memory] = {}

    def answer(self, offer: bytes, fetch: Callable[[str], bytes]) -> Iterable[bytes] | None:
        """See `Responder`: a round that was answered is answered again, not trained again."""
        asked = Offer.decode(offer)
        if self._last[0] != asked.id:
            self._last = (asked.id, self._work(asked, fetch(asked.base)))
        return [self._last[1]]

    def _work(self, offer: Offer, model: bytes) -> bytes:
        try:
            if hashlib.sha256(model).hexdigest() != offer.base:
                raise TinyfleetError("the artefact does not have its digest.")
            memory = self._memory.setdefault(offer.run, Memory())
            update = update_of(self.device, self.worker, offer, model, memory)
        except TinyfleetError as error:
            return decline_of(self.device, offer, error).encode()
        self.trained += 1
        return update.encode()


class LoopbackTransport:
    """The way to devices in this process; each works when its answer is waited for.

    All are equally fast: answers come in the order in which their work was begun. As over MQTT, a
    device first ends what it has in hand, and then takes up the newest offer.

    Args:
        devices: the fleet, online from the start.
    """

    def __init__(self, devices: Iterable[Responder]) -> None:
        """Hold the fleet."""
        self._devices = {device.device: device for device in devices}
        self._online = dict.fromkeys(self._devices, True)
        self._models: dict[str, bytes] = {}
        self._jobs = Jobs()
        self._mail: deque[Mail] = deque()
        self._open: dict[str, Offer] = {}

    def publish_model(self, sha256: str, artifact: bytes) -> None:
        """See `Transport`."""
        self._models[sha256] = artifact

    def offer(self, offer: Offer) -> None:
        """See `Transport`: devices begin in the order of the cohort."""
        self._open[offer.run] = offer
        job = _job(offer)
        for name in offer.cohort:
            if self._online.get(name):
                self._jobs.give(name, job)

    def ask(self, device: str, offer: Offer) -> None:
        """See `Transport`."""
        if self._online.get(device):
            self._jobs.give(device, _job(offer))

    def connect(self, device: Responder) -> None:
        """A device comes, or comes back: it finds the rounds that are open."""
        self._devices[device.device] = device
        self._online[device.device] = True
        self._jobs.drop(device.device)
        for offer in self._open.values():
            if device.device in offer.cohort:
                self._jobs.give(device.device, _job(offer))
        self.put(device.device, None)

    def disconnect(self, device: str) -> None:
        """A device goes away in the middle of what it does."""
        self._online[device] = False
        self._jobs.drop(device)
        self.put(device, None)

    def put(self, device: str, payload: bytes | None) -> None:
        """Let mail come in that no device of this transport sent."""
        self._mail.append(Mail(device, payload))

    def receive(self, timeout: float) -> Mail | None:
        """See `Transport`."""
        while not self._mail and (done := self._jobs.take()) is not None:
            device, job = done
            answers = self._devices[device].answer(job.payload, self._models.__getitem__)
            if answers is None:
                self.disconnect(device)
            else:
                self._mail.extend(Mail(device, payload) for payload in answers)
        if self._mail:
            return self._mail.popleft()
        time.sleep(min(timeout, 0.02))
        return None

    def close_round(self, run: str) -> None:
        """See `Transport`."""
        self._open.pop(run, None)
        self._jobs.close(run)

    def presence(self) -> Mapping[str, bool]:
        """See `Transport`."""
        return dict(self._online)

    def close(self) -> None:
        """See `Transport`."""
        self._models.clear()
        self._jobs = Jobs()


def _job(offer: Offer) -> Job:
    return Job(offer.run, offer.encode(), offer.plan.max_staleness > 0)
