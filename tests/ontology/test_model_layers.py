"""Layers of a model in the catalogue."""

from edge.artifact import Artifact
from ontology.describe.model import ModelFacts, Origin, model_triples
from ontology.describe.operators import LAYER_TYPES
from ontology.namespaces import NNET
from ontology.terms import Iri
from tests.edge.convnets import everything
from tests.edge.zoo import model


def test_each_kind_of_layer_has_its_name_in_the_schema() -> None:
    spec = everything()
    facts = ModelFacts.of(Artifact(model(spec)))
    triples = model_triples(facts, Origin(name="m"))
    named = [t.object for t in triples if t.predicate == Iri(NNET + "hasType")]
    kinds = "Conv2D DepthwiseConv2D MaxPool2D Conv2D AveragePool2D Conv2D Tanh"
    wanted = [*kinds.split(), "FullyConnected", "FullyConnected"]
    operators = [one.operator for one in facts.layers]
    assert [name for name in operators if name not in LAYER_TYPES] == ["PAD", "MEAN"]
    assert named == [Iri(NNET + kind) for kind in wanted]
    assert [one.inputs for one in facts.layers] == [layer.n_in for layer in spec.layers]
