"""A model file as flat facts: what it is, what it needs, where it comes from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from edge.errors import TinyfleetError
from ontology.describe.metrics import Metrics, metric_triples
from ontology.describe.operators import LAYER_TYPES, LayerFacts, activation_bytes, operator_layers
from ontology.namespaces import DCAT, DCT, NNET, PROV, RDF, RDFS, SPDX, TF, XSD, model_iri
from ontology.terms import Iri, Literal, Triple, literal

if TYPE_CHECKING:
    from edge.artifact import Artifact
    from edge.layers import Layer
    from edge.tflite import TensorInfo

LEARNER = "tinylearn"
"""Name of the runtime on the devices."""
TYPE = Iri(RDF + "type")
T = TypeVar("T")


@dataclass(frozen=True)
class Quantisation:
    """How an int8 or uint8 tensor stands for numbers: `scale * (value - zero_point)`."""

    scale: float
    zero_point: int


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What is known of a model file; None and empty mean unknown, and are not written.

    Args:
        sha256: 64 hexadecimal digits; empty where the file is not at hand.
        size: bytes of the file, which is also the flash it takes.
        data_type: `float32` or `int8`, of input and output.
        operators: names of the operators used.
        layers: layers in order.
        parameters: numbers that its operators multiply and add.
        macs: multiply-accumulates of one forward pass.
        inference_bytes: RAM of a board to predict: layers, one sample and activations.
        training_bytes: the same to train every layer.
        activation_bytes: most bytes of activations alive at once, whoever runs it.
        input_quantisation: how the input stands for numbers; None for floats.
        output_quantisation: the same for the output.
        runtimes: names of the runtimes known to execute it.
    """

    sha256: str
    size: int | None
    data_type: str | None = None
    operators: tuple[str, ...] = ()
    layers: tuple[LayerFacts, ...] = ()
    parameters: int | None = None
    macs: int | None = None
    inference_bytes: int | None = None
    training_bytes: int | None = None
    activation_bytes: int | None = None
    input_quantisation: Quantisation | None = None
    output_quantisation: Quantisation | None = None
    runtimes: tuple[str, ...] = ()

    @classmethod
    def of(cls, artifact: "Artifact") -> "ModelFacts":
        """Measure a file; a foreign one that the learner cannot run gives fewer facts."""
        known = {"layers": operator_layers(artifact)} | _learner_facts(artifact)
        return cls(
            sha256=artifact.sha256,
            size=artifact.size,
            data_type=_known(lambda: artifact.dtype),
            operators=tuple(sorted({operator.name for operator in artifact.operators})),
            macs=_known(lambda: artifact.macs) or None,
            parameters=_known(lambda: artifact.describe().parameters) or None,
            activation_bytes=activation_bytes(artifact),
            input_quantisation=_quantisation(artifact.input),
            output_quantisation=_quantisation(artifact.output),
            **known,
        )


def _quantisation(tensor: "TensorInfo") -> Quantisation | None:
    if len(tensor.scales) != 1 or len(tensor.zero_points) != 1 or tensor.dtype == "float32":
        return None
    return Quantisation(tensor.scales[0], tensor.zero_points[0])


def _known(measure: Callable[[], T]) -> T | None:
    """A measurement, or None where the file does not allow it."""
    try:
        return measure()
    except TinyfleetError:
        return None


def _learner_facts(artifact: "Artifact") -> dict[str, Any]:
    """What only a model that the learner runs has: layers and memory."""
    from edge.budget import requirement

    try:
        layers, needs = artifact.spec.layers, requirement(artifact)
    except TinyfleetError:
        return {}
    return {
        "layers": tuple(_learnt(x) for x in layers),
        "inference_bytes": needs.board_infer,
        "training_bytes": needs.board_train or None,
        "runtimes": (LEARNER,),
    }


def _learnt(layer: "Layer") -> LayerFacts:
    shapes = (1, *layer.in_shape), (1, *layer.out_shape)
    return LayerFacts(layer.n_in, layer.n_out, layer.activation, _operator_of(layer), *shapes)


