"""Write the tables of docs/CATALOGUE.md from the named queries and the vocabulary's modules."""

import re
from pathlib import Path

import rdflib
from rdflib.namespace import OWL, RDF, RDFS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "CATALOGUE.md"
TF = "https://w3id.org/tinyfleet/ns#"
MARK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Rewrite what stands between the marks."""
    PAGE.write_text(page(PAGE.read_text()))


def page(text: str) -> str:
    """The page with its tables made anew."""
    tables = {"queries": queries(), "terms": terms()}
    return MARK.sub(lambda found: f"{found[1]}{tables[found[2]]}\n{found[3]}", text)


def queries() -> str:
    """A row a named query."""
    from ontology.named import named_queries

    rows = ["| name | answers | parameters |", "|---|---|---|"]
    for query in named_queries().values():
        given = "; ".join(f"`{name}`: {p.text}" for name, p in query.parameters.items())
        rows.append(f"| `{query.name}` | {query.description} | {given} |")
    return "\n".join(rows)


def terms() -> str:
    """A table a module, a row a term, in the order of the file."""
    parts = []
    for path in sorted((ROOT / "ontology" / "vocabulary").glob("*.ttl")):
        graph = rdflib.Graph().parse(path)
        names = re.findall(r"^tf:(\w+) a owl:", path.read_text(), re.MULTILINE)
        if names:
            rows = [_row(graph, rdflib.URIRef(TF + name)) for name in dict.fromkeys(names)]
            head = ["| term | kind | of | value | meaning |", "|---|---|---|---|---|"]
            parts.append("\n".join([f"### {path.stem}", "", *head, *rows]))
    return "\n\n".join(parts)


def _row(graph: rdflib.Graph, term: rdflib.URIRef) -> str:
    kind = next(iter(graph.objects(term, RDF.type)))
    shown = {OWL.Class: "class", OWL.ObjectProperty: "link", OWL.DatatypeProperty: "value"}
    ends = [_named(graph, graph.value(term, which)) for which in (RDFS.domain, RDFS.range)]
    cells = [f"`{_short(graph, term)}`", shown[kind], *ends, str(graph.value(term, RDFS.comment))]
    return f"| {' | '.join(cells)} |"


def _named(graph: rdflib.Graph, node: object) -> str:
    """A class or datatype; of a union, each."""
    if node is None:
        return ""
    union = graph.value(node, OWL.unionOf)  # type: ignore[arg-type]
    members = list(rdflib.collection.Collection(graph, union)) if union else [node]
    return ", ".join(f"`{_short(graph, member)}`" for member in members)


def _short(graph: rdflib.Graph, term: object) -> str:
    return graph.namespace_manager.normalizeUri(str(term))


if __name__ == "__main__":
    main()
