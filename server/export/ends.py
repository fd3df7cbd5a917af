"""What of a model stays in float32 where an int8 file takes and gives float32."""

from edge.spec import ModelSpec

__all__ = ["MOST_MACS", "float_front"]

MOST_MACS = 0.05
"""Share of the multiply-accumulates that a first layer may take to stay in float32."""


def float_front(spec: ModelSpec) -> int:
    """How many layers, from the first, stay in float32; the rest is int8.

    A net that spreads few inputs over many channels loses most where it rounds those inputs, and
    its first layer is next to no work: it stays as it is, up to the first that has weights.

    Args:
        spec: the architecture.

    Returns:
        0 where the first layer with weights takes more than a twentieth of the work.

    >>> float_front(ModelSpec.mlp([1, 40, 40, 1])), float_front(ModelSpec.mlp([64, 32, 10]))
    (1, 0)
    """
    first = next(i for i, layer in enumerate(spec.layers) if layer.weight_shape)
    return first + 1 if spec.layers[first].macs <= MOST_MACS * spec.macs else 0
