"""What devices say becomes facts; what is broken or foreign does not."""

import json
from pathlib import Path

from edge.artifact import Artifact
from edge.errors import MissingExtra
from edge.messages import State
from edge.profile import LINUX
from ontology.catalog import Catalog
from server.journal import Journal, UpdateRow
from server.keeper import Keeper
from server.model_facts import name_of
from server.reports import RoundReport
from server.run import RunFolder
from tests.server.recorded import record

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


def test_a_model_keeps_the_name_that_it_was_given() -> None:
    """A base that devices run already is heard of before the run that begins with it."""
    from server.export import tflite
    from tests.edge.models import SPEC

    files = (tflite.write(SPEC, SPEC.initial(seed), name="mine") for seed in (4, 5))
    base, other = map(Artifact, files)

    def names(catalog: Catalog) -> dict[str, object]:
        found = catalog.query("SELECT ?model ?name { ?model dct:title ?name }")
        return {str(row["model"]): row["name"] for row in found}

    def iri(artifact: Artifact) -> str:
        return f"urn:sha256:{artifact.sha256}"

    with Catalog.open() as catalog, Keeper(catalog, site="lab") as keeper:
        for artifact in (base, other):
            keeper.found(artifact.sha256, artifact.data)
        keeper.started(base, name="mine", task="own")
        assert names(catalog) == {iri(base): "mine", iri(other): f"mine {other.sha256[:12]}"}
        assert catalog.ask(f'ASK {{ <{iri(base)}> tf:task "own" }}')
        catalog.put_model(other, name="own-first", run="first", round=1)
        keeper.started(other, name="mine", task="own")
        assert names(catalog) == {iri(base): "mine", iri(other): "own-first"}


def test_a_file_that_a_run_made_is_called_after_it(tmp_path: Path) -> None:
    folder = RunFolder(record(tmp_path / "one", rounds=1))
    with Journal(folder.journal) as journal:
        made = Artifact(journal.artifact(journal.current("one")))
        base = Artifact(journal.artifact(journal.run("one").base))
    path = folder.keep(made, "model.f32.tflite")
    assert name_of(made, path) == "sine-one" and name_of(base, path) == "sine"
    assert name_of(made, tmp_path / "m.tflite") == made.name == "sine"
    folder.journal.write_bytes(b"no journal")
    assert name_of(made, path) == "sine"


def test_an_onnx_result_is_described_in_full(monkeypatch) -> None:
    import pytest

    pytest.importorskip("onnx")
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
