"""Read an `.onnx` with the onnx package: checked, in one file, with the shapes of its tensors."""

from collections.abc import Iterator
from typing import Any

from edge.chain import UnsupportedOperator
from edge.errors import ArtifactError, MissingExtra

__all__ = ["inner_graphs", "loaded", "names_read", "opset_of"]

_OLDEST = 7  # opset from which Gemm takes a bias of one dimension


def loaded(data: bytes) -> Any:
    """A checked ONNX model with the shapes that can be inferred.

    Args:
        data: the bytes of the file.

    Raises:
        MissingExtra: onnx is not installed.
        ArtifactError: it is no ONNX model.
        UnsupportedOperator: its constants lie in another file.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtra(
            "reading .onnx needs onnx, which is not installed.",
            hint="pip install 'tinyfleet[server]'",
        ) from None
    try:
        model = onnx.load_from_string(data)
        outside = [one.name for one in _constants(model.graph) if one.data_location]
        if not outside:
            onnx.checker.check_model(model)
            return onnx.shape_inference.infer_shapes(model)
    except Exception as error:
        raise ArtifactError(f"this is no ONNX model: {str(error)[:200]}") from error
    raise UnsupportedOperator(
        f"constant {outside[0][:60]!r} of the .onnx lies in another file.",
        hint="one file with all constants, such as onnx.save(onnx.load(FILE), NEW) writes",
    )


def opset_of(model: Any) -> int:
    """Version of ONNX's own operators in a model.

    Raises:
        UnsupportedOperator: it is older than any that is changed.
    """
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if opset < _OLDEST:
        raise UnsupportedOperator(f"opset {opset} came, {_OLDEST} is the oldest that is changed.")
    return int(opset)


def names_read(node: Any) -> Iterator[str]:
    """The tensors that a node reads, those of graphs inside it, too."""
    yield from node.input
    for graph in inner_graphs(node):
        for inner in graph.node:
            yield from names_read(inner)


def inner_graphs(node: Any) -> Iterator[Any]:
    """The graphs inside a node, such as the branches of an If."""
    for attribute in node.attribute:
        yield from (attribute.g, *attribute.graphs)


def _constants(graph: Any) -> Iterator[Any]:
    """All constants of a graph: its own, and those in attributes and in graphs inside it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
        for inner in inner_graphs(node):
            yield from _constants(inner)
