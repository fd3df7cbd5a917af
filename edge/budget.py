"""What a model needs of a device, computed before anything is sent; the figures of the firmware."""

from dataclasses import dataclass

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
        macs: multiply-accumulates of one forward pass.
    """

    flash: int
    ram_infer: int
    ram_train: int
    parameters: int
    macs: int


def requirement(
    model: Artifact | ModelSpec, *, train_layers: int = 0, standardise: bool = False
) -> Requirement:
    """Compute what `tl_model_sizes` computes, from the same layout of the arena.

    Args:
        model: an artefact that the learner knows, or an architecture in float32.
        train_layers: train the last so many layers; 0 trains all.
        standardise: whether inputs are standardised with running statistics.

    Raises:
        UnsupportedOperator: the learner does not know the artefact.
        UsageError: `train_layers` is out of range.
    """
    spec = model if isinstance(model, ModelSpec) else model.spec
    int8 = isinstance(model, Artifact) and model.dtype == "int8"
    if not 0 <= train_layers <= len(spec.layers):
        raise UsageError(f"train_layers is {train_layers}, there are {len(spec.layers)} layers.")
    trained = spec.layers[len(spec.layers) - train_layers :] if train_layers else spec.layers
    widths = [layer.n_out for layer in spec.layers]
    fixed = 3 * spec.n_in if standardise else 0
    infer = 2 * -(-max(spec.n_in, *widths) // 4) if int8 else 2 * max(widths)
    count = 0 if int8 else sum(layer.n_parameters for layer in trained)
    learn = count + spec.n_out + 2 * max(widths) + sum(widths)
    return Requirement(
        flash=model.size if isinstance(model, Artifact) else 0,
        ram_infer=4 * (fixed + infer),
        ram_train=0 if int8 else 4 * (fixed + learn),
        parameters=count,
        macs=spec.macs,
    )


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
