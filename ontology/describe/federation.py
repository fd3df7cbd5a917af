"""Rounds, contributions and deployments as PROV-O activities."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from ontology.describe.metrics import Metrics, metric_triples
from ontology.namespaces import DEVICE_PREFIX, PROV, RDF, TF, model_iri, round_iri
from ontology.terms import Iri, Triple, literal, moment

TYPE = Iri(RDF + "type")
Resolve = Callable[[str], str]


@dataclass(frozen=True)
class Contribution:
    """What one device gave to a round; `reason` says why it was not accepted."""

    device: str
    samples: int
    accepted: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class RoundFacts:
    """One finished round.

    Args:
        run: name of the run.
        round: number of the round in it.
        strategy: name of the strategy.
        base: SHA-256 of the model the round began with.
        result: SHA-256 of the model it ended with.
        started: seconds since 1970.
        ended: seconds since 1970.
        contributors: a `Contribution`, or a tuple of its fields, for each device that answered.
        metrics: measured figures by name, each a number or a `Measurement`.
        dataset: name or address of what the data is, which stays on the devices.
    """

    run: str
    round: int
    strategy: str
    base: str
    result: str
    started: float
    ended: float
    contributors: tuple[Contribution | tuple[str, int, bool, str], ...] = ()
    metrics: Metrics = field(default_factory=dict)
    dataset: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeploymentFacts:
    """One try to put a model on a device.

    Args:
        device: IRI or name of the device.
        model: SHA-256 of the model.
        time: seconds since 1970.
        ok: whether the device runs it now.
        reason: why not.
    """

    device: str
    model: str
    time: float
    ok: bool
    reason: str = ""


def round_triples(facts: RoundFacts, device: Resolve) -> list[Triple]:
    """Describe a round; `device` turns a device's name into its IRI."""
    this = Iri(round_iri(facts.run, facts.round))
    base, result = Iri(model_iri(facts.base)), Iri(model_iri(facts.result))
    given = [Contribution(*c) if isinstance(c, tuple) else c for c in facts.contributors]
    accepted = [c for c in given if c.accepted]
    triples = [
        Triple(this, TYPE, Iri(TF + "Round")),
        Triple(this, TYPE, Iri(PROV + "Activity")),
        Triple(this, Iri(TF + "run"), literal(facts.run)),
        Triple(this, Iri(TF + "roundNumber"), literal(facts.round)),
        Triple(this, Iri(TF + "strategy"), literal(facts.strategy)),
        Triple(this, Iri(PROV + "used"), base),
        Triple(this, Iri(PROV + "generated"), result),
        Triple(this, Iri(PROV + "startedAtTime"), moment(facts.started)),
        Triple(this, Iri(PROV + "endedAtTime"), moment(facts.ended)),
        Triple(this, Iri(TF + "contributorCount"), literal(len(accepted))),
        Triple(this, Iri(TF + "sampleCount"), literal(sum(c.samples for c in accepted))),
    ]
    for contribution in given:
        triples += _contribution(this, contribution, Iri(device(contribution.device)))
    if facts.dataset:
        triples.append(Triple(this, Iri(TF + "dataset"), literal(facts.dataset)))
    triples += metric_triples(this, facts.metrics)
    return triples


def result_triples(facts: RoundFacts) -> list[Triple]:
    """What a round says of the model it made."""
    this, base = Iri(model_iri(facts.result)), Iri(model_iri(facts.base))
    made = Triple(this, Iri(PROV + "wasGeneratedBy"), Iri(round_iri(facts.run, facts.round)))
    if this == base:
        return []
    links = (PROV + "wasDerivedFrom", PROV + "wasRevisionOf")
    return [made, *(Triple(this, Iri(link), base) for link in links)]


def _contribution(this: Iri, given: Contribution, device: Iri) -> Iterator[Triple]:
    node = Iri(f"{this}#contribution/{quote(device, safe='')}")
    yield Triple(this, Iri(PROV + "qualifiedAssociation"), node)
    yield Triple(node, TYPE, Iri(TF + "Contribution"))
    yield Triple(node, TYPE, Iri(PROV + "Association"))
    yield Triple(node, Iri(PROV + "agent"), device)
    yield Triple(node, Iri(TF + "sampleCount"), literal(given.samples))
    yield Triple(node, Iri(TF + "accepted"), literal(given.accepted))
    if given.reason:
        yield Triple(node, Iri(TF + "reason"), literal(given.reason))
    if given.accepted:
        yield Triple(this, Iri(PROV + "wasAssociatedWith"), device)


def deployment_iri(facts: DeploymentFacts, device: str) -> str:
    """The IRI of a deployment: one for each device, model and moment."""
    milliseconds = round(facts.time * 1000)
    where = quote(device.removeprefix(DEVICE_PREFIX), safe="")
    return f"{DEVICE_PREFIX}deployment:{where}:{facts.model[:12].lower()}:{milliseconds}"


def deployment_triples(facts: DeploymentFacts, device: str) -> list[Triple]:
    """Describe a deployment to the device with this IRI."""
    this = Iri(deployment_iri(facts, device))
    triples = [
        Triple(this, TYPE, Iri(TF + "Deployment")),
        Triple(this, TYPE, Iri(PROV + "Activity")),
        Triple(this, Iri(PROV + "used"), Iri(model_iri(facts.model))),
        Triple(this, Iri(TF + "deployedTo"), Iri(device)),
        Triple(this, Iri(PROV + "endedAtTime"), moment(facts.time)),
        Triple(this, Iri(TF + "succeeded"), literal(facts.ok)),
    ]
    if facts.reason:
        triples.append(Triple(this, Iri(TF + "reason"), literal(facts.reason)))
    return triples
