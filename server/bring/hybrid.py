"""A foreign model with a tail of ours: its layers stay, bit for bit, but for the last."""

from dataclasses import dataclass

from edge.artifact import Artifact
from edge.onnx_file import is_onnx
from edge.spec import ModelSpec
from server.bring.feature import Feature, feature_of, named_feature
from server.bring.feeding import check_input
from server.bring.graft import graft
from server.bring.kept import begun, check_end, replaced_layer
from server.bring.tail import Tail, tail_file, tail_spec

__all__ = ["Hybrid", "hybrid"]


@dataclass(frozen=True)
class Hybrid:
    """What was made.

    Args:
        data: the file.
        feature: the tensor of the foreign file that the tail takes.
        spec: the tail.
    """

    data: bytes
    feature: Feature
    spec: ModelSpec


def hybrid(data: bytes, tail: Tail, *, layer: str | None = None, name: str = "hybrid") -> Hybrid:
    """Replace what lies behind a tensor of a `.tflite` or `.onnx`.

    Args:
        data: the foreign file.
        tail: what takes its place.
        layer: the tensor, by name or (in a `.tflite`) number; None: the input of the last layer
            with weights.
        name: what the new file calls itself.

    Raises:
        ArtifactError: the file is broken, or no tail can go there.
        UsageError: no such tensor, a tail that is none, or weights that cannot be kept.
        MissingExtra: an `.onnx` came, and onnx is not installed.
    """
    if is_onnx(data):
        from server.bring.onnx_hybrid import onnx_hybrid

        return Hybrid(*onnx_hybrid(data, tail, layer=layer, name=name))
    artifact = Artifact(data)
    check_input(artifact)
    feature = feature_of(artifact) if layer is None else named_feature(artifact, layer)
    spec = tail_spec(feature.shape, tail, mean=feature.mean)
    kept = None
    if tail.keep:
        kept = replaced_layer(artifact, feature)
        check_end(tail, feature, (one.name for one in artifact.operators[feature.last + 1 :]))
    parameters = begun(spec, tail, feature, kept)
    behind = tail_file(feature.shape, spec, parameters, quantised=feature.dtype != "float32")
    made = graft(data, feature.operators, feature.tensor, behind, name)
    return Hybrid(made, feature, spec)
