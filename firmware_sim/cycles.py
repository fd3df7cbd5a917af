"""Estimated cycles, time and energy of executed code, from a table of instruction costs per core.

An estimate: memory without wait states, no interlocks, no write buffer that fills up, nothing that
overlaps. An instruction that a condition skips counts as if it ran. No figure here comes from
silicon.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.profile import DeviceProfile
from firmware_sim.thumb import KINDS, Instruction

__all__ = ["CycleTable", "energy_joules", "table_of"]


@dataclass(frozen=True)
class CycleTable:
    """What instructions cost on a core, in cycles.

    Args:
        costs: cycles of a kind; 1 if it is not in here.
        per_word: cycles of each word that a load or store of several moves, after the first cost.
        taken: more cycles where a branch is taken (the pipeline is filled again).
        source: where the figures come from, and what they leave out.
    """

    costs: Mapping[str, int]
    per_word: float
    taken: int
    source: str

    def __post_init__(self) -> None:
        unknown = set(self.costs) - set(KINDS)
        if unknown:
            raise ValueError(f"no kinds of instruction: {sorted(unknown)}")

    def cycles(self, instruction: Instruction) -> float:
        """Cycles of one instruction, not counting a taken branch."""
        cost = float(self.costs.get(instruction.kind, 1))
        many = instruction.kind.endswith("_many") or (
            instruction.kind == "return" and instruction.words > 1
        )
        return cost + (self.per_word * instruction.words if many else 0.0)


_M0 = CycleTable(
    {"load": 2, "store": 2, "system": 4, "call": 2},
    per_word=1,
    taken=2,
    source=(
        "Cortex-M0 Technical Reference Manual (r0p0), table of the instruction set; multiplier of "
        "1 cycle, as in nRF51 and RP2040 (the small option of the core takes 32)"
    ),
)
_M3 = CycleTable(
    {
        **{"multiply_add": 2, "multiply_long": 5, "divide": 12, "system": 2},
        **{"load": 2, "store": 1},
    },
    per_word=1,
    taken=2,
    source=(
        "Cortex-M3 Technical Reference Manual (r2p0), instruction set summary; the upper end where "
        "it gives a range, 2 cycles to refill the pipeline, stores hidden by the write buffer"
    ),
)
_FPU = {
    **{"vector_fused": 3, "vector_divide": 14},
    **{"vector_load": 2, "vector_store": 1, "load": 2, "store": 1},
}
_M4F = CycleTable(
    {**_FPU, "divide": 12, "system": 2},
    per_word=1,
    taken=2,
    source=(
        "Cortex-M4 Technical Reference Manual (r0p1), instruction set and FPU summaries; the upper "
        "end of ranges, 2 cycles to refill the pipeline, stores hidden by the write buffer"
    ),
)
_M7 = CycleTable(
    {**_FPU, "divide": 12, "vector_fused": 3, "load": 1, "vector_load": 1},
    per_word=0.5,
    taken=1,
    source=(
        "no timings of the Cortex-M7 are published: the Cortex-M4's, with loads of 1 cycle, 64 bits "
        "a cycle and predicted branches; that it issues two instructions at once is left out"
    ),
)
_M33 = CycleTable(
    {**_FPU, "divide": 12, "system": 2},
    per_word=1,
    taken=2,
    source="no timings of the Cortex-M33 are published: those of the Cortex-M4",
)
_M55 = CycleTable(
    {**_FPU, "divide": 12, "vector_fused": 1, "load": 1, "vector_load": 1},
    per_word=0.5,
    taken=1,
    source=(
        "Cortex-M55 Software Optimization Guide, latencies of scalar code simplified: loads of 1 "
        "cycle, 64 bits a cycle, predicted branches; issue of two instructions left out"
    ),
)
_TABLES = {
    **{"cortex-m0": _M0, "cortex-m3": _M3, "cortex-m4f": _M4F},
    **{"cortex-m7": _M7, "cortex-m33": _M33, "cortex-m55": _M55},
}

_JOULES_PER_CYCLE = {"nano33ble": 155e-12}
ENERGY_SOURCE = (
    "155 pJ a cycle of the nRF52840, derived from a third party's table of currents; estimate"
)


def table_of(core: str) -> CycleTable:
    """The table of a core by its name in `DeviceProfile.core`."""
    return _TABLES[core]


def energy_joules(board: DeviceProfile, cycles: float) -> float | None:
    """Estimated energy of so many cycles; None where no figure of the board is known."""
    each = _JOULES_PER_CYCLE.get(board.name)
    return None if each is None else each * cycles
