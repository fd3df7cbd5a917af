"""What an int8 file answers, in torch: gradients pass the rounding as if it were not there."""

from collections.abc import Iterator, Sequence
from typing import Any

from edge.layers import ActivateSpec, ConvSpec, Layer, LayerSpec, PoolSpec
from edge.spec import ModelSpec
from server.export.operators import FUSED, INT8_OUT
from server.export.torch_ops import activated, summed

__all__ = ["along", "answer", "largest"]

Parts = Sequence[tuple[Any, Any]]
Span = tuple[Any, Any]


def answer(spec: ModelSpec, parts: Parts, x: Any, *, rounded: bool, exact: int = 0) -> Any:
    """The output of a model [n, n_out]; of one with a softmax what comes before it.

    Ranges are those of the values without any rounding, as they are when the file is written.

    Args:
        spec: the architecture.
        parts: weights [outputs, ...] and bias of each layer that has them.
        x: float32 tensor [n, n_in].
        rounded: as the int8 file computes it, or exactly.
        exact: how many layers, from the first, are never rounded.
    """
    import torch

    weighted = iter(parts)
    clean = end = x
    span = _span(x)
    for index, layer in enumerate(spec.layers):
        coarse = rounded and index >= exact
        if coarse and index == exact:
            span = _span(clean)
            end = _codes(end, span)
        w, b = next(weighted) if layer.weight_shape else (None, None)
        end = summed(layer, end.reshape(-1, *layer.in_shape), _weights(w) if coarse else w, b)
        if rounded:
            with torch.no_grad():
                clean = summed(layer, clean.reshape(-1, *layer.in_shape), w, b)
        if layer.activation == "softmax":
            break
        for name in _steps(layer):
            end = activated(name, end)
            if rounded:
                clean = activated(name, clean)
            if coarse:
                span = _next_span(layer, name, clean, span)
                end = _codes(end, span)
    return end.reshape(len(x), -1)


def _steps(layer: Layer) -> Iterator[str]:
    """Activations behind which a file rounds; one that stands by itself rounds the sum, too."""
    mean = isinstance(layer, PoolSpec) and layer.kind == "mean"
    carries = isinstance(layer, LayerSpec | ConvSpec | PoolSpec) and not mean
    if not isinstance(layer, ActivateSpec) and not (carries and layer.activation in FUSED):
        yield "linear"
    if carries or layer.activation != "linear":
        yield layer.activation


def _next_span(layer: Layer, name: str, clean: Any, before: Span) -> Span:
    if name in INT8_OUT:
        scale, zero = INT8_OUT[name]
        ends = clean.new_tensor([(-128 - zero) * scale, (127 - zero) * scale])
        return ends[0], ends[1]
    mean = isinstance(layer, PoolSpec) and layer.kind == "mean"
    moves = bool(layer.weight_shape) or mean or name != "linear"
    fused = isinstance(layer, PoolSpec) and not mean
    return _span(clean) if moves and not fused else before


def _span(values: Any) -> Span:
    return values.detach().min().clamp(max=0), values.detach().max().clamp(min=0)


def largest(w: Any) -> Any:
    """Of the weights of each output [outputs]."""
    return w.reshape(len(w), -1).abs().amax(1).clamp(min=1e-12)


def along(w: Any, of_outputs: Any) -> Any:
    """Values of outputs in a shape that goes with their weights."""
    return of_outputs.reshape(-1, *[1] * (w.dim() - 1))


def _weights(w: Any) -> Any:
    """Rounded to 127 steps of each output's largest; None where there are none."""
    if w is None:
        return None
    scale = along(w, largest(w.detach()) / 127)
    return w + (scale * (w.detach() / scale).round() - w.detach())


def _codes(x: Any, span: Span) -> Any:
    """Rounded to 256 steps from the lower to the upper end of a span."""
    low, high = span
    scale = ((high - low) / 255).clamp(min=1e-12)
    zero = (-128 - low / scale).round().clamp(-128, 127)
    rounded = ((x.detach() / scale).round() + zero).clamp(-128, 127) - zero
    return x + (scale * rounded - x.detach())
