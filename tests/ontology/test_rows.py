"""Rows read from the engine's text are the terms that the engine gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import QueryError
from ontology.namespaces import RDF, XSD
from ontology.store import OxigraphStore, _plain
from ontology.terms import Iri, Literal, Triple, literal

TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"))
TYPES = ("string", "integer", "decimal", "double", "float", "boolean", "dateTime", "hexBinary")
TERMS = st.one_of(
    st.builds(lambda t, kind: Literal(t, XSD + kind), TEXTS, st.sampled_from(TYPES)),
    st.builds(lambda text: Literal(text, RDF + "langString", "en-gb"), TEXTS),
    st.builds(literal, st.one_of(st.integers(), st.floats(), st.booleans())),
    st.builds(
        lambda text, kind: Literal(text, XSD + kind),
        st.sampled_from(["03", "+5", "-.5", "5.", "1e3", "1.0E0", "INF", "NaN", "1", "true", ""]),
        st.sampled_from(TYPES),
    ),
    st.just(Iri("urn:a:b")),
)
QUERY = "SELECT ?s ?o ?none WHERE { ?s <urn:p> ?o OPTIONAL { ?s <urn:q> ?none } } ORDER BY ?s"


@given(st.lists(TERMS, min_size=1, max_size=8))
def test_every_term_is_that_of_the_engine(terms) -> None:
    store = OxigraphStore()
    store.replace([], [Triple(Iri(f"urn:s{i}"), Iri("urn:p"), t) for i, t in enumerate(terms)])
    theirs = [
        tuple(None if term is None else _plain(term) for term in row)
        for row in store.engine.query(QUERY)
    ]
    assert list(store.query(QUERY, 100).rows) == theirs


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 6])
def test_more_rows_than_allowed_are_an_error_and_never_a_cut_answer(rows) -> None:
    store = OxigraphStore()
    store.replace(
        [], [Triple(Iri(f"urn:s{i}"), Iri("urn:p"), literal("a\nb")) for i in range(rows)]
    )
    if rows <= 5:
        assert len(store.query(QUERY, 5)) == rows
    else:
        with pytest.raises(QueryError, match="more than 5 rows"):
            store.query(QUERY, 5)


def test_an_answer_without_columns_has_its_rows() -> None:
    store = OxigraphStore()
    store.replace([], [Triple(Iri("urn:s"), Iri("urn:p"), literal(1))])
    assert store.query("SELECT * WHERE { <urn:s> <urn:p> 1 }", 5).rows == ((),)
