"""Namespace IRIs, the prefixes that queries may use undeclared, and the IRIs of our own things."""

from urllib.parse import quote

TF = "https://w3id.org/tinyfleet/ns#"
TD = "https://www.w3.org/2019/wot/td#"
HCTL = "https://www.w3.org/2019/wot/hypermedia#"
JSONSCHEMA = "https://www.w3.org/2019/wot/json-schema#"
WOTSEC = "https://www.w3.org/2019/wot/security#"
MQV = "https://www.w3.org/2019/wot/mqtt#"
DISCOVERY = "https://www.w3.org/2022/wot/discovery-ontology#"
SOSA = "http://www.w3.org/ns/sosa/"
SSN = "http://www.w3.org/ns/ssn/"
PROV = "http://www.w3.org/ns/prov#"
DCAT = "http://www.w3.org/ns/dcat#"
DCT = "http://purl.org/dc/terms/"
SPDX = "http://spdx.org/rdf/terms#"
NNET = "https://w3id.org/tinyml-schema/neural-network-schema#"
SCHEMA = "http://schema.org/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
XSD = "http://www.w3.org/2001/XMLSchema#"

PREFIXES: dict[str, str] = {
    "tf": TF,
    "td": TD,
    "hctl": HCTL,
    "jsonschema": JSONSCHEMA,
    "wotsec": WOTSEC,
    "mqv": MQV,
    "discovery": DISCOVERY,
    "sosa": SOSA,
    "ssn": SSN,
    "prov": PROV,
    "dcat": DCAT,
    "dct": DCT,
    "spdx": SPDX,
    "nnet": NNET,
    "schema": SCHEMA,
    "rdf": RDF,
    "rdfs": RDFS,
    "owl": OWL,
    "xsd": XSD,
}

DEVICE_PREFIX = "urn:tinyfleet:"
MODEL_PREFIX = "urn:sha256:"


def device_iri(site: str, device: str) -> str:
    """The IRI of a device: `urn:tinyfleet:{site}:{device}`, percent-encoded where needed."""
    return f"{DEVICE_PREFIX}{quote(site, safe='')}:{quote(device, safe='')}"


def model_iri(sha256: str) -> str:
    """The IRI of a model file with this SHA-256, 64 hexadecimal digits."""
    return MODEL_PREFIX + sha256.lower()


def run_iri(run: str) -> str:
    """The IRI of a federated run."""
    return f"{DEVICE_PREFIX}run:{quote(run, safe='')}"


def round_iri(run: str, number: int) -> str:
    """The IRI of one round of a run."""
    return f"{run_iri(run)}:round:{number}"


def is_part(inner: str, whole: str) -> bool:
    """Whether an IRI names a part of another thing: `<whole>#…` or `<whole>:…`."""
    return inner.startswith((f"{whole}#", f"{whole}:"))


def shorten(iri: str) -> str:
    """An IRI as a person reads it: prefixed, `site/device`, or a digest cut to 12 digits.

    >>> shorten("https://w3id.org/tinyfleet/ns#ramBytes"), shorten("urn:tinyfleet:lab:nano-1")
    ('tf:ramBytes', 'lab/nano-1')
    """
    if iri.startswith(MODEL_PREFIX):
        digest, _, part = iri.removeprefix(MODEL_PREFIX).partition("#")
        return f"sha256:{digest[:12]}" + (f"#{part}" if part else "")
    if iri.startswith(DEVICE_PREFIX):
        return iri.removeprefix(DEVICE_PREFIX).replace(":", "/")
    for prefix, namespace in PREFIXES.items():
        if iri.startswith(namespace) and len(iri) > len(namespace):
            return f"{prefix}:{iri.removeprefix(namespace)}"
    return iri
