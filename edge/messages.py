"""The messages between server and devices, as frozen dataclasses; the only place that knows them.

Each is one CBOR map: `v` (schema version), `message` (its name), and its fields by name.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from edge.record import Record, plain
from edge.schema import Codes, Digest, Floats, Indices, Matrix, Name, Result
from edge.stepping import Arithmetic, Schedule, Steps
from edge.wire import MessageError, dumps, loads

__all__ = [
    "VERSION",
    "Ack",
    "Command",
    "CommandKind",
    "Decline",
    "LocalPart",
    "Message",
    "MessageError",
    "MetaPass",
    "Offer",
    "Plan",
    "State",
    "Update",
    "decode_update",
]

VERSION = 1
"""Schema version that every message carries; another one is refused."""

CommandKind = Literal["deploy", "predict", "evaluate", "rollback", "watch"]


@dataclass(frozen=True, eq=False)
class Message(Record):
    """One payload on the wire."""

    message: ClassVar[str] = ""

    def encode(self) -> bytes:
        """The canonical CBOR bytes; equal messages give equal bytes.

        Raises:
            MessageError: a field holds what its type does not allow.
        """
        return dumps({"v": VERSION, "message": self.message, **plain(self.to_map())})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the bytes of one message of this class.

        Raises:
            MessageError: anything is wrong with them; nothing else is raised.
        """
        return cls.from_map(_body(data, cls.message)[1])


def _body(data: bytes, *allowed: str) -> tuple[str, dict[str, Any]]:
    """Check version and name; give the name and the map of fields."""
    found = loads(data)
    if not isinstance(found, dict):
        raise MessageError("a message is a map of fields, another value came.")
    version, name = found.pop("v", None), found.pop("message", None)
    if type(version) is not int or version != VERSION:
        raise MessageError(
            f"schema version {str(version)[:40]} came, {VERSION} is spoken here.",
            hint="the same tinyfleet version on both sides",
        )
    if not isinstance(name, str) or name not in allowed:
        raise MessageError(f"message {str(name)[:40]!r} came where {' or '.join(allowed)} may.")
    return name, found


@dataclass(frozen=True, eq=False)
class LocalPart(Record):
    """The end of a model that stays on the device: it is never on the wire.

    Args:
        layers: how many layers with weights, from the end.
        epochs: passes that train these alone, before the others.
        fresh: begin them as in the base in every round, not where the last round left them.
    """

    layers: int
    epochs: int = 0
    fresh: bool = False


@dataclass(frozen=True, eq=False)
class MetaPass(Record):
    """Send what a pass over other samples changes after adapting, instead of the adaptation.

    Args:
        query: samples of that pass.
        layers: adapt the last so many layers with weights; 0: all that the plan trains.
        curvature: length of the step by which the second-order term is measured; 0: left out.
    """

    query: int
    layers: int = 0
    curvature: float = 0.0


@dataclass(frozen=True, eq=False)
class Plan(Record):
    """How a device trains in a round.

    Args:
        strategy: name of the server's strategy, for the record.
        rate: learning rate of the device's SGD.
        samples: how many samples to learn (in each epoch).
        epochs: passes over them; the sensor is rewound before every pass after the first.
        train_layers: train the last so many layers; 0 trains all.
        standardise: standardise inputs with running statistics, which stay on the device.
        top_p: share of the delta's entries to send, largest first; 1 sends all.
        momentum: share of the last step that is taken again, from 0 to below 1.
        decay: L2 weight decay of the weights, not of the biases; 0: none.
        clip: largest norm of a layer's gradient; 0: any.
        arithmetic: `mul_add` rounds product and sum, `fma` once; see tinylearn.h.
        schedule: of the rate over all samples of the round: `constant`, or `linear` down to 0.
        reconstruct: the target of a sample is its own input (autoencoder).
        bits: of a value on the wire: 32 for float32, 8 for int8 codes.
        proximal: strength by which each epoch's end is drawn to the base; such epochs take new
            samples.
        local: the part that stays on the device.
        meta: adapt, then send another pass.
        max_staleness: rounds that may open while a device trains, and its answer still counts.
    """

    added: ClassVar[frozenset[str]] = frozenset(
        {"momentum", "decay", "clip", "arithmetic", "schedule", "reconstruct"}
        | {"bits", "proximal", "local", "meta", "max_staleness"}
    )

    strategy: str
    rate: float
    samples: int
    epochs: int = 1
    train_layers: int = 0
    standardise: bool = False
    top_p: float = 1.0
    momentum: float = 0.0
    decay: float = 0.0
    clip: float = 0.0
    arithmetic: Arithmetic = "mul_add"
    schedule: Schedule = "constant"
    reconstruct: bool = False
    bits: int = 32
    proximal: float = 0.0
    local: LocalPart | None = None
    meta: MetaPass | None = None
    max_staleness: int = 0

    @property
    def most_samples(self) -> int:
        """How many samples a device learns at most in the round, all passes together."""
        passes = self.epochs + (self.local.epochs if self.local else 0)
        return self.samples * passes + (self.meta.query if self.meta else 0)

    @property
    def steps(self) -> Steps:
        """How a step is made.

        Raises:
            UsageError: a value is out of range.
        """
        return Steps(
            momentum=self.momentum,
            decay=self.decay,
            clip=self.clip,
            arithmetic=self.arithmetic,
            schedule=self.schedule,
            reconstruct=self.reconstruct,
        )


