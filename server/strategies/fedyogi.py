"""FedYogi: the server steps by Yogi over the mean delta."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from server.strategies.server_optimiser import Float64, ServerOptimiser


@dataclass(frozen=True, kw_only=True)
class FedYogi(ServerOptimiser):
    """Yogi on the server: the second moment changes by a share of the newest square at most.

    Reddi et al., "Adaptive Federated Optimization", ICLR 2021; Zaheer et al., "Adaptive Methods for
    Nonconvex Optimization", NeurIPS 2018.

    >>> import numpy as np
    >>> from server.strategies import Contribution
    >>> one = [Contribution("a", np.float32([0.01, -0.01]), 8)]
    >>> FedYogi(tau=1e-9).aggregate(np.zeros(2, np.float32), one, 0.5).round(3).tolist()
    [0.5, -0.5]
    """

    name: ClassVar[str] = "fedyogi"

    def second(self, second: Float64, squares: Float64) -> Float64:
        """Yogi's: towards the squares, by a share of the squares."""
        step = (1 - self.beta2) * squares * np.sign(second - squares)
        return np.asarray(second - step, np.float64)
