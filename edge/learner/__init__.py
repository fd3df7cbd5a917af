"""The one learner: C sources for firmware and host, their Python binding and their NumPy twin.

`OnlineLearner` is the C library where it is built or can be, else the NumPy twin; its `backend`
says which ("c" or "numpy").
"""

from typing import TYPE_CHECKING

from edge.learner.binding import NativeLearner
from edge.learner.common import LearnerError, NonFinite, Sizes
from edge.learner.native import library
from edge.learner.reference import ReferenceLearner

if TYPE_CHECKING:
    OnlineLearner = NativeLearner
else:
    OnlineLearner = ReferenceLearner if library() is None else NativeLearner

__all__ = [
    "LearnerError",
    "NativeLearner",
    "NonFinite",
    "OnlineLearner",
    "ReferenceLearner",
    "Sizes",
]
