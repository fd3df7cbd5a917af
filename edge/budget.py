"""What a model needs of a device, computed before anything is sent; the figures of the firmware."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from edge.artifact import Artifact
from edge.errors import DoesNotFit, UsageError
from edge.layers import ActivateSpec, Layer
from edge.spec import ModelSpec

__all__ = ["LAYER_BYTES", "Requirement", "check_fits", "first_of_tail", "requirement"]

LAYER_BYTES = 48
"""Bytes of one entry in a board's table of layers (`tl_layer`, pointers of 4 bytes)."""


@dataclass(frozen=True)
class Requirement:
    """Needs of one model.

    Args:
        flash: bytes of the file (0 where only the architecture is known).
        ram_infer: bytes of arena to predict.
        ram_train: bytes of arena to learn; 0 if the model cannot be trained.
        parameters: trained float32 values.
        features: elements of the tail's input (of the model's where nothing can be trained).
        macs: multiply-accumulates of one forward pass.
        table: bytes of a board's table of layers.
        sample: bytes of the one sample that a board holds: input, target and output.
    """

    flash: int
    ram_infer: int
    ram_train: int
    parameters: int
    features: int
    macs: int
    table: int
    sample: int

    @property
    def board_infer(self) -> int:
        """Bytes that a board needs to predict, beside its firmware's own."""
        return self.table + self.sample + self.ram_infer

    @property
    def board_train(self) -> int:
        """The same to learn; 0 if the model cannot be trained."""
        return self.table + self.sample + self.ram_train if self.ram_train else 0


@dataclass(frozen=True)
class _Part:
    """A layer as the arena sees it: elements, and whether they are int8."""

    n_in: int
    n_out: int
    channels: int
    weights: int
    int8: bool = False
    int8_out: bool = False

    @property
    def in_bytes(self) -> int:
        return _bytes(self.n_in, self.int8)

    @property
    def out_bytes(self) -> int:
        return _bytes(self.n_out, self.int8_out)

    @property
    def frozen(self) -> bool:
        return self.int8 or self.int8_out


def requirement(
    model: Artifact | ModelSpec,
    *,
    train_layers: int = 0,
    standardise: bool = False,
    momentum: bool = False,
    reconstruct: bool = False,
) -> Requirement:
    """Compute what `tl_model_sizes` computes, from the same layout of the arena.

    Args:
        model: an artefact that the learner knows, or an architecture in float32.
        train_layers: train the last so many layers with weights; 0 trains all that can be.
        standardise: whether the tail's input is standardised with running statistics.
        momentum: whether there is momentum, weight decay or clipping.
        reconstruct: whether the target is the tail's input.

    Raises:
        UnsupportedOperator: the learner does not know the artefact.
        UsageError: `train_layers` is out of range.
    """
    spec = model if isinstance(model, ModelSpec) else model.spec
    parts = list(_of_spec(spec.layers) if isinstance(model, ModelSpec) else _of_artifact(model))
    first = _first_of_tail(parts, train_layers)
    tail = parts[first:]
    count = sum(part.weights + part.channels for part in tail if part.weights)
    features = tail[0].n_in if tail else spec.n_in
    rescale = sum(8 * part.channels for part in parts if part.int8 and part.weights)
    statistics = 20 * features if standardise else 0
    peak = max(
        part.out_bytes + (part.in_bytes if index or part.int8 else 0)
        for index, part in enumerate(parts)
    )
    copied = 4 * features if first and not standardise else 0
    learning = sum(part.out_bytes for part in tail)
    learning += 2 * max((part.out_bytes for part in tail), default=0)
    train = 4 * count * (2 if momentum else 1) + statistics + copied + rescale
    target = 0 if reconstruct else spec.n_target
    return Requirement(
        flash=model.size if isinstance(model, Artifact) else 0,
        ram_infer=statistics + rescale + peak,
        ram_train=train + max(learning, peak) if count else 0,
        parameters=count,
        features=features,
        macs=spec.macs,
        table=LAYER_BYTES * len(parts),
        sample=4 * (spec.n_in + target + spec.n_out),
    )


def first_of_tail(artifact: Artifact, train_layers: int) -> int:
    """Index in `Artifact.chain` of the first layer that belongs to what is trained.

    Raises:
        UsageError: `train_layers` is out of range.
    """
    return _first_of_tail(list(_of_artifact(artifact)), train_layers)


def _bytes(elements: int, int8: bool) -> int:
    return -(-elements // 4) * 4 if int8 else 4 * elements


def _of_artifact(artifact: Artifact) -> Iterator[_Part]:
    for part in artifact.chain:
        int8 = part.dtype == "int8"
        yield _Part(
            prod(part.in_shape),
            prod(part.out_shape),
            part.out_shape[2],
            0 if part.weights is None else part.weights.size,
            int8,
            part.kind == "quantize" or (int8 and part.kind != "dequantize"),
        )


def _of_spec(layers: Sequence[Layer]) -> Iterator[_Part]:
    before: Layer | None = None
    for layer in layers:
        linear = before is not None and before.weight_shape and before.activation == "linear"
        if not (isinstance(layer, ActivateSpec) and linear):
            yield _Part(
                layer.n_in, layer.n_out, layer.out_shape[2], prod(layer.weight_shape or (0,))
            )
        before = layer


def _first_of_tail(parts: list[_Part], train_layers: int) -> int:
    """First trained layer; all that can be trained takes in what lies before them, too."""
    ends = [index for index, part in enumerate(parts, 1) if part.frozen]
    start = max(ends, default=0)
    weighted = [index for index, part in enumerate(parts) if index >= start and part.weights]
    if not 0 <= train_layers <= len(weighted):
        raise UsageError(
            f"train_layers is {train_layers}, {len(weighted)} layers with weights can be trained."
        )
    if not weighted:
        return len(parts)
    return start if train_layers in (0, len(weighted)) else weighted[-train_layers]


def check_fits(need: Requirement, *, arena: int, slot: int, train: bool, what: str) -> None:
    """Refuse a model, or training it, that a device has no room for.

    Args:
        need: what `requirement` gave.
        arena: bytes of RAM that the board has for a model.
        slot: bytes of flash that the device has for an artefact.
        train: whether it is to be trained, or only run.
        what: the device and model, for the message.

    Raises:
        DoesNotFit: with the bytes needed and the bytes there.
    """
    ram = need.board_train if train else need.board_infer
    purpose = "training" if train else "inference"
    fewer = ", fewer trained layers" if train else ""
    for kind, needed, available, hint in (
        ("flash", need.flash, slot, "a smaller model (int8 for one), or a board with more flash"),
        (f"RAM for {purpose}", ram, arena, f"a smaller model{fewer}, or a board with more RAM"),
    ):
        if needed > available:
            raise DoesNotFit(
                f"{what}: {needed} bytes of {kind} needed, {available} there.",
                needed=needed,
                available=available,
                hint=hint,
            )
