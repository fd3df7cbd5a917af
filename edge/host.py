"""A Linux machine as a device: the learner over a sensor, artefacts in a folder."""

import hashlib
import logging
import platform
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import TinyfleetError
from edge.intake import Intake
from edge.keeping import KEEP_EVERY, Keeper
from edge.layout import layout_of
from edge.learnt import Learnt
from edge.loaded import Loaded, Room
from edge.memory import usable_memory
from edge.messages import Plan
from edge.ports import Sensor
from edge.practice import Practice, Watcher
from edge.profile import LINUX, DeviceProfile
from edge.stepping import Watching
from edge.store import ArtefactStore, MemoryStore
from edge.supply import Supply
from edge.topics import DeviceTopics
from edge.worker import Outcome, TrainResult, Trend, WatchResult

__all__ = ["HostWorker", "host_profile"]

_SLOT = 64 * 1024 * 1024
_ARENA_SHARE = 4
_log = logging.getLogger("tinyfleet.state")


class NotKept(TinyfleetError):
    """The disk does not take a change."""


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
        arena = self.profile.ram // _ARENA_SHARE if arena is None else arena
        self.room = Room(arena, slot)
        self._store = store or MemoryStore()
        self._loaded: Loaded | None = None
        self._artefact: bytes | None = None
        self._running: str | None = None
        self._watcher: Watcher | None = None
        self._keeper = Keeper(self._store.learnt, self._learnt, keep_every)
        self._intake = Intake(sensor)
        self._supply = Supply(self._intake, self._keeper.lock)
        self._wake()
        self._intake.look()

    @property
    def running(self) -> str | None:
        """SHA-256 of the active artefact."""
        return self._running

    @property
    def waiting(self) -> bool:
        """Whether the sensor is asked for a sample and has not given it."""
        return self._supply.waiting

    def check(self) -> bool:
        """A host that runs this answers; a stream that has ended is told."""
        self._intake.look()
        return True

    def description(self, topics: DeviceTopics) -> dict[str, Any]:
        """The Thing Description."""
        return self.profile.thing_description(
            topics.device,
            site=topics.site,
            arena=self.room.arena,
            slot=self.room.slot,
            running=self._running,
        )

    def train(self, artefact: bytes, plan: Plan) -> TrainResult:
        """Learn one sample at a time, each dropped after its step.

        The sensor is rewound before every pass after the first.
        Losses are added up in float32, in the order they come, as the firmware does.
        """
        with self._keeper.lock:
            self._intake.check_round(Artifact(artefact).input.elements)
            loaded = self._laid_out(artefact, plan)
            base, count = loaded.learner.parameters, plan.samples * plan.epochs
            rates = plan.steps.rates(plan.rate, count)
            samples = self._supply.passes(loaded.needs(plan.steps), plan.samples, plan.epochs)
            losses = self._practice(loaded, plan).train(samples, rates)
            self._keeper.keep()
            unlabelled = count - len(losses)
            return TrainResult(
                loaded.learner.parameters - base,
                len(losses),
                float(losses[0]),
                float(_sum(losses) / np.float32(len(losses))),
                float(losses[-1]),
                {"unlabelled": float(unlabelled)} if unlabelled else {},
                Trend.of(losses),
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
        with self._keeper.lock:
            loaded = self._laid_out_for(plan)
            practice, needs = self._practice(loaded, plan), loaded.needs(plan.steps)
            when = watching or Watching()
            if self._watcher is None or self._watcher.watching != when:
                self._watcher = Watcher(practice, plan.rate, when)
            self._watcher.practice, self._watcher.rate = practice, plan.rate
            result = self._watcher.take(samples, partial(self._supply.next, needs))
            if result.learnt:
                self._keeper.keep()
            return result

    def add_class(self, index: int | None = None) -> int:
        """Put a spare class of the model into use: the first one, or the one given."""
        with self._keeper.lock:
            added = self._ready().learner.add_class(index)
            self._keeper.keep()
            return added

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model as it is now: deployed, or as last trained."""
        with self._keeper.lock:
            return self._ready().learner.predict_many(x)

    def evaluate(self, samples: int) -> Outcome:
        """Mean loss, right answers (0 for regression) and count on own samples with a label.

        The loss of a classifier that can only predict is NaN, as on a board.
        """
        with self._keeper.lock:
            loaded = self._ready()
            practice = Practice(loaded.learner, loaded.classes, loaded.steps)
            needs = loaded.needs(loaded.steps)
            losses, correct = practice.evaluate(self._supply.next(needs) for _ in range(samples))
        mean = float(_sum(losses) / np.float32(len(losses)))
        return {"loss": mean, "correct": correct, "samples": len(losses)}

    def deploy(self, artefact: bytes) -> Outcome:
        """Check, load, keep: what fails, or what the sensor cannot feed, leaves the old one."""
        with self._keeper.lock:
            loaded = self.room.load(artefact)
            self._intake.check_width(loaded.learner.n_in)
            self._commit(lambda: self._store.deploy(artefact), len(artefact))
            self._run(loaded)
        return {"running": self._running or "", "bytes": len(artefact)}

    def rollback(self) -> Outcome:
        """Load the artefact before the active one: what fails leaves the old one active."""
        with self._keeper.lock:
            loaded = self.room.load(self._store.before)
            self._commit(self._store.rollback, len(loaded.base))
            self._run(loaded)
        return {"running": self._running or ""}

    def stop(self) -> None:
        """Take no further sample: what is in hand is Interrupted."""
        self._supply.stopped = True

    def close(self) -> None:
        """Keep what was learnt."""
        self._keeper.close()

    def _commit(self, write: Callable[[], None], size: int) -> None:
        try:
            write()
        except OSError as error:
            raise NotKept(
                f"an artefact of {size} bytes cannot be kept: {error}.",
                hint="room on the disk of --state; the old artefact stays active",
            ) from error

    def _practice(self, loaded: Loaded, plan: Plan) -> Practice:
        return Practice(loaded.learner, loaded.classes, plan.steps, self._keeper.stepped)

    def _laid_out_for(self, plan: Plan) -> Loaded:
        """The learner as it is where the plan lays it out alike, else one of the artefact."""
        if self._artefact is None:
            raise NothingDeployed("no model is on this device yet.", hint="deploy one first")
        layout, _ = layout_of(Artifact(self._artefact), plan)
        if self._loaded is not None and layout == self._loaded.layout:
            return _set(self._loaded, plan)
        return self._laid_out(self._artefact, plan)

    def _laid_out(self, artefact: bytes, plan: Plan) -> Loaded:
        """A learner with the artefact's weights; running statistics stay where the layout does."""
        layout, parameters = layout_of(Artifact(artefact), plan)
        self.room.check_training(artefact, layout, plan.steps)
        if self._loaded is not None and layout == self._loaded.layout:
            self._loaded.learner.parameters = parameters
            self._keeper.begin()
            return _set(self._loaded, plan)
        return self._use(self.room.lay_out(artefact, layout, plan.steps))

    def _use(self, loaded: Loaded, made: int = 0) -> Loaded:
        """Go on with another learner."""
        self._loaded, self._watcher = loaded, None
        self._keeper.begin(made)
        return loaded

    def _run(self, loaded: Loaded) -> None:
        """Go on with another artefact."""
        self._use(loaded)
        self._artefact = loaded.base
        self._running = hashlib.sha256(loaded.base).hexdigest()

    def _learnt(self) -> tuple[Learnt, bytes]:
        """The learner as it is, and the artefact that it was made from."""
        loaded = self._ready()
        return loaded.learnt(self._running, self._keeper.made), loaded.base

    def _wake(self) -> None:
        """Go on as before a restart; what cannot be used is warned of, never raised."""
        for artefact in self._store.kept:
            try:
                self._run(self.room.load(artefact))
            except TinyfleetError as error:
                _log.warning("a kept artefact is not used: %s", error)
                continue
            self._store.use(artefact)
            break
        for learnt, base in self._keeper.found(self._running):
            try:
                self._use(self.room.wake(learnt, base), learnt.made)
            except (TinyfleetError, TypeError, ValueError) as error:
                _log.warning("what was learnt is not used: %s", error)
                continue
            _log.info("going on with what was learnt before the restart: %s", _steps(learnt.made))
            return

    def _ready(self) -> Loaded:
        if self._loaded is None:
            raise NothingDeployed("no model is on this device yet.", hint="deploy one first")
        return self._loaded


def _set(loaded: Loaded, plan: Plan) -> Loaded:
    loaded.learner.set_optimiser(plan.momentum, plan.decay, plan.clip)
    return loaded


def _steps(made: int) -> str:
    return f"{made} steps" if made != 1 else "1 step"


def _sum(values: NDArray[np.float32]) -> np.float32:
    """Add float32 one after the other, rounding each time."""
    return np.float32(np.add.accumulate(values)[-1])
