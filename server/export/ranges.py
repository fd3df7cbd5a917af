"""How the samples that a file is tried on lie in the ranges that others have set."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.spec import ModelSpec
from server.export.quantise import Affine, Calibration
from server.export.reference import layer_values

__all__ = ["Ranges", "ranges"]

_CLIPPED = 0.01
"""Share of the values outside their range from which on that is why a file is off."""
_FAR = 0.5
"""The same of the farthest value: how far outside, in widths of the range."""
_STRETCHED = 8.0
"""Widths of nearly all values that a range may have: three bits of eight are lost there."""
_MOST = 1000.0
"""What is called stretched at most: of a tensor that is 0 but for single values, no end."""
_NEARLY_ALL = (0.5, 99.5)  # per cent


@dataclass(frozen=True)
class Ranges:
    """The worst tensor in each respect, the input and what layers give.

    Args:
        clipped: share of the values tried that lie outside the range of their tensor.
        far: how far the farthest lies outside, in widths of the range.
        stretched: width of a range over that of 99 % of the values that set it.
        stretched_less: the same with `percentile`.
    """

    clipped: float
    far: float
    stretched: float
    stretched_less: float

    @property
    def clips(self) -> bool:
        """Whether values outside their range are why a file is off."""
        return self.clipped >= _CLIPPED or self.far >= _FAR

    @property
    def coarse(self) -> bool:
        """Whether single values have made steps so coarse that they are why."""
        return self.stretched >= _STRETCHED

    @property
    def percentile_helps(self) -> bool:
        """Whether the values are so rare that `percentile` clips them."""
        return self.coarse and self.stretched_less < _STRETCHED


def ranges(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    calibration: NDArray[np.float32],
    x: NDArray[np.float32],
    how: Calibration,
) -> Ranges:
    """Look at the input and at what every layer gives, in float64.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        calibration: float32 [n, n_in], samples that set the ranges.
        x: float32 [m, n_in], those that files are tried on.
        how: how samples become a range.
    """
    set_by, tried = (_tensors(spec, parameters, one) for one in (calibration, x))
    found = [_of_tensor(*pair, how) for pair in zip(set_by, tried, strict=True)]
    return Ranges(*(float(max(column)) for column in zip(*found, strict=True)))


def _tensors(
    spec: ModelSpec, parameters: NDArray[np.float32], x: NDArray[np.float32]
) -> Iterator[NDArray[np.float64]]:
    yield x.astype(np.float64)
    for values in layer_values(spec, parameters, x):
        yield values.out


def _of_tensor(
    set_by: NDArray[np.float64], tried: NDArray[np.float64], how: Calibration
) -> tuple[float, float, float, float]:
    around = Affine.fitted(set_by, how)
    low, high = ((code - around.zero) * around.scale for code in (-128, 127))
    outside = np.maximum(np.maximum(low - tried, tried - high), 0.0)
    nearly_all = Affine.covering(np.percentile(set_by, _NEARLY_ALL), around.scale / _MOST)
    share = float((outside > around.scale).mean())
    stretched, less = (
        one.scale / nearly_all.scale for one in (around, Affine.fitted(set_by, "percentile"))
    )
    return share, float(outside.max()) / (high - low), stretched, less
