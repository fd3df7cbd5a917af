"""Which part of a model a plan trains, and whether a learner already holds the rest."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.messages import Plan
from edge.spec import ModelSpec
from edge.split import split

__all__ = ["Layout", "layout_of", "sent"]


@dataclass(frozen=True)
class Layout:
    """What must be equal so that replacing the trained weights replaces the model.

    Args:
        spec: digest of the architecture.
        train_layers: how many layers with weights, from the end, are trained; 0: all that can.
        standardise: whether inputs are standardised.
        frozen: digest of the weights that are not trained.
        flags: bits of the learner's layout; see `Steps.flags`.
    """

    spec: str
    train_layers: int
    standardise: bool
    frozen: str
    flags: int


def layout_of(artifact: Artifact, plan: Plan) -> tuple[Layout, NDArray[np.float32]]:
    """Split an artefact's parameters as a plan trains them.

    Returns:
        The layout, and float32 [n]: the parameters of the trained layers.

    Raises:
        ArtifactError: the artefact has no architecture that can be trained.
        UsageError: the plan trains more layers than there are.
    """
    spec, parameters = artifact.tail_spec, artifact.parameters()
    layers = len(spec.weighted)
    if plan.train_layers > layers:
        raise UsageError(f"a plan trains {plan.train_layers} layers, the model has {layers}.")
    chosen = plan.train_layers % layers
    n = spec.trained(chosen)
    frozen = hashlib.sha256(parameters[: len(parameters) - n].tobytes())
    parts = split(artifact)
    for part in artifact.tail.backbone:
        frozen.update(part.numbers())
    if parts is not None:
        frozen.update(parts.frozen)
    flags = plan.steps.flags(standardise=plan.standardise)
    digest = artifact.tail.spec.digest()
    return Layout(digest, chosen, plan.standardise, frozen.hexdigest(), flags), parameters[-n:]


def sent(spec: ModelSpec, plan: Plan) -> slice:
    """Which parameters of the float32 layers an update holds: those trained, less the local part.

    Raises:
        UsageError: the plan trains more layers than there are, or keeps all that it trains.
    """
    first = spec.n_parameters - spec.trained(plan.train_layers)
    if plan.local is None:
        return slice(first, spec.n_parameters)
    last = spec.n_parameters - spec.trained(plan.local.layers)
    if plan.local.layers < 1 or last <= first:
        layers = plan.train_layers or len(spec.weighted)
        raise UsageError(
            f"{plan.local.layers} local layers of {layers} that are trained leave none to send."
        )
    return slice(first, last)
