"""TinyReptile: one device a round, one pass over its stream, no sample stored."""

from dataclasses import dataclass
from typing import ClassVar

from server.strategies.local_sgd import LocalSgd


@dataclass(frozen=True, kw_only=True)
class TinyReptile(LocalSgd):
    """Meta-learning device by device, from samples seen once.

    Ren, Anicic and Runkler, "TinyReptile: TinyML with Federated Meta-Learning", IJCNN 2023.

    >>> import numpy as np
    >>> from server.strategies import Contribution
    >>> one = [Contribution("a", np.float32([2]), 32)]
    >>> float(TinyReptile().aggregate(np.float32([10]), one, 0.25)[0])
    10.5
    """

    name: ClassVar[str] = "tinyreptile"
