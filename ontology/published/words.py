"""Words of the published catalogue and what they are in ours."""

from ontology.namespaces import NNET

__all__ = [
    "NNET_OLD", "OM", "OPERATORS", "PLATFORM", "REPLACED", "REPLACED_TD", "S3N", "S3N_EXTEND",
    "SCHEMA_ORG", "SENSORS", "SOSA_EXTEND", "SSN_EXTEND", "SYSTEMS", "TD_TERMS",
]  # fmt: skip

NNET_OLD = "http://tinyml-schema.org/networkschema#"
S3N = "http://w3id.org/s3n/"
SYSTEMS = "http://www.w3.org/ns/ssn/systems/"
S3N_EXTEND = NNET[:-1] + "/s3n_extend/"
SOSA_EXTEND = NNET[:-1] + "/sosa_extend/"
PLATFORM = "TFLite Micro"
"""Its name of the runtime that ours call `tflite-micro`."""
SSN_EXTEND = NNET[:-1] + "/ssn_extend/"
SCHEMA_ORG = "https://schema.org/"
OM = "http://www.ontology-of-units-of-measure.org/resource/om-2/"

SENSORS = {
    "Accelerometer": "accelerometer",
    "Camera": "camera",
    "Gyroscope": "gyroscope",
    "Magnetometer": "magnetometer",
    "Microphone": "microphone",
    "Thermometer": "temperature",
}
"""Classes of sensors, as `tf:senses` names what they observe."""

OPERATORS = {
    "Add": "ADD",
    "AveragePool2D": "AVERAGE_POOL_2D",
    "AvgPool2D": "AVERAGE_POOL_2D",
    "Conv2D": "CONV_2D",
    "DepthwiseConv2D": "DEPTHWISE_CONV_2D",
    "Dequantize": "DEQUANTIZE",
    "FullyConnected": "FULLY_CONNECTED",
    "Logistic": "LOGISTIC",
    "MaxPool2D": "MAX_POOL_2D",
    "Mean": "MEAN",
    "Pad": "PAD",
    "Quantize": "QUANTIZE",
    "Reshape": "RESHAPE",
    "ResizeNearestNeighbor": "RESIZE_NEAREST_NEIGHBOR",
    "Softmax": "SOFTMAX",
}
"""Layer types, as TensorFlow Lite names the operators."""

REPLACED = {
    "Add": 'tf:operator "ADD"',
    "AvgPool2D": "nnet:AveragePool2D",
    "Int32": 'tf:dataType "int32"',
    "Mean": 'tf:operator "MEAN"',
    "Pad": 'tf:operator "PAD"',
    "OtherCategory": "no category",
    "OtherSensor": "no sensor that we know",
    "Other_metric": "no metric that we know",
    "Relu6": 'tf:activation "relu6"',
    "Uint8": 'tf:dataType "uint8"',
    "hasSystemCapability": "ssn-system:hasSystemCapability",
}
"""What is read in the place of a term that no schema defines."""

TD_TERMS = frozenset(
    {
        "definesSecurityScheme", "description", "hasActionAffordance", "hasEventAffordance",
        "hasForm", "hasPropertyAffordance", "hasSecurityConfiguration", "isIdempotent",
        "isObservable", "isSafe", "name", "title",
    }
)  # fmt: skip
"""Those terms of the Thing Description ontology 1.1 that things of this kind may have."""

REPLACED_TD = {
    "href": "hctl:hasTarget",
    "maximum": "jsonschema:maximum",
    "minimum": "jsonschema:minimum",
    "nosec_sc": "a wotsec:NoSecurityScheme",
    "op": "hctl:hasOperationType",
    "readOnly": "jsonschema:readOnly",
    "scheme": "a wotsec:NoSecurityScheme",
    "securityDefinitions": "td:definesSecurityScheme",
    "type": "a jsonschema:DataSchema",
    "unit": "schema:unitCode",
}
