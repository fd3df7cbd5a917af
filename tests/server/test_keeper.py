"""What devices say becomes facts; what is broken or foreign does not."""

import json

from edge.errors import MissingExtra
from edge.messages import State
from edge.profile import LINUX
from ontology.catalog import Catalog
from server.journal import UpdateRow
from server.keeper import Keeper
from server.reports import RoundReport

SHA = "ab" * 32


def description(device: str) -> bytes:
    thing = LINUX.thing_description(device, site="lab", arena=1000, slot=2000)
    return json.dumps(thing).encode()


def test_descriptions_and_states_become_facts() -> None:
    with Catalog.open() as catalog, Keeper(catalog, site="lab") as keeper:
        keeper.described("a", description("a"))
        keeper.changed("a", State("a", "online", SHA, 1.0))
        keeper.flush()
        (row,) = catalog.query("fleet")
        assert row["device"] == "urn:tinyfleet:lab:a"
        assert SHA in str(row["model"])


def test_a_description_of_another_device_is_not_taken() -> None:
    with Catalog.open() as catalog, Keeper(catalog, site="lab") as keeper:
        keeper.described("a", description("b"))
        keeper.described("a", b"{not json")
        keeper.described("a", b"[]")
        keeper.described("c", description("c"))
        keeper.flush()
        assert [row["device"] for row in catalog.query("fleet")] == ["urn:tinyfleet:lab:c"]


def test_a_device_that_answers_twice_in_a_round_is_one_contribution() -> None:
    answers = [
        UpdateRow("r", 1, "a", True, "", samples=4),
        UpdateRow("r", 1, "a", False, "duplicate", samples=4),
        UpdateRow("r", 1, "a", True, "", samples=8, turn=1),
        UpdateRow("r", 1, "b", False, "undecodable"),
        UpdateRow("r", 1, "b", False, "not finite", samples=4),
    ]
    report = RoundReport(
        "r", 1, 1, "fedbuff", "closed", SHA, SHA, 1.0, 2.0, ("a", "b"), answers, {}
    )
    with Catalog.open() as catalog, Keeper(catalog, site="lab") as keeper:
        keeper.finished(report, None, name="n", task="t")  # type: ignore[arg-type]
        found = catalog.query(
            "SELECT ?device ?samples ?accepted ?reason {"
            " ?r prov:qualifiedAssociation ?c . ?c prov:agent ?device ;"
            " tf:sampleCount ?samples ; tf:accepted ?accepted . OPTIONAL { ?c tf:reason ?reason }"
            " } ORDER BY ?device"
        )
        assert [tuple(row.values()) for row in found] == [
            ("urn:tinyfleet:lab:a", 12, True, None),
            ("urn:tinyfleet:lab:b", 4, False, "not finite"),
        ]
        (count,) = catalog.query("SELECT ?n { ?r a tf:Round ; tf:contributorCount ?n }")
        assert count["n"] == 1


def test_an_export_says_what_it_cost_on_a_core() -> None:
    from edge.artifact import Artifact
    from edge.spec import ModelSpec
    from ontology.describe.needs import Cost
    from ontology.match import Wishes, fits
    from tests.edge.zoo import model
    from tests.ontology.conftest import profile

    artifact = Artifact(model(ModelSpec.mlp([1, 4, 1])))
    with Catalog.open() as catalog, Keeper(catalog, site="lab") as keeper:
        catalog.put_thing(profile().thing_description("a", site="lab", arena=9999, slot=9999))
        for cost in (Cost("cortex-m4f", 64_000), Cost("cortex-m0", 1), None):
            keeper.exported(artifact, name="m", task="t", source=SHA, metrics={}, cost=cost)
        for most, runs in ((1.0, True), (0.9, False)):
            (match,) = fits(catalog, model="m", device="a", wishes=Wishes(predict_ms=most))
            assert match.runs is runs, match


def test_changes_that_wait_are_written_together() -> None:
    with Catalog.open() as catalog:
        keeper = Keeper(catalog, site="lab")
        written = []
        replace = catalog.store.replace
        catalog.store.replace = lambda *parts: (written.append(1), replace(*parts))  # type: ignore
        keeper.described("a", description("a"))
        for number in range(300):
            keeper.changed(f"d{number % 30}", State(f"d{number % 30}", "online", SHA, 1.0))
        keeper.described("b", description("b"))
        keeper.changed("a", State("a", "offline", None, 1.0))
        with keeper:
            keeper.flush()
        assert len(written) == 4
        assert catalog.ask("ASK { <urn:tinyfleet:lab:a> tf:online false }")
        assert len(catalog.query("SELECT ?d { ?d tf:online true }")) == 30


def test_an_onnx_result_is_described_in_full(monkeypatch) -> None:
    import pytest

    pytest.importorskip("onnx")
    from edge.artifact import Artifact
    from edge.spec import ModelSpec
    from server import describe_onnx
    from server.bring.hybrid import hybrid
    from server.bring.tail import Tail
    from server.export import onnx

    spec = ModelSpec.mlp([4, 12, 3], output="softmax")
    foreign = onnx.write(spec, spec.initial(0), name="foreign")
    made = Artifact(hybrid(foreign, Tail(2), name="hybrid").data)

    def layers_and_macs(catalog: Catalog) -> dict[str, object]:
        found = catalog.query(
            "SELECT ?macs (COUNT(?l) AS ?layers) "
            "{ ?m nnet:hasMultiplyAccumulateOps ?macs; tf:layer ?l } GROUP BY ?macs"
        )
        return next(iter(found), {})

    with Catalog.open() as catalog, Keeper(catalog, site="lab") as keeper:
        keeper.started(made, name="h", task="own")
        told = layers_and_macs(catalog)
        # Gemm and Relu of the front; Flatten, Gemm and Softmax of the tail
        assert (told["macs"], told["layers"]) == (4 * 12 + 12 * 2, 5)

    def missing(data: bytes) -> None:
        raise MissingExtra("reading .onnx needs onnx, which is not installed.")

    monkeypatch.setattr(describe_onnx, "onnx_facts", missing)
    with Catalog.open() as catalog, Keeper(catalog, site="lab") as keeper:
        keeper.started(made, name="h", task="own")
        assert catalog.query(f"SELECT ?o {{ <urn:sha256:{made.sha256}> tf:operator ?o }}")
