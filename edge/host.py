"""A Linux machine as a device: the learner over a sensor, artefacts in a folder."""

import hashlib
import logging
import platform
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.budget import requirement
from edge.errors import DoesNotFit, TinyfleetError
from edge.fronted import learner_of
from edge.intake import Intake, Needs
from edge.keeping import KEEP_EVERY, Keeper
from edge.layout import Layout, layout_of
from edge.learner import OnlineLearner
from edge.learnt import Learnt
from edge.memory import usable_memory
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
_log = logging.getLogger("tinyfleet.state")


class NotKept(TinyfleetError):
    """The disk does not take an artefact."""


class NothingDeployed(TinyfleetError):
    """There is no model to run yet."""


def host_profile() -> DeviceProfile:
    """The profile of this machine, with the memory that this process may use."""
    ram = usable_memory() or LINUX.ram
    machine = platform.machine() or "unknown"
    return replace(LINUX, ram=ram, title=f"Linux host ({machine})")


class HostWorker:
    """A device whose learner runs in this process.

    Of a model that the learner does not know from front to end, an installed runtime runs the
    front; its memory is not part of the arena.

    Args:
        sensor: its samples.
        store: where artefacts and what is learnt are kept; None: in memory only.
        profile: what the machine is; None: this one.
        arena: bytes that the learner may use; None: a quarter of the RAM.
        slot: bytes that an artefact may have.
        keep_every: seconds of learning that a crash may lose; 0: none. What was answered for is
            kept at once.
    """

    def __init__(
        self,
        sensor: Sensor,
        *,
        store: ArtefactStore | None = None,
        profile: DeviceProfile | None = None,
        arena: int | None = None,
        slot: int = _SLOT,
        keep_every: float = KEEP_EVERY,
    ) -> None:
        """Load the active artefact and what was learnt since, if there is one."""
        self.profile = profile or host_profile()
        self.arena = self.profile.ram // _ARENA_SHARE if arena is None else arena
        self.slot = slot
        self._intake = Intake(sensor)
        self._store = store
        self._layout: Layout | None = None
        self._watcher: Watcher | None = None
        self._artefact: bytes | None = None
        self._base = b""
        self._steps = Steps()
        self._learner: OnlineLearner | None = None
        self._cross_entropy = False
        self._needs = Needs(0, 0, classes=False)
        self._running: str | None = None
        self._kept: list[bytes] = []
        files = None if store is None else store.learnt
        self._keeper = Keeper(files, self._learnt, keep_every)
        self._wake()

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
        practice = Practice(learner, self._cross_entropy, steps, self._keeper.stepped)
        samples = self._intake.passes(self._needs, plan.samples, plan.epochs)
        losses = practice.train(samples, steps.rates(plan.rate, count))
        self._keeper.keep()
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
        practice = Practice(learner, self._cross_entropy, plan.steps, self._keeper.stepped)
        when = watching or Watching()
        if self._watcher is None or self._watcher.watching != when:
            self._watcher = Watcher(practice, plan.rate, when)
        self._watcher.practice, self._watcher.rate = practice, plan.rate
        result = self._watcher.take(samples, self._sample)
        if result.learnt:
            self._keeper.keep()
        return result

    def add_class(self, index: int | None = None) -> int:
        """Put a spare class of the model into use: the first one, or the one given."""
        added = self._ready().add_class(index)
        self._keeper.keep()
        return added

    def deploy(self, artefact: bytes) -> Outcome:
        """Check, load, keep: what fails, or what the sensor cannot feed, leaves the old one."""
        before = dict(vars(self))
        self._load(artefact, fed=True)
        try:
            if self._store is not None:
                self._store.deploy(artefact)
        except OSError as error:
            vars(self).update(before)
            raise NotKept(
                f"an artefact of {len(artefact)} bytes cannot be kept: {error}.",
                hint="room on the disk of --state; the old artefact stays active",
            ) from error
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
        self._fits_training(artifact, layout, plan.steps)
        if self._learner is not None and layout == self._layout:
            self._learner.parameters = parameters
            return _set(self._learner, plan)
        learner = _learner(artefact, layout, plan.steps)
        self._take(learner, artefact, layout, plan.steps)
        return learner

    def _take(
        self, learner: OnlineLearner, base: bytes, layout: Layout | None, steps: Steps
    ) -> None:
        """Go on with another learner, made from an artefact."""
        self._cross_entropy = Artifact(base).tail.spec.loss == "cross_entropy"
        self._needs = Needs(learner.n_in, learner.n_out, self._cross_entropy, not steps.reconstruct)
        self._learner, self._layout, self._watcher = learner, layout, None
        self._base, self._steps = base, steps

    def _learnt(self) -> tuple[Learnt, bytes]:
        """The learner as it is, and the artefact that it was made from."""
        state = self._ready().state()
        return Learnt(self._running, self._layout, self._steps, **state), self._base

    def _wake(self) -> None:
        """Go on as before a restart; what cannot be used is warned of, never raised."""
        for artefact in self._store.kept if self._store is not None else ():
            try:
                self._load(artefact)
                break
            except TinyfleetError as error:
                _log.warning("a kept artefact is not used: %s", error)
        for learnt, base in self._keeper.found(self._running):
            try:
                if learnt.layout is not None:
                    self._fits_training(Artifact(base), learnt.layout, learnt.steps)
                learner = _learner(base, learnt.layout, learnt.steps)
                learner.load_state(learnt.state)
            except TinyfleetError as error:
                _log.warning("what was learnt is not used: %s", error)
                continue
            self._take(learner, base, learnt.layout, learnt.steps)
            return

    def _fits_training(self, artifact: Artifact, layout: Layout, steps: Steps) -> None:
        need = requirement(
            artifact.tail,
            train_layers=layout.train_layers,
            standardise=layout.standardise,
            momentum=steps.smooths,
            reconstruct=steps.reconstruct,
        )
        fewer = "a smaller model, or fewer trained layers"
        self._fits("training this model", need.ram_train, self.arena, fewer)

    def _load(self, artefact: bytes, *, fed: bool = False) -> None:
        self._fits("this artefact", len(artefact), self.slot, "a smaller model")
        artifact = Artifact(artefact)
        need = requirement(artifact.tail)
        self._fits("running this model", need.ram_infer, self.arena, "a smaller model")
        trains = need.parameters > 0 and need.ram_train <= self.arena
        learner = learner_of(artefact, infer_only=not trains)
        if fed:
            self._intake.check_width(learner.n_in)
        self._take(learner, artefact, None, Steps())
        self._artefact = artefact
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

    def _sample(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self._intake.take(self._needs)


def _learner(artefact: bytes, layout: Layout | None, steps: Steps) -> OnlineLearner:
    if layout is None:
        return learner_of(artefact)
    return learner_of(
        artefact,
        train_layers=layout.train_layers,
        standardise=layout.standardise,
        **steps.options,
    )


def _set(learner: OnlineLearner, plan: Plan) -> OnlineLearner:
    learner.set_optimiser(plan.momentum, plan.decay, plan.clip)
    return learner


def _sum(values: NDArray[np.float32]) -> np.float32:
    """Add float32 one after the other, rounding each time."""
    return np.float32(np.add.accumulate(values)[-1])
