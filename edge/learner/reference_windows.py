"""Where the taps of a window meet the input: all positions of one tap at once."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge.chain_layer import ChainLayer

__all__ = ["Tap", "taps"]


@dataclass(frozen=True)
class Tap:
    """One place of a kernel, and the positions where it lies inside the input.

    Args:
        row: of the kernel.
        column: of the kernel.
        out: rows and columns of the output where it does.
        pixels: the rows and columns of the input that it meets there.
    """

    row: int
    column: int
    out: tuple[slice, slice]
    pixels: tuple[slice, slice]


def taps(part: ChainLayer) -> Iterator[Tap]:
    """All taps that meet the input anywhere, row by row."""
    for row in range(part.kernel[0]):
        down = _met(part, 0, row)
        for column in range(part.kernel[1]):
            across = _met(part, 1, column)
            if down is not None and across is not None:
                yield Tap(row, column, (down[0], across[0]), (down[1], across[1]))


def _met(part: ChainLayer, axis: int, tap: int) -> tuple[slice, slice] | None:
    """Output and input indices along an axis; None if the tap only meets padding."""
    size, count, stride = part.in_shape[axis], part.out_shape[axis], part.stride[axis]
    offset = tap * part.dilation[axis] - part.pads[2 * axis]
    first = max(0, -(offset // stride))
    last = min(count - 1, (size - 1 - offset) // stride)
    if last < first:
        return None
    start = first * stride + offset
    return slice(first, last + 1), slice(start, last * stride + offset + 1, stride)
