"""Things, models, rounds and deployments as triples, and things back."""

from ontology.describe.federation import Contribution, DeploymentFacts, RoundFacts
from ontology.describe.thing import thing_triples
from ontology.describe.thing_back import equivalent, thing_description

__all__ = [
    "Contribution",
    "DeploymentFacts",
    "RoundFacts",
    "equivalent",
    "thing_description",
    "thing_triples",
]
