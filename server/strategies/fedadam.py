"""FedAdam: the server steps by Adam over the mean delta."""

from dataclasses import dataclass
from typing import ClassVar

from server.strategies.server_optimiser import Float64, ServerOptimiser


@dataclass(frozen=True, kw_only=True)
class FedAdam(ServerOptimiser):
    """Adam on the server.

    Reddi et al., "Adaptive Federated Optimization", ICLR 2021.

    >>> import numpy as np
    >>> from server.strategies import Contribution
    >>> one = [Contribution("a", np.float32([0.01, -0.01]), 8)]
    >>> FedAdam(tau=1e-9).aggregate(np.zeros(2, np.float32), one, 0.5).round(3).tolist()
    [0.5, -0.5]
    """

    name: ClassVar[str] = "fedadam"

    def second(self, second: Float64, squares: Float64) -> Float64:
        """Adam's: a running mean of the squares."""
        return self.beta2 * second + (1 - self.beta2) * squares
