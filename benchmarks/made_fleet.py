"""A generated fleet as N-Triples: devices with flat facts, models in lineages, their rounds.

What is written of a device is what `Catalog.put_thing` writes of its flat facts (without the forms
of its affordances, which are the same for all), its sensors, its place and its status.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from firmware_sim.boards import BOARDS
from ontology.capacity import capacity_triples
from ontology.describe import thing_triples
from ontology.describe.federation import Contribution, RoundFacts, result_triples, round_triples
from ontology.describe.model import ModelFacts, Origin, model_triples
from ontology.namespaces import SCHEMA, TF, device_iri, model_iri, round_iri
from ontology.terms import Iri, Triple, literal, moment, written

SITE = "plant"
VERSIONS = 10
BUILDINGS = 200
_FORMS = ("properties", "actions", "links", "securityDefinitions", "security", "@context")


def lines(devices: int, models: int, seed: int = 0) -> Iterator[str]:
    """Lines of N-Triples, each a triple."""
    rng = np.random.default_rng(seed)
    for triple in _models(models, rng):
        yield _line(triple)
    yield from _devices(devices, models, rng)


def digest(number: int) -> str:
    """SHA-256 of the model with a number; versions of a lineage follow each other."""
    return hashlib.sha256(b"%d" % number).hexdigest()


def _line(triple: Triple) -> str:
    return " ".join(map(written, triple)) + " .\n"


def _models(models: int, rng: np.random.Generator) -> Iterator[Triple]:
    for number in range(models):
        run, version = divmod(number, VERSIONS)
        size = int(np.exp(rng.uniform(np.log(2_000), np.log(900_000))))
        facts = ModelFacts(
            sha256=digest(number), size=size, data_type="float32", operators=("FULLY_CONNECTED",),
            macs=size // 4, parameters=size // 4, inference_bytes=size // 8,
            training_bytes=int(size * 1.3), runtimes=("tinylearn",),
        )  # fmt: skip
        made = round_iri(f"run-{run}", version) if version else None
        older = digest(number - 1) if version else None
        origin = Origin(
            name=f"model-{run}", task="keywords", derived_from=older, round_iri=made,
            metrics={"accuracy": 0.5 + version / 40},
        )  # fmt: skip
        yield from model_triples(facts, origin)
        if made and older:
            past = RoundFacts(
                run=f"run-{run}", round=version, strategy="reptile", base=older,
                result=digest(number), started=1.7e9 + number, ended=1.7e9 + number + 60,
                contributors=tuple(
                    Contribution(device_iri(SITE, f"d{int(i)}"), 32, True)
                    for i in rng.integers(1000, size=5)
                ),
            )  # fmt: skip
            yield from round_triples(past, str)
            yield from result_triples(past)


def _devices(devices: int, models: int, rng: np.random.Generator) -> Iterator[str]:
    kinds = [_template(name) for name in BOARDS]
    kind, place = rng.integers(len(kinds), size=devices), rng.integers(BUILDINGS, size=devices)
    online, runs = rng.random(devices) < 0.9, rng.random(devices) < 0.7
    newest = rng.integers(models // VERSIONS, size=devices) * VERSIONS + VERSIONS - 1
    model = newest - np.where(rng.random(devices) < 0.05, rng.integers(1, VERSIONS, devices), 0)
    since, location = moment(1.7e9), Iri(SCHEMA + "location")
    for number in range(devices):
        device = Iri(device_iri(SITE, f"d{number}"))
        yield kinds[kind[number]].replace("\0", str(number))
        more = [
            Triple(device, location, literal(f"building-{place[number]}")),
            Triple(device, Iri(TF + "online"), literal(bool(online[number]))),
            Triple(device, Iri(TF + "statusSince"), since),
        ]
        if runs[number]:
            running = Iri(model_iri(digest(int(model[number]))))
            more.append(Triple(device, Iri(TF + "running"), running))
        yield "".join(map(_line, more))


def _template(board: str) -> str:
    """The lines of a device of a board; a zero byte stands for its number."""
    profile = BOARDS[board]
    description = profile.thing_description(
        "d000", site=SITE, arena=profile.ram - 3584, slot=profile.flash // 2 or 1 << 20
    )
    flat = {key: value for key, value in description.items() if key not in _FORMS}
    senses = (*profile.sensors, *(("microphone",) if profile.fpu else ()))
    flat["sosa:hosts"] = [
        {"@id": f"{description['id']}:sensor:{name}", "@type": "sosa:Sensor", "tf:senses": name}
        for name in dict.fromkeys(senses)
    ]
    context = {"@context": description["@context"]}
    made = thing_triples(context | flat)
    made += capacity_triples(made[0].subject, made)
    return "".join(map(_line, made)).replace("d000", "d\0")
