"""A model whose front runs in an installed runtime, and whose tail the learner trains."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact

__all__ = ["Split", "split"]


@dataclass(frozen=True)
class Split:
    """One file, seen as two.

    Args:
        whole: as it came.
        front: a file that a runtime runs: input as the whole's, output the features.
        tail: float32 layers that take the features; its constants lie where the whole's do.
    """

    whole: Artifact
    front: bytes
    tail: Artifact

    @cached_property
    def frozen(self) -> bytes:
        """All that training leaves as it is: the file with zeros for the tail's parameters."""
        blank = np.zeros(self.tail.tail_spec.n_parameters, np.float32)
        return self.whole.with_parameters(blank).data

    def with_parameters(self, vector: NDArray[np.float32]) -> bytes:
        """The whole file with other parameters in its tail; all else as it was.

        Args:
            vector: float32 [tail.tail_spec.n_parameters], finite.

        Raises:
            UsageError: another shape, or NaN or infinity.
        """
        return self.whole.with_parameters(vector).data


def split(artifact: Artifact) -> Split | None:
    """See a file as a front and a tail where the learner does not know all of it.

    Returns:
        None where the learner knows the whole file.

    Raises:
        UnsupportedOperator: it does not, and the file has no tail of float32 dense layers.
        ArtifactError: the file is broken.
    """
    tail = artifact.tail
    if tail is artifact:
        return None
    return Split(artifact, artifact.front, tail)
