"""Plain values as JSON can hold them: it knows neither NaN nor infinity."""

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["finite"]


def finite(value: Any) -> Any:
    """The value with None for each float in it that is not finite.

    >>> finite({"loss": float("nan"), "y": [1.0, (2.0, float("inf"))]})
    {'loss': None, 'y': [1.0, [2.0, None]]}
    """
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
