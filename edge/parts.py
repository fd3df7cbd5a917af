"""A file of which the learner knows the end alone: what runs before, and what it trains."""

from dataclasses import dataclass

from edge.cut import find_cut, front_of, tail_of
from edge.onnx_file import is_onnx, onnx_tail
from edge.tflite import Graph

__all__ = ["Parts", "parts_of"]


@dataclass(frozen=True)
class Parts:
    """A front and a tail in one file.

    Args:
        front: a file for a runtime: input as the whole's, output the features.
        tail: a `.tflite` that takes the features.
        offset: where the bytes of the tail lie in the whole.
        copies: start and bytes of further copies of the tail's parameters in the whole, in order.
    """

    front: bytes
    tail: bytes
    offset: int = 0
    copies: tuple[tuple[int, int], ...] = ()


def parts_of(graph: Graph) -> Parts | None:
    """Take a file apart; None where it has no tail of float32 dense layers.

    Raises:
        ArtifactError: the file is broken.
    """
    if is_onnx(graph.data):
        found = onnx_tail(graph.data)
        if found is None:
            return None
        return Parts(found.front, found.tail, found.start, found.values)
    cut = find_cut(graph)
    return None if cut is None else Parts(front_of(graph, cut), tail_of(graph, cut))
