"""The fleet kernel: many clients of one dense net trained in one call of C, over cores."""

from server.fleet.engine import CHUNK, Engine, FleetEngine, FleetRound
from server.fleet.kernel import Job, Kernel, Mode, kernel, takes

__all__ = [
    "CHUNK",
    "Engine",
    "FleetEngine",
    "FleetRound",
    "Job",
    "Kernel",
    "Mode",
    "kernel",
    "takes",
]
