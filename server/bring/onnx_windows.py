"""Windows of an ONNX convolution or pool: kernel, stride, dilation and where padding goes."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.layers import Padding
from edge.windows import Pads, Pair, Shape, pads_of
from server.bring.onnx_steps import Step, refusal

__all__ = ["Window", "padding_of", "window_of"]


@dataclass(frozen=True)
class Window:
    """Down and to the right; a signal has one row.

    Args:
        kernel: height and width.
        stride: steps.
        dilation: distance of neighbouring taps.
        pads: top, bottom, left, right, as the node states them.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: Pads


def window_of(step: Step, spatial: int, kernel: Sequence[int] | None) -> Window:
    """What a node says of its windows.

    Args:
        step: a Conv or a pool.
        spatial: 2 for images, 1 for signals.
        kernel: height and width where its weights say so; None: an attribute does.
    """
    sides = step.options.get("pads", [0] * (2 * spatial))
    before, after = sides[:spatial], sides[spatial:]
    (top, left), (bottom, right) = _two(before, 0), _two(after, 0)
    size = _two(kernel if kernel is not None else step.options.get("kernel_shape", ()), 1)
    return Window(
        size,
        _two(step.options.get("strides", ()), 1),
        _two(step.options.get("dilations", ()), 1),
        (top, bottom, left, right),
    )


def padding_of(step: Step, window: Window, shape: Shape) -> Padding | Pads:
    """How ours says the same padding: a name, or numbers that need a layer of their own.

    Raises:
        UnsupportedOperator: it rounds up the number of windows, or the padding is unknown.
    """
    same = pads_of(shape, window.kernel, window.stride, "same", window.dilation)
    auto = step.options.get("auto_pad", b"NOTSET").decode()
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise refusal(step, f"auto_pad {auto} is not known.")
    if auto == "SAME_UPPER":
        return "same"
    top, bottom, left, right = same if auto == "SAME_LOWER" else window.pads
    pads = (bottom, top, right, left) if auto == "SAME_LOWER" else (top, bottom, left, right)
    if auto == "VALID" or not any(pads):
        pads = (0, 0, 0, 0)
    if step.options.get("ceil_mode", 0) and auto == "NOTSET":
        both = ((shape[0] + pads[0] + pads[1], 0), (shape[1] + pads[2] + pads[3], 1))
        if any((n - window.kernel[at]) % window.stride[at] for n, at in both):
            raise refusal(step, "ceil_mode makes a window that reaches beyond the image.")
    if not any(pads):
        return "valid"
    return "same" if pads == same else pads


def _two(values: Sequence[int], default: int) -> Pair:
    found = [default] * (2 - len(values)) + [int(value) for value in values]
    return (found[0], found[1])
