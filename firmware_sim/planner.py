"""What a model will take of a board's memory, computed on the host before anything is sent."""

from dataclasses import dataclass

from edge.artifact import Artifact
from edge.budget import Requirement, requirement
from edge.profile import DeviceProfile
from firmware_sim.boards import get_board
from firmware_sim.build import image_path
from firmware_sim.image import load_image
from firmware_sim.memory import STACK_BYTES, MemoryMap
from firmware_sim.symbols import address_of

__all__ = ["MemoryPlan", "plan_memory"]


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a board needs for one model; RAM for predicting and for learning apart.

    Args:
        board: name of the board.
        stack: RAM set aside for the stack.
        statics: RAM of the firmware's own variables.
        table: RAM of the table of layers.
        sample: RAM of one sample: input, target and output.
        parameters: RAM of the trained parameters.
        optimiser: RAM of their velocity (momentum, weight decay, clipping).
        statistics: RAM of the running statistics.
        activations_infer: RAM of activations and rescale tables to predict; layers share it.
        activations_train: the same to learn, deltas included; 0 if it cannot learn.
        ram: RAM of the board.
        firmware: flash of the image.
        file: flash of the artefact.
        slot: flash of one slot, what an artefact may take.
        macs: multiply-accumulates of one forward pass.
    """

    board: str
    stack: int
    statics: int
    table: int
    sample: int
    parameters: int
    optimiser: int
    statistics: int
    activations_infer: int
    activations_train: int
    ram: int
    firmware: int
    file: int
    slot: int
    macs: int

    @property
    def ram_infer(self) -> int:
        """RAM to predict, in all."""
        kept = self.stack + self.statics + self.table + self.sample
        return kept + self.statistics + self.activations_infer

    @property
    def ram_train(self) -> int:
        """RAM to learn, in all; 0 if it cannot learn."""
        kept = self.stack + self.statics + self.table + self.sample
        learnt = self.parameters + self.optimiser + self.statistics + self.activations_train
        return kept + learnt if self.activations_train else 0

    @property
    def predicts(self) -> bool:
        """Whether the board has room to predict."""
        return self.ram_infer <= self.ram and self.file <= self.slot

    @property
    def learns(self) -> bool:
        """Whether the board has room to learn."""
        return 0 < self.ram_train <= self.ram and self.file <= self.slot


def plan_memory(
    artifact: Artifact,
    board: str | DeviceProfile,
    *,
    train_layers: int = 0,
    standardise: bool = False,
    momentum: bool = False,
    reconstruct: bool = False,
) -> MemoryPlan:
    """Plan the memory of one model on one board; arguments as for `edge.budget.requirement`.

    Raises:
        UnsupportedOperator: the learner does not know the artefact.
        UsageError: an unknown board, or `train_layers` is out of range.
    """
    profile = get_board(board) if isinstance(board, str) else board
    memory, image = MemoryMap.of(profile), image_path(profile.core)
    need = requirement(
        artifact,
        train_layers=train_layers,
        standardise=standardise,
        momentum=momentum,
        reconstruct=reconstruct,
    )
    parameters = 4 * need.parameters
    optimiser = parameters if momentum else 0
    statistics = 20 * need.features if standardise else 0
    return MemoryPlan(
        board=profile.name,
        stack=STACK_BYTES,
        statics=address_of(image, "image_arena") - memory.layout.ram - STACK_BYTES,
        table=need.table,
        sample=need.sample,
        parameters=parameters,
        optimiser=optimiser,
        statistics=statistics,
        activations_infer=need.ram_infer - statistics,
        activations_train=_learning(need, parameters + optimiser + statistics),
        ram=profile.ram,
        firmware=len(load_image(image, memory.layout.image)),
        file=artifact.size,
        slot=memory.slot_bytes - 64,
        macs=need.macs,
    )


def _learning(need: Requirement, others: int) -> int:
    return need.ram_train - others if need.ram_train else 0
