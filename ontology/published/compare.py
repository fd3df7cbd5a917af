"""Our figures of a file beside the published ones, and why they differ where they do."""

from typing import NamedTuple

from edge.artifact import Artifact
from ontology.describe.operators import activation_bytes
from ontology.published.records import PublishedModel

__all__ = ["SLACK", "Comparison", "compare", "records_bytes"]

SLACK = 512
"""Bytes by which `records_bytes` is off at most, over the 20 published files."""


class Comparison(NamedTuple):
    """One figure.

    Args:
        model: its name.
        figure: what is compared.
        published: what the authors say.
        ours: what the file says.
        reason: why they differ; empty where they do not; None where we cannot tell.
    """

    model: str
    figure: str
    published: int | str
    ours: int | str
    reason: str | None


def compare(model: PublishedModel, artifact: Artifact) -> list[Comparison]:
    """Every published figure that the file speaks of."""
    found = []
    if model.macs is not None:
        why = _macs(model.macs, artifact.macs)
        found.append(Comparison(model.name, "macs", model.macs, artifact.macs, why))
    if model.flash is not None:
        why = "" if model.flash == artifact.size else None
        found.append(Comparison(model.name, "flash, bytes", model.flash, artifact.size, why))
    activations = activation_bytes(artifact)
    if model.ram is not None and activations is not None:
        why = _memory(model.ram, activations, artifact)
        found.append(Comparison(model.name, "RAM, bytes", model.ram, activations, why))
    ours = " ".join(operator.name for operator in artifact.operators)
    theirs = " ".join(model.operators)
    found.append(Comparison(model.name, "operators", theirs, ours, _order(theirs, ours)))
    return found


def _macs(published: int, ours: int) -> str | None:
    if published == ours:
        return ""
    rounded = float(f"{ours:.6e}")
    return "published with seven digits" if published == rounded else None


def _memory(published: int, activations: int, artifact: Artifact) -> str | None:
    """The published figure is an arena: it holds the interpreter's own records, too."""
    rest, expected = published - activations, records_bytes(artifact)
    if not -SLACK <= rest - expected <= SLACK:
        return None
    return f"the arena also holds {rest} bytes of records; {expected} are expected of this graph"


def records_bytes(artifact: Artifact) -> int:
    """About how many bytes TensorFlow Lite Micro keeps beside activations.

    A multiplier and a shift for each channel of a convolution (8 bytes), a copy of each scale
    (4), a record of each tensor (97) and operator (299, scratch memory included), less 455:
    least squares over the published figures, of which the worst is 486 bytes off.
    """
    convolutions = [o for o in artifact.operators if o.name in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    channels = sum(artifact.tensors[o.outputs[0]].shape[-1] for o in convolutions)
    scales = sum(len(tensor.scales) for tensor in artifact.tensors)
    tensors, operators = len(artifact.tensors), len(artifact.operators)
    return round(7.98 * channels + 4.12 * scales + 97.3 * tensors + 298.7 * operators - 455.3)


def _order(theirs: str, ours: str) -> str | None:
    if theirs == ours:
        return ""
    if sorted(theirs.split()) == sorted(ours.split()):
        return "the same operators in another order"
    return None
