"""Where the windows of a convolution or a pooling lie, as TensorFlow Lite places them."""

__all__ = ["Pads", "Pair", "Shape", "pads_of", "places"]

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]
"""Top, bottom, left, right."""
Shape = tuple[int, int, int]
"""Height, width and channels; a vector is (1, 1, n)."""


def places(
    in_shape: Shape, window: Pair, stride: Pair, padding: str, dilation: Pair = (1, 1)
) -> Pair:
    """How many windows there are, down and to the right; below 1 where none fits."""
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if padding == "same":
        spans = [1, 1]
    down, right = ((n - span) // s + 1 for n, span, s in zip(in_shape, spans, stride, strict=False))
    return down, right


def pads_of(
    in_shape: Shape, window: Pair, stride: Pair, padding: str, dilation: Pair = (1, 1)
) -> Pads:
    """Padding that "same" means: what is odd goes to the bottom and the right."""
    if padding != "same":
        return (0, 0, 0, 0)
    out = places(in_shape, window, stride, padding, dilation)
    sides = []
    for n, count, k, s, d in zip(in_shape, out, window, stride, dilation, strict=False):
        total = max((count - 1) * s + (k - 1) * d + 1 - n, 0)
        sides += [total // 2, total - total // 2]
    return (sides[0], sides[1], sides[2], sides[3])
