"""A Linux machine as a device: the learner over a sensor, artefacts in a folder."""

import hashlib
import os
import platform
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.budget import requirement
from edge.errors import DoesNotFit, TinyfleetError
from edge.fronted import learner_of
from edge.layout import Layout, layout_of
from edge.learner import OnlineLearner
from edge.messages import Plan
from edge.ports import Sensor
from edge.practice import Practice, Watcher
from edge.profile import LINUX, DeviceProfile
from edge.stepping import Steps, Watching
from edge.store import ArtefactStore
from edge.topics import DeviceTopics
from edge.worker import Outcome, TrainResult, WatchResult

__all__ = ["HostWorker", "host_profile"]

_SLOT = 64 * 1024 * 1024
_ARENA_SHARE = 4


class NothingDeployed(TinyfleetError):
    """There is no model to run yet."""


def host_profile() -> DeviceProfile:
    """The profile of this machine."""
    ram = LINUX.ram
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        ram = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    machine = platform.machine() or "unknown"
    return replace(LINUX, ram=ram, title=f"Linux host ({machine})")


class HostWorker:
    """A device whose learner runs in this process.

    Of a model that the learner does not know from front to end, an installed runtime runs the
    front; its memory is not part of the arena.

    Args:
        sensor: its samples.
        store: where artefacts are kept; None: in memory only.
        profile: what the machine is; None: this one.
        arena: bytes that the learner may use; None: a quarter of the RAM.
        slot: bytes that an artefact may have.
    """

    def __init__(
        self,
        sensor: Sensor,
        *,
        store: ArtefactStore | None = None,
        profile: DeviceProfile | None = None,
        arena: int | None = None,
        slot: int = _SLOT,
    ) -> None:
        """Load the active artefact, if there is one."""
        self.profile = profile or host_profile()
        self.arena = self.profile.ram // _ARENA_SHARE if arena is None else arena
        self.slot = slot
        self._sensor = sensor
        self._store = store
        self._layout: Layout | None = None
        self._watcher: Watcher | None = None
        self._artefact: bytes | None = None
        self._steps = Steps()
        self._learner: OnlineLearner | None = None
        self._cross_entropy = False
        self._running: str | None = None
        self._kept: list[bytes] = []
        if store is not None and store.active is not None:
            self._load(store.active)

    @property
    def running(self) -> str | None:
        """SHA-256 of the active artefact."""
        return self._running

    def check(self) -> bool:
        """A host that runs this answers."""
        return True

    def description(self, topics: DeviceTopics) -> dict[str, Any]:
        """The Thing Description."""
        return self.profile.thing_description(
            topics.device,
            site=topics.site,
            arena=self.arena,
            slot=self.slot,
            running=self._running,
        )

    def train(self, artefact: bytes, plan: Plan) -> TrainResult:
        """Learn one sample at a time, each dropped after its step.

        The sensor is rewound before every pass after the first.
        Losses are added up in float32, in the order they come, as the firmware does.
        """
        learner, steps = self._laid_out(artefact, plan), plan.steps
        base, count = learner.parameters, plan.samples * plan.epochs
        practice = Practice(learner, self._cross_entropy, steps)
        losses = practice.train(self._samples(plan), steps.rates(plan.rate, count))
        unlabelled = count - len(losses)
        return TrainResult(
            learner.parameters - base,
            len(losses),
            float(losses[0]),
            float(_sum(losses) / np.float32(len(losses))),
            float(losses[-1]),
            {"unlabelled": float(unlabelled)} if unlabelled else {},
        )

    def watch(self, samples: int, plan: Plan, watching: Watching | None = None) -> WatchResult:
        """Infer on own samples, and learn as planned while their losses have drifted.

        The weights go on from those of the last training, and the monitor from the last call, as
        long as plan and options lay the learner out alike.

        Args:
            samples: how many to look at.
            plan: how to learn, but for its samples, epochs and top_p.
            watching: when a rise of the losses is a drift, and how long it is learnt from.
        """
        learner = self._laid_out_for(plan)
        practice = Practice(learner, self._cross_entropy, plan.steps)
        when = watching or Watching()
        if self._watcher is None or self._watcher.watching != when:
            self._watcher = Watcher(practice, plan.rate, when)
        self._watcher.practice, self._watcher.rate = practice, plan.rate
        return self._watcher.take(samples, self._sample)

    def add_class(self, index: int | None = None) -> int:
        """Put a spare class of the model into use: the first one, or the one given."""
        return self._ready().add_class(index)

    def deploy(self, artefact: bytes) -> Outcome:
        """Check, load, keep: what fails leaves the old one active."""
        self._load(artefact)
        if self._store is not None:
            self._store.deploy(artefact)
        self._kept = [artefact, *(old for old in self._kept if old != artefact)][:2]
        return {"running": self._running or "", "bytes": len(artefact)}

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model as it is now: deployed, or as last trained."""
        return self._ready().predict_many(x)

    def evaluate(self, samples: int) -> Outcome:
        """Mean loss, right answers (0 for regression) and count on own samples with a label.

        The loss of a classifier that can only predict is NaN, as on a board.
        """
        practice = Practice(self._ready(), self._cross_entropy, self._steps)
        losses, correct = practice.evaluate(self._sample() for _ in range(samples))
        mean = float(_sum(losses) / np.float32(len(losses)))
        return {"loss": mean, "correct": correct, "samples": len(losses)}

    def rollback(self) -> Outcome:
        """Load the artefact before the active one."""
        if self._store is not None:
            self._load(self._store.rollback())
        elif len(self._kept) > 1:
            self._kept = self._kept[1:]
            self._load(self._kept[0])
        else:
            raise NothingDeployed("there is no artefact to go back to.", hint="deploy another one")
        return {"running": self._running or ""}

    def close(self) -> None:
        """Nothing is held."""

    def _laid_out_for(self, plan: Plan) -> OnlineLearner:
        """The learner as it is where the plan lays it out alike, else one of the artefact."""
        if self._artefact is None:
            raise NothingDeployed("no model is on this device yet.", hint="deploy one first")
        learner, held = self._learner, layout_of(Artifact(self._artefact), plan)[0]
        alike = learner is not None and held == self._layout
        return _set(learner, plan) if learner and alike else self._laid_out(self._artefact, plan)

    def _laid_out(self, artefact: bytes, plan: Plan) -> OnlineLearner:
        """A learner with the artefact's weights; running statistics stay where the layout does."""
        artifact = Artifact(artefact)
        layout, parameters = layout_of(artifact, plan)
        need = requirement(
            artifact.tail,
            train_layers=layout.train_layers,
            standardise=layout.standardise,
            momentum=plan.steps.smooths,
            reconstruct=plan.reconstruct,
        )
        fewer = "a smaller model, or fewer trained layers"
        self._fits("training this model", need.ram_train, self.arena, fewer)
        if self._learner is not None and layout == self._layout:
            self._learner.parameters = parameters
            return _set(self._learner, plan)
        learner = learner_of(
            artefact,
            train_layers=layout.train_layers,
            standardise=layout.standardise,
            **plan.steps.options,
        )
        self._learner, self._layout, self._watcher = learner, layout, None
        self._steps = plan.steps
        self._cross_entropy = artifact.tail.spec.loss == "cross_entropy"
        return learner

    def _load(self, artefact: bytes) -> None:
        self._fits("this artefact", len(artefact), self.slot, "a smaller model")
        artifact = Artifact(artefact)
        need = requirement(artifact.tail)
        self._fits("running this model", need.ram_infer, self.arena, "a smaller model")
        trains = need.parameters > 0 and need.ram_train <= self.arena
        learner = learner_of(artefact, infer_only=not trains)
        self._cross_entropy = artifact.tail.spec.loss == "cross_entropy"
        self._learner, self._layout, self._watcher = learner, None, None
        self._artefact, self._steps = artefact, Steps()
        self._running = hashlib.sha256(artefact).hexdigest()
        if not self._kept:
            self._kept = [artefact]

    def _fits(self, what: str, needed: int, available: int, hint: str) -> None:
        if needed > available:
            raise DoesNotFit(
                f"{what} needs {needed} bytes, {available} are there.",
                needed=needed,
                available=available,
                hint=hint,
            )

    def _ready(self) -> OnlineLearner:
        if self._learner is None:
            raise NothingDeployed("no model is on this device yet.", hint="deploy one first")
        return self._learner

    def _samples(self, plan: Plan) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        for epoch in range(plan.epochs):
            if epoch > 0:
                self._sensor.rewind()
            for _ in range(plan.samples):
                yield self._sample()

    def _sample(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        try:
            return self._sensor.next_sample()
        except StopIteration:
            raise TinyfleetError("the sensor has no more samples.") from None


def _set(learner: OnlineLearner, plan: Plan) -> OnlineLearner:
    learner.set_optimiser(plan.momentum, plan.decay, plan.clip)
    return learner


def _sum(values: NDArray[np.float32]) -> np.float32:
    """Add float32 one after the other, rounding each time."""
    return np.float32(np.add.accumulate(values)[-1])