def _operator_of(layer: "Layer") -> str:
    from edge.layers import ActivateSpec, ConvSpec, PadSpec, PoolSpec

    if isinstance(layer, ConvSpec):
        return "DEPTHWISE_CONV_2D" if layer.depthwise else "CONV_2D"
    if isinstance(layer, PoolSpec):
        pools = {"max": "MAX_POOL_2D", "average": "AVERAGE_POOL_2D", "mean": "MEAN"}
        return pools[layer.kind]
    if isinstance(layer, ActivateSpec):
        return layer.activation.upper()
    return "PAD" if isinstance(layer, PadSpec) else "FULLY_CONNECTED"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a model comes from.

    Args:
        name: title for people; shared by the versions of one model.
        task: name of the task it is for.
        derived_from: SHA-256 of the model it was made from.
        round_iri: the round that made it; without one, a derived model is a conversion.
        metrics: measured figures by name, each a number or a `Measurement`.
    """

    name: str
    task: str | None = None
    derived_from: str | None = None
    round_iri: str | None = None
    metrics: Metrics = field(default_factory=dict)


def model_triples(facts: ModelFacts, origin: Origin, iri: str | None = None) -> list[Triple]:
    """Describe one model; its IRI is `urn:sha256:<digest>` where none is given."""
    model = Iri(iri or model_iri(facts.sha256))
    triples = [Triple(model, TYPE, Iri(kind)) for kind in _KINDS]
    triples += [Triple(model, Iri(RDFS + "label"), literal(origin.name))]
    triples += [Triple(model, Iri(DCT + "title"), literal(origin.name))]
    triples += _checksum(model, facts.sha256) if facts.sha256 else []
    flat = {
        DCAT + "byteSize": facts.size,
        TF + "dataType": facts.data_type,
        TF + "parameterCount": facts.parameters,
        NNET + "hasMultiplyAccumulateOps": facts.macs,
        TF + "inferenceBytes": facts.inference_bytes,
        TF + "trainingBytes": facts.training_bytes,
        TF + "activationBytes": facts.activation_bytes,
        **_scales("input", facts.input_quantisation),
        **_scales("output", facts.output_quantisation),
        TF + "task": origin.task,
    }
    triples += [Triple(model, Iri(p), literal(v)) for p, v in flat.items() if v is not None]
    triples += [Triple(model, Iri(TF + "operator"), literal(name)) for name in facts.operators]
    triples += [Triple(model, Iri(TF + "runtime"), literal(name)) for name in facts.runtimes]
    triples += _layers(model, facts.layers)
    triples += _derivation(model, facts.sha256, origin)
    triples += metric_triples(model, origin.metrics)
    return triples


_KINDS = (TF + "Model", NNET + "NeuralNetwork", DCAT + "Distribution", PROV + "Entity")


def _checksum(model: Iri, digest: str) -> list[Triple]:
    node = Iri(model + "#checksum")
    return [
        Triple(model, Iri(SPDX + "checksum"), node),
        Triple(node, TYPE, Iri(SPDX + "Checksum")),
        Triple(node, Iri(SPDX + "algorithm"), Iri(SPDX + "checksumAlgorithm_sha256")),
        Triple(node, Iri(SPDX + "checksumValue"), Literal(digest.lower(), XSD + "hexBinary")),
    ]


def _layers(model: Iri, layers: tuple[LayerFacts, ...]) -> Iterator[Triple]:
    for index, layer in enumerate(layers):
        node = Iri(f"{model}#layer/{index}")
        yield Triple(model, Iri(TF + "layer"), node)
        yield Triple(node, TYPE, Iri(NNET + "Layer"))
        yield Triple(node, Iri(NNET + "hasIndex"), literal(index))
        yield Triple(node, Iri(TF + "operator"), literal(layer.operator))
        if layer.operator in LAYER_TYPES:
            yield Triple(node, Iri(NNET + "hasType"), Iri(NNET + LAYER_TYPES[layer.operator]))
        yield Triple(node, Iri(TF + "inputWidth"), literal(layer.inputs))
        yield Triple(node, Iri(TF + "outputWidth"), literal(layer.outputs))
        for name, shape in (("shapeIn", layer.in_shape), ("shapeOut", layer.out_shape)):
            if shape:
                yield Triple(node, Iri(NNET + name), literal(" ".join(map(str, shape))))
        for name, value in (("activation", layer.activation), ("dataType", layer.data_type)):
            if value:
                yield Triple(node, Iri(TF + name), literal(value))


def _scales(end: str, how: Quantisation | None) -> dict[str, float | int]:
    if how is None:
        return {}
    return {f"{TF}{end}Scale": how.scale, f"{TF}{end}ZeroPoint": how.zero_point}


def _derivation(model: Iri, digest: str, origin: Origin) -> Iterator[Triple]:
    """A round makes a new version; anything else (export, quantisation) a conversion."""
    if origin.round_iri:
        yield Triple(model, Iri(PROV + "wasGeneratedBy"), Iri(origin.round_iri))
    if origin.derived_from and origin.derived_from.lower() != digest.lower():
        base = Iri(model_iri(origin.derived_from))
        how = PROV + "wasRevisionOf" if origin.round_iri else TF + "convertedFrom"
        yield Triple(model, Iri(how), base)
        yield Triple(model, Iri(PROV + "wasDerivedFrom"), base)
