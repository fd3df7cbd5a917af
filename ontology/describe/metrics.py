"""Measured figures as small nodes below the thing they were measured on."""

import math
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from ontology.namespaces import RDF, TF
from ontology.terms import Iri, Triple, literal


def metric_triples(subject: Iri, metrics: Mapping[str, float]) -> Iterator[Triple]:
    """One tf:Metric for each figure; what is not a finite number is unknown and left out."""
    for name, value in sorted(metrics.items()):
        if not math.isfinite(value):
            continue
        node = Iri(f"{subject}#metric/{quote(name, safe='')}")
        yield Triple(subject, Iri(TF + "metric"), node)
        yield Triple(node, Iri(RDF + "type"), Iri(TF + "Metric"))
        yield Triple(node, Iri(TF + "metricName"), literal(name))
        yield Triple(node, Iri(TF + "metricValue"), literal(float(value)))
