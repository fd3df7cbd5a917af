"""A model that a host has in memory, and the room that models may take there."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from edge.artifact import Artifact
from edge.budget import requirement
from edge.errors import DoesNotFit
from edge.fronted import learner_of
from edge.layout import Layout
from edge.learner import OnlineLearner
from edge.learnt import Learnt
from edge.needs import Needs
from edge.stepping import Steps

__all__ = ["Loaded", "Room"]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A learner, and what it was made from.

    Args:
        base: the artefact.
        learner: over it; its weights may be others by now.
        layout: which part it trains; None: as a deployed model is loaded.
        steps: how it steps.
    """

    base: bytes
    learner: OnlineLearner
    layout: Layout | None = None
    steps: Steps = field(default_factory=Steps)

    @cached_property
    def classes(self) -> bool:
        """Whether a target is a class index."""
        return Artifact(self.base).tail.spec.loss == "cross_entropy"

    def needs(self, steps: Steps) -> Needs:
        """What a sample must be like to be learnt in such steps, or to be inferred."""
        ends = self.learner.n_in, self.learner.n_out
        return Needs(*ends, self.classes, targets=not steps.reconstruct)

    def learnt(self, running: str | None, made: int) -> Learnt:
        """What a restart needs to make it again.

        Args:
            running: SHA-256 of the active artefact.
            made: steps since its weights were given.
        """
        state = self.learner.state()
        return Learnt(running, self.layout, self.steps, **state, made=made)


@dataclass(frozen=True)
class Room:
    """Bytes that models may take.

    Args:
        arena: for a learner.
        slot: for an artefact.
    """

    arena: int
    slot: int

    def load(self, artefact: bytes) -> Loaded:
        """Load an artefact as it is deployed: to train where that fits, else to predict.

        Raises:
            DoesNotFit: it is too large, or running it needs more memory.
            ArtifactError: it is broken.
            MissingExtra: it needs a runtime that is not installed.
        """
        _fits("this artefact", len(artefact), self.slot, "a smaller model")
        need = requirement(Artifact(artefact).tail)
        _fits("running this model", need.ram_infer, self.arena, "a smaller model")
        trains = need.parameters > 0 and need.ram_train <= self.arena
        return Loaded(artefact, learner_of(artefact, infer_only=not trains))

    def lay_out(self, artefact: bytes, layout: Layout, steps: Steps) -> Loaded:
        """Load an artefact to train it as laid out.

        Raises:
            DoesNotFit: that needs more memory.
        """
        self.check_training(artefact, layout, steps)
        options: dict[str, Any] = {
            "train_layers": layout.train_layers,
            "standardise": layout.standardise,
        }
        learner = learner_of(artefact, **options, **steps.options)
        return Loaded(artefact, learner, layout, steps)

    def wake(self, learnt: Learnt, base: bytes) -> Loaded:
        """Make a learner again.

        Raises:
            TinyfleetError: it does not fit any more, or the two do not belong together.
        """
        if learnt.layout is None:
            found = Loaded(base, learner_of(base), None, learnt.steps)
        else:
            found = self.lay_out(base, learnt.layout, learnt.steps)
        found.learner.load_state(learnt.state)
        return found

    def check_training(self, artefact: bytes, layout: Layout, steps: Steps) -> None:
        """Refuse what does not fit while it learns.

        Raises:
            DoesNotFit: with both figures.
        """
        need = requirement(
            Artifact(artefact).tail,
            train_layers=layout.train_layers,
            standardise=layout.standardise,
            momentum=steps.smooths,
            reconstruct=steps.reconstruct,
        )
        fewer = "a smaller model, or fewer trained layers"
        _fits("training this model", need.ram_train, self.arena, fewer)


def _fits(what: str, needed: int, available: int, hint: str) -> None:
    if needed > available:
        raise DoesNotFit(
            f"{what} needs {needed} bytes, {available} are there.",
            needed=needed,
            available=available,
            hint=hint,
        )
