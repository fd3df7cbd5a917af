"""A task whose data is on the devices alone: for models of others, with tails of ours."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.tasks.base import Client, Episode, Float32, Split
from server.tasks.samples import hits, read_samples, squares, targets_of

__all__ = ["OWN", "OwnTask"]

OWN = "own"
"""Its name; it is not among `TASKS`, for it cannot be simulated, and has no data of its own."""


@dataclass(frozen=True)
class OwnClient:
    """The owner of a file of samples: some are learnt from, the rest is measured on."""

    name: str
    x: Float32
    y: Float32

    def episode(self, rng: np.random.Generator, *, shots: int, queries: int) -> Episode:
        """Draw an order anew; learn from the first `shots` samples, measure on all the others.

        Raises:
            UsageError: none is left to measure on.
        """
        if shots >= len(self.x):
            raise UsageError(
                f"{self.name} has {len(self.x)} samples, {shots} to learn from leave none to "
                "measure on.",
                hint="fewer --shots, or more samples",
            )
        order = rng.permutation(len(self.x))
        x, y = self.x[order], self.y[order]
        return Episode(x[:shots], y[:shots], x[shots:], y[shots:])


class OwnTask:
    """Nothing but a name where rounds run: the model comes as a file, samples from the devices.

    With a file of samples a model can be measured on the server, too.

    Args:
        data: an .npz with x and y, or a .csv, laid out as for a device; None: there is none here.
        outputs: of the model; with more than one, a single y is the index of a class.
        classifier: whether it ends in a softmax; as many y as outputs are one-hot then.

    Raises:
        UsageError: the file does not hold samples of such a model.
    """

    name = OWN

    def __init__(
        self, *, data: Path | None = None, outputs: int = 1, classifier: bool = False
    ) -> None:
        self._client, classes = None, False
        if data is not None:
            self._client, classes = _client(Path(data), outputs, classifier=classifier)
        self.ways = outputs if classes else 1
        self.metric = "loss" if self._client is None else "accuracy" if classes else "mse"
        self.higher_is_better = classes
        self.description = "data of the devices' own; none of it is on the server"
        if self._client is not None:
            self.description = (
                f"{self._client.name}, {self.samples} samples; in each episode the shots are "
                "learnt from, the rest is measured on"
            )

    @property
    def file(self) -> str:
        """Name of the file of samples; empty where there is none."""
        return "" if self._client is None else self._client.name

    @property
    def samples(self) -> int:
        """How many samples with a label there are here."""
        return 0 if self._client is None else len(self._client.x)

    def spec(self) -> ModelSpec:
        """Raise: the model is a file."""
        self._refuse()

    def clients(self, split: Split) -> int:
        """None to train on; to measure on the file's owner, where there is one."""
        return int(split == "test" and self._client is not None)

    def client(self, index: int, split: Split) -> Client:
        """The file's owner.

        Raises:
            UsageError: there is no file, or it is asked for to train on.
        """
        if self._client is None or split == "train":
            self._refuse()
        return self._client

    def measure(self, outputs: Float32, targets: Float32) -> float:
        """Share of classes answered right, or mean squared error."""
        return (hits if self.ways > 1 else squares)(outputs, targets)

    def _refuse(self) -> NoReturn:
        raise UsageError(
            "task own has its data on the devices, and no model of its own.",
            hint="tinyfleet server run --task own --base model.tflite; or --data samples.npz, "
            "to evaluate",
        )


def _client(path: Path, outputs: int, *, classifier: bool) -> tuple[OwnClient, bool]:
    """Whose the samples are, and whether their targets are classes."""
    source = read_samples(path)
    known = ~np.isnan(source.y).any(axis=1)
    x, y = source.x[known], source.y[known]
    if not len(x):
        raise UsageError(f"no sample in {path} has a label.", hint="y that is not NaN")
    y, classes = targets_of(y, outputs, path, classifier=classifier)
    return OwnClient(path.name, x, y), classes
