"""Fine-tune a float model so that its int8 file answers as the float model did.

Quantisation-aware training with the model itself as the teacher: weights and activations are
rounded as the int8 file rounds them, and gradients pass the rounding as if it were not there
(Jacob et al. 2018, arXiv:1712.05877; straight-through estimator: Bengio et al. 2013,
arXiv:1308.3432). No labels are needed.
"""

import numpy as np
from numpy.typing import NDArray

from edge.errors import MissingExtra
from edge.layers import ConvSpec, Layer
from edge.spec import ModelSpec
from server.export.rounded import along, answer, largest

__all__ = ["refine"]


def refine(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    x: NDArray[np.float32],
    *,
    exact: int = 0,
    steps: int = 600,
    rate: float = 1e-3,
) -> NDArray[np.float32]:
    """Train weights through their rounding.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters]; what they answer is kept as it is.
        x: float32 [n, n_in], samples like those to come.
        exact: how many layers, from the first, the file leaves in float32.
        steps: of Adam, all samples each.
        rate: first rate, as a share of an output's largest weight; it falls along a cosine.

    Returns:
        float32 [spec.n_parameters]: of the steps, those with which int8 was nearest.

    Raises:
        MissingExtra: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(
            "torch is not installed.", hint="pip install 'tinyfleet[meta]'"
        ) from error
    torch.set_num_threads(1)
    inputs = torch.from_numpy(np.ascontiguousarray(x, np.float32))
    outputs = [_output_axis(layer) for layer in spec.layers if layer.weight_shape]
    given = [
        (torch.from_numpy(np.moveaxis(w, axis, 0).copy()), torch.from_numpy(b.copy()))
        for (w, b), axis in zip(spec.split(parameters), outputs, strict=True)
    ]
    with torch.no_grad():
        teacher = answer(spec, given, inputs, rounded=False)
    # Adam's steps are as large for all: in units of its largest weight an output learns alike.
    units = [largest(w) for w, _ in given]
    learnt = [
        ((w / along(w, unit)).requires_grad_(), (b / unit).requires_grad_())
        for (w, b), unit in zip(given, units, strict=True)
    ]
    optimiser = torch.optim.Adam([one for pair in learnt for one in pair], rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best, kept = float("inf"), parameters
    for _ in range(steps + 1):
        parts = [(w * along(w, unit), b * unit) for (w, b), unit in zip(learnt, units, strict=True)]
        loss = ((answer(spec, parts, inputs, rounded=True, exact=exact) - teacher) ** 2).mean()
        if float(loss.detach()) < best:
            best = float(loss.detach())
            kept = spec.join(
                [
                    (np.moveaxis(w.detach().numpy(), 0, axis), b.detach().numpy())
                    for (w, b), axis in zip(parts, outputs, strict=True)
                ]
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return kept


def _output_axis(layer: Layer) -> int:
    """Which axis of the weights counts outputs."""
    return 2 if isinstance(layer, ConvSpec) and layer.depthwise else 0
