"""A task whose data is on the devices alone: for models of others, with tails of ours."""

from dataclasses import dataclass
from typing import NoReturn

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.tasks.base import Client, Float32, Split

__all__ = ["OWN", "OwnTask"]

OWN = "own"
"""Its name; it is not among `TASKS`, for it can be neither simulated nor evaluated."""


@dataclass(frozen=True)
class OwnTask:
    """Nothing but a name: the model comes as a file, samples and figures from the devices."""

    name: str = OWN
    metric: str = "loss"
    higher_is_better: bool = False
    description: str = "data of the devices' own; none of it is on the server"
    ways: int = 1

    def spec(self) -> ModelSpec:
        """Raise: the model is a file."""
        self._refuse()

    def clients(self, split: Split) -> int:
        """None here."""
        return 0

    def client(self, index: int, split: Split) -> Client:
        """Raise: there is none here."""
        self._refuse()

    def measure(self, outputs: Float32, targets: Float32) -> float:
        """Raise: what is right is not known here."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError(
            "task own has its data on the devices, and no model of its own.",
            hint="tinyfleet server run --task own --base model.tflite",
        )
