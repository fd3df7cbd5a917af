"""ANIL: devices adapt the head alone; what is learnt for all is what it stands on."""

from dataclasses import dataclass
from typing import ClassVar

from server.strategies.fomaml import FoMaml


@dataclass(frozen=True, kw_only=True)
class Anil(FoMaml):
    """Almost no inner loop, first order.

    Raghu et al., "Rapid Learning or Feature Reuse?", ICLR 2020.

    Args:
        inner_layers: the head, in layers from the end.

    >>> Anil().plan(1, 10).meta.layers
    1
    """

    name: ClassVar[str] = "anil"

    inner_layers: int = 1
