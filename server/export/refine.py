"""Fine-tune a float model so that its int8 file answers as the float model did.

Quantisation-aware training with the model itself as the teacher: weights and activations are
rounded as the int8 file rounds them, and gradients pass the rounding as if it were not there
(Jacob et al. 2018, arXiv:1712.05877; straight-through estimator: Bengio et al. 2013,
arXiv:1308.3432). No labels are needed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import MissingExtra, UsageError
from edge.layers import ConvSpec, Layer, LayerSpec, PadSpec
from edge.spec import ModelSpec

__all__ = ["refine"]


def refine(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    x: NDArray[np.float32],
    *,
    steps: int = 600,
    rate: float = 1e-3,
) -> NDArray[np.float32]:
    """Train weights through their rounding.

    Args:
        spec: the architecture: dense layers, convolutions and padding.
        parameters: float32 [spec.n_parameters]; what they answer is kept as it is.
        x: float32 [n, n_in], samples like those to come.
        steps: of Adam, all samples each.
        rate: first rate, as a share of an output's largest weight; it falls along a cosine.

    Returns:
        float32 [spec.n_parameters]: of the steps, those with which int8 was nearest.

    Raises:
        MissingExtra: torch is not installed.
        UsageError: a layer of another kind.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch is not installed.", hint="pip install torch") from error
    for layer in spec.layers:
        dense = isinstance(layer, LayerSpec | PadSpec)
        if not dense and not (isinstance(layer, ConvSpec) and not layer.depthwise):
            raise UsageError(
                f"a layer {type(layer).__name__} cannot be refined.", hint="no --refine"
            )
    torch.set_num_threads(1)
    inputs = torch.from_numpy(np.ascontiguousarray(x, np.float32))
    exact = [
        (torch.from_numpy(w.copy()), torch.from_numpy(b.copy())) for w, b in spec.split(parameters)
    ]
    with torch.no_grad():
        teacher = _answer(spec, exact, inputs, rounded=False)
    # Adam's steps are as large for all: in units of its largest weight an output learns alike.
    units = [_largest(w) for w, _ in exact]
    learnt = [
        ((w / _along(w, unit)).requires_grad_(), (b / unit).requires_grad_())
        for (w, b), unit in zip(exact, units, strict=True)
    ]
    optimiser = torch.optim.Adam([one for pair in learnt for one in pair], rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best, kept = float("inf"), parameters
    for _ in range(steps + 1):
        parts = [
            (w * _along(w, unit), b * unit) for (w, b), unit in zip(learnt, units, strict=True)
        ]
        loss = ((_answer(spec, parts, inputs, rounded=True) - teacher) ** 2).mean()
        if float(loss.detach()) < best:
            best = float(loss.detach())
            kept = spec.join([(w.detach().numpy(), b.detach().numpy()) for w, b in parts])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return kept


def _answer(spec: ModelSpec, parts: Any, x: Any, *, rounded: bool) -> Any:
    """The sums of the last layer [n, n_out], before a softmax.

    Ranges are those of the values without any rounding, as they are when the file is written.
    """
    import torch

    exact, end, weighted = x, _codes(x, x) if rounded else x, iter(parts)
    for index, layer in enumerate(spec.layers):
        if isinstance(layer, PadSpec):
            top, bottom, left, right = layer.pads
            around = (left, right, top, bottom)
            end = _padded(end.reshape(-1, *layer.in_shape), around)
            exact = _padded(exact.reshape(-1, *layer.in_shape), around) if rounded else end
            continue
        w, b = next(weighted)
        if rounded:
            with torch.no_grad():
                exact = _activated(layer.activation, _sum(layer, exact, w, b))
        end = _sum(layer, end, _weights(w) if rounded else w, b)
        if index == len(spec.layers) - 1 and layer.activation == "softmax":
            return end
        end = _activated(layer.activation, end)
        end = _codes(end, exact) if rounded else end
    return end.reshape(len(x), -1)


def _sum(layer: Layer, x: Any, w: Any, b: Any) -> Any:
    from torch.nn import functional

    if not isinstance(layer, ConvSpec):
        return x.reshape(len(x), -1) @ w.T + b
    top, bottom, left, right = layer.pads
    image = _padded(x.reshape(-1, *layer.in_shape), (left, right, top, bottom))
    sums = functional.conv2d(
        image.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2), b, layer.stride, 0, layer.dilation
    )
    return sums.permute(0, 2, 3, 1)


def _padded(image: Any, around: tuple[int, int, int, int]) -> Any:
    from torch.nn import functional

    return functional.pad(image, (0, 0, *around))


def _activated(name: str, x: Any) -> Any:
    import torch

    if name == "relu6":
        return x.clamp(0, 6)
    known = {"relu": torch.relu, "tanh": torch.tanh, "logistic": torch.sigmoid}
    return known[name](x) if name in known else x


def _largest(w: Any) -> Any:
    """Of the weights of each output."""
    return w.reshape(len(w), -1).abs().amax(1).clamp(min=1e-12)


def _along(w: Any, of_outputs: Any) -> Any:
    return of_outputs.reshape(-1, *[1] * (w.dim() - 1))


def _weights(w: Any) -> Any:
    """Rounded to 127 steps of each output's largest."""
    scale = _along(w, _largest(w.detach()) / 127)
    return w + (scale * (w.detach() / scale).round() - w.detach())


def _codes(x: Any, exact: Any) -> Any:
    """Rounded to 256 steps between the least and the largest of the exact values."""
    low, high = exact.detach().min().clamp(max=0), exact.detach().max().clamp(min=0)
    scale = ((high - low) / 255).clamp(min=1e-12)
    zero = (-128 - low / scale).round().clamp(-128, 127)
    rounded = ((x.detach() / scale).round() + zero).clamp(-128, 127) - zero
    return x + (scale * rounded - x.detach())