@dataclass(frozen=True, eq=False)
class Offer(Message):
    """A round that the devices of its cohort may take part in.

    Args:
        run: which run.
        round: its number in the run.
        base: SHA-256 of the artefact to start from.
        cohort: the devices that are asked.
        plan: how to train.
        deadline: Unix time, seconds, after which the coordinator may close the round.
        id: correlation id, repeated in the answers.
        turn: how often the one device that this goes to has answered the round before.
    """

    message: ClassVar[str] = "offer"
    added: ClassVar[frozenset[str]] = frozenset({"turn"})

    run: Name
    round: int
    base: Digest
    cohort: tuple[Name, ...]
    plan: Plan
    deadline: float
    id: str
    turn: int = 0


@dataclass(frozen=True, eq=False)
class Update(Message):
    """What a device learnt in a round.

    Args:
        device: who.
        run: which run.
        round: its number in the run.
        base: SHA-256 of the artefact it started from.
        id: the offer's id.
        delta: float32 [n], trained minus base parameters; [m] values where `indices` is given;
            empty where `codes` is.
        indices: uint32 [m], strictly increasing: which entries `delta` holds; None: all.
        samples: how many samples were learnt.
        loss_first: loss of the first sample, before its step.
        loss_mean: mean of the losses, each before its step.
        loss_last: loss of the last sample, before its step.
        meters: what was measured, by name with unit (`seconds`, `instructions`, ...).
        codes: int8 [n] or [m]: the values in units of `scale`.
        scale: what one code is worth.
    """

    message: ClassVar[str] = "update"
    added: ClassVar[frozenset[str]] = frozenset({"codes", "scale"})

    device: Name
    run: Name
    round: int
    base: Digest
    id: str
    delta: Floats
    indices: Indices | None
    samples: int
    loss_first: float
    loss_mean: float
    loss_last: float
    meters: dict[str, float] = field(default_factory=dict)
    codes: Codes | None = None
    scale: float = 0.0

    @property
    def values(self) -> NDArray[np.float32]:
        """The values that were sent, float32.

        Raises:
            MessageError: they came both as float32 and as codes.
        """
        if self.codes is None:
            return self.delta
        if self.delta.size:
            raise MessageError(f"{self.delta.size} values came beside {self.codes.size} codes.")
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self.codes * np.float32(self.scale), np.float32)

    def dense(self, n: int) -> NDArray[np.float32]:
        """The delta in full length.

        Args:
            n: number of parameters.

        Returns:
            float32 [n]; entries that were not sent are 0.

        Raises:
            MessageError: the delta does not belong to `n` parameters.
        """
        values = self.values
        if self.indices is None:
            if values.shape != (n,):
                raise MessageError(f"a delta of {values.size} values came, {n} are needed.")
            return values
        if self.indices.shape != values.shape:
            raise MessageError(f"{self.indices.size} indices came for {values.size} values.")
        if self.indices.size and int(self.indices[-1]) >= n:
            raise MessageError(f"index {self.indices[-1]} came, there are {n} parameters.")
        full = np.zeros(n, np.float32)
        full[self.indices] = values
        return full


@dataclass(frozen=True, eq=False)
class Decline(Message):
    """Why a device gives no update in a round.

    Args:
        device: who.
        run: which run.
        round: its number in the run.
        base: SHA-256 of the artefact offered.
        id: the offer's id.
        reason: one line for people.
        needed: bytes needed, where memory is the reason, else 0.
        available: bytes there, where memory is the reason, else 0.
    """

    message: ClassVar[str] = "decline"

    device: Name
    run: Name
    round: int
    base: Digest
    id: str
    reason: str
    needed: int = 0
    available: int = 0


@dataclass(frozen=True, eq=False)
class Command(Message):
    """What a device is asked to do outside rounds.

    Args:
        kind: `deploy` (needs `base`), `predict` (`x`), `evaluate` (`samples`), `rollback`, or
            `watch` (`samples` and `plan`): infer, and learn while the losses have drifted.
        id: correlation id; the same id is done once and answered again.
        base: SHA-256 of the artefact to deploy.
        x: float32 [n, n_in] inputs to predict.
        samples: how many own samples to evaluate on, or to watch.
        plan: how to learn while watching.
        watching: fields of `edge.stepping.Watching` that are not as usual.
    """

    message: ClassVar[str] = "command"
    added: ClassVar[frozenset[str]] = frozenset({"plan", "watching"})

    kind: CommandKind
    id: str
    base: Digest | None = None
    x: Matrix | None = None
    samples: int | None = None
    plan: Plan | None = None
    watching: dict[str, float] | None = None


@dataclass(frozen=True, eq=False)
class Ack(Message):
    """The outcome of a command.

    Args:
        device: who.
        id: the command's id.
        kind: the command's kind.
        ok: whether it was done.
        reason: one line for people where it was not; else empty.
        result: named outcomes.
        y: float32 [n, n_out] outputs of a prediction.
    """

    message: ClassVar[str] = "ack"

    device: Name
    id: str
    kind: CommandKind
    ok: bool
    reason: str = ""
    result: Result = field(default_factory=dict)
    y: Matrix | None = None


@dataclass(frozen=True, eq=False)
class State(Message):
    """Whether a device is there, and what it runs.

    Args:
        device: who.
        status: `online`, or `offline` (also as its last will).
        running: SHA-256 of the active artefact; None: none yet, or (in a last will) not known: then
            the retained description says which.
        time: Unix time, seconds; in a last will, when the connection was made.
    """

    message: ClassVar[str] = "state"

    device: Name
    status: Literal["online", "offline"]
    running: Digest | None
    time: float


def decode_update(data: bytes) -> Update | Decline:
    """Read what comes on an `update` topic.

    Raises:
        MessageError: it is neither an update nor a decline.
    """
    name, found = _body(data, Update.message, Decline.message)
    return Update.from_map(found) if name == Update.message else Decline.from_map(found)
