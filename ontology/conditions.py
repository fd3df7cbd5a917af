"""What must hold for a model to run, and train, on a device: each condition with both values."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ontology.describe.model import LEARNER
from ontology.describe.needs import INTERPRETER, LICENCES
from ontology.described import Described
from ontology.namespaces import DCAT, DCT, TF

__all__ = ["Condition", "Wishes", "conditions"]

_TYPES = {LEARNER: ("float32", "int8"), INTERPRETER: ("float32", "int8", "int16", "uint8")}
"""Input types that the runtimes take."""


@dataclass(frozen=True)
class Condition:
    """One thing that must hold.

    Args:
        name: what is compared.
        needed: what the model, or the one who asks, needs; None where unknown.
        available: what there is; None where unknown.
        holds: whether it does; what is unknown does not.
        for_training: whether only training needs it.
        reason: why it fails, where that is no comparison of two values.
    """

    name: str
    needed: int | float | str | None
    available: int | float | str | None
    holds: bool
    for_training: bool = False
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        words = ["unknown" if v is None else str(v) for v in (self.needed, self.available)]
        return f"{self.name}: needs {words[0]}, has {words[1]}"


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the one who asks wants beyond that it fits; None and empty ask for nothing.

    Args:
        predict_ms: most milliseconds that a prediction may take.
        train_ms: most milliseconds that a training step may take.
        licences: SPDX identifiers, one of which the model must have.
        connectivity: ways to talk to others, all of which the device must have.
    """

    predict_ms: float | None = None
    train_ms: float | None = None
    licences: tuple[str, ...] = ()
    connectivity: tuple[str, ...] = ()


def conditions(model: Described, device: Described, wishes: Wishes) -> Iterator[Condition]:
    """Every condition, those of memory last."""
    stated = device.texts(TF + "executes")
    able = [name for name in model.texts(TF + "runtime") if name in (stated or [LEARNER])]
    runtime = next(iter(able or stated), LEARNER)
    operators = _listed(model.texts(TF + "operator"))
    yield Condition("operators", operators, f"those of {runtime}", bool(able))
    if types := model.texts(TF + "dataType"):
        taken = _TYPES.get(runtime, ())
        yield Condition("data type", types[0], ", ".join(taken) or None, types[0] in taken)
    if sensors := model.texts(TF + "needsSensor"):
        senses = device.senses
        yield Condition("sensors", _listed(sensors), _listed(senses), set(sensors) <= set(senses))
    yield from _wishes(model, device, wishes)
    yield from _memory(model, device, runtime)


def _listed(names: Iterable[str]) -> str | None:
    return ", ".join(sorted(names)) or None


def _wishes(model: Described, device: Described, wishes: Wishes) -> Iterator[Condition]:
    if wishes.connectivity:
        has = device.texts(TF + "connectivity")
        asked = set(wishes.connectivity)
        yield Condition("connectivity", _listed(asked), _listed(has), asked <= set(has))
    if wishes.licences:
        under = [iri.removeprefix(LICENCES) for iri in model.iris(DCT + "license")]
        allowed = " or ".join(wishes.licences)
        yield Condition("licence", allowed, _listed(under), bool(set(under) & set(wishes.licences)))
    for name, most, which in (
        ("time to predict, ms", wishes.predict_ms, "inference"),
        ("time to train a step, ms", wishes.train_ms, "training"),
    ):
        if most is not None:
            took = _milliseconds(model, device, which)
            fast = took is not None and took <= most
            yield Condition(name, most, took, fast, for_training=which == "training")


def _milliseconds(model: Described, device: Described, which: str) -> float | None:
    """Counted instructions over the clock: a core that takes one each cycle; others are slower."""
    cores, clock = device.texts(TF + "core"), device.integer(TF + "clockHz")
    for cost in model.costs:
        count = cost.integer(f"{TF}{which}Instructions")
        if clock and count is not None and set(cost.texts(TF + "core")) & set(cores):
            return round(1000 * count / clock, 3)
    return None


def _memory(model: Described, device: Described, runtime: str) -> Iterator[Condition]:
    slot, arena = device.integer(TF + "slotBytes"), device.integer(TF + "arenaBytes")
    learner = runtime == LEARNER
    whole = LEARNER in model.texts(TF + "runtime") and "int8" in model.texts(TF + "dataType")
    predict = "inferenceBytes" if learner else "interpreterBytes"
    train = model.integer(TF + "trainingBytes") if learner else None
    untrained = "" if learner else f"{runtime} does not train"
    untrained = "nothing to train: all layers are int8" if learner and whole else untrained
    for name, needed, room, training in (
        ("size of the file, bytes", model.integer(DCAT + "byteSize"), slot, False),
        ("RAM to predict, bytes", model.integer(TF + predict), arena, False),
        ("RAM to train, bytes", train, arena, True),
    ):
        enough = needed is not None and room is not None and needed <= room
        reason = untrained if training and not enough else ""
        yield Condition(name, needed, room, enough, training, reason)
