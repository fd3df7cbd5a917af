"""Fine-tune a float model so that its int8 file answers as the float model did.

Quantisation-aware training with the model itself as the teacher: weights and activations are
rounded as the int8 file rounds them, and gradients pass the rounding as if it were not there
(Jacob et al. 2018, arXiv:1712.05877; straight-through estimator: Bengio et al. 2013,
arXiv:1308.3432). No labels are needed. A few hundred samples are soon learnt by heart: a part of
them is held out, and says which weights are kept.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import MissingExtra
from edge.layers import ConvSpec, Layer
from edge.spec import ModelSpec
from server.export.rounded import along, answer, largest

__all__ = ["held_out", "refine"]

Floats = NDArray[np.float32]
HELD_OUT = 0.25
"""Share of the samples that is held out: the last ones, which are often of other clients."""


def held_out(n: int) -> slice:
    """Which of n samples `refine` does not learn from."""
    return slice(n - max(round(n * HELD_OUT), 1), n)


def refine(
    spec: ModelSpec,
    parameters: Floats,
    x: Floats,
    *,
    exact: int = 0,
    steps: int = 600,
    rate: float = 1e-3,
) -> Floats:
    """Train weights through their rounding.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters]; what they answer is kept as it is.
        x: float32 [n, n_in], samples like those to come; they set the ranges.
        exact: how many layers, from the first, the file leaves in float32.
        steps: of Adam, each with all samples that are not held out.
        rate: first rate, as a share of an output's largest weight; it falls along a cosine.

    Returns:
        float32 [spec.n_parameters]: those with which int8 was nearest on what is held out.

    Raises:
        MissingExtra: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(
            "torch is not installed.", hint="pip install 'tinyfleet[meta]'"
        ) from error
    unseen = held_out(len(x))
    if not unseen.start:
        return parameters
    torch.set_num_threads(1)
    axes = [_output_axis(layer) for layer in spec.layers if layer.weight_shape]
    given = [
        (torch.from_numpy(np.moveaxis(w, axis, 0).copy()), torch.from_numpy(b.copy()))
        for (w, b), axis in zip(spec.split(parameters), axes, strict=True)
    ]
    inputs = torch.from_numpy(np.ascontiguousarray(x, np.float32))
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
        errors = ((answer(spec, parts, inputs, rounded=True, exact=exact) - teacher) ** 2).mean(1)
        judged = float(errors[unseen].detach().mean())
        if judged < best:
            best, kept = judged, _joined(spec, parts, axes)
        optimiser.zero_grad()
        errors[: unseen.start].mean().backward()
        optimiser.step()
        schedule.step()
    return kept


def _joined(spec: ModelSpec, parts: Any, axes: list[int]) -> Floats:
    joined: Floats = spec.join(
        [
            (np.moveaxis(w.detach().numpy(), 0, axis), b.detach().numpy())
            for (w, b), axis in zip(parts, axes, strict=True)
        ]
    )
    return joined


def _output_axis(layer: Layer) -> int:
    """Which axis of the weights counts outputs."""
    return 2 if isinstance(layer, ConvSpec) and layer.depthwise else 0
