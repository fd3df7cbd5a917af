"""Measured figures as small nodes below the thing they were measured on."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ontology.namespaces import RDF, TF
from ontology.terms import Iri, Triple, literal

__all__ = ["Measurement", "Metrics", "metric_triples"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A figure with what it was measured on; None means unknown.

    Args:
        value: the figure.
        dataset: name or address of the data.
        split: part of the data, such as `test`.
        low: lower end of the interval of confidence.
        high: upper end of it.
        level: what the interval stands for, such as 0.95.
        count: clients or samples that the figure is the mean of.
    """

    value: float
    dataset: str | None = None
    split: str | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    count: int | None = None


Metrics = Mapping[str, float | Measurement]
"""Figures by name."""


def metric_triples(subject: Iri, metrics: Metrics) -> Iterator[Triple]:
    """One tf:Metric for each figure; what is not a finite number is unknown and left out.

    The same figure on other data is another metric: data and split are part of its IRI.
    """
    for name, given in sorted(metrics.items(), key=lambda pair: pair[0]):
        figure = given if isinstance(given, Measurement) else Measurement(value=given)
        if not math.isfinite(figure.value):
            continue
        on = [part for part in (figure.dataset, figure.split) if part]
        node = Iri(f"{subject}#metric/{'/'.join(quote(p, safe='') for p in (name, *on))}")
        yield Triple(subject, Iri(TF + "metric"), node)
        yield Triple(node, Iri(RDF + "type"), Iri(TF + "Metric"))
        yield Triple(node, Iri(TF + "metricName"), literal(name))
        facts: dict[str, float | int | str | None] = {
            "metricValue": float(figure.value),
            "dataset": figure.dataset,
            "split": figure.split,
            "confidenceLow": _finite(figure.low),
            "confidenceHigh": _finite(figure.high),
            "confidenceLevel": _finite(figure.level),
            "evaluatedCount": figure.count,
        }
        for key, value in facts.items():
            if value is not None:
                yield Triple(node, Iri(TF + key), literal(value))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
