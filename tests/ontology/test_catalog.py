"""The catalogue as a whole: status, versions, ownership, crashes, matching, missing packages."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.artifact import Artifact
from edge.budget import requirement
from edge.errors import ExitCode, MissingExtra, TinyfleetError, UsageError
from edge.spec import ModelSpec
from ontology.catalog import Catalog
from ontology.describe import DeploymentFacts
from ontology.describe.model import ModelFacts
from ontology.match import fits
from ontology.store import CatalogBusy
from server.export.tflite import write

ROOT = Path(__file__).resolve().parents[2]
NANO = "urn:tinyfleet:lab:nano-1"
WRITER = """
import sys
from ontology.catalog import Catalog
catalog = Catalog.open(sys.argv[1])
n = 0
while True:
    catalog.set_status(f"urn:tinyfleet:lab:d{n}", True, f"{n:064x}", at=n)
    n += 1
    print(n, flush=True)
"""


def test_status_writes_only_changes(catalog: Catalog) -> None:
    a, b = "a" * 64, "b" * 64
    assert catalog.set_status("nano-1", True, a, at=1)
    before = catalog.dump()
    assert not catalog.set_status(NANO, True, a, at=2)
    assert not catalog.set_status("lab/nano-1", True, a, at=3)
    assert catalog.dump() == before
    assert catalog.set_status("nano-1", True, b)
    assert catalog.set_status("nano-1", False)
    row = next(r for r in catalog.query("who-runs-what") if r["device"] == NANO)
    assert (row["online"], row["model"]) == (False, "urn:sha256:" + b)
    assert catalog.set_status("nano-1", True)
    assert NANO not in [r["device"] for r in catalog.query("who-runs-what")]


def test_a_deployment_says_what_runs(catalog: Catalog, sha: dict[str, str]) -> None:
    for ok, model in ((True, "v1"), (False, "v0")):
        facts = DeploymentFacts(device="nano-1", model=sha[model], time=2e9, ok=ok)
        catalog.record_deployment(facts)
    assert [r["model"] for r in catalog.query("who-runs-what") if r["device"] == NANO] == [
        "urn:sha256:" + sha["v1"]
    ]


def test_a_model_put_again_keeps_its_origin_and_metrics(
    catalog: Catalog, sha: dict[str, str], make_model: Any
) -> None:
    catalog.put_model(make_model(sha["v2"]), name="better", metrics={"accuracy": 0.5})
    catalog.put_model(make_model(sha["v2"]), name="best", metrics={"accuracy": 0.75})
    catalog.put_model(make_model(sha["v2"]), name="best")
    assert [r["generation"] for r in catalog.query("lineage", model="best")] == [3, 2, 1]
    values = catalog.query("SELECT ?v { ?m dct:title 'best' ; tf:metric [ tf:metricValue ?v ] }")
    assert [row["v"] for row in values] == [0.75]
    assert "better" not in catalog.dump()


def test_models_go_by_digest_and_by_newest_version(catalog: Catalog, sha: dict[str, str]) -> None:
    for name in ("characters", sha["v2"], sha["v2"][:8], "urn:sha256:" + sha["v2"]):
        assert catalog.query("lineage", model=name).rows[0][1] == "urn:sha256:" + sha["v2"]
    catalog.put_model(_alien(), name="characters")
    with pytest.raises(UsageError, match="2 models"):
        catalog.query("lineage", model="characters")


def _alien() -> Any:
    from ontology.describe.model import ModelFacts

    return ModelFacts(sha256="e" * 64, size=1)


def test_two_sites_may_share_a_name(catalog: Catalog, make_profile: Any) -> None:
    catalog.put_thing(make_profile().thing_description("nano-1", site="b", arena=1, slot=1))
    with pytest.raises(UsageError, match="b/nano-1, lab/nano-1"):
        catalog.query("models-for-device", device="nano-1")
    assert len(catalog.query("models-for-device", device="lab/nano-1")) == 4


def test_why_not_names_both_values(catalog: Catalog) -> None:
    (match,) = fits(catalog, model="characters", device="bit")
    assert not match.runs and not match.trains
    assert match.reasons == [
        "RAM to predict, bytes: needs 960, has 500",
        "RAM to train, bytes: needs 34200, has 500",
    ]
    (alien,) = fits(catalog, model="alien", device="nano-1")
    assert alien.reasons[:2] == [
        "operators: needs CONV_2D, has those of tinylearn",
        "RAM to predict, bytes: needs unknown, has 200000",
    ]


def test_an_int8_model_has_nothing_to_train(catalog: Catalog) -> None:
    (match,) = fits(catalog, model="characters-int8", device="nano-1")
    assert match.runs and not match.trains
    assert match.reasons == ["nothing to train: all layers are int8"]


def test_a_model_takes_of_a_board_what_the_board_counts() -> None:
    spec = ModelSpec.mlp([1, 40, 40, 1])
    artifact = Artifact(write(spec, spec.initial(0), name="sine"))
    facts, need = ModelFacts.of(artifact), requirement(artifact)
    assert facts.training_bytes == need.table + need.sample + need.ram_train
    assert facts.inference_bytes == need.table + need.sample + need.ram_infer


@pytest.mark.parametrize("device", ["nano-1", "nano-2", "bit"])
def test_matching_agrees_with_the_queries(catalog: Catalog, device: str) -> None:
    matches = fits(catalog, device=device)
    assert len(matches) == 5
    rows = {(r["model"], r["trains"]) for r in catalog.query("models-for-device", device=device)}
    assert {(m.model, m.trains) for m in matches if m.runs} == rows
    order = [(m.trains, m.runs) for m in matches]
    assert order == sorted(order, reverse=True)
    with pytest.raises(UsageError, match="a model, a device, or both"):
        fits(catalog)


def test_ask_and_construct(catalog: Catalog) -> None:
    assert catalog.ask("ASK { ?d tf:online true }") and not catalog.ask("ASK { ?d tf:online 7 }")
    made = catalog.construct("CONSTRUCT { ?d a tf:Up } WHERE { ?d tf:online true }")
    assert {triple.object for triple in made} == {"https://w3id.org/tinyfleet/ns#Up"}
    assert catalog.query("ASK {}").to_table() == "yes"
    assert catalog.query("ASK {}").to_json() == '{"head": {}, "boolean": true}'


def test_the_table_is_for_people(catalog: Catalog) -> None:
    table = catalog.query("who-runs-what").to_table()
    assert "lab/nano-1" in table and "sha256:333333333333 " in table and " yes " in table
    assert catalog.query("SELECT ?x { ?x a tf:Nothing }").to_table() == "(nothing found: no x)"


def test_a_second_opener_is_told_who_owns_it(tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "c") as first:
        first.set_status(NANO, True)
        with pytest.raises(CatalogBusy, match=f"process {os.getpid()} .*one owner.*Try: ask"):
            Catalog.open(tmp_path / "c")
    with Catalog.open(tmp_path / "c") as again:
        assert again.ask(f"ASK {{ <{NANO}> tf:online true }}")
    with pytest.raises(TinyfleetError, match="closed"):
        again.dump()


def test_readers_see_a_snapshot_beside_the_owner(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no catalogue"):
        Catalog.open(tmp_path / "c", read_only=True)
    with Catalog.open(tmp_path / "c") as owner:
        owner.set_status(NANO, True)
        with Catalog.open(tmp_path / "c", read_only=True) as reader:
            assert reader.dump() == owner.dump()
            with pytest.raises(UsageError, match="for reading"):
                reader.set_status(NANO, False)
        assert owner.set_status(NANO, False)
        with pytest.raises(CatalogBusy, match=f"process {os.getpid()}"):
            Catalog.open(tmp_path / "c")


def test_a_path_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(TinyfleetError, match="cannot be opened"):
        Catalog.open(tmp_path / "file")


def test_kill_9_loses_no_acknowledged_write(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "c")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(300)][-1]
        with pytest.raises(CatalogBusy, match=f"process {writer.pid} "):
            Catalog.open(tmp_path / "c")
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split("\n")[:-1])])
    with Catalog.open(tmp_path / "c") as catalog:
        lines = catalog.dump().splitlines()
        found = {line.split("> ")[0] for line in lines}
        assert {f"<urn:tinyfleet:lab:d{n}" for n in range(acknowledged)} <= found
        assert len(lines) == 3 * len(found), "a torn transaction"


def test_importing_is_cheap_and_a_missing_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import sys, ontology, ontology.catalog, ontology.match;"
        "print(sorted({'pyoxigraph', 'rdflib', 'pyshacl', 'torch'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert shown.stdout == "[]\n"
    monkeypatch.setitem(sys.modules, "pyoxigraph", None)
    with pytest.raises(MissingExtra, match="pip install 'tinyfleet\\[catalog\\]'") as caught:
        Catalog.open()
    assert caught.value.exit_code == ExitCode.MISSING_EXTRA


def test_what_cannot_be_written_is_refused(catalog: Catalog, make_model: Any) -> None:
    before = catalog.dump()
    with pytest.raises(UsageError, match="cannot be written"):
        catalog.put_model(make_model("a" * 64), name="x", derived_from="b> <urn:c")
    assert catalog.dump() == before
