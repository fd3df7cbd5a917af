"""Terms of other vocabularies, as their documents define them; we write no others.

Those of PROV-O, DCAT, Dublin Core, schema.org and SOSA of 2017 are taken from rdflib.
"""

from rdflib.namespace import DCAT, DCTERMS, OWL, PROV, RDF, RDFS, SDO, SOSA, SSN

from ontology import namespaces as ns
from ontology.describe.td_terms import OPERATIONS, SCHEMES, SCOPES, TYPES

NAMES = {
    # SOSA and SSN, 2023 edition: what moved to sosa: or is new, beside the classes of 2017.
    ns.SOSA: """Deployment System deployedOnPlatform deployedSystem hasDeployment hasInput hasOutput
        hasSubSystem inDeployment isSubSystemOf""",
    "http://www.w3.org/ns/ssn/systems/": "hasSystemCapability hasSystemProperty inCondition",
    # S3N, and the small extensions that come with the published catalogue.
    "http://w3id.org/s3n/": """Memory MicroController ProcedureFeature SmartSensor
        hasProcedureFeature""",
    ns.NNET[:-1] + "/s3n_extend/": "Flash RAM",
    ns.NNET[:-1] + "/sosa_extend/": """Accelerometer Camera Gyroscope Magnetometer Microphone
        Thermometer hasSensorInfo""",
    ns.NNET[:-1] + "/ssn_extend/": "provideInput",
    # WoT Thing Description 1.1, its ontology: classes and properties beside those of td_terms.
    ns.TD: """Thing PropertyAffordance ActionAffordance EventAffordance InteractionAffordance name
        ThingModel VersionInfo""",
    ns.WOTSEC: "SecurityScheme",
    ns.HCTL: "Link Form ExpectedResponse AdditionalExpectedResponse",
    ns.JSONSCHEMA: "DataSchema propertyName",
    # WoT Binding Template for MQTT.
    ns.MQV: "controlPacket filter qos retain topic",
    # SPDX 2.3.
    ns.SPDX: "Checksum algorithm checksum checksumAlgorithm_sha256 checksumValue",
    # The neural-network schema, version 3.
    ns.NNET: """Activation AveragePool2D Classification Conv2D DepthwiseConv2D Dequantize
        FeatureExtraction Float16 Float32 FullyConnected Int16 Int8 Layer LayerType Logistic
        MaxPool2D Metric NetworkCategory NetworkInput NetworkOutput NeuralNetwork ObjectDetection
        Quantization Quantize Relu Reshape ResizeNearestNeighbor Softmax Tanh Top_1_accuracy
        Top_5_accuracy Unsupervised hasActivation hasCategory hasIndex hasInputInfo hasMetric
        hasMetricValue hasMultiplyAccumulateOps hasOutputInfo hasQuantization hasType inputLayer
        middleLayer outputLayer shapeIn shapeOut trainingDataset""",
    # ML-Schema (W3C community group report, 2016), MLDCAT-AP 3, QUDT 2.1 and its units.
    "http://www.w3.org/ns/mls#": "Model ModelEvaluation Run Algorithm EvaluationMeasure",
    "http://data.europa.eu/it6/": "MachineLearningModel",
    "http://qudt.org/schema/qudt/": "hasUnit",
    "http://qudt.org/vocab/unit/": "BYTE HZ MilliSEC",
}


def standard_terms() -> dict[str, set[str]]:
    """IRIs by namespace; a namespace that is not there is not checked."""
    found = {space: {space + name for name in text.split()} for space, text in NAMES.items()}
    for space, carried in (
        (ns.PROV, PROV), (ns.DCAT, DCAT), (ns.DCT, DCTERMS), (ns.SOSA, SOSA), (ns.SSN, SSN),
        (ns.RDF, RDF), (ns.RDFS, RDFS), (ns.OWL, OWL),
    ):  # fmt: skip
        found.setdefault(space, set()).update(map(str, dir_of(carried)))
    found["https://schema.org/"] = set(map(str, dir_of(SDO)))
    found[ns.SCHEMA] = {str(term).replace("https:", "http:") for term in dir_of(SDO)}
    ours = {rule.iri for scope in SCOPES.values() for rule in scope.values()}
    ours |= {iri for words in (OPERATIONS, SCHEMES, TYPES) for iri in words.values()}
    for iri in ours:
        for space in (ns.TD, ns.HCTL, ns.JSONSCHEMA, ns.WOTSEC):
            if iri.startswith(space):
                found[space].add(iri)
    return found


def dir_of(space: object) -> list[str]:
    """The terms that a namespace of rdflib defines."""
    names = getattr(space, "__annotations__", {})
    return [str(space[name]) for name in names if not name.startswith("_")]  # type: ignore[index]
