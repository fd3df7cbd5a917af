"""Where a window meets the input: all positions of one tap, or all taps of one position."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge.chain_layer import ChainLayer

__all__ = ["Tap", "Window", "taps", "windows"]

Slices = tuple[slice, slice]


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
    out: Slices
    pixels: Slices


@dataclass(frozen=True)
class Window:
    """One position of the output, and the part of its window that lies inside the input.

    Args:
        row: of the output.
        column: of the output.
        kernel: rows and columns of the kernel that lie inside; either may be empty.
        pixels: the rows and columns of the input that they meet.
    """

    row: int
    column: int
    kernel: Slices
    pixels: Slices


def taps(part: ChainLayer) -> Iterator[Tap]:
    """All taps that meet the input anywhere, row by row."""
    for row in range(part.kernel[0]):
        down = _positions(part, 0, row)
        for column in range(part.kernel[1]):
            across = _positions(part, 1, column)
            if down is not None and across is not None:
                yield Tap(row, column, (down[0], across[0]), (down[1], across[1]))


def windows(part: ChainLayer) -> Iterator[Window]:
    """The windows of all positions, row by row."""
    height, width, _ = part.out_shape
    across = [_inside(part, 1, column) for column in range(width)]
    for row in range(height):
        down = _inside(part, 0, row)
        for column in range(width):
            kernel, pixels = zip(down, across[column], strict=True)
            yield Window(row, column, kernel, pixels)


def _positions(part: ChainLayer, axis: int, tap: int) -> tuple[slice, slice] | None:
    """Output and input indices along an axis; None if the tap only meets padding."""
    size, count, stride = part.in_shape[axis], part.out_shape[axis], part.stride[axis]
    offset = tap * part.dilation[axis] - part.pads[2 * axis]
    first = max(0, -(offset // stride))
    last = min(count - 1, (size - 1 - offset) // stride)
    if last < first:
        return None
    start = first * stride + offset
    return slice(first, last + 1), slice(start, last * stride + offset + 1, stride)


def _inside(part: ChainLayer, axis: int, position: int) -> tuple[slice, slice]:
    """Kernel and input indices along an axis; empty if all of the window is padding."""
    size, dilation = part.in_shape[axis], part.dilation[axis]
    start = position * part.stride[axis] - part.pads[2 * axis]
    first = max(0, -(start // dilation))
    last = min(part.kernel[axis] - 1, (size - 1 - start) // dilation)
    if last < first:
        return slice(0, 0), slice(0, 0)
    return slice(first, last + 1), slice(
        start + first * dilation, start + last * dilation + 1, dilation
    )
