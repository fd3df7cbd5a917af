"""An answer that a board has to give before it switches to a new model."""

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge.learner import OnlineLearner

__all__ = ["SelfTest"]


@dataclass(frozen=True)
class SelfTest:
    """One input and its answer.

    Args:
        x: float32 [n_in].
        y: float32 [n_out].
        tolerance: how far each output may be off; 0: the same bits but for the sign of a zero.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    tolerance: float = 0.0

    @classmethod
    def of(cls, artefact: bytes) -> Self:
        """Have this machine's learner answer an input that is drawn by the artefact's digest.

        Raises:
            LearnerError: the learner does not know the model.
        """
        learner = OnlineLearner(artefact, infer_only=True)
        seed = int.from_bytes(hashlib.sha256(artefact).digest()[:8], "little")
        x = np.random.default_rng(seed).uniform(-1, 1, learner.n_in).astype(np.float32)
        return cls(x, learner.predict_one(x))

    @property
    def data(self) -> bytes:
        """As it lies behind the artefact in flash."""
        return np.concatenate([self.x, self.y]).astype("<f4").tobytes()
