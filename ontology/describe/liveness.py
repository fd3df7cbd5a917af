"""The most bytes of activations alive at once, in any graph executed in its order."""

from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ALIGNMENT", "Step", "peak_bytes"]

ALIGNMENT = 16
"""Bytes to which the planner of TensorFlow Lite Micro rounds every tensor."""
Step = tuple[Iterable[str], Iterable[str]]
"""Names of the tensors that one operator takes, and of those it gives."""


def peak_bytes(
    steps: Sequence[Step],
    sizes: Mapping[str, int | None],
    inputs: Iterable[str],
    outputs: Iterable[str],
) -> int | None:
    """Most bytes alive while an operator runs, each tensor rounded up to 16: less no arena is.

    An interpreter adds its own records and scratch memory to it.

    Args:
        steps: operators in order.
        sizes: bytes by name, of tensors that are no constants; None where unknown.
        inputs: names of the graph's inputs.
        outputs: names of its outputs.

    Returns:
        None where a size is unknown, or nothing is ever alive.

    >>> peak_bytes([(["x"], ["h"]), (["h"], ["y"])], {"x": 4, "h": 40, "y": 4}, ["x"], ["y"])
    64
    """
    born = {name: 0 for name in inputs if name in sizes}
    last: dict[str, int] = {}
    for step, (taken, given) in enumerate(steps):
        for name in given:
            born.setdefault(name, step)
        last.update((name, step) for name in taken if name in sizes)
    last.update(dict.fromkeys(outputs, len(steps) - 1))
    if any(sizes.get(name) is None for name in born):
        return None
    room = {name: -(-(sizes[name] or 0) // ALIGNMENT) * ALIGNMENT for name in born}
    peaks = (
        sum(room[n] for n, start in born.items() if start <= step <= last.get(n, start))
        for step in range(len(steps))
    )
    return max(peaks, default=0) or None
