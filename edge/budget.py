"""What a model needs of a device, computed before anything is sent; the figures of the firmware."""

from dataclasses import dataclass
from math import prod

from edge.artifact import Artifact
from edge.errors import DoesNotFit, UsageError
from edge.spec import ModelSpec

__all__ = ["Requirement", "check_fits", "requirement"]


@dataclass(frozen=True)
class Requirement:
    """Needs of one model.

    Args:
        flash: bytes of the file (0 where only the architecture is known).
        ram_infer: bytes of arena to predict.
        ram_train: bytes of arena to learn; 0 if the model cannot be trained.
        parameters: trained float32 values.
        features: values that the trained layers take.
        macs: multiply-accumulates of one forward pass.
    """

    flash: int
    ram_infer: int
    ram_train: int
    parameters: int
    features: int
    macs: int


@dataclass(frozen=True)
class _Part:
    """A layer as the arena sees it: bytes at its ends, values in it."""

    n_in: int
    in_bytes: int
    out_bytes: int
    parameters: int
    macs: int
    fixed: bool
    rescale: int = 0
    int8_in: bool = False


def requirement(
    model: Artifact | ModelSpec,
    *,
    train_layers: int = 0,
    standardise: bool = False,
    momentum: bool = False,
) -> Requirement:
    """Compute what `tl_model_sizes` computes, from the same layout of the arena.

    Args:
        model: an artefact that the learner knows, or an architecture in float32.
        train_layers: train the last so many layers that have weights; 0 trains all that can.
        standardise: whether the tail's input is standardised with running statistics.
        momentum: whether the optimiser keeps a velocity.

    Raises:
        UnsupportedOperator: the learner does not know the artefact.
        UsageError: `train_layers` is out of range.
    """
    parts = _of_spec(model) if isinstance(model, ModelSpec) else _of_chain(model)
    fixed = max((i for i, part in enumerate(parts, 1) if part.fixed), default=0)
    weighted = [i for i, part in enumerate(parts) if part.parameters and i >= fixed]
    if not 0 <= train_layers <= len(weighted):
        raise UsageError(f"train_layers is {train_layers}, there are {len(weighted)} layers.")
    first = weighted[-train_layers] if 0 < train_layers < len(weighted) else fixed
    first = first if weighted else len(parts)
    tail, features = parts[first:], (parts[first] if weighted else parts[0]).n_in
    count = sum(part.parameters for part in tail)
    # The caller keeps a float32 input; an int8 one is made in the arena.
    peak = max(
        part.out_bytes + (part.in_bytes if i or part.int8_in else 0) for i, part in enumerate(parts)
    )
    before = 16 * features * standardise + sum(part.rescale for part in parts)
    widest = max((part.out_bytes for part in tail), default=0)
    scratch = max(sum(part.out_bytes for part in tail) + 2 * widest, peak)
    copies = 4 * features * (standardise or first > 0)
    return Requirement(
        flash=model.size if isinstance(model, Artifact) else 0,
        ram_infer=before + 4 * features * standardise + peak,
        ram_train=(4 * count * (1 + momentum) + before + copies + scratch) * bool(weighted),
        parameters=count,
        features=features,
        macs=sum(part.macs for part in parts),
    )


def _of_spec(spec: ModelSpec) -> list[_Part]:
    return [
        _Part(x.n_in, 4 * x.n_in, 4 * x.n_out, x.n_parameters, x.macs, fixed=False)
        for x in spec.layers
    ]


def _of_chain(artifact: Artifact) -> list[_Part]:
    parts = []
    for x in artifact.chain:
        n_in, n_out, channels = prod(x.in_shape), prod(x.out_shape), x.out_shape[2]
        held = 0 if x.weights is None else x.weights.size + channels
        macs = 0 if x.weights is None else x.weights.size // channels * n_out
        int8 = x.dtype == "int8"
        out_int8 = x.kind == "quantize" or (int8 and x.kind != "dequantize")
        fixed = int8 or x.kind == "quantize"
        ends = _bytes(n_in, int8=int8), _bytes(n_out, int8=out_int8)
        rescale = 8 * channels if int8 and held else 0
        parts.append(_Part(n_in, *ends, held, macs, fixed, rescale, int8))
    return parts


def _bytes(n: int, *, int8: bool) -> int:
    return -(-n // 4) * 4 if int8 else 4 * n


def check_fits(need: Requirement, *, arena: int, slot: int, train: bool, what: str) -> None:
    """Refuse a model, or training it, that a device has no room for.

    Args:
        need: what `requirement` gave.
        arena: bytes of RAM that the device has for a model.
        slot: bytes of flash that the device has for an artefact.
        train: whether it is to be trained, or only run.
        what: the device and model, for the message.

    Raises:
        DoesNotFit: with the bytes needed and the bytes there.
    """
    ram = need.ram_train if train else need.ram_infer
    purpose = "training" if train else "inference"
    for kind, needed, available in (
        ("flash", need.flash, slot),
        (f"RAM for {purpose}", ram, arena),
    ):
        if needed > available:
            raise DoesNotFit(
                f"{what}: {needed} bytes of {kind} needed, {available} there.",
                needed=needed,
                available=available,
                hint="a smaller model, fewer trained layers, or a larger board",
            )
